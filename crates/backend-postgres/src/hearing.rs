//! What this process heard of others' changes: two numbers, so that a request may ask at any time.

use std::{
    collections::BTreeSet,
    mem,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::limits;

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
    /// What changed, by its name, since somebody last asked for it.
    named: Mutex<BTreeSet<String>>,
    /// Up to where a reader has taken in everything.
    reached: Mutex<Mark>,
    /// Wakes those who wait for a change.
    pub(crate) bell: Notify,
}

impl Hearing {
    pub(crate) fn new() -> Self {
        Self {
            heard: AtomicU64::new(0),
            calm_at: AtomicU64::new(0),
            named: Mutex::default(),
            reached: Mutex::new(Mark::START),
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

    /// A notification came: a kind, a name and a number.
    pub(crate) fn hear_of(&self, said: &str) {
        if let Some(name) = said.split(' ').nth(1) {
            let mut named = self.named.lock();
            // Of more the reader learns all the same, and asks for them.
            if named.len() < limits::NAMED_AT_ONCE {
                named.insert(name.to_owned());
            }
        }
        self.hear();
    }

    /// The names of what changed since this was last asked.
    pub(crate) fn take_named(&self) -> BTreeSet<String> {
        mem::take(&mut self.named.lock())
    }

    /// Everything before this mark was taken in.
    pub(crate) fn reach(&self, mark: Mark) {
        *self.reached.lock() = mark;
    }

    pub(crate) fn reached(&self) -> Mark {
        *self.reached.lock()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_of_is_named_once_and_never_without_an_end() {
        let hearing = Hearing::new();
        hearing.hear_of("r one 2");
        hearing.hear_of("s two 1");
        hearing.hear_of("r one 3");
        hearing.hear_of("");
        let named = hearing.take_named();
        assert_eq!(named, ["one", "two"].map(str::to_owned).into());
        assert!(hearing.take_named().is_empty());
        for number in 0..=limits::NAMED_AT_ONCE {
            hearing.hear_of(&format!("r {number} 1"));
        }
        assert_eq!(hearing.take_named().len(), limits::NAMED_AT_ONCE);
        // All the same each was heard.
        assert_eq!(hearing.pulse().heard, 4 + limits::NAMED_AT_ONCE as u64 + 1);
    }
}
