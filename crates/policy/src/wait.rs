//! How long a server asks us to wait, in every form that servers write it.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::limits;
use crate::ratelimit;
use crate::reason::Source;
use crate::response::Response;
use crate::rpc::{self, Details};
use crate::signals::{Meter, Signals, WaitUnit};
use crate::time::Timestamp;

/// A wait that a response states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stated {
    pub(crate) span: Duration,
    pub(crate) source: Source,
}

/// Reads how long the server asked us to wait: `retry-after-ms`, `retry-after` in both forms
/// (RFC 9110 §10.2.3) and as a Unix time, the reset of what has nothing remaining, the body: its fields, the details of a
/// `google.rpc.Status`, and the message where a provider's table names the phrase.
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
) -> Option<Stated> {
    let server_now = server_clock(response, now);
    let header = |span| Stated {
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
                .or_else(|| rpc::wait_in_message(signals.wait_phrases, body, server_now))
                .map(|span| Stated {
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

/// Returns what the server's clock shows when ours shows `now`: the `Date` of its answer where that is believable
/// (within [`limits::SKEW_LONGEST`] of ours), else ours.
///
/// Absolute times in that answer are by this clock; [`Timestamp::by_clock`] brings them to ours.
pub fn server_time(date: Option<&str>, now: Timestamp) -> Timestamp {
    date.and_then(http_date)
        .filter(|date| date.until(now).max(now.until(*date)) <= limits::SKEW_LONGEST)
        .unwrap_or(now)
}

/// Reads the time to a reset: a span (`6m0s`, `1.5`), a Unix time, or a date and time (RFC 3339).
pub(crate) fn reset(text: &str, server_now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    match decimal(text) {
        // No window is a thousand years long: what looks like that is a point in time.
        Some(number) if number >= 1e12 => Some(within(server_now.until(unix(number / 1_000.0)?))),
        Some(number) if number >= 1e9 => Some(within(server_now.until(unix(number)?))),
        Some(number) => span_of(number),
        None => go_duration(text).or_else(|| Some(within(server_now.until(date_time(text)?)))),
    }
}

/// Reads a `Retry-After`. Where it was sent twice, the longer one counts.
fn retry_after(text: &str, server_now: Timestamp) -> Option<Duration> {
    latest(text, |part| {
        reset(part, server_now).or_else(|| Some(within(server_now.until(http_date(part)?))))
    })
}

fn millis(text: &str, server_now: Timestamp) -> Option<Duration> {
    match decimal(text)? {
        // No wait is thirty years long: that is a point in time.
        number if number >= 1e12 => Some(within(server_now.until(unix(number / 1_000.0)?))),
        number => span_of(number / 1_000.0),
    }
}

/// Reads each value of a header that was sent more than once, and returns the latest. A date has a comma in it as well.
fn latest(text: &str, read: impl Fn(&str) -> Option<Duration>) -> Option<Duration> {
    let mut parts = text.split(',').peekable();
    let mut found = None;
    let mut at = 0;
    while let Some(part) = parts.next() {
        let end = at + part.len();
        let date = parts
            .peek()
            .map(|next| (&text[at..end + 1 + next.len()], next.len()));
        let with_next = date.filter(|(date, _)| http_date(date).is_some());
        let (value, end) = match with_next {
            Some((date, length)) => {
                parts.next();
                (date, end + 1 + length)
            }
            None => (part, end),
        };
        found = found.max(read(value));
        at = end + 1;
    }
    found
}

/// Returns when a meter with nothing left is full again: as its header says, else as long as its name says that it lasts.
fn spent_until(meter: &Meter, response: &Response<'_>, server_now: Timestamp) -> Option<Duration> {
    if !is_spent(response.header(meter.remaining)?) {
        return None;
    }
    let stated = response.header(meter.reset);
    let stated = stated.and_then(|text| latest(text, |part| reset(part, server_now)));
    let most = |length: Duration| length + length / 100 * limits::WINDOW_SLACK_PERCENT;
    match (stated, meter.length) {
        (Some(stated), Some(length)) => Some(stated.min(most(length))),
        (stated, length) => stated.or(length),
    }
}

/// Tells whether nothing remains. Some servers count below zero.
pub(crate) fn is_spent(remaining: &str) -> bool {
    remaining.split(',').any(|part| {
        let part = part.trim();
        let count = decimal(part.strip_prefix('-').unwrap_or(part));
        count.is_some_and(|count| count == 0.0 || part.starts_with('-'))
    })
}

fn within(span: Duration) -> Duration {
    span.min(limits::MONTHLY_LONGEST)
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

/// Reads plain decimal notation: no sign, exponent or word.
pub(crate) fn decimal(text: &str) -> Option<f64> {
    let text = text.trim();
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
        .then(|| text.parse().ok())?
}

/// Returns a span of so many seconds, cut to the longest wait there is.
pub(crate) fn span_of(seconds: f64) -> Option<Duration> {
    (seconds >= 0.0)
        .then(|| Duration::from_secs_f64(seconds.min(limits::MONTHLY_LONGEST.as_secs_f64())))
}

fn unix(seconds: f64) -> Option<Timestamp> {
    let since = Duration::try_from_secs_f64(seconds).ok()?;
    Some(Timestamp::default() + since)
}

fn http_date(text: &str) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(text.trim()).ok()?;
    let since = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timestamp::default() + since)
}

/// Reads a span as Go writes it: `1s`, `6m0s`, `1h43m56s`, `479.4ms`.
fn go_duration(text: &str) -> Option<Duration> {
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let scale = match unit {
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * scale;
        rest = tail;
    }
    (!text.is_empty()).then(|| span_of(seconds))?
}

/// Reads a date and time (RFC 3339): `2026-04-20T09:19:49.5+02:00`.
fn date_time(text: &str) -> Option<Timestamp> {
    let part = |range: Range<usize>| text.get(range)?.parse::<u64>().ok();
    let punctuation =
        |at: usize, allowed: &[u8]| allowed.contains(text.as_bytes().get(at)?).then_some(());
    for (at, allowed) in [(4, "-"), (7, "-"), (10, "Tt "), (13, ":"), (16, ":")] {
        punctuation(at, allowed.as_bytes())?;
    }
    let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
    let (hour, minute, second) = (part(11..13)?, part(14..16)?, part(17..19)?);
    if !(1970..).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let mut zone = text.get(19..)?;
    let mut nanos = 0.0;
    if zone.starts_with('.') {
        let end = zone[1..].find(|c: char| !c.is_ascii_digit())? + 1;
        nanos = zone[..end].parse::<f64>().ok()? * 1e9;
        zone = &zone[end..];
    }
    let offset = match zone.as_bytes() {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let hours = zone.get(1..3)?.parse::<i64>().ok()?;
            let minutes = zone.get(4..6)?.parse::<i64>().ok()?;
            (hours * 60 + minutes) * if *sign == b'-' { -60 } else { 60 }
        }
        _ => return None,
    };
    // Days since the epoch of the proleptic Gregorian calendar, years counted from March.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    let seconds = days.checked_sub(719_468)? * 86_400 + hour * 3_600 + minute * 60 + second;
    let utc = u64::try_from(i64::try_from(seconds).ok()? - offset).ok()?;
    Some(Timestamp::default() + Duration::from_secs(utc) + Duration::from_nanos(nanos as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<u64>) {
        let now = Timestamp::from_millis(1_776_676_000_000); // 2026-04-20T09:06:40Z
        assert_eq!(
            reset(text, now),
            expect.map(Duration::from_millis),
            "{text}"
        );
    }

    #[test]
    fn a_reset_is_read_in_each_form_that_is_met() {
        check("0", Some(0));
        check("1.5", Some(1_500));
        check(" 20 ", Some(20_000));
        check("1s", Some(1_000));
        check("6m0s", Some(360_000));
        check("120ms", Some(120));
        check("1h43m56s", Some(6_236_000));
        check("1776676060", Some(60_000));
        check("1776676060500", Some(60_500));
        check("1776675000", Some(0));
        check("2026-04-20T09:19:49Z", Some(789_000));
        check("2026-04-20T11:19:49.25+02:00", Some(789_250));
        check("2026-04-20T04:19:49-05:00", Some(789_000));
        check("2020-01-01T00:00:00Z", Some(0));
    }

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

    #[test]
    fn junk_is_no_reset() {
        for junk in [
            "",
            " ",
            ".",
            "-1",
            "+1",
            "1e9",
            "NaN",
            "inf",
            "soon",
            "1x",
            "m",
            "1.2.3",
            "ms5",
            "2026-04-20",
            "2026-13-40T99:99:99Z",
            "2026-04-20T09:19:49",
            "2026-04-20T09:19:49.Z",
            "2026-04-20T09:19:49+2:00",
            "２０２６-04-20T09:19:49Z",
            "1969-12-31T23:59:59Z",
            "µ",
            "1µ",
        ] {
            check(junk, None);
        }
    }

    #[test]
    fn an_absurd_number_is_cut_to_the_longest_window() {
        check("999999999", Some(32 * 86_400_000));
        check("99999999h", Some(32 * 86_400_000));
    }
}
