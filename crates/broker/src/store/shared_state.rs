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
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};
use provider_auth_policy::limits::CLOCK_JUMP;
use provider_auth_policy::{Credit, Indexes, SharedState, Timestamp};
use provider_auth_vault::{Shared, Vault, VaultError, line};

use super::change_detector::{ChangeDetector, Part};
use super::shared_files::{Content, Each, Files, read};

/// This process's view of what is shared, and what it has not written yet.
#[derive(Default)]
pub(crate) struct StateCache {
    views: Mutex<Views>,
    /// Held for moments: a caller that needs what is in memory waits for no file.
    files: Mutex<Arc<Files>>,
    /// Held while files are read, so that what was read last is what is shown last.
    reading: Mutex<()>,
    /// Held while a file is written.
    flushing: Each<Mutex<()>>,
    /// Whether the user was told that a file cannot be read, or written: once, until it can be.
    unreadable: Each<AtomicBool>,
    unwritable: Each<AtomicBool>,
}

/// A file that was read.
pub(super) struct Fetched {
    content: Content,
    /// How often this process had replaced it before.
    written: u64,
}

#[derive(Default)]
struct Views {
    /// The files as last seen, with `under_way` and `unwritten` on top.
    view: SharedState,
    /// The accounts of large pools, in the order in which they would serve by `view`.
    indexes: Indexes,
    unwritten: Each<SharedState>,
    /// What is being written: a reader sees a change here or in the file, never in neither.
    under_way: Each<SharedState>,
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

    /// Held from [`StateCache::fetch`] to [`StateCache::show`].
    pub(super) fn reading(&self) -> MutexGuard<'_, ()> {
        self.reading.lock()
    }

    /// Reads a file. One that the disk does not give, which is not the same as one that is not
    /// there, is `None`: then memory serves.
    pub(super) fn fetch(&self, vault: &Vault, shared: Shared, now: Timestamp) -> Option<Fetched> {
        let written = self.files.lock().written(shared);
        let unreadable = self.unreadable.of(shared);
        match read(vault, shared, unreadable, now) {
            Ok(content) => Some(Fetched { content, written }),
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

    /// Shows what was read, under the changes that are not in a file yet; returns which files were
    /// taken over. One that this process has replaced meanwhile is not: what it wrote is newer.
    pub(super) fn show(&self, read: Vec<(Shared, Fetched)>) -> Vec<Shared> {
        let mut files = self.files.lock();
        let is_latest =
            |(shared, fetched): &(_, Fetched)| files.written(*shared) == fetched.written;
        let read = read.into_iter().filter(is_latest);
        let seen: Vec<_> = read
            .map(|(shared, fetched)| (shared, fetched.content))
            .collect();
        let shown: Vec<Shared> = seen.iter().map(|(shared, _)| *shared).collect();
        if !seen.is_empty() {
            let is_only_news = Arc::make_mut(&mut files).show(seen);
            self.view(&files, is_only_news);
        }
        shown
    }

    /// Makes what is in view of the files, or of their news alone.
    fn view(&self, files: &Files, is_only_news: bool) {
        let named = is_only_news.then(|| files.entries(Shared::News));
        // Before the views are locked: thousands of conversations take a moment.
        let mut seen = part_of(files.entries(Shared::State), named).into_owned();
        seen.merge(&part_of(files.entries(Shared::History), named));
        let mut locked = self.views.lock();
        let views = &mut *locked;
        for change in [&views.under_way, &views.unwritten] {
            seen.merge(&part_of(change.of(Shared::State), named));
            seen.merge(&part_of(change.of(Shared::History), named));
        }
        views.indexes.replaced(&part_of(&views.view, named), &seen);
        if is_only_news {
            views.view.replace(seen);
            return;
        }
        let old = std::mem::replace(&mut views.view, seen);
        drop(locked);
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
        let files = Arc::clone(&self.files.lock());
        let change = self.views.lock().take(shared);
        let written = match files.write(vault, &guard, shared, &seen, &change, now) {
            Ok(written) => written,
            Err(error) => {
                self.views.lock().put_back(shared);
                return Err(error);
            }
        };
        // Before the lock is freed: until then no other process writes.
        let pulse = vault.pulse();
        drop(guard);
        let before = files.times_shown();
        drop(files);
        // What other processes have written may speak of records that this one has not read yet.
        let speaks_of_records = shared == Shared::State && !is_known;
        let is_shown = !speaks_of_records || changes.is_current(vault, &[Part::Records]);
        let mut files = self.files.lock();
        // A reader may have seen the change twice: in the file already, and under way.
        let was_shown = files.times_shown() != before;
        let known = Arc::make_mut(&mut files);
        known.replaced(shared);
        *self.views.lock().under_way.of_mut(shared) = SharedState::default();
        if !is_shown {
            known.learn(shared, &change);
            return Ok(());
        }
        seen.extend(written);
        let is_only_news = known.take_in(seen);
        if !is_known || shared == Shared::History || was_shown {
            self.view(&files, is_only_news && !was_shown);
        }
        drop(files);
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
            for change in [&mut self.unwritten, &mut self.under_way] {
                change.of_mut(Shared::State).sweep(now);
                change.of_mut(Shared::History).sweep(now);
            }
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
        self.unwritten.of_mut(Shared::State).merge(&change);
        self.unwritten.of_mut(Shared::History).merge(&history);
    }

    fn credit(&mut self, credit: &Credit<'_>) {
        self.indexes.credited(credit);
        self.has_news |= self.view.is_news_of(credit);
        self.view.credit(credit);
        self.unwritten.of_mut(Shared::History).credit(credit);
    }

    fn due(&self) -> Option<Due> {
        if self.has_news || !self.unwritten.of(Shared::State).is_empty() {
            return Some(Due::Soon);
        }
        (!self.unwritten.of(Shared::History).is_empty()).then_some(Due::Later)
    }

    /// What is unwritten is under way from here on.
    fn take(&mut self, shared: Shared) -> SharedState {
        self.has_news &= shared != Shared::History;
        let change = std::mem::take(self.unwritten.of_mut(shared));
        *self.under_way.of_mut(shared) = change.clone();
        change
    }

    fn put_back(&mut self, shared: Shared) {
        self.has_news |= shared == Shared::History;
        let change = std::mem::take(self.under_way.of_mut(shared));
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
mod tests;
