//! What this process heard of others' changes: two numbers, so that a request may ask at any time.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// What is known without asking anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// Grows with every change heard of, and whenever one may have been missed.
    pub heard: u64,
    /// Up to when silence meant calm, in ms since the Unix epoch by the database's clock: what was
    /// changed before is heard. 0 while nothing is known.
    pub calm_at: u64,
}

pub(crate) struct Hearing {
    heard: AtomicU64,
    calm_at: AtomicU64,
    /// Wakes those who wait for a change.
    pub(crate) bell: Notify,
}

impl Hearing {
    pub(crate) fn new() -> Self {
        Self {
            heard: AtomicU64::new(0),
            calm_at: AtomicU64::new(0),
            bell: Notify::new(),
        }
    }

    pub(crate) fn pulse(&self) -> Pulse {
        // In this order: calm as of a time that is not later than what was heard.
        let calm_at = self.calm_at.load(Ordering::Acquire);
        Pulse {
            heard: self.heard.load(Ordering::Acquire),
            calm_at,
        }
    }

    /// Something changed, or may have.
    pub(crate) fn hear(&self) {
        self.heard.fetch_add(1, Ordering::AcqRel);
        self.bell.notify_waiters();
    }

    /// Everything that was changed before this time was heard of.
    pub(crate) fn calm(&self, at: u64) {
        self.calm_at.fetch_max(at, Ordering::AcqRel);
    }
}

/// How far a reader has come: every transaction below has been seen. A mark is of one start of the
/// server; after another one everything is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub(crate) server: i64,
    pub(crate) transaction: u64,
}

impl Mark {
    /// Before everything there is.
    pub const START: Self = Self {
        server: 0,
        transaction: 0,
    };
}
