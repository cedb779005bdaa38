//! GitHub Copilot: a GitHub app of one's own signs in, and its token is exchanged for one of
//! Copilot's.

use provider_auth_oauth::{Dialect, IdentityPaths, Meaning, Renewal};

use super::descriptor::{Descriptor, Endpoints, Registration, pairs, status_means, texts};
use super::generic::GENERIC;
use super::models::ModelLists;

/// The version of the API that is spoken.
const VERSION: &[(&str, &str)] = &[("x-github-api-version", "2026-06-01")];

pub(crate) const GITHUB_COPILOT: Descriptor = Descriptor {
    id: "github-copilot",
    endpoints: Endpoints {
        issuer: Some("https://github.com"),
        token: Some("https://github.com/login/oauth/access_token"),
        device: Some("https://github.com/login/device/code"),
        userinfo: Some("https://api.github.com/user"),
        exchange: Some("https://api.github.com/copilot_internal/v2/token"),
        ..Endpoints::NONE
    },
    dialect,
    scopes: &["read:user"],
    // One host per kind of seat; all are GitHub's. The exchange says which one an account has.
    origins: &[
        "https://api.githubcopilot.com",
        "https://api.individual.githubcopilot.com",
        "https://api.business.githubcopilot.com",
        "https://api.enterprise.githubcopilot.com",
    ],
    oauth_extra: VERSION,
    api_extra: VERSION,
    models: &ModelLists::COPILOT,
    opencode_ids: &["github-copilot-enterprise"],
    terms: Some(
        "Register a GitHub app of your own and set its clientId (https://docs.github.com/en/copilot/how-tos/copilot-sdk)",
    ),
    registration: Some(&Registration {
        url: Some("https://docs.github.com/en/copilot/how-tos/copilot-sdk"),
        steps: &[
            "Register a GitHub app or an OAuth app of your own, and enable its device flow",
            "Requests of one's own with it are not documented by GitHub, which may refuse them",
        ],
        settings: &[("clientId", "the client id")],
    }),
    ..GENERIC
};

/// Copilot's token lives for half an hour; the app's, which does not end, brings the next one until
/// it is revoked.
fn dialect() -> Dialect {
    Dialect {
        rename: pairs([("token", "access_token")]),
        errors: vec![status_means(401, Meaning::InvalidGrant)],
        identity: IdentityPaths {
            subject: texts(["/id"]),
            ..IdentityPaths::default()
        },
        renewal: Renewal::ExchangeLogin,
        // Tokens of most apps are not exchanged: they go to the API themselves, at the first of the
        // origins.
        no_exchange: Some(404),
        api_url: Some("/endpoints/api".to_owned()),
        ..Dialect::default()
    }
}
