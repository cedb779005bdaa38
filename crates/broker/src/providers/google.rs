//! Google: the Gemini API, with a key of AI Studio or with an OAuth client of one's own.

use provider_auth_oauth::{ClientAuth, Dialect};
use provider_auth_policy::Signals;

use super::descriptor::{Descriptor, Endpoints, Registration, pairs};
use super::generic::GENERIC;
use super::headers::Template;
use super::models::ModelLists;
use super::streams;

pub(crate) const GOOGLE: Descriptor = Descriptor {
    id: "google",
    endpoints: Endpoints {
        // Nothing is discovered: its device endpoint, which discovery would add, does not grant
        // these scopes.
        authorization: Some("https://accounts.google.com/o/oauth2/v2/auth"),
        token: Some("https://oauth2.googleapis.com/token"),
        revocation: Some("https://oauth2.googleapis.com/revoke"),
        ..Endpoints::NONE
    },
    dialect,
    // Google's samples send the secret in the body, and even a desktop client has one.
    client_auth: ClientAuth::Post,
    scopes: &[
        "openid",
        "email",
        "https://www.googleapis.com/auth/cloud-platform",
    ],
    origins: &["https://generativelanguage.googleapis.com"],
    // A key as a Bearer token is taken on the OpenAI-compatible paths only; this header,
    // everywhere.
    api_header: Template::bare("x-goog-api-key"),
    models: &ModelLists::GOOGLE,
    signals: &Signals::GOOGLE,
    bound_items: &super::bound::GOOGLE,
    // The second is that of its paths for OpenAI's SDK.
    streams: &[streams::GEMINI, streams::CHAT],
    key_parameters: &["key"],
    key_variables: &[
        "GEMINI_API_KEY",
        "GOOGLE_API_KEY",
        "GOOGLE_GENERATIVE_AI_API_KEY",
    ],
    terms: Some(
        "Create an OAuth client of the type desktop app in your own Google Cloud project and set its clientId and clientSecret \
         (https://ai.google.dev/gemini-api/docs/oauth); or add an API key (https://aistudio.google.com/apikey)",
    ),
    registration: Some(&Registration {
        url: Some("https://ai.google.dev/gemini-api/docs/oauth"),
        steps: &[
            "Create an OAuth client of the type desktop app in your own Google Cloud project",
            "Name the project that pays in the header x-goog-user-project",
        ],
        settings: &[
            ("clientId", "the client id"),
            ("clientSecret", "{env:GOOGLE_CLIENT_SECRET}"),
        ],
    }),
    ..GENERIC
};

/// Without these two parameters a login returns no refresh token, or only the first one does.
fn dialect() -> Dialect {
    Dialect {
        authorize: pairs([("access_type", "offline"), ("prompt", "consent")]),
        ..Dialect::default()
    }
}
