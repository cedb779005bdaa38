//! The providers known out of the box: one file each, and nothing in it but data.
//!
//! A descriptor says where a provider's API lives, how a credential is written into its requests
//! and, where the provider lets every user register a client, where its logins happen. No client id
//! is shipped: a login uses a client that the user registered.

mod anthropic;
mod azure;
mod bound;
mod cursor;
mod descriptor;
mod generic;
mod github_copilot;
mod google;
mod headers;
mod mcp;
mod models;
mod oci_oidc;
mod openai;
mod qwen;
mod streams;

use provider_auth_policy::Gather as _;

use std::collections::BTreeSet;

pub use bound::BoundItems;
pub(crate) use descriptor::{Descriptor, Registration};
pub(crate) use generic::GENERIC;
pub use headers::{CredentialForm, SESSION_HEADERS};
pub(crate) use headers::{KEY_HEADERS, Template};
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

/// What others extend, and no configuration uses as it is.
pub(crate) const BASES: &[&Descriptor] = &[&GENERIC, &MCP];

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

/// The ids of the built-in providers, in the order in which they are offered.
pub(crate) fn built_in_ids() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|descriptor| descriptor.id)
}

/// The headers in which our value is appended to a caller's own, of all providers.
pub(crate) fn appended_headers() -> BTreeSet<&'static str> {
    all()
        .flat_map(|known| known.appended_headers)
        .copied()
        .gather()
}

/// Every descriptor, in the order in which they are offered.
pub(crate) fn all() -> impl Iterator<Item = &'static Descriptor> {
    BUILT_IN.iter().chain(BASES).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for descriptor in all() {
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
        for descriptor in all() {
            let id = descriptor.id;
            assert!(ids.insert(id), "{id} is there twice");
            for origin in descriptor.origins {
                let url: url::Url = origin.parse().unwrap();
                assert_eq!(url.scheme(), "https", "{id}");
                assert_eq!(url.origin().ascii_serialization(), *origin, "{id}");
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
            let extra: BTreeSet<&str> = extra.collect();
            for name in descriptor.appended_headers {
                assert!(extra.contains(name), "{id} sends no {name}");
            }
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
                .chain(descriptor.token_variables)
                .chain(descriptor.opencode_ids)
            {
                assert!(ids.insert(name), "{name} is there twice");
            }
            if let Some(it) = descriptor.registration {
                let is_page = it.url.is_none_or(|url| url.starts_with("https://"));
                assert!(is_page && !it.steps.is_empty(), "{id}");
                assert!(!it.settings.is_empty(), "{id}");
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
