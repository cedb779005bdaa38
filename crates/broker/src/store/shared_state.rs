//! What all processes share: the state (cooldowns, standings, pool order), which every process must
//! know before its next request, and the history (who served which conversation, counts), which no
//! request has to wait for. Each has its file, a long state two (`shared_files.rs`). Where many machines
//! share the vault, the state is in rows (`shared_rows.rs`), with counts and owners of the history.
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
use provider_auth_policy::{Credit, Indexes, SharedState, Timestamp};
use provider_auth_vault::{Shared, Telling, Vault, VaultError, line};

use super::change_detector::{ChangeDetector, Part};
use super::shared_files::{Content, Each, Files, read};
use super::shared_rows::{ReadRows, write_row};
use super::shared_views::{Due, Views};

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

/// A file, or rows, that were read.
pub(super) struct Fetched {
    content: Seen,
    /// How often this process had replaced it before.
    written: u64,
}

enum Seen {
    File(Content),
    Rows(ReadRows),
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
        if vault.has_rows() && shared != Shared::History {
            let content = match shared {
                Shared::State => Seen::Rows(self.read_rows(vault, now)),
                _ => Seen::File(Content::default()),
            };
            return Some(Fetched { content, written });
        }
        match read(vault, shared, unreadable, now) {
            Ok(content) => Some(Fetched {
                content: Seen::File(content),
                written,
            }),
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

    /// Reads the rows that changed since they were last shown.
    fn read_rows(&self, vault: &Vault, now: Timestamp) -> ReadRows {
        let mark = self.files.lock().rows.mark;
        let is_known = |key: &str, stamp| self.files.lock().rows.knows(key, stamp);
        let rows = ReadRows::read(vault, mark, is_known, now);
        if !rows.are_readable()
            && !self
                .unreadable
                .of(Shared::State)
                .swap(true, Ordering::Relaxed)
        {
            line!(
                WARN,
                "a part of the shared state does not open; what it said is forgotten"
            );
        }
        rows
    }

    /// Shows what was read, under the changes that are not stored yet; returns which files were taken
    /// over. One that this process has replaced meanwhile is not: what it wrote is newer.
    pub(super) fn show(&self, read: Vec<(Shared, Fetched)>, now: Timestamp) -> Vec<Shared> {
        let mut files = self.files.lock();
        let (mut shown, mut seen, mut rows) = (Vec::new(), Vec::new(), None);
        for (shared, fetched) in read {
            if files.written(shared) != fetched.written {
                continue;
            }
            shown.push(shared);
            match fetched.content {
                Seen::File(content) => seen.push((shared, content)),
                Seen::Rows(read) => rows = Some(read),
            }
        }
        if shown.is_empty() {
            return shown;
        }
        let known = Arc::make_mut(&mut files);
        let mut is_only_news = known.show(seen);
        if let Some(rows) = rows {
            let taken = known.take_in_rows(rows, now);
            is_only_news &= !taken.went;
            let mut views = self.views.lock();
            views.unwritten.of_mut(Shared::State).merge(&taken.put_back);
        }
        self.view(&files, is_only_news);
        shown
    }

    /// The marks of another backend mean nothing.
    pub(super) fn forget_mark(&self) {
        Arc::make_mut(&mut self.files.lock()).rows.mark = None;
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
        (shared, due): (Shared, Due),
        now: Timestamp,
    ) {
        let unwritable = self.unwritable.of(shared);
        match self.flush(vault, changes, (shared, due), now) {
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

    /// Writes what is unwritten, of rows what is `due`; on failure it is kept for the next time.
    pub(super) fn flush(
        &self,
        vault: &Vault,
        changes: &ChangeDetector,
        (shared, due): (Shared, Due),
        now: Timestamp,
    ) -> Result<(), VaultError> {
        // Who finds nothing left to write may rely on it that its change is stored.
        let _one_at_a_time = self.flushing.of(shared).lock();
        let has_rows = vault.has_rows();
        let rows = match has_rows {
            true => self.flush_rows(vault, changes, (shared, due), now),
            false => Ok(()),
        };
        if self.views.lock().waits_for_file(shared, has_rows) {
            self.flush_file(vault, changes, shared, now)?;
        }
        rows
    }

    /// Writes the rows that what is unwritten is about.
    fn flush_rows(
        &self,
        vault: &Vault,
        changes: &ChangeDetector,
        (shared, due): (Shared, Due),
        now: Timestamp,
    ) -> Result<(), VaultError> {
        let mut change = {
            let files = self.files.lock();
            let known = files.entries(Shared::State);
            self.views.lock().take_for_rows((shared, due), known)
        };
        if change.is_empty() {
            return Ok(());
        }
        let known = |name: &str, key: &str| {
            let files = self.files.lock();
            let entries = files.entries(Shared::State).row(name);
            (files.rows.stamp(key), entries)
        };
        let (mut written, mut left) = (Vec::new(), SharedState::default());
        let mut rows = change.take_rows().into_iter();
        let outcome = rows.try_for_each(|(name, delta)| {
            let telling = match shared == Shared::State && delta.is_urgent() {
                true => Telling::Now,
                false => Telling::Later,
            };
            let known = |key: &str| known(&name, key);
            let row = write_row(vault, (&name, &delta), telling, known, now);
            row.map(|row| written.push(row))
                .inspect_err(|_| left.merge(&delta))
        });
        // A store that does not answer is asked once.
        rows.for_each(|(_, delta)| left.merge(&delta));
        let mut files = self.files.lock();
        {
            let mut views = self.views.lock();
            views.put_back_rows(shared, left);
            views.is_refused = outcome.as_ref().is_err_and(|error| !error.is_passing());
        }
        if !written.is_empty() {
            let is_only_news = Arc::make_mut(&mut files).wrote_rows(written);
            self.view(&files, is_only_news);
        }
        drop(files);
        // What was written here alone is not to be read again.
        let pulse = vault.pulse();
        let rows = self.read_rows(vault, now);
        if rows.is_empty() {
            Arc::make_mut(&mut self.files.lock()).rows.mark = Some(rows.mark());
            changes.adopt(Part::State, pulse, now);
        }
        outcome
    }

    /// Writes what is unwritten of a file.
    ///
    /// A file that is as this process knows it is not read again, before or after.
    fn flush_file(
        &self,
        vault: &Vault,
        changes: &ChangeDetector,
        shared: Shared,
        now: Timestamp,
    ) -> Result<(), VaultError> {
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
        let change = self.views.lock().take(shared, vault.has_rows());
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

/// All of a state, or what the news name.
fn part_of<'a>(state: &'a SharedState, news: Option<&SharedState>) -> Cow<'a, SharedState> {
    match news {
        Some(news) => Cow::Owned(state.named_by(news)),
        None => Cow::Borrowed(state),
    }
}

#[cfg(test)]
mod tests;
