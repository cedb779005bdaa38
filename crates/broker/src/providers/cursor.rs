//! Cursor: keys of the dashboard, for its official API. That API runs agents; it serves no chat
//! completions.
//!
//! Its login is for its own programs, so no server is named here.

use provider_auth_oauth::{Dialect, Meaning, PagePoll, Renewal};
use provider_auth_policy::Signals;

use super::descriptor::{Descriptor, pairs, status_means};
use super::generic::GENERIC;
use super::headers::Template;
use super::models::ModelLists;

pub(crate) const CURSOR: Descriptor = Descriptor {
    id: "cursor",
    dialect,
    origins: &["https://api.cursor.com"],
    api_header: Template::BASIC_USER,
    models: &ModelLists::CURSOR,
    signals: &Signals::CURSOR,
    key_variables: &["CURSOR_API_KEY"],
    terms: Some(
        "Cursor offers other applications no login; add an API key of its dashboard (https://cursor.com/docs)",
    ),
    registration: None,
    ..GENERIC
};

/// A page whose outcome is polled for, with names of its own.
fn dialect() -> Dialect {
    Dialect {
        authorize: pairs([("mode", "login")]),
        page_poll: Some(PagePoll {
            challenge: "challenge".to_owned(),
            id: "uuid".to_owned(),
            proof: "verifier".to_owned(),
        }),
        rename: pairs([
            ("accessToken", "access_token"),
            ("refreshToken", "refresh_token"),
        ]),
        errors: vec![
            status_means(404, Meaning::Pending),
            status_means(403, Meaning::Denied),
            status_means(401, Meaning::InvalidGrant),
        ],
        renewal: Renewal::Exchange,
        ended: Some("shouldLogout".to_owned()),
        ..Dialect::default()
    }
}
