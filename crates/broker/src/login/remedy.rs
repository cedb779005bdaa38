//! What in the configuration lets a login go on where a server says something else than is
//! expected.

use provider_auth_oauth::OauthError;
use url::Url;

use crate::config::{Provenance, Provider};
use crate::named;

/// Which key of the configuration lets a login go on after such an error, as the end of a sentence.
pub(crate) fn remedy(error: &OauthError, provider: &Provider) -> String {
    let of = format!("providers.{}", named::name(&provider.id));
    let mcp = match provider.origin_of_definition {
        Provenance::BuiltIn => " (with \"extends\": \"mcp\" and its resource)",
        _ => "",
    };
    match error {
        OauthError::IssuerMismatch { found, .. } if Url::parse(found).is_ok() => format!(
            "; if both are the server that you mean, set {of}.dialect.issuers to [\"{found}\"], or to \"any\"{mcp}"
        ),
        OauthError::IssuerMismatch { .. } => format!(
            "; if that is the server that you mean, set {of}.dialect.issuers to \"any\"{mcp}"
        ),
        OauthError::NoPkce { issuer } => format!(
            "; if you know that it does, name it yourself: set {of}.issuer to \"{issuer}\"{mcp}"
        ),
        OauthError::OutOfBounds { .. } => format!(
            "; if you trust it with that place, name it yourself: set {of}.issuer, or {of}.authorizationEndpoint and \
             {of}.tokenEndpoint{mcp}"
        ),
        OauthError::MissingEndpoint { .. }
        | OauthError::Malformed { .. }
        | OauthError::NotJson { .. } => format!(
            "; where it lies elsewhere, set {of}.issuer, {of}.dialect.discovery.url, or {of}.authorizationEndpoint and \
             {of}.tokenEndpoint{mcp}"
        ),
        _ => String::new(),
    }
}
