//! Oracle Cloud: an application in an identity domain of one's own.
//!
//! Each tenancy has its own domain and its own services, so issuer, client and origins all come from the user.

use provider_auth_policy::Signals;

use super::{Descriptor, GENERIC};

pub(crate) const OCI_OIDC: Descriptor = Descriptor {
    id: "oci-oidc",
    scopes: &["openid", "offline_access"],
    signals: &Signals::OCI,
    terms: Some(
        "Register an application in your identity domain and set its issuer, clientId and origins \
         (https://docs.oracle.com/en-us/iaas/Content/Identity/api-getstarted/OATOAuthClientWebApp.htm)",
    ),
    ..GENERIC
};
