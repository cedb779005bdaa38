//! Anthropic: API keys of the Console.
//!
//! Logins with a Claude plan are for Anthropic's own applications, so no server is named here. Whoever holds a client
//! of their own names its endpoints, and the token is then sent as documented.

use provider_auth_policy::Signals;

use super::{Descriptor, GENERIC, Template};

pub(crate) const ANTHROPIC: Descriptor = Descriptor {
    id: "anthropic",
    origins: &["https://api.anthropic.com"],
    api_header: Template {
        name: "x-api-key",
        scheme: "",
    },
    api_extra: &[("anthropic-version", "2023-06-01")],
    oauth_extra: &[
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "oauth-2025-04-20"),
    ],
    signals: &Signals::ANTHROPIC,
    bound_items: &super::bound::ANTHROPIC,
    terms: Some(
        "Anthropic reserves logins with a Claude plan for its own applications (https://code.claude.com/docs/en/legal-and-compliance); \
         add an API key instead (https://platform.claude.com/settings/keys)",
    ),
    ..GENERIC
};
