//! How long a server asks us to wait, in every form that servers write it.

use std::time::Duration;

use serde_json::Value;

use crate::limits;
use crate::reason::Source;
use crate::response::Response;
use crate::response::duration::{
    decimal, go_duration, http_date, is_spent, latest, millis, span_of, unix, until_reset, within,
};
use crate::response::google_rpc::{Details, wait_in_message};
use crate::response::ratelimit;
use crate::signals::{Meter, Signals, WaitUnit};
use crate::time::Timestamp;

/// A wait that a response states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StatedWait {
    pub(crate) span: Duration,
    pub(crate) source: Source,
}

/// Reads how long the server asked us to wait: `retry-after-ms`, `retry-after` in both forms (RFC
/// 9110 §10.2.3) and as a Unix time, the reset of what has nothing remaining, the body: its fields,
/// the details of a `google.rpc.Status`, and the message where a provider's table names the phrase.
///
/// A time that is past is zero. Returns `None` when nothing readable is stated.
pub fn stated_wait(signals: &Signals, response: &Response<'_>, now: Timestamp) -> Option<Duration> {
    let body = response.json();
    stated(signals, response, body.as_ref(), now).map(|stated| stated.span)
}

pub(crate) fn stated(
    signals: &Signals,
    response: &Response<'_>,
    body: Option<&Value>,
    now: Timestamp,
) -> Option<StatedWait> {
    let server_now = server_clock(response, now);
    let header = |span| StatedWait {
        span,
        source: Source::Header,
    };
    response
        .header("retry-after-ms")
        .and_then(|text| latest(text, |part| millis(part, server_now)))
        .or_else(|| retry_after(response.header("retry-after")?, server_now))
        .or_else(|| {
            let meters = signals.meters.iter();
            meters
                .filter_map(|meter| spent_until(meter, response, server_now))
                .chain(ratelimit::reset(response))
                .max()
        })
        .map(header)
        .or_else(|| {
            let body = body?;
            let mut paths = signals.wait_paths.iter();
            paths
                .find_map(|(path, unit)| body_wait(body.pointer(path)?, *unit, server_now))
                .or_else(|| Details::of(body)?.wait(server_now))
                .or_else(|| wait_in_message(signals.wait_phrases, body, server_now))
                .map(|span| StatedWait {
                    span,
                    source: Source::Body,
                })
        })
}

/// Reads a span as requests write the life of a prompt cache: `5m`, `1h`.
pub fn cache_life(text: &str) -> Option<Duration> {
    go_duration(text.trim())
}

/// Returns the server's clock when its answer came.
pub(crate) fn server_clock(response: &Response<'_>, now: Timestamp) -> Timestamp {
    server_time(response.header("date"), now)
}

/// Returns what the server's clock shows when ours shows `now`: the `Date` of its answer where that
/// is believable (within [`limits::SKEW_LONGEST`] of ours), else ours.
///
/// Absolute times in that answer are by this clock; [`Timestamp::by_clock`] brings them to ours.
pub fn server_time(date: Option<&str>, now: Timestamp) -> Timestamp {
    date.and_then(http_date)
        .filter(|date| date.until(now).max(now.until(*date)) <= limits::SKEW_LONGEST)
        .unwrap_or(now)
}

/// Reads a `Retry-After`. Where it was sent twice, the longer one counts.
fn retry_after(text: &str, server_now: Timestamp) -> Option<Duration> {
    latest(text, |part| {
        until_reset(part, server_now).or_else(|| Some(within(server_now.until(http_date(part)?))))
    })
}

/// Returns when a meter with nothing left is full again: as its header says, else as long as its
/// name says that it lasts.
fn spent_until(meter: &Meter, response: &Response<'_>, server_now: Timestamp) -> Option<Duration> {
    if !is_spent(response.header(meter.remaining)?) {
        return None;
    }
    let stated = response.header(meter.reset);
    let stated = stated.and_then(|text| latest(text, |part| until_reset(part, server_now)));
    let most = |length: Duration| length + length / 100 * limits::WINDOW_SLACK_PERCENT;
    match (stated, meter.length) {
        (Some(stated), Some(length)) => Some(stated.min(most(length))),
        (stated, length) => stated.or(length),
    }
}

fn body_wait(value: &Value, unit: WaitUnit, server_now: Timestamp) -> Option<Duration> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => decimal(text)?,
        _ => return None,
    };
    match unit {
        WaitUnit::Seconds if number >= 1e9 => {
            Some(within(server_now.until(unix(number)?))).filter(|span| !span.is_zero())
        }
        WaitUnit::Seconds => span_of(number),
        WaitUnit::Millis => span_of(number / 1_000.0),
        WaitUnit::UnixSeconds => {
            Some(server_now.until(unix(number)?)).filter(|span| !span.is_zero())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_clock_is_believed_within_a_day_of_ours() {
        let now = Timestamp::from_millis(1_776_676_000_000); // 2026-04-20T09:06:40Z
        for (date, off_by) in [
            ("Mon, 20 Apr 2026 09:11:40 GMT", 300),
            ("Mon, 20 Apr 2026 09:01:40 GMT", -300),
            ("Tue, 21 Apr 2026 09:06:40 GMT", 86_400),
            ("Tue, 21 Apr 2026 09:06:41 GMT", 0),
            ("Sun, 19 Apr 2026 09:06:39 GMT", 0),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("soon", 0),
            ("", 0),
        ] {
            let shows = server_time(Some(date), now).as_millis() as i64;
            assert_eq!(shows - now.as_millis() as i64, off_by * 1_000, "{date}");
        }
        assert_eq!(server_time(None, now), now);
    }
}
