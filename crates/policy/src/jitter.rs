//! Jitter: a random number lengthens a span a little.

use std::time::Duration;

use crate::limits;

/// Returns the span, longer by a little, so that clients do not return as one. Never shorter.
pub(crate) fn with_jitter(span: Duration, jitter: f64) -> Duration {
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
