//! Cursor: keys of the dashboard, for its official API. That API runs agents; it serves no chat completions.

use provider_auth_policy::Signals;

use super::{Descriptor, GENERIC};

pub(crate) const CURSOR: Descriptor = Descriptor {
    id: "cursor",
    origins: &["https://api.cursor.com"],
    models_path: "/v0/models",
    signals: &Signals::CURSOR,
    terms: Some(
        "Cursor offers other applications no login; add an API key of its dashboard (https://cursor.com/docs)",
    ),
    ..GENERIC
};
