//! Why an account was chosen.

use napi_derive::napi;
use provider_auth_broker as broker;
use provider_auth_broker::{Chance, Selection};

use super::{list, millis};

#[napi(object, object_from_js = false)]
pub struct Trace {
    pub at: f64,
    pub outcome: &'static str,
    pub refusal: Option<String>,
    pub account_id: Option<String>,
    pub rule: Option<&'static str>,
    pub until: Option<f64>,
    pub reason: Option<&'static str>,
    pub strategy: &'static str,
    pub bound_to: Option<String>,
    pub bound_until: Option<f64>,
    pub accounts: Vec<TracedAccount>,
}

impl From<broker::Trace> for Trace {
    fn from(trace: broker::Trace) -> Self {
        let mut told = Self {
            at: millis(trace.at),
            outcome: "",
            refusal: None,
            account_id: None,
            rule: None,
            until: None,
            reason: None,
            strategy: trace.strategy.as_str(),
            bound_to: trace.bound_to.map(|id| id.to_string()),
            bound_until: trace.bound_until.map(millis),
            accounts: list(trace.accounts),
        };
        told.outcome = match trace.selection {
            Selection::Serve { account, rule } => {
                told.account_id = Some(account.to_string());
                told.rule = Some(rule.as_str());
                "serve"
            }
            Selection::Wait { until, account } => {
                told.account_id = account.map(|id| id.to_string());
                told.until = Some(millis(until));
                "wait"
            }
            Selection::Exhausted { retry_at, reason } => {
                told.until = retry_at.map(millis);
                told.reason = Some(reason.as_str());
                "exhausted"
            }
            Selection::NeedsLogin { accounts, .. } => {
                told.account_id = accounts.first().map(ToString::to_string);
                "needs_login"
            }
            Selection::OriginRefused => "origin_refused",
            Selection::NoAccount => "no_account",
            Selection::UnknownAccount => "unknown_account",
        };
        told
    }
}

impl From<broker::Explained> for Trace {
    fn from(explained: broker::Explained) -> Self {
        Self {
            refusal: explained.refusal,
            ..Self::from(explained.trace)
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct TracedAccount {
    pub account_id: String,
    pub chance: &'static str,
    pub until: Option<f64>,
    pub reason: Option<&'static str>,
    pub scope: Option<String>,
    pub status: Option<u16>,
    pub used_percent: Option<u16>,
}

impl From<broker::TracedAccount> for TracedAccount {
    fn from(traced: broker::TracedAccount) -> Self {
        let (until, reason) = match traced.chance {
            Chance::Resting { until, reason } => (Some(millis(until)), Some(reason.as_str())),
            _ => (None, None),
        };
        let (scope, status) = traced.charged.unzip();
        Self {
            account_id: traced.account.to_string(),
            chance: traced.chance.as_str(),
            until,
            reason,
            scope,
            status: status.flatten(),
            used_percent: traced.used_percent,
        }
    }
}
