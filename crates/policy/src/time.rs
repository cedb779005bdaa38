//! Points in time. The clock is always the caller's.

use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time: milliseconds since the Unix epoch, by the wall clock.
///
/// Arithmetic saturates, so that a hostile file or header can be wrong but never overflow.
#[derive(
    Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Takes milliseconds since the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Returns milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Returns the same moment by another clock, which shows `there` when this one shows `here`.
    pub fn by_clock(self, here: Self, there: Self) -> Self {
        if self >= here {
            there + here.until(self)
        } else {
            there - self.until(here)
        }
    }

    /// Returns the time from here to `later`; zero when that is past.
    pub const fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }
}

/// The time around a moment in which nothing turns.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// The last turn, if there was one.
    pub(crate) from: Option<Timestamp>,
    /// The next turn, if there will be one.
    pub(crate) until: Option<Timestamp>,
}

impl Span {
    /// Returns the time between the last of these turns that is not after `now` and the next one.
    pub(crate) fn between(turns: impl Iterator<Item = Timestamp>, now: Timestamp) -> Self {
        let mut span = Self::default();
        for turn in turns {
            if turn <= now {
                span.from = span.from.max(Some(turn));
            } else {
                span.until = Some(span.until.map_or(turn, |until| until.min(turn)));
            }
        }
        span
    }

    /// Tells whether this moment is in it.
    pub(crate) fn holds(&self, moment: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= moment) && self.until.is_none_or(|until| moment < until)
    }
}

/// Rounds up: a wait that ends a fraction too early is a wait cut short.
fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_and_rounds_up() {
        let last = Timestamp::from_millis(u64::MAX);
        assert_eq!(last + Duration::MAX, last);
        assert_eq!(
            Timestamp::from_millis(5) - Duration::MAX,
            Timestamp::default()
        );
        assert_eq!(
            Timestamp::from_millis(5) + Duration::from_micros(1_001),
            Timestamp::from_millis(7)
        );
        assert_eq!(last.until(Timestamp::default()), Duration::ZERO);
    }

    #[test]
    fn a_moment_is_as_far_away_by_every_clock() {
        let at = Timestamp::from_millis;
        assert_eq!(at(700).by_clock(at(500), at(90)), at(290));
        assert_eq!(at(450).by_clock(at(500), at(90)), at(40));
        assert_eq!(at(300).by_clock(at(500), at(90)), at(0));
        assert_eq!(at(u64::MAX).by_clock(at(0), at(1)), at(u64::MAX));
    }
}
