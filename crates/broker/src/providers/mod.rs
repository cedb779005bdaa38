//! The providers known out of the box: one file each, and nothing in it but data.
//!
//! A descriptor says where a provider's API lives, how a credential is written into its requests and, where the
//! provider lets anybody register a client, where its logins happen. No client id is shipped: a login uses a client
//! that the user registered.

mod anthropic;
mod azure;
mod bound;
mod cursor;
mod generic;
mod github_copilot;
mod google;
mod mcp;
mod models;
mod oci_oidc;
mod openai;
mod qwen;
mod streams;

use provider_auth_oauth::{ClientAuth, Dialect, ErrorRule, Meaning};
use provider_auth_policy::Signals;

use crate::config::CredentialForm;

pub use bound::BoundItems;
pub(crate) use generic::GENERIC;
pub(crate) use mcp::MCP;
pub use models::{ModelLists, OwnShape};
pub(crate) use models::{NextPage, Shape};
pub use streams::StreamShape;

/// All of them, save those of [`BASES`].
pub(crate) const BUILT_IN: &[&Descriptor] = &[
    &anthropic::ANTHROPIC,
    &openai::OPENAI,
    &azure::AZURE,
    &google::GOOGLE,
    &github_copilot::GITHUB_COPILOT,
    &qwen::QWEN,
    &cursor::CURSOR,
    &oci_oidc::OCI_OIDC,
];

/// What others extend and nobody uses as it is.
pub(crate) const BASES: &[&Descriptor] = &[&GENERIC, &MCP];

/// The headers in which SDKs send a key. All are deleted before ours is set: a placeholder that stays behind would
/// reach the provider, and some providers refuse two credentials in one request.
pub(crate) const KEY_HEADERS: &[&str] =
    &["api-key", "authorization", "x-api-key", "x-goog-api-key"];

/// The built-in provider of this id.
pub(crate) fn built_in(id: &str) -> Option<&'static Descriptor> {
    BUILT_IN
        .iter()
        .copied()
        .find(|descriptor| descriptor.id == id)
}

/// The built-in provider that OpenCode keeps under this id.
pub(crate) fn of_opencode(id: &str) -> Option<&'static Descriptor> {
    let of_id = |descriptor: &&Descriptor| descriptor.opencode_ids.contains(&id);
    built_in(id).or_else(|| BUILT_IN.iter().copied().find(of_id))
}

/// What is known of a provider before the user says anything.
pub(crate) struct Descriptor {
    pub(crate) id: &'static str,
    /// Where logins happen; [`Endpoints::NONE`] unless anybody may get a client there.
    pub(crate) endpoints: Endpoints,
    /// The redirect URI of a login that configures none; another port is taken where its own is in use.
    pub(crate) callback: Option<&'static str>,
    pub(crate) dialect: fn() -> Dialect,
    /// How a client that has a secret authenticates.
    pub(crate) client_auth: ClientAuth,
    pub(crate) scopes: &'static [&'static str],
    pub(crate) origins: &'static [&'static str],
    pub(crate) oauth_header: Template,
    pub(crate) api_header: Template,
    pub(crate) oauth_extra: &'static [(&'static str, &'static str)],
    pub(crate) api_extra: &'static [(&'static str, &'static str)],
    /// Where its models are listed, and in which form.
    pub(crate) models: &'static ModelLists,
    /// Whether several logins of a pool stand in for one another: false where the terms do not offer it.
    pub(crate) pool_logins: bool,
    pub(crate) signals: &'static Signals,
    /// What in a request only the account that made it can serve.
    pub(crate) bound_items: &'static BoundItems,
    /// How its event streams look; none where they are not answers that could be asked for again.
    pub(crate) streams: &'static [StreamShape],
    /// Parameters of a URL's query in which SDKs send a key: deleted, as [`KEY_HEADERS`] are.
    pub(crate) key_parameters: &'static [&'static str],
    /// Variables in which programs look for an API key of it; of several, the usual one comes first.
    pub(crate) key_variables: &'static [&'static str],
    /// Other ids under which OpenCode keeps its credentials.
    pub(crate) opencode_ids: &'static [&'static str],
    /// A sentence and a link for who wants to log in but has no client id.
    pub(crate) terms: Option<&'static str>,
}

/// The endpoints of an authorization server: URLs, or paths on the issuer that the user names.
#[derive(Clone, Copy)]
pub(crate) struct Endpoints {
    pub(crate) issuer: Option<&'static str>,
    pub(crate) authorization: Option<&'static str>,
    pub(crate) token: Option<&'static str>,
    pub(crate) device: Option<&'static str>,
    pub(crate) revocation: Option<&'static str>,
    pub(crate) userinfo: Option<&'static str>,
    pub(crate) jwks: Option<&'static str>,
    pub(crate) exchange: Option<&'static str>,
}

impl Endpoints {
    /// No server known.
    pub(crate) const NONE: Self = Self {
        issuer: None,
        authorization: None,
        token: None,
        device: None,
        revocation: None,
        userinfo: None,
        jwks: None,
        exchange: None,
    };
}

/// A header, and how the credential is written in it.
#[derive(Clone, Copy)]
pub(crate) struct Template {
    pub(crate) name: &'static str,
    pub(crate) scheme: &'static str,
    pub(crate) form: CredentialForm,
}

impl Template {
    /// `authorization: Bearer …` (RFC 6750).
    pub(crate) const BEARER: Self = Self {
        name: "authorization",
        scheme: "Bearer",
        form: CredentialForm::Plain,
    };

    /// `authorization: Basic …` with the credential as user name and no password (RFC 7617).
    pub(crate) const BASIC_USER: Self = Self {
        name: "authorization",
        scheme: "Basic",
        form: CredentialForm::BasicUser,
    };

    /// A header that holds nothing but the credential.
    pub(crate) const fn bare(name: &'static str) -> Self {
        Self {
            name,
            scheme: "",
            form: CredentialForm::Plain,
        }
    }
}

/// Owned name and value pairs.
fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// Owned texts.
fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).into()
}

/// A status, whatever the error's name, with a meaning.
fn status_means(status: u16, meaning: Meaning) -> ErrorRule {
    ErrorRule {
        status: Some(status),
        error: None,
        meaning,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::Origin;

    #[test]
    fn every_provider_has_a_row_for_each_status_with_and_without_its_codes() {
        let text = include_str!("../../../../specs/vectors/statuses.json");
        let table: serde_json::Value = serde_json::from_str(text).unwrap();
        let rows: BTreeSet<(&str, u64, bool)> = table["cases"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                let provider = row["provider"].as_str().unwrap();
                let status = row["status"].as_u64().unwrap();
                (provider, status, row.get("body").is_some())
            })
            .collect();
        for descriptor in BUILT_IN.iter().chain(BASES) {
            for status in [400, 401, 402, 403, 404, 408, 413, 429, 500, 503, 529] {
                for coded in [false, true] {
                    let row = (descriptor.id, status, coded);
                    assert!(rows.contains(&row), "{row:?}");
                }
            }
        }
    }

    #[test]
    fn every_descriptor_is_well_formed() {
        let mut ids = BTreeSet::new();
        for descriptor in BUILT_IN.iter().chain(BASES).copied() {
            let id = descriptor.id;
            assert!(ids.insert(id), "{id} is there twice");
            for origin in descriptor.origins {
                assert_eq!(Origin::parse(origin).unwrap().as_str(), *origin, "{id}");
            }
            let ends = descriptor.endpoints;
            for url in [
                ends.issuer,
                ends.authorization,
                ends.token,
                ends.device,
                ends.revocation,
                ends.userinfo,
                ends.jwks,
                ends.exchange,
            ]
            .into_iter()
            .flatten()
            {
                let is_url = url.starts_with("https://") && url.parse::<url::Url>().is_ok();
                assert!(is_url || url.starts_with("/oauth2/"), "{id}: {url}");
            }
            assert!(
                descriptor.callback.is_none_or(|callback| {
                    callback.starts_with("http://127.0.0.1:")
                        && callback.parse::<url::Url>().is_ok()
                }),
                "{id}"
            );
            let extra = descriptor
                .oauth_extra
                .iter()
                .chain(descriptor.api_extra)
                .map(|(name, _)| *name);
            let headers = [descriptor.oauth_header.name, descriptor.api_header.name];
            for name in headers.into_iter().chain(extra) {
                assert_eq!(name, name.to_ascii_lowercase(), "{id}");
            }
            assert!(
                headers.iter().all(|name| KEY_HEADERS.contains(name)),
                "{id}: a key would stay behind"
            );
            let lists = descriptor.models;
            assert!(!lists.shapes.is_empty(), "{id}");
            assert!(lists.paths.iter().all(|path| path.starts_with('/')), "{id}");
            for name in descriptor
                .key_variables
                .iter()
                .chain(descriptor.opencode_ids)
            {
                assert!(ids.insert(name), "{name} is there twice");
            }
            assert!(
                descriptor
                    .terms
                    .is_none_or(|terms| terms.contains("https://")),
                "{id}: the terms name no page"
            );
        }
    }
}
