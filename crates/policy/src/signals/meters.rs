//! The meters that response headers tell of, and the names of all headers that are read.

use std::time::Duration;

use crate::signals::Meter;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// What is counted over a span that the header does not name.
const fn meter(remaining: &'static str, reset: &'static str) -> Meter {
    Meter {
        remaining,
        reset,
        length: None,
    }
}

/// What is counted over the span that is in the header's name.
const fn per(length: Duration, remaining: &'static str, reset: &'static str) -> Meter {
    Meter {
        remaining,
        reset,
        length: Some(length),
    }
}

/// The families of OpenAI, Anthropic, the drafts of the IETF, and of gateways that count by the
/// minute, hour, day or month.
pub(crate) const METERS: &[Meter] = &[
    meter(
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ),
    meter("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    meter("x-ratelimit-remaining", "x-ratelimit-reset"),
    meter("ratelimit-remaining", "ratelimit-reset"),
    meter(
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ),
    meter(
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ),
    meter(
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-reset",
    ),
    meter(
        "anthropic-ratelimit-output-tokens-remaining",
        "anthropic-ratelimit-output-tokens-reset",
    ),
    per(
        MINUTE,
        "x-ratelimit-remaining-requests-minute",
        "x-ratelimit-reset-requests-minute",
    ),
    per(
        HOUR,
        "x-ratelimit-remaining-requests-hour",
        "x-ratelimit-reset-requests-hour",
    ),
    per(
        DAY,
        "x-ratelimit-remaining-requests-day",
        "x-ratelimit-reset-requests-day",
    ),
    per(
        MONTH,
        "x-ratelimit-remaining-requests-month",
        "x-ratelimit-reset-requests-month",
    ),
    per(
        MINUTE,
        "x-ratelimit-remaining-tokens-minute",
        "x-ratelimit-reset-tokens-minute",
    ),
    per(
        HOUR,
        "x-ratelimit-remaining-tokens-hour",
        "x-ratelimit-reset-tokens-hour",
    ),
    per(
        DAY,
        "x-ratelimit-remaining-tokens-day",
        "x-ratelimit-reset-tokens-day",
    ),
    per(
        MONTH,
        "x-ratelimit-remaining-tokens-month",
        "x-ratelimit-reset-tokens-month",
    ),
    per(
        MINUTE,
        "x-ratelimit-remaining-req-minute",
        "x-ratelimit-reset-req-minute",
    ),
    per(
        HOUR,
        "x-ratelimit-remaining-req-hour",
        "x-ratelimit-reset-req-hour",
    ),
    per(
        DAY,
        "x-ratelimit-remaining-req-day",
        "x-ratelimit-reset-req-day",
    ),
    per(
        MONTH,
        "x-ratelimit-remaining-req-month",
        "x-ratelimit-reset-req-month",
    ),
    per(
        MINUTE,
        "x-ratelimit-remaining-minute",
        "x-ratelimit-reset-minute",
    ),
    per(HOUR, "x-ratelimit-remaining-hour", "x-ratelimit-reset-hour"),
    per(DAY, "x-ratelimit-remaining-day", "x-ratelimit-reset-day"),
    per(
        MONTH,
        "x-ratelimit-remaining-month",
        "x-ratelimit-reset-month",
    ),
];
