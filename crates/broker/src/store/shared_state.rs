//! What all processes share: the state (cooldowns, standings, pool order), which every process must
//! know before its next request, and the history (who served which conversation, counts), which no
//! request has to wait for. Each has its file, a long state two (`shared_files.rs`).
//!
//! Lossy by design: it lives in memory and is merged with the files field by field (the newest
//! wins). It holds no secret, and record ids that it does not know stay. A file that can be neither
//! read nor written costs what other processes find out, and no request.
//!
//! | what changed | is on disk |
//! |---|---|
//! | a block, a standing, a generation that a caller waits for | at once |
//! | another change of the state; a conversation that is bound anew | within a second |
//! | counts, and times that slide | within half a minute, and at the end of the process |

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};
use provider_auth_policy::limits::CLOCK_JUMP;
use provider_auth_policy::{Credit, Indexes, SharedState, Timestamp};
use provider_auth_vault::{Shared, Vault, VaultError, line};

use super::change_detector::{ChangeDetector, Part};
use super::shared_files::{Content, Files, read};

/// This process's view of what is shared, and what it has not written yet.
#[derive(Default)]
pub(crate) struct StateCache {
    views: Mutex<Views>,
    /// The files as last seen. Held while one is read, or replaced by this process: a reader sees a
    /// change either in what is unwritten or in the file, never in neither.
    files: Mutex<Files>,
    flushing: Each<Mutex<()>>,
    /// Whether the user was told that a file cannot be read, or written: once, until it can be.
    unreadable: Each<AtomicBool>,
    unwritable: Each<AtomicBool>,
}

/// One for the state, one for the history.
#[derive(Default)]
struct Each<T> {
    state: T,
    history: T,
}

impl<T> Each<T> {
    fn of(&self, shared: Shared) -> &T {
        match shared {
            Shared::State | Shared::News => &self.state,
            Shared::History => &self.history,
        }
    }

    fn of_mut(&mut self, shared: Shared) -> &mut T {
        match shared {
            Shared::State | Shared::News => &mut self.state,
            Shared::History => &mut self.history,
        }
    }
}

#[derive(Default)]
struct Views {
    /// The files as last seen, with `unwritten` on top.
    view: SharedState,
    /// The accounts of large pools, in the order in which they would serve by `view`.
    indexes: Indexes,
    unwritten: Each<SharedState>,
    /// Whether more than counts is unwritten of the history.
    has_news: bool,
    /// The latest look at the clock.
    looked_at: Timestamp,
}

/// How soon what is unwritten should be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Another process may need it.
    Soon,
    /// Requests do not wait for it.
    Later,
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
        decide: impl FnOnce(&SharedState, &mut Indexes) -> (R, Option<SharedState>),
    ) -> R {
        let mut views = self.views.lock();
        views.look_at_clock(now);
        let Views { view, indexes, .. } = &mut *views;
        let (result, change) = decide(view, indexes);
        if let Some(change) = change {
            views.note(change);
        }
        result
    }

    /// Notes what a plain answer teaches, in place, unless `judge` finds that it says more than
    /// that; returns how soon it should be written.
    pub(crate) fn credit<'a>(
        &self,
        now: Timestamp,
        judge: impl FnOnce(&SharedState) -> Option<Credit<'a>>,
    ) -> Option<Due> {
        let mut views = self.views.lock();
        views.look_at_clock(now);
        let credit = judge(&views.view)?;
        views.credit(&credit);
        views.due()
    }

    /// Notes a change, to be written with the next flush.
    pub(crate) fn note(&self, change: &SharedState) {
        self.views.lock().note(change.clone());
    }

    /// What waits to be written.
    pub(super) fn due(&self) -> Option<Due> {
        self.views.lock().due()
    }

    /// Whether more than counts waits to be written to the history.
    pub(super) fn has_news(&self) -> bool {
        self.views.lock().has_news
    }

    /// Keeps this process from replacing the files; held from [`StateCache::fetch`] to
    /// [`StateCache::show`].
    pub(super) fn reading(&self) -> MutexGuard<'_, Files> {
        self.files.lock()
    }

    /// Reads a file. One that the disk does not give, which is not the same as one that is not
    /// there, is `None`: then memory serves.
    pub(super) fn fetch(&self, vault: &Vault, shared: Shared, now: Timestamp) -> Option<Content> {
        let unreadable = self.unreadable.of(shared);
        match read(vault, shared, unreadable, now) {
            Ok(content) => Some(content),
            Err(error) => {
                if !unreadable.swap(true, Ordering::Relaxed) {
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

    /// Shows what was read, under the changes that are not written yet.
    pub(super) fn show(&self, files: &mut Files, read: Vec<(Shared, Content)>) {
        let is_only_news = files.take_in(read);
        let named = is_only_news.then(|| files.entries(Shared::News));
        // Before the views are locked: thousands of conversations take a moment.
        let mut seen = part_of(files.entries(Shared::State), named).into_owned();
        seen.merge(&part_of(files.entries(Shared::History), named));
        let mut views = self.views.lock();
        seen.merge(&part_of(&views.unwritten.state, named));
        seen.merge(&part_of(&views.unwritten.history, named));
        let Views {
            view: known,
            indexes,
            ..
        } = &mut *views;
        indexes.replaced(&part_of(known, named), &seen);
        if is_only_news {
            known.replace(seen);
            return;
        }
        let old = std::mem::replace(known, seen);
        drop(views);
        drop(old);
    }

    /// Writes what is unwritten of a file; a failure is logged, once, and costs the caller nothing.
    pub(super) fn save(
        &self,
        vault: &Vault,
        changes: &ChangeDetector,
        shared: Shared,
        now: Timestamp,
    ) {
        let unwritable = self.unwritable.of(shared);
        match self.flush(vault, changes, shared, now) {
            Ok(()) => unwritable.store(false, Ordering::Relaxed),
            Err(error) => {
                if !unwritable.swap(true, Ordering::Relaxed) {
                    line!(
                        WARN,
                        error = error,
                        "the shared state could not be written; it is tried again with each change"
                    );
                }
            }
        }
    }

    /// Writes what is unwritten of a file; on failure it is kept for the next time.
    ///
    /// A file that is as this process knows it is not read again, before or after.
    pub(super) fn flush(
        &self,
        vault: &Vault,
        changes: &ChangeDetector,
        shared: Shared,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        // Who finds nothing left to write may rely on it that its change is on disk.
        let _one_at_a_time = self.flushing.of(shared).lock();
        if self.views.lock().unwritten.of(shared).is_empty() {
            return Ok(());
        }
        let guard = vault.lock_shared(shared)?;
        let mut files = self.files.lock();
        let parts: &[Shared] = match shared {
            Shared::History => &[Shared::History],
            Shared::State | Shared::News => &[Shared::News, Shared::State],
        };
        let mut seen = Vec::new();
        for part in parts {
            if !changes.is_current(vault, &[(*part).into()]) {
                let unreadable = self.unreadable.of(*part);
                seen.push((*part, read(vault, *part, unreadable, now)?));
            }
        }
        let is_known = seen.is_empty();
        let change = self.views.lock().take(shared);
        let written = match files.write(vault, &guard, shared, &seen, &change, now) {
            Ok(written) => written,
            Err(error) => {
                self.views.lock().put_back(shared, change);
                return Err(error);
            }
        };
        // Before the lock is freed: until then no other process writes.
        let pulse = vault.pulse();
        drop(guard);
        // What other processes have written may speak of records that this one has not read yet.
        let speaks_of_records = shared == Shared::State && !is_known;
        if speaks_of_records && !changes.is_current(vault, &[Part::Records]) {
            return Ok(());
        }
        seen.extend(written);
        if is_known && shared == Shared::State {
            // It is all in view.
            files.take_in(seen);
        } else {
            self.show(&mut files, seen);
        }
        for part in parts {
            changes.adopt((*part).into(), pulse, now);
        }
        Ok(())
    }
}

impl Views {
    /// After the clock was set back, beliefs from the future are void.
    fn look_at_clock(&mut self, now: Timestamp) {
        if now + CLOCK_JUMP < self.looked_at {
            self.view.sweep(now);
            self.unwritten.state.sweep(now);
            self.unwritten.history.sweep(now);
            self.indexes.forget();
        }
        self.looked_at = now;
    }

    fn note(&mut self, mut change: SharedState) {
        if change.is_empty() {
            return;
        }
        self.indexes.learned(&change);
        let before = &mut self.view;
        let history = change.take_history();
        self.has_news |= before.is_news(&history);
        before.merge(&change);
        before.merge(&history);
        self.unwritten.state.merge(&change);
        self.unwritten.history.merge(&history);
    }

    fn credit(&mut self, credit: &Credit<'_>) {
        self.indexes.credited(credit);
        self.has_news |= self.view.is_news_of(credit);
        self.view.credit(credit);
        self.unwritten.history.credit(credit);
    }

    fn due(&self) -> Option<Due> {
        if self.has_news || !self.unwritten.state.is_empty() {
            return Some(Due::Soon);
        }
        (!self.unwritten.history.is_empty()).then_some(Due::Later)
    }

    fn take(&mut self, shared: Shared) -> SharedState {
        self.has_news &= shared != Shared::History;
        std::mem::take(self.unwritten.of_mut(shared))
    }

    fn put_back(&mut self, shared: Shared, change: SharedState) {
        self.has_news |= shared == Shared::History;
        let unwritten = self.unwritten.of_mut(shared);
        let meanwhile = std::mem::replace(unwritten, change);
        unwritten.merge(&meanwhile);
    }
}

/// All of a state, or what the news name.
fn part_of<'a>(state: &'a SharedState, news: Option<&SharedState>) -> Cow<'a, SharedState> {
    match news {
        Some(news) => Cow::Owned(state.named_by(news)),
        None => Cow::Borrowed(state),
    }
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
            cache.decide(at, |_, _| ((), Some(change)));
            cache.read(|state| state.blocks[&Scope::from("account:a")].live_until(at))
        };
        let tomorrow = today + Duration::from_secs(86_400);
        assert!(limited_at(tomorrow).is_some());
        assert!(limited_at(today).is_some());
    }
}
