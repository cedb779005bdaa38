//! The table of providers without one of their own, and the base of all others.

use crate::limits;
use crate::signals::codes::COMMON;
use crate::signals::meters::METERS;
use crate::signals::{Reach, Signals, UsedUnit, WaitUnit, Window};

impl Signals {
    /// Bodies of OpenAI's and Anthropic's shape, and the headers of both: right for a provider
    /// without a table of its own.
    pub const GENERIC: Self = Self {
        rules: None,
        code_paths: &[
            "/error/details/error_code",
            "/error/code",
            "/error/type",
            "/response/error/code",
            "/detail/error_code",
            "/0/error/code",
            "/code",
            "/error",
        ],
        codes: &[COMMON],
        input_paths: &[
            "/error/metadata/flagged_input",
            "/error/metadata/reasons",
            "/error/innererror/content_filter_result",
            "/error/innererror/content_filter_results",
            "/error/content_filter_result",
            "/error/param",
        ],
        wait_paths: &[
            ("/error/resets_at", WaitUnit::UnixSeconds),
            ("/error/resets_in_seconds", WaitUnit::Seconds),
            ("/error/retry_after_ms", WaitUnit::Millis),
            ("/error/retry_after", WaitUnit::Seconds),
            ("/retry_after", WaitUnit::Seconds),
        ],
        wait_phrases: &[],
        windows: &[
            Window {
                name: "5h",
                status: Some("anthropic-ratelimit-unified-5h-status"),
                reset: "anthropic-ratelimit-unified-5h-reset",
                used: Some((
                    "anthropic-ratelimit-unified-5h-utilization",
                    UsedUnit::Fraction,
                )),
                longest: limits::FIVE_HOURS_LONGEST,
                minutes: None,
                reach: Reach::Account,
            },
            Window {
                name: "7d",
                status: Some("anthropic-ratelimit-unified-7d-status"),
                reset: "anthropic-ratelimit-unified-7d-reset",
                used: Some((
                    "anthropic-ratelimit-unified-7d-utilization",
                    UsedUnit::Fraction,
                )),
                longest: limits::WEEKLY_LONGEST,
                minutes: None,
                reach: Reach::Account,
            },
            // A window of one model family: its use says nothing about the account.
            Window {
                name: "7d_oi",
                status: Some("anthropic-ratelimit-unified-7d_oi-status"),
                reset: "anthropic-ratelimit-unified-7d_oi-reset",
                used: None,
                longest: limits::WEEKLY_LONGEST,
                minutes: None,
                reach: Reach::Model,
            },
            Window {
                name: "primary",
                status: None,
                reset: "x-codex-primary-reset-at",
                used: Some(("x-codex-primary-used-percent", UsedUnit::Percent)),
                longest: limits::FIVE_HOURS_LONGEST,
                minutes: Some("x-codex-primary-window-minutes"),
                reach: Reach::Account,
            },
            Window {
                name: "secondary",
                status: None,
                reset: "x-codex-secondary-reset-at",
                used: Some(("x-codex-secondary-used-percent", UsedUnit::Percent)),
                longest: limits::WEEKLY_LONGEST,
                minutes: Some("x-codex-secondary-window-minutes"),
                reach: Reach::Account,
            },
        ],
        overall: Some(Window {
            name: "overall",
            status: Some("anthropic-ratelimit-unified-status"),
            reset: "anthropic-ratelimit-unified-reset",
            used: None,
            longest: limits::UNKNOWN_LONGEST,
            minutes: None,
            reach: Reach::Account,
        }),
        meters: METERS,
        binding_life: limits::BINDING_LIFE,
    };
}

impl Default for Signals {
    fn default() -> Self {
        Self::GENERIC
    }
}
