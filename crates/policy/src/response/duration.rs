//! Spans and points in time in every form that servers write them.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use crate::limits;
use crate::time::Timestamp;

/// Reads the time to a reset: a span (`6m0s`, `1.5`), a Unix time, or a date and time (RFC 3339).
pub(crate) fn until_reset(text: &str, server_now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    match decimal(text) {
        // No window is a thousand years long: what looks like that is a point in time.
        Some(number) if number >= 1e12 => Some(within(server_now.until(unix(number / 1_000.0)?))),
        Some(number) if number >= 1e9 => Some(within(server_now.until(unix(number)?))),
        Some(number) => span_of(number),
        None => go_duration(text).or_else(|| Some(within(server_now.until(date_time(text)?)))),
    }
}

pub(crate) fn millis(text: &str, server_now: Timestamp) -> Option<Duration> {
    match decimal(text)? {
        // No wait is thirty years long: that is a point in time.
        number if number >= 1e12 => Some(within(server_now.until(unix(number / 1_000.0)?))),
        number => span_of(number / 1_000.0),
    }
}

/// Reads each value of a header that was sent more than once, and returns the latest. A date has a
/// comma in it as well.
pub(crate) fn latest(text: &str, read: impl Fn(&str) -> Option<Duration>) -> Option<Duration> {
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

/// Tells whether nothing remains. Some servers count below zero.
pub(crate) fn is_spent(remaining: &str) -> bool {
    remaining.split(',').any(|part| {
        let part = part.trim();
        let count = decimal(part.strip_prefix('-').unwrap_or(part));
        count.is_some_and(|count| count == 0.0 || part.starts_with('-'))
    })
}

pub(crate) fn within(span: Duration) -> Duration {
    span.min(limits::MONTHLY_LONGEST)
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

pub(crate) fn unix(seconds: f64) -> Option<Timestamp> {
    let since = Duration::try_from_secs_f64(seconds).ok()?;
    Some(Timestamp::default() + since)
}

pub(crate) fn http_date(text: &str) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(text.trim()).ok()?;
    let since = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timestamp::default() + since)
}

/// Reads a span as Go writes it: `1s`, `6m0s`, `1h43m56s`, `479.4ms`.
pub(crate) fn go_duration(text: &str) -> Option<Duration> {
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
pub(crate) fn date_time(text: &str) -> Option<Timestamp> {
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
            until_reset(text, now),
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
