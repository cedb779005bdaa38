//! What a request is given, and what follows from its answer.

use std::collections::BTreeMap;

use napi_derive::napi;
use provider_auth_broker as broker;
use provider_auth_broker::{Action, ExposeSecret as _, Lease};

use super::{Trace, millis};

#[napi(object, object_from_js = false)]
pub struct AuthHeaders {
    pub attempt: String,
    pub account_id: String,
    pub headers: BTreeMap<String, String>,
    pub strip: Vec<String>,
    pub url: Option<String>,
    pub trace: Option<Trace>,
}

impl From<Lease> for AuthHeaders {
    fn from(lease: Lease) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            account_id: lease.account_id().to_owned(),
            headers: lease.headers().iter().map(owned).collect(),
            strip: lease.strip().to_vec(),
            attempt: lease.attempt,
            url: lease.url,
            trace: lease.trace.map(Trace::from),
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct Credential {
    pub attempt: String,
    pub account_id: String,
    pub value: String,
    pub header: String,
    pub scheme: String,
    pub expires_at: Option<f64>,
    pub variables: Vec<String>,
    pub rival_variables: Vec<String>,
    pub trace: Option<Trace>,
}

impl From<Lease> for Credential {
    fn from(lease: Lease) -> Self {
        let lent = lease.credential();
        Self {
            account_id: lease.account_id().to_owned(),
            value: lent.value.expose_secret().to_owned(),
            header: lent.header.to_owned(),
            scheme: lent.scheme.to_owned(),
            expires_at: lent.expires_at.map(millis),
            variables: lent.variables.own,
            rival_variables: lent.variables.rival,
            attempt: lease.attempt,
            trace: lease.trace.map(Trace::from),
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct Verdict {
    pub action: &'static str,
    pub delay_ms: f64,
    pub reason: &'static str,
    pub cooldown_until: Option<f64>,
    /// Present only when it is true.
    #[napi(js_name = "final")]
    pub is_final: Option<bool>,
    pub retry_at: Option<f64>,
}

impl From<broker::Verdict> for Verdict {
    fn from(verdict: broker::Verdict) -> Self {
        Self {
            action: action(verdict.action),
            delay_ms: verdict.delay.as_millis() as f64,
            reason: verdict.reason.as_str(),
            cooldown_until: verdict.cooldown_until.map(millis),
            is_final: verdict.is_final.then_some(true),
            retry_at: verdict.retry_at.map(millis),
        }
    }
}

/// The word for what to do next.
pub(super) fn action(action: Action) -> &'static str {
    match action {
        Action::Deliver => "deliver",
        Action::Retry => "retry",
    }
}

/// What `npm/src/bound.ts` looks for in a request.
#[napi(object, object_from_js = false)]
pub struct BoundItems {
    pub fields: Vec<(&'static str, &'static str)>,
    pub paths: Vec<&'static str>,
}

impl From<&broker::BoundItems> for BoundItems {
    fn from(items: &broker::BoundItems) -> Self {
        Self {
            fields: items.fields.to_vec(),
            paths: items.paths.to_vec(),
        }
    }
}

/// How `npm/src/headers.ts` joins a provider's headers with a caller's.
#[napi(object, object_from_js = false)]
pub struct HeaderRules {
    pub appended: Vec<String>,
    pub defaulted: Vec<String>,
}

impl From<broker::HeaderRules> for HeaderRules {
    fn from(rules: broker::HeaderRules) -> Self {
        Self {
            appended: rules.appended,
            defaulted: rules.defaulted,
        }
    }
}

/// What `npm/src/sse.ts` looks for in a stream.
#[napi(object, object_from_js = false)]
pub struct StreamShape {
    pub silent: Vec<(&'static str, &'static str)>,
    pub failed: Vec<&'static str>,
    pub chunks: Vec<&'static str>,
    pub labels: Vec<&'static str>,
}

impl From<&broker::StreamShape> for StreamShape {
    fn from(shape: &broker::StreamShape) -> Self {
        Self {
            silent: shape.silent.to_vec(),
            failed: shape.failed.to_vec(),
            chunks: shape.chunks.to_vec(),
            labels: shape.labels.to_vec(),
        }
    }
}
