//! The base of every provider that is not built in: RFC 6749 and RFC 6750, nothing assumed beyond
//! them.

use provider_auth_oauth::{ClientAuth, Dialect};
use provider_auth_policy::Signals;

use super::descriptor::{Descriptor, Endpoints, Registration};
use super::headers::Template;
use super::models::ModelLists;
use super::{bound, streams};

pub(crate) const GENERIC: Descriptor = Descriptor {
    id: "generic",
    endpoints: Endpoints::NONE,
    callback: None,
    dialect: Dialect::default,
    client_auth: ClientAuth::Basic,
    scopes: &[],
    origins: &[],
    oauth_header: Template::BEARER,
    api_header: Template::BEARER,
    oauth_extra: &[],
    api_extra: &[],
    appended_headers: &[],
    models: &ModelLists::GENERIC,
    pool_logins: true,
    signals: &Signals::GENERIC,
    bound_items: &bound::OPENAI_SHAPED,
    streams: streams::ALL,
    key_parameters: &[],
    key_variables: &[],
    token_variables: &[],
    opencode_ids: &[],
    terms: None,
    registration: Some(&Registration {
        url: None,
        steps: &[
            "Register an application of the kind native or public (RFC 8252) at the login server",
            "Let it use the authorization code with PKCE (S256), or the device code",
        ],
        settings: &[("clientId", "the client id")],
    }),
};
