//! The state that all processes share: cooldowns, bindings, pool order, counters (`state.json`).
//!
//! Lossy by design: it lives in memory, is merged with the file field by field (the newest wins)
//! and is written a second after a change, or at once for a new block. It holds no secret, and
//! record ids that it does not know stay. A file that can be neither read nor written costs what
//! other processes find out, and no request.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};
use provider_auth_policy::limits::CLOCK_JUMP;
use provider_auth_policy::{Indexes, SharedState, Timestamp};
use provider_auth_vault::{Vault, VaultError, line};

/// This process's view of the shared state, and what it has not written yet.
#[derive(Default)]
pub(crate) struct StateCache {
    views: Mutex<Views>,
    /// Held while the file is read, or replaced by this process: a reader sees a change either in
    /// `unwritten` or in the file, never in neither.
    file: Mutex<()>,
    flushing: Mutex<()>,
    /// Whether the user was told that the file cannot be read, or written: once, until it can be.
    unreadable: AtomicBool,
    unwritable: AtomicBool,
}

#[derive(Default)]
struct Views {
    /// The file as last seen, with `unwritten` on top.
    view: SharedState,
    /// The accounts of large pools, in the order in which they would serve by `view`.
    indexes: Indexes,
    unwritten: SharedState,
    /// The latest look at the clock.
    looked_at: Timestamp,
}

impl StateCache {
    /// Looks at the state; hold nothing else meanwhile.
    pub(crate) fn read<R>(&self, look: impl FnOnce(&SharedState) -> R) -> R {
        look(&self.views.lock().view)
    }

    /// Decides on the state and notes what the decision changes, in one step.
    pub(crate) fn decide<R>(
        &self,
        now: Timestamp,
        decide: impl FnOnce(&SharedState, &mut Indexes) -> (R, SharedState),
    ) -> R {
        let mut views = self.views.lock();
        views.look_at_clock(now);
        let Views { view, indexes, .. } = &mut *views;
        let (result, change) = decide(view, indexes);
        views.note(&change);
        result
    }

    /// Notes a change, to be written with the next flush.
    pub(crate) fn note(&self, change: &SharedState) {
        self.views.lock().note(change);
    }

    /// Keeps this process from replacing the file; held from [`StateCache::fetch`] to
    /// [`StateCache::adopt`].
    pub(crate) fn reading(&self) -> MutexGuard<'_, ()> {
        self.file.lock()
    }

    /// Reads the file. One that the disk does not give, which is not the same as one that is not
    /// there, is `None`: then memory serves.
    pub(crate) fn fetch(&self, vault: &Vault, now: Timestamp) -> Option<SharedState> {
        match vault.read_state() {
            Ok(bytes) => {
                self.unreadable.store(false, Ordering::Relaxed);
                let mut state = parse(bytes.as_deref());
                state.sweep(now);
                Some(state)
            }
            Err(error) => {
                if !self.unreadable.swap(true, Ordering::Relaxed) {
                    line!(
                        WARN,
                        error = error,
                        "the shared state cannot be read; what other processes find out is not seen"
                    );
                }
                None
            }
        }
    }

    /// Takes over what was read, under the changes that are not written yet.
    pub(crate) fn adopt(&self, fetched: SharedState) {
        let mut views = self.views.lock();
        let unwritten = std::mem::take(&mut views.unwritten);
        views.view = fetched;
        views.indexes.forget();
        views.view.merge(&unwritten);
        views.unwritten = unwritten;
    }

    /// Writes what is unwritten; a failure is logged, once, and costs the caller nothing.
    pub(crate) fn save(&self, vault: &Vault, now: Timestamp) {
        match self.flush(vault, now) {
            Ok(()) => self.unwritable.store(false, Ordering::Relaxed),
            Err(error) => {
                if !self.unwritable.swap(true, Ordering::Relaxed) {
                    line!(
                        WARN,
                        error = error,
                        "the shared state could not be written; it is tried again with each change"
                    );
                }
            }
        }
    }

    /// Writes what is unwritten; on failure it is kept for the next time.
    ///
    /// What other processes have written meanwhile is not taken over here: it may speak of records
    /// that this process has not read yet.
    pub(crate) fn flush(&self, vault: &Vault, now: Timestamp) -> Result<(), VaultError> {
        // Who finds nothing left to write may rely on it that its change is on disk.
        let _one_at_a_time = self.flushing.lock();
        if self.views.lock().unwritten.is_empty() {
            return Ok(());
        }
        let mut change = SharedState::default();
        let mut no_reader = None;
        let written = vault.update_state(&mut |bytes| {
            no_reader.get_or_insert_with(|| self.file.lock());
            change = std::mem::take(&mut self.views.lock().unwritten);
            let mut merged = parse(bytes);
            // First: what a clock that was set back saw in the future would outrank the change.
            merged.sweep(now);
            merged.merge(&change);
            serde_json::to_vec(&merged).expect("the state has only string keys")
        });
        if written.is_err() {
            let mut views = self.views.lock();
            let meanwhile = std::mem::replace(&mut views.unwritten, change);
            views.unwritten.merge(&meanwhile);
        }
        written
    }
}

impl Views {
    /// After the clock was set back, beliefs from the future are void.
    fn look_at_clock(&mut self, now: Timestamp) {
        if now + CLOCK_JUMP < self.looked_at {
            self.view.sweep(now);
            self.unwritten.sweep(now);
            self.indexes.forget();
        }
        self.looked_at = now;
    }

    fn note(&mut self, change: &SharedState) {
        self.view.merge(change);
        self.indexes.learned(change);
        self.unwritten.merge(change);
    }
}

/// A state that cannot be read is forgotten: it costs cooldowns, which the next answers bring back,
/// and no login.
fn parse(bytes: Option<&[u8]>) -> SharedState {
    let Some(bytes) = bytes else {
        return SharedState::default();
    };
    serde_json::from_slice(bytes).unwrap_or_else(|error| {
        line!(
            WARN,
            // The error itself could repeat what stands there.
            line = error.line(),
            column = error.column(),
            "state.json cannot be read; cooldowns and counters start afresh"
        );
        SharedState::default()
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use provider_auth_policy::{Block, Reason, Scope, Source};

    use super::*;

    #[test]
    fn after_the_clock_was_set_back_a_limit_counts_again() {
        let cache = StateCache::default();
        let today = Timestamp::from_millis(1_800_000_000_000);
        let limited_at = |at: Timestamp| {
            let until = at + Duration::from_secs(3_600);
            let block = Block::new(until, Reason::QuotaExhausted, Source::Header, at);
            let mut change = SharedState::default();
            change.blocks.insert("account:a".into(), block);
            cache.decide(at, |_, _| ((), change));
            cache.read(|state| state.blocks[&Scope::from("account:a")].live_until(at))
        };
        let tomorrow = today + Duration::from_secs(86_400);
        assert!(limited_at(tomorrow).is_some());
        assert!(limited_at(today).is_some());
    }
}
