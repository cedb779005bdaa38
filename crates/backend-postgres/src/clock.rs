//! The database's time, so that what one host writes into a record is good on another.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use provider_auth_vault::StoreClock;

/// The database's clock, as far as it is known here.
pub(crate) struct Clock {
    /// Who shares it goes by this clock too.
    store: Arc<StoreClock>,
    /// How wrong that may be, in ms: half the time that the question took.
    error: AtomicI64,
}

impl Clock {
    pub(crate) fn new(store: Arc<StoreClock>) -> Self {
        Self {
            store,
            error: AtomicI64::new(i64::MAX),
        }
    }

    /// The database's time in ms since the Unix epoch; this machine's until it was first measured.
    pub(crate) fn now(&self) -> u64 {
        self.store.now().unwrap_or_else(now_ms)
    }

    /// How far the database is ahead of this machine's clock now, in ms.
    pub(crate) fn offset(&self) -> i64 {
        self.now().cast_signed() - now_ms().cast_signed()
    }

    /// Learns what the database said between two looks at the uptime. A measurement counts if it is
    /// sharper than the last one, or if that one cannot be right any more.
    pub(crate) fn learn(&self, before: i64, database: i64, after: i64) {
        let error = (after - before).max(0) / 2 + 1;
        let ahead = database - i64::midpoint(before, after);
        let known = self.error.load(Ordering::Relaxed);
        let is_wrong = |there: i64| (ahead - there).abs() > error.saturating_add(known);
        if error <= known || self.store.ahead().is_none_or(is_wrong) {
            self.store.set_ahead(ahead);
            self.error.store(error, Ordering::Relaxed);
        }
    }
}

/// What a measurement of the database's clock goes by, in ms: see [`StoreClock::uptime`].
pub(crate) fn uptime() -> i64 {
    StoreClock::uptime()
}

/// This machine's time in ms since the Unix epoch, and not before it.
#[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sharper_measurement_or_a_jump_counts() {
        let store = Arc::new(StoreClock::default());
        let clock = Clock::new(store.clone());
        clock.learn(1_000, 61_100, 1_200);
        assert_eq!(store.ahead(), Some(60_000));
        // Blunter, and in agreement with what is known.
        clock.learn(2_000, 62_600, 3_000);
        assert_eq!(store.ahead(), Some(60_000));
        clock.learn(4_000, 64_007, 4_010);
        assert_eq!(store.ahead(), Some(60_002));
        // The database's clock was set on by an hour.
        clock.learn(500_000, 4_160_000, 500_400);
        assert_eq!(store.ahead(), Some(3_659_800));
    }

    #[test]
    fn until_it_is_measured_this_machines_time_is_shown() {
        let clock = Clock::new(Arc::default());
        assert!(clock.now().abs_diff(now_ms()) < 60_000);
        let uptime = uptime();
        clock.learn(uptime, 3_600_000, uptime);
        assert!(clock.now().abs_diff(3_600_000) < 60_000);
        assert!(clock.offset() < -3_600_000);
    }
}
