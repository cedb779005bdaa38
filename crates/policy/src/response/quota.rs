//! Limits: a throttle or a quota, of which scope and for how long; and what the headers tell of
//! each quota window.

use std::time::Duration;

use crate::limits;
use crate::reason::{Reason, Source};
use crate::response::Response;
use crate::response::duration::until_reset;
use crate::response::google_rpc::Details;
use crate::response::outcome::Outcome;
use crate::response::wait::{StatedWait, server_clock};
use crate::signals::{KnownCode, Reach, Signals, UsedUnit, Window};
use crate::state::account_stats::Usage;
use crate::time::Timestamp;

/// What a refusal tells of a limit, beside its headers.
pub(crate) struct LimitEvidence<'a> {
    /// For how long.
    pub(crate) stated: Option<StatedWait>,
    /// Typed details.
    pub(crate) details: Option<Details<'a>>,
    /// The known code that it gives.
    pub(crate) known_code: Option<&'static KnownCode>,
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
        let until = reset.and_then(|text| until_reset(text, server_clock(response, now)));
        let usage = Usage {
            observed_at: now,
            used_percent,
            reset_at: now + until.unwrap_or_default().min(longest_of(window, response)),
        };
        Some((window.name, usage))
    })
}

/// Tells a throttle from a quota, and how long either lasts.
pub(crate) fn limit(
    signals: &Signals,
    response: &Response<'_>,
    now: Timestamp,
    base: Outcome,
    evidence: LimitEvidence<'_>,
) -> Outcome {
    let LimitEvidence {
        stated,
        details,
        known_code,
    } = evidence;
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
    let rest = |span| StatedWait {
        span,
        source: Source::Header,
    };
    let server_now = server_clock(response, now);
    let reset = refused
        .iter()
        .filter_map(|window| {
            let span = until_reset(response.header(window.reset)?, server_now)?;
            (!span.is_zero()).then(|| span.min(longest_of(window, response)))
        })
        .max();
    let by_window = refused
        .iter()
        .map(|window| longest_of(window, response))
        .max();
    let longest = by_window.or(known_code.and_then(|known_code| known_code.longest));
    let cut = |stated: StatedWait| StatedWait {
        span: stated.span.min(longest.unwrap_or(limits::UNKNOWN_LONGEST)),
        ..stated
    };
    let daily = |stated: StatedWait| StatedWait {
        span: stated.span.min(limits::DAILY_LONGEST),
        ..stated
    };
    // A quota that is violated and not one of days is one of minutes.
    let minute = StatedWait {
        span: limits::THROTTLE_LONGEST,
        source: Source::Body,
    };
    let throttles =
        |stated: &StatedWait| stated.span <= limits::THROTTLE_LONGEST && refused.is_empty();
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
    // How long it lasts does not tell what it is about: that takes a code, a header family, or the
    // provider's table.
    let is_of_account = match own_windows(signals, response) {
        Some(OwnWindows::Refused) => true,
        Some(OwnWindows::Allowed) => false,
        None => {
            let says_quota = base.reason == Reason::QuotaExhausted || is_daily;
            let is_refused = refused.iter().any(|w| w.reach == Reach::Account);
            is_refused || (says_quota && refused.is_empty())
        }
    };
    let usual = match reason {
        Reason::QuotaExhausted if details.is_some_and(Details::names_model) => Reach::Model,
        Reason::QuotaExhausted if is_of_account => Reach::Account,
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

/// What an account's own windows say of themselves, where they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OwnWindows {
    Refused,
    /// They all admit the request: the limit is one model's.
    Allowed,
}

fn own_windows(signals: &Signals, response: &Response<'_>) -> Option<OwnWindows> {
    let own = signals.windows.iter().filter(|w| w.reach == Reach::Account);
    let said = own.filter(|window| {
        let by_status = window
            .status
            .is_some_and(|name| response.header(name).is_some());
        by_status || is_refused(window, response)
    });
    let mut any = None;
    for window in said {
        if is_refused(window, response) {
            return Some(OwnWindows::Refused);
        }
        any = Some(OwnWindows::Allowed);
    }
    any
}

/// Returns the longest believable time to a window's reset: by the length that it states, else as
/// the table has it.
fn longest_of(window: &Window, response: &Response<'_>) -> Duration {
    let stated = window.minutes.and_then(|name| {
        let minutes: u32 = response.header(name)?.trim().parse().ok()?;
        (minutes > 0).then(|| Duration::from_secs(60 * u64::from(minutes)))
    });
    stated.map_or(window.longest, |length| {
        (length + length / 100 * limits::WINDOW_SLACK_PERCENT).min(limits::MONTHLY_LONGEST)
    })
}
