//! What a login waits for, once its prompt is shown.

use provider_auth_oauth::{DeviceGrant, LoginSecrets, PageLogin};
use secrecy::SecretString;
use url::Url;

use super::callback::CallbackServer;

/// What a login waits for.
pub(super) enum LoginFlow {
    Assertion(SecretString),
    Client,
    Device(DeviceGrant),
    PagePoll(PageLogin),
    Page {
        server: Option<CallbackServer>,
        secrets: LoginSecrets,
        redirect: Url,
    },
}

impl LoginFlow {
    /// What to tell when the time is over and nothing has come.
    pub(super) fn nothing_came(&self) -> String {
        match self {
            Self::Assertion(_) | Self::Client => "The login server had not answered yet".to_owned(),
            Self::Device(_) => "The code was not entered, or the sign-in not finished".to_owned(),
            Self::PagePoll(_) => "The sign-in on the page was not finished".to_owned(),
            Self::Page {
                server: Some(_),
                redirect,
                ..
            } => format!("No answer came to {redirect}"),
            Self::Page { .. } => "No code was pasted".to_owned(),
        }
    }
}
