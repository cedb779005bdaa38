//! Sorts a response into a reason: by status, by structured code, by header. Never by the text of a
//! message.

use serde_json::Value;

use crate::limits;
use crate::reason::{Reason, Source};
use crate::response::duration::until_reset;
use crate::response::google_rpc::Details;
use crate::response::outcome::{Outcome, RetryHint};
use crate::response::quota::{LimitEvidence, limit};
use crate::response::request_fault;
use crate::response::wait;
use crate::response::wait::{StatedWait, server_clock};
use crate::response::{Failure, Response};
use crate::signals::{KnownCode, LimitRule, Reach, Signals, text_at};
use crate::time::Timestamp;

/// What a response means by itself, whatever the request and the account.
pub fn reason_of(signals: &Signals, response: &Response<'_>) -> Reason {
    classify(signals, response, Timestamp::from_millis(0)).reason
}

/// Sorts a response into a reason.
pub(crate) fn classify(signals: &Signals, response: &Response<'_>, now: Timestamp) -> Outcome {
    let outcome = |reason| Outcome {
        reason,
        reach: None,
        rest: None,
        retry_hint: RetryHint::Absent,
        status: response.status,
        code: None,
        named: false,
    };
    let status = match (response.failure, response.status) {
        (None, Some(status)) => status,
        // What broke off has an error of its own to tell.
        (Some(Failure::Stream), Some(status)) if response.body.is_some() => status,
        // It may be at work on it.
        (Some(Failure::Timeout), _) => {
            return Outcome {
                retry_hint: RetryHint::Unwanted,
                ..outcome(Reason::Network)
            };
        }
        _ => return outcome(Reason::Network),
    };
    if status < 400 && response.body.is_none() {
        return outcome(Reason::Ok);
    }
    let body = response.json();
    let known = known_code(signals, body.as_ref());
    let retry_hint = match response.header("x-should-retry").map(str::trim) {
        Some("true") => RetryHint::Wanted,
        Some("false") => RetryHint::Unwanted,
        _ => RetryHint::Absent,
    };
    let status = match status {
        // An error event that came first in a good response counts as its status.
        0..400 => body.as_ref().and_then(event_status),
        _ => Some(status),
    };
    if let Some(rule) = signals.rule(status, body.as_ref()) {
        let base = Outcome {
            retry_hint,
            code: code_of(signals, body.as_ref()),
            named: true,
            ..outcome(rule.reason)
        };
        return by_rule(signals, rule, response, body.as_ref(), now, base);
    }
    let retry_hint = match (retry_hint, status, known) {
        (RetryHint::Absent, None, None) => RetryHint::Unnamed,
        (retry_hint, ..) => retry_hint,
    };
    let by_code = by_code(known, status);
    let lacks_scope = request_fault::lacks_scope(response);
    let reason = match by_code.unwrap_or_else(|| by_status(status)) {
        // The token serves, whichever of the two statuses a server sends with that.
        Reason::TokenExpired if lacks_scope => Reason::Forbidden,
        Reason::Forbidden if request_fault::names_input(signals, body.as_ref()) => {
            Reason::ClientError
        }
        Reason::ClientError if retry_hint == RetryHint::Wanted => Reason::ServerError,
        reason => reason,
    };
    let reach = match reason {
        Reason::Forbidden if lacks_scope || request_fault::is_page(response) => {
            Some(Reach::Request)
        }
        _ => known.and_then(|known| known.reach),
    };
    let stated = || wait::stated(signals, response, body.as_ref(), now);
    let base = Outcome {
        reach,
        retry_hint,
        code: code_of(signals, body.as_ref()),
        named: by_code == Some(reason) || (status == Some(402) && calls_it_unpaid(known)),
        ..outcome(reason)
    };
    match reason {
        Reason::Throttled | Reason::RateLimited | Reason::QuotaExhausted => {
            let evidence = LimitEvidence {
                stated: stated(),
                details: body.as_ref().and_then(Details::of),
                known_code: known,
            };
            limit(signals, response, now, base, evidence)
        }
        Reason::Overloaded | Reason::ServerError => Outcome {
            rest: stated(),
            ..base
        },
        Reason::NotEntitled => {
            let span = match status {
                Some(400 | 404) => limits::NOT_SUPPORTED_REST,
                _ => limits::NOT_IN_PLAN_REST,
            };
            let source = Source::Body;
            Outcome {
                rest: Some(StatedWait { span, source }),
                ..base
            }
        }
        _ => base,
    }
}

/// What a rule of the user makes of a refusal. How long it lasts is read where the rule says, else
/// where it is for all.
fn by_rule(
    signals: &Signals,
    rule: &LimitRule,
    response: &Response<'_>,
    body: Option<&Value>,
    now: Timestamp,
    base: Outcome,
) -> Outcome {
    let named = || {
        let text = text_at(body?, rule.wait.as_deref()?)?;
        let span = until_reset(&text, server_clock(response, now))?;
        Some(StatedWait {
            span: span.min(limits::UNKNOWN_LONGEST),
            source: Source::Body,
        })
    };
    let usual = match rule.reason {
        Reason::QuotaExhausted => Some(Reach::Account),
        Reason::Throttled | Reason::RateLimited => Some(Reach::Model),
        _ => None,
    };
    Outcome {
        reach: rule.reach.or(usual),
        rest: named().or_else(|| wait::stated(signals, response, body, now)),
        ..base
    }
}

/// Returns the code that the body gives, known or not.
fn code_of(signals: &Signals, body: Option<&Value>) -> Option<String> {
    let body = body?;
    let mut paths = signals.code_paths.iter();
    let code = paths.find_map(|path| text_at(body, path))?;
    Some(code.chars().take(limits::CODE_LONGEST).collect())
}

fn known_code(signals: &Signals, body: Option<&Value>) -> Option<&'static KnownCode> {
    let body = body?;
    let known = |code: &str| {
        // Copilot appends the name of a plan: `user_global_rate_limited:pro`.
        let code = code.split(':').next()?;
        let mut codes = signals.codes.iter().copied().flatten();
        codes.find(|known| known.code == code)
    };
    let details = Details::of(body);
    details
        .and_then(|details| details.reasons().find_map(known))
        .or_else(|| {
            let mut paths = signals.code_paths.iter();
            paths.find_map(|path| known(body.pointer(path)?.as_str()?))
        })
}

fn calls_it_unpaid(known: Option<&KnownCode>) -> bool {
    known.is_some_and(|known| matches!(known.reason, Reason::OutOfCredit | Reason::QuotaExhausted))
}

/// Returns what a code means with this status, unless the status says it better.
fn by_code(known: Option<&KnownCode>, status: Option<u16>) -> Option<Reason> {
    let known = known?;
    let reason = known.reason;
    match (reason, status) {
        (_, Some(402)) => None,
        (Reason::ClientError, Some(400..500)) if known.reach == Some(Reach::Request) => {
            Some(reason)
        }
        (Reason::ServerError | Reason::Forbidden | Reason::ClientError, Some(_)) => None,
        (_, Some(status)) if request_fault::blames_form(status) => None,
        (reason, Some(status)) if reason.passes() && request_fault::blames_request(status) => None,
        // The service's fault, whatever it says of the account: it may say so of any.
        (reason, Some(408 | 500..)) => (reason == Reason::Overloaded).then_some(reason),
        _ => Some(reason),
    }
}

fn by_status(status: Option<u16>) -> Reason {
    match status {
        Some(401) => Reason::TokenExpired,
        Some(402) => Reason::OutOfCredit,
        Some(403) => Reason::Forbidden,
        Some(429) => Reason::RateLimited,
        Some(503 | 529) => Reason::Overloaded,
        Some(408 | 500..) | None => Reason::ServerError,
        Some(_) => Reason::ClientError,
    }
}

/// Returns the status that an error event carries as a number.
fn event_status(event: &Value) -> Option<u16> {
    [
        "/error/status",
        "/error/code",
        "/status",
        "/code",
        "/0/error/code",
    ]
    .iter()
    .filter_map(|path| u16::try_from(event.pointer(path)?.as_u64()?).ok())
    .find(|status| (400..600).contains(status))
}
