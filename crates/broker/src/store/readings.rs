//! Which readings of the vault there were, so that a hundred callers who wait for one share it.

use std::sync::atomic::{AtomicU64, Ordering};

/// The readings of one vault, by number.
#[derive(Default)]
pub(super) struct Readings {
    begun: AtomicU64,
    /// The last one that came to a good end.
    ended: AtomicU64,
    /// Held by the one caller who reads; the others wait here without a thread.
    pub(super) turn: tokio::sync::Mutex<()>,
}

/// When a reading was asked for.
#[derive(Clone, Copy)]
pub(super) struct Asked(u64);

impl Readings {
    /// To be called before waiting for the turn.
    pub(super) fn asked(&self) -> Asked {
        Asked(self.begun.load(Ordering::Acquire))
    }

    /// Whether a reading that began after this was asked for has come to a good end: it saw all
    /// that the caller has to know of.
    pub(super) fn has_answered(&self, Asked(begun): Asked) -> bool {
        self.ended.load(Ordering::Acquire) > begun
    }

    /// Returns the number of the reading that begins. One at a time.
    pub(super) fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(super) fn end(&self, reading: u64) {
        self.ended.store(reading, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_answers_those_who_asked_before_it_began() {
        let readings = Readings::default();
        let early = readings.asked();
        let reading = readings.begin();
        let late = readings.asked();
        assert!(!readings.has_answered(early));
        readings.end(reading);
        assert!(readings.has_answered(early) && !readings.has_answered(late));

        let failed = readings.begin();
        assert!(!readings.has_answered(late));
        let reading = readings.begin();
        readings.end(reading);
        assert!(readings.has_answered(late) && reading > failed);
    }
}
