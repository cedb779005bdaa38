//! The database's time, so that what one host writes into a record is good on another.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// This machine's clock, set right by what the database said.
pub(crate) struct Clock {
    /// How far the database is ahead, in ms. Who shares it goes by this clock too.
    offset: Arc<AtomicI64>,
    /// How wrong that may be, in ms: half the time that the question took.
    error: AtomicI64,
}

impl Clock {
    pub(crate) fn new(offset: Arc<AtomicI64>) -> Self {
        Self {
            offset,
            error: AtomicI64::new(i64::MAX),
        }
    }

    /// The database's time in ms since the Unix epoch; this machine's until it was first measured.
    pub(crate) fn now(&self) -> u64 {
        let now = local_ms().saturating_add(self.offset());
        u64::try_from(now).unwrap_or(0)
    }

    pub(crate) fn offset(&self) -> i64 {
        self.offset.load(Ordering::Relaxed)
    }

    /// Learns what the database said between two looks at this machine's clock. A measurement counts
    /// if it is sharper than the last one, or if that one cannot be right any more.
    pub(crate) fn learn(&self, before: i64, database: i64, after: i64) {
        let error = (after - before).max(0) / 2 + 1;
        let offset = database - (before + after) / 2;
        let known = self.error.load(Ordering::Relaxed);
        if error <= known || (offset - self.offset()).abs() > error.saturating_add(known) {
            self.offset.store(offset, Ordering::Relaxed);
            self.error.store(error, Ordering::Relaxed);
        }
    }
}

/// This machine's time in ms since the Unix epoch, and not before it.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(local_ms()).unwrap_or(0)
}

/// This machine's time in ms since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
pub(crate) fn local_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sharper_measurement_or_a_jump_counts() {
        let clock = Clock::new(Arc::default());
        clock.learn(1_000, 61_100, 1_200);
        assert_eq!(clock.offset(), 60_000);
        // Blunter, and in agreement with what is known.
        clock.learn(2_000, 62_600, 3_000);
        assert_eq!(clock.offset(), 60_000);
        clock.learn(4_000, 64_007, 4_010);
        assert_eq!(clock.offset(), 60_002);
        // This machine's clock was set back by an hour.
        clock.learn(500_000, 4_160_000, 500_400);
        assert_eq!(clock.offset(), 3_659_800);
    }
}
