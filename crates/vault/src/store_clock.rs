//! The clock of a store that many machines share, which they all go by.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::clock::since_boot;

/// What time it is at the store, from the moment on when it was first asked. In between it goes on with
/// this machine's uptime: no setting of this machine's clock moves it.
#[derive(Debug)]
pub struct StoreClock {
    /// The store's time less the uptime, in ms.
    ahead: AtomicI64,
}

/// The store was not asked yet.
const UNKNOWN: i64 = i64::MIN;

impl Default for StoreClock {
    fn default() -> Self {
        Self {
            ahead: AtomicI64::new(UNKNOWN),
        }
    }
}

impl StoreClock {
    /// The store's time in ms since the Unix epoch; `None` until it was first set.
    pub fn now(&self) -> Option<u64> {
        let ahead = self.ahead()?;
        Some(u64::try_from(Self::uptime().saturating_add(ahead)).unwrap_or(0))
    }

    /// By how many ms the store's time is more than [`uptime`](Self::uptime).
    pub fn ahead(&self) -> Option<i64> {
        let ahead = self.ahead.load(Ordering::Relaxed);
        (ahead != UNKNOWN).then_some(ahead)
    }

    /// Sets it.
    pub fn set_ahead(&self, ahead: i64) {
        self.ahead.store(ahead, Ordering::Relaxed);
    }

    /// What it goes on with, in ms: time that also passes while the machine sleeps.
    pub fn uptime() -> i64 {
        ms(since_boot())
    }
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
