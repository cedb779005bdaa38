//! What listeners are told.

use napi_derive::napi;
use provider_auth_broker as broker;

use super::{millis, requests::action};

#[napi(object, object_from_js = false)]
pub struct AuthEvent {
    #[napi(js_name = "type")]
    pub kind: &'static str,
    pub at: f64,
    pub provider: String,
    pub namespace: String,
    pub account_id: Option<String>,
    pub model: Option<String>,
    pub reason: Option<&'static str>,
    pub until: Option<f64>,
    pub attempt: Option<String>,
    pub rule: Option<&'static str>,
    pub action: Option<&'static str>,
}

impl From<&broker::Event> for AuthEvent {
    fn from(event: &broker::Event) -> Self {
        Self {
            kind: event.kind.as_str(),
            at: millis(event.at),
            provider: event.provider.to_string(),
            namespace: event.namespace.to_string(),
            account_id: event.account.as_ref().map(ToString::to_string),
            model: event.model.clone(),
            reason: event.reason.map(broker::Reason::as_str),
            until: event.until.map(millis),
            attempt: event.attempt.clone(),
            rule: event.rule.map(broker::Rule::as_str),
            action: event.action.map(action),
        }
    }
}
