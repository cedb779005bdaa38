//! Sorts a response into a reason: by status, by structured code, by header. Never by the text of a message.

use std::time::Duration;

use serde_json::Value;

use crate::limits;
use crate::of_request;
use crate::quota::{Told, limit};
use crate::reason::{Reason, Source};
use crate::response::{Failure, Response};
use crate::rpc::Details;
use crate::signals::{LimitRule, Mark, Reach, Signals, text_at};
use crate::time::Timestamp;
use crate::wait::{self, Stated};

/// What a response means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) reason: Reason,
    /// What it is about, where the response says so.
    pub(crate) reach: Option<Reach>,
    /// How long to stay away, where the response says so.
    pub(crate) rest: Option<Stated>,
    /// What the server says about sending the same again.
    pub(crate) again: Again,
    pub(crate) status: Option<u16>,
    /// The code that the body gives, known or not.
    pub(crate) code: Option<String>,
    /// Whether a known code gives the reason.
    pub(crate) named: bool,
}

/// What the server says about sending the same again (`x-should-retry`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    Unsaid,
    Wanted,
    Unwanted,
    /// Nothing, of a failure that it calls an answer and gives no known code: to be tried once more.
    Unnamed,
}

/// Sorts a response into a reason.
pub(crate) fn classify(signals: &Signals, response: &Response<'_>, now: Timestamp) -> Outcome {
    let outcome = |reason| Outcome {
        reason,
        reach: None,
        rest: None,
        again: Again::Unsaid,
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
                again: Again::Unwanted,
                ..outcome(Reason::Network)
            };
        }
        _ => return outcome(Reason::Network),
    };
    if status < 400 && response.body.is_none() {
        return outcome(Reason::Ok);
    }
    let body = response.json();
    let mark = known_code(signals, body.as_ref());
    let again = match response.header("x-should-retry").map(str::trim) {
        Some("true") => Again::Wanted,
        Some("false") => Again::Unwanted,
        _ => Again::Unsaid,
    };
    let status = match status {
        // An error event that came first in a good response counts as its status.
        0..400 => body.as_ref().and_then(event_status),
        _ => Some(status),
    };
    if let Some(rule) = signals.rule(status, body.as_ref()) {
        let base = Outcome {
            again,
            code: code_of(signals, body.as_ref()),
            named: true,
            ..outcome(rule.reason)
        };
        return by_rule(signals, rule, response, body.as_ref(), now, base);
    }
    let again = match (again, status, mark) {
        (Again::Unsaid, None, None) => Again::Unnamed,
        (again, ..) => again,
    };
    let by_code = by_code(mark, status);
    let lacks_scope = of_request::lacks_scope(response);
    let reason = match by_code.unwrap_or_else(|| by_status(status)) {
        // The token serves, whichever of the two statuses a server sends with that.
        Reason::TokenExpired if lacks_scope => Reason::Forbidden,
        Reason::Forbidden if of_request::names_input(signals, body.as_ref()) => Reason::ClientError,
        Reason::ClientError if again == Again::Wanted => Reason::ServerError,
        reason => reason,
    };
    let reach = match reason {
        Reason::Forbidden if lacks_scope || of_request::is_page(response) => Some(Reach::Request),
        _ => mark.and_then(|mark| mark.reach),
    };
    let stated = || wait::stated(signals, response, body.as_ref(), now);
    let base = Outcome {
        reach,
        again,
        code: code_of(signals, body.as_ref()),
        named: by_code == Some(reason) || (status == Some(402) && calls_it_unpaid(mark)),
        ..outcome(reason)
    };
    match reason {
        Reason::Throttled | Reason::RateLimited | Reason::QuotaExhausted => {
            let told = Told {
                stated: stated(),
                details: body.as_ref().and_then(Details::of),
                mark,
            };
            limit(signals, response, now, base, told)
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
                rest: Some(Stated { span, source }),
                ..base
            }
        }
        _ => base,
    }
}

/// What a rule of the user makes of a refusal. How long it lasts is read where the rule says, else where it is for all.
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
        let span = wait::reset(&text, wait::server_clock(response, now))?;
        Some(Stated {
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

fn known_code(signals: &Signals, body: Option<&Value>) -> Option<&'static Mark> {
    let body = body?;
    let known = |code: &str| {
        // Copilot appends the name of a plan: `user_global_rate_limited:pro`.
        let code = code.split(':').next()?;
        let mut marks = signals.codes.iter().copied().flatten();
        marks.find(|mark| mark.code == code)
    };
    let details = Details::of(body);
    details
        .and_then(|details| details.reasons().find_map(known))
        .or_else(|| {
            let mut paths = signals.code_paths.iter();
            paths.find_map(|path| known(body.pointer(path)?.as_str()?))
        })
}

fn calls_it_unpaid(mark: Option<&Mark>) -> bool {
    mark.is_some_and(|mark| matches!(mark.reason, Reason::OutOfCredit | Reason::QuotaExhausted))
}

/// Returns what a code means with this status, unless the status says it better.
fn by_code(mark: Option<&Mark>, status: Option<u16>) -> Option<Reason> {
    let mark = mark?;
    let reason = mark.reason;
    match (reason, status) {
        (_, Some(402)) => None,
        (Reason::ClientError, Some(400..500)) if mark.reach == Some(Reach::Request) => Some(reason),
        (Reason::ServerError | Reason::Forbidden | Reason::ClientError, Some(_)) => None,
        (_, Some(status)) if of_request::is_about_its_form(status) => None,
        (reason, Some(status)) if reason.passes() && of_request::is_its_own(status) => None,
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

/// Returns `until` put off by a little, so that clients do not return as one: jitter only lengthens.
pub(crate) fn put_off(span: Duration, jitter: f64) -> Duration {
    let most = limits::JITTER_LONGEST.min(span / 100 * limits::JITTER_PERCENT);
    span + most.mul_f64(fraction(jitter))
}

/// Returns a jitter within [0, 1], whatever was given.
pub(crate) fn fraction(jitter: f64) -> f64 {
    if jitter.is_finite() {
        jitter.clamp(0.0, 1.0)
    } else {
        0.0
    }
}

impl Response<'_> {
    /// Tells whether part of the answer was handed out already.
    pub(crate) fn broke_off(&self) -> bool {
        self.failure == Some(Failure::Stream)
    }
}
