//! Logins under way.

use napi_derive::napi;
use provider_auth_broker as broker;

use super::millis;

/// `LoginPrompt`, and the number of the login.
#[napi(object, object_from_js = false)]
pub struct NativePrompt {
    pub login: f64,
    pub method: &'static str,
    pub url: String,
    pub user_code: Option<String>,
    pub callback: Option<String>,
    pub instructions: String,
    pub expires_at: Option<f64>,
}

impl From<broker::LoginPrompt> for NativePrompt {
    fn from(prompt: broker::LoginPrompt) -> Self {
        Self {
            login: prompt.login as f64,
            method: prompt.method.as_str(),
            url: prompt.url,
            user_code: prompt.user_code,
            callback: prompt.callback,
            instructions: prompt.instructions,
            expires_at: Some(millis(prompt.expires_at)),
        }
    }
}

/// `LoginProgress`.
#[napi(object, object_from_js = false)]
pub struct LoginProgress {
    pub step: &'static str,
    pub note: Option<String>,
}

impl From<broker::LoginProgress> for LoginProgress {
    fn from(progress: broker::LoginProgress) -> Self {
        let step = match progress.step {
            broker::LoginStep::Exchanging => "exchanging",
            broker::LoginStep::Storing => "storing",
            _ => "waiting",
        };
        Self {
            step,
            note: progress.note,
        }
    }
}
