//! What a request gets when no account can serve it and the provider was not asked: the cause, how
//! each account stands, and what helps.

use provider_auth_policy::{
    AccountId, Chance, KeptAnswer, Reason, Request, Standings, Timestamp, TracedAccount,
};
use serde_json::{Value, json};

use crate::named;

/// An answer of ours in the provider's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalRefusal {
    /// What keeps the accounts.
    pub reason: Reason,
    /// In a sentence, with what helps.
    pub message: String,
    /// HTTP status.
    pub status: u16,
    /// The words for it.
    pub status_text: &'static str,
    /// Media type of the body.
    pub content_type: String,
    /// The body: the provider's own, where it would say the same again.
    pub body: String,
}

/// How a cause is answered.
struct Form {
    status: u16,
    /// The error's type, as OpenAI and Anthropic name it.
    kind: &'static str,
    code: &'static str,
    /// What is wrong with the accounts.
    what: &'static str,
    /// What helps, where it is not time.
    remedy: &'static str,
}

impl LocalRefusal {
    /// Says why no account of the pool can serve the request.
    pub(crate) fn of(
        request: &Request,
        standings: &Standings,
        reason: Reason,
        retry_at: Option<Timestamp>,
    ) -> Self {
        let form = form(reason, retry_at);
        let keeper = request.affinity();
        let states = states(standings);
        let message = message(&form, &request.provider, keeper, &states, retry_at);
        if let Some(answer) = &standings.answer {
            return Self::repeated(answer.clone(), message);
        }
        let code = match keeper {
            Some(_) if reason.passes() => "account_bound",
            _ => form.code,
        };
        let accounts = standings.accounts.iter().map(account).collect();
        Self::new(&form, reason, code, message, accounts, retry_at)
    }

    /// Says it of a pool that cannot be looked at any more.
    pub(crate) fn without_pool(
        provider: &str,
        reason: Reason,
        retry_at: Option<Timestamp>,
    ) -> Self {
        let form = form(reason, retry_at);
        let message = message(&form, provider, None, "", retry_at);
        Self::new(&form, reason, form.code, message, Vec::new(), retry_at)
    }

    fn new(
        form: &Form,
        reason: Reason,
        code: &str,
        message: String,
        accounts: Vec<Value>,
        retry_at: Option<Timestamp>,
    ) -> Self {
        let mut error = json!({ "type": form.kind, "code": code, "message": message });
        if !accounts.is_empty() {
            error["accounts"] = accounts.into();
        }
        if let Some(at) = retry_at {
            error["retry_at"] = at.as_millis().into();
        }
        Self {
            reason,
            message,
            status: form.status,
            status_text: status_text(form.status),
            content_type: "application/json".to_owned(),
            body: json!({ "error": error }).to_string(),
        }
    }

    fn repeated(answer: KeptAnswer, message: String) -> Self {
        Self {
            reason: Reason::NotEntitled,
            message,
            status: answer.status,
            status_text: status_text(answer.status),
            content_type: answer.content_type,
            body: answer.body,
        }
    }
}

fn account(traced: &TracedAccount) -> Value {
    let mut known = json!({ "id": traced.account.as_str(), "state": traced.chance.as_str() });
    if let Chance::Resting { until, reason } = traced.chance {
        known["reason"] = reason.as_str().into();
        known["until"] = until.as_millis().into();
    }
    if let Some((scope, status)) = &traced.charged {
        known["scope"] = scope.as_str().into();
        known["status"] = (*status).into();
    }
    known
}

fn form(reason: Reason, retry_at: Option<Timestamp>) -> Form {
    let form = |status, kind, code, what, remedy| Form {
        status,
        kind,
        code,
        what,
        remedy,
    };
    match reason {
        Reason::OutOfCredit => form(
            402,
            "billing_error",
            "out_of_credit",
            "no account has credit left",
            "top one up; it is tried again by and by, or at once after clearCooldowns",
        ),
        Reason::TokenExpired if retry_at.is_some() => form(
            503,
            "api_error",
            "token_renewal_failing",
            "no access token could be renewed",
            "the login server does not answer as it should",
        ),
        Reason::TokenExpired | Reason::NeedsLogin => form(
            401,
            "authentication_error",
            "credentials_refused",
            "the provider refuses the credentials for this endpoint",
            "check what the key may do, add another one, or call clearCooldowns to try again",
        ),
        Reason::Forbidden | Reason::NeedsVerification | Reason::BlockedByProvider => form(
            403,
            "permission_error",
            "accounts_forbidden",
            "the provider forbids it to every account",
            "ask the provider, or call clearCooldowns to try again",
        ),
        Reason::NotEntitled => form(
            404,
            "not_found_error",
            "model_not_available",
            "no account has this model",
            "name another model, or call clearCooldowns to ask again",
        ),
        _ => form(
            429,
            "rate_limit_error",
            "all_accounts_cooling",
            "all accounts are cooling down",
            "",
        ),
    }
}

/// `all openai accounts are cooling down (2 quota_exhausted, 1 needs_login); try again at …`
fn message(
    form: &Form,
    provider: &str,
    keeper: Option<&AccountId>,
    states: &str,
    retry_at: Option<Timestamp>,
) -> String {
    let mut message = match keeper {
        Some(keeper) if form.status == 429 => format!(
            "the {provider} account {keeper} is cooling down, and what the request holds can be served by no other"
        ),
        _ if form.status == 429 => format!("all {provider} accounts are cooling down"),
        _ => format!("{provider}: {}", form.what),
    };
    if !states.is_empty() {
        message.push_str(&format!(" ({states})"));
    }
    if !form.remedy.is_empty() {
        message.push_str(&format!("; {}", form.remedy));
    }
    if let Some(at) = retry_at {
        message.push_str(&format!("; try again at {}", named::time(at)));
    }
    message
}

/// How many accounts are kept by what.
fn states(standings: &Standings) -> String {
    let counts = standings.counts.iter();
    let each = counts.map(|(word, count)| format!("{count} {word}"));
    each.collect::<Vec<_>>().join(", ")
}

fn status_text(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "",
    }
}
