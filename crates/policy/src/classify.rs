//! Sorts a response into a reason: by status, by structured code, by header. Never by the text of a message.

use std::time::Duration;

use serde_json::Value;

use crate::limits;
use crate::of_request;
use crate::reason::{Reason, Source};
use crate::response::{Failure, Response};
use crate::rpc::Details;
use crate::signals::{LimitRule, Mark, Reach, Signals, UsedUnit, Window, text_at};
use crate::state::Usage;
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
    let (None, Some(status)) = (response.failure, response.status) else {
        return outcome(Reason::Network);
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
    let by_code = by_code(mark, status);
    let lacks_scope = of_request::lacks_scope(response);
    let reason = match by_code.unwrap_or_else(|| by_status(status)) {
        // The token serves, whichever of the two statuses a server sends with that.
        Reason::TokenExpired if lacks_scope => Reason::Forbidden,
        Reason::Forbidden if of_request::names_input(signals, mark, body.as_ref()) => {
            Reason::ClientError
        }
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
        named: by_code == Some(reason),
        ..outcome(reason)
    };
    match reason {
        Reason::Throttled | Reason::RateLimited | Reason::QuotaExhausted => {
            let details = body.as_ref().and_then(Details::of);
            limit(signals, response, now, base, stated(), details)
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

/// Reads the use of each quota window that the response tells of.
pub(crate) fn usage(
    signals: &Signals,
    response: &Response<'_>,
    now: Timestamp,
) -> impl Iterator<Item = (&'static str, Usage)> {
    signals.windows.iter().filter_map(move |window| {
        let used_percent = used_percent(window, response)?;
        let reset = response.header(window.reset);
        let until = reset.and_then(|text| wait::reset(text, wait::server_clock(response, now)));
        let usage = Usage {
            observed_at: now,
            used_percent,
            reset_at: now + until.unwrap_or_default().min(window.longest),
        };
        Some((window.name, usage))
    })
}

/// Tells a throttle from a quota, and how long either lasts.
fn limit(
    signals: &Signals,
    response: &Response<'_>,
    now: Timestamp,
    base: Outcome,
    stated: Option<Stated>,
    details: Option<Details<'_>>,
) -> Outcome {
    let violation = details.and_then(Details::violation);
    let is_daily = violation.is_some_and(|violation| violation.is_daily);
    let mut refused: Vec<&Window> = signals
        .windows
        .iter()
        .filter(|window| is_refused(window, response))
        .collect();
    if refused.is_empty() {
        refused.extend(signals.overall.iter().filter(|w| is_refused(w, response)));
    }
    let rest = |span| Stated {
        span,
        source: Source::Header,
    };
    let server_now = wait::server_clock(response, now);
    let reset = refused
        .iter()
        .filter_map(|window| {
            let span = wait::reset(response.header(window.reset)?, server_now)?;
            (!span.is_zero()).then(|| span.min(window.longest))
        })
        .max();
    let longest = refused.iter().map(|window| window.longest).max();
    let cut = |stated: Stated| Stated {
        span: stated.span.min(longest.unwrap_or(limits::UNKNOWN_LONGEST)),
        ..stated
    };
    let daily = |stated: Stated| Stated {
        span: stated.span.min(limits::DAILY_LONGEST),
        ..stated
    };
    // A quota that is violated and not one of days is one of minutes.
    let minute = Stated {
        span: limits::THROTTLE_LONGEST,
        source: Source::Body,
    };
    let throttles = |stated: &Stated| stated.span <= limits::THROTTLE_LONGEST && refused.is_empty();
    let (reason, rest) = match stated {
        // The short wait that comes with a daily quota is not when it is back.
        Some(stated) if is_daily && stated.span <= limits::THROTTLE_LONGEST => {
            (Reason::QuotaExhausted, None)
        }
        _ if is_daily => (Reason::QuotaExhausted, stated.map(daily)),
        None if violation.is_some() && base.reason == Reason::RateLimited => {
            (Reason::Throttled, Some(minute))
        }
        _ if base.reason == Reason::QuotaExhausted || !refused.is_empty() => {
            (Reason::QuotaExhausted, reset.map(rest).or(stated.map(cut)))
        }
        Some(stated) if throttles(&stated) => (Reason::Throttled, Some(stated)),
        Some(stated) => (Reason::QuotaExhausted, Some(cut(stated))),
        None => (Reason::RateLimited, None),
    };
    let of_model = !refused.is_empty() && refused.iter().all(|w| w.reach == Reach::Model);
    let usual = match reason {
        Reason::QuotaExhausted if details.is_some_and(Details::names_model) => Reach::Model,
        Reason::QuotaExhausted if !of_model => Reach::Account,
        _ => Reach::Model,
    };
    let violated = violation.and_then(|violation| violation.reach);
    Outcome {
        reason,
        rest,
        reach: base.reach.or(violated).or(Some(usual)),
        ..base
    }
}

fn is_refused(window: &Window, response: &Response<'_>) -> bool {
    match window.status {
        Some(name) => response
            .header(name)
            .is_some_and(|status| status.trim().eq_ignore_ascii_case("rejected")),
        None => used_percent(window, response).is_some_and(|used| used >= 100),
    }
}

fn used_percent(window: &Window, response: &Response<'_>) -> Option<u16> {
    let (name, unit) = window.used?;
    let used: f64 = response.header(name)?.trim().parse().ok()?;
    let percent = match unit {
        UsedUnit::Fraction => used * 100.0,
        UsedUnit::Percent => used,
    };
    // A hair is added before rounding down: 0.29 · 100 is 28.999….
    (percent >= 0.0).then_some((percent + 1e-6).min(1_000.0) as u16)
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

/// Returns what a code means with this status, unless the status says it better.
fn by_code(mark: Option<&Mark>, status: Option<u16>) -> Option<Reason> {
    let reason = mark?.reason;
    match (reason, status) {
        (_, Some(402)) => None,
        (Reason::ServerError | Reason::Forbidden | Reason::ClientError, Some(_)) => None,
        // A code that every request of a kind of endpoint carries does not undo a server's fault.
        (Reason::TokenExpired, Some(500..)) => None,
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
