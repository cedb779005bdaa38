//! Anthropic: API keys of the Console, and workload identity federation.
//!
//! Logins with a Claude plan are for Anthropic's own applications, so no page to sign in on is
//! named here. A user with a client of their own names its endpoints; requests are then in the form
//! that this server wants.

use provider_auth_oauth::{Dialect, Encoding, IdentityPaths, StepDialect};
use provider_auth_policy::Signals;

use super::descriptor::{Descriptor, Endpoints, pairs, texts};
use super::generic::GENERIC;
use super::headers::Template;
use super::models::ModelLists;
use super::streams;

pub(crate) const ANTHROPIC: Descriptor = Descriptor {
    id: "anthropic",
    endpoints: Endpoints {
        token: Some("https://api.anthropic.com/v1/oauth/token"),
        ..Endpoints::NONE
    },
    dialect,
    origins: &["https://api.anthropic.com"],
    api_header: Template::bare("x-api-key"),
    api_extra: &[("anthropic-version", "2023-06-01")],
    oauth_extra: &[
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "oauth-2025-04-20"),
    ],
    // A list of opt-ins: the caller's and ours are both needed.
    appended_headers: &["anthropic-beta"],
    models: &ModelLists::ANTHROPIC,
    signals: &Signals::ANTHROPIC,
    bound_items: &super::bound::ANTHROPIC,
    // The second is that of its paths for OpenAI's SDK.
    streams: &[streams::MESSAGES, streams::CHAT],
    key_variables: &["ANTHROPIC_API_KEY"],
    // https://code.claude.com/docs/en/env-vars
    token_variables: &["ANTHROPIC_AUTH_TOKEN"],
    terms: Some(
        "Anthropic reserves logins with a Claude plan for its own applications (https://code.claude.com/docs/en/legal-and-compliance); \
         add an API key instead (https://platform.claude.com/settings/keys)",
    ),
    registration: None,
    ..GENERIC
};

/// Bodies are JSON, and the code exchange repeats the state.
fn dialect() -> Dialect {
    let json = |headers| StepDialect {
        encoding: Encoding::Json,
        headers,
        ..StepDialect::default()
    };
    Dialect {
        // The page shows the code to be pasted.
        authorize: pairs([("code", "true")]),
        token: json(Vec::new()),
        refresh: json(pairs([("anthropic-beta", "oauth-2025-04-20")])),
        assertion: json(pairs([(
            "anthropic-beta",
            "oauth-2025-04-20,oidc-federation-2026-04-01",
        )])),
        state_in_token_body: true,
        identity: IdentityPaths {
            subject: texts(["/account/uuid"]),
            organization: texts(["/organization/uuid"]),
            email: texts(["/account/email_address"]),
            ..IdentityPaths::default()
        },
        ..Dialect::default()
    }
}
