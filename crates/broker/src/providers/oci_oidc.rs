//! Oracle Cloud: an application in an identity domain of one's own.
//!
//! Each tenancy has its own domain and its own services, so issuer, client and origins all come
//! from the user. The endpoints lie at the same paths of every domain; its discovery document names
//! another issuer and leaves some out.

use provider_auth_oauth::{Dialect, IdentityPaths, StepDialect};
use provider_auth_policy::Signals;

use super::descriptor::{Descriptor, Endpoints, Registration, pairs, texts};
use super::generic::GENERIC;

pub(crate) const OCI_OIDC: Descriptor = Descriptor {
    id: "oci-oidc",
    endpoints: Endpoints {
        authorization: Some("/oauth2/v1/authorize"),
        token: Some("/oauth2/v1/token"),
        device: Some("/oauth2/v1/device"),
        revocation: Some("/oauth2/v1/revoke"),
        userinfo: Some("/oauth2/v1/userinfo"),
        ..Endpoints::NONE
    },
    dialect,
    scopes: &["openid", "offline_access"],
    signals: &Signals::OCI,
    terms: Some(
        "Register an application in your identity domain and set its issuer, clientId and origins \
         (https://docs.oracle.com/en-us/iaas/Content/Identity/api-getstarted/OATOAuthClientWebApp.htm)",
    ),
    registration: Some(&Registration {
        url: Some(
            "https://docs.oracle.com/en-us/iaas/Content/Identity/api-getstarted/OATOAuthClientWebApp.htm",
        ),
        steps: &[
            "Register an application in your identity domain: a mobile app for a device code, a confidential one for the browser",
            "Tick the grants that it uses (authorization code or device code, and refresh token), and activate it",
            "For the browser: register a redirect URI with a fixed port, allow non-HTTPS URLs, and set that URI as redirectUri",
        ],
        settings: &[
            ("issuer", "https://idcs-….identity.oraclecloud.com"),
            ("clientId", "the client id"),
            ("origins", "the addresses that take its tokens"),
        ],
    }),
    ..GENERIC
};

fn dialect() -> Dialect {
    Dialect {
        // Required here, and unknown to RFC 8628.
        device: StepDialect {
            params: pairs([("response_type", "device_code")]),
            ..StepDialect::default()
        },
        // Every domain signs under this one name.
        issuers: "https://identity.oraclecloud.com/"
            .parse()
            .into_iter()
            .collect(),
        identity: IdentityPaths {
            organization: texts(["/user_tenantname", "/user.tenant.name"]),
            ..IdentityPaths::default()
        },
        ..Dialect::default()
    }
}
