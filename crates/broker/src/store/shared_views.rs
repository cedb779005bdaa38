//! What this process sees of what is shared, and what of it is not written yet.

use provider_auth_policy::limits::CLOCK_JUMP;
use provider_auth_policy::{Credit, Indexes, SharedState, Timestamp};
use provider_auth_vault::Shared;

use super::shared_files::Each;

#[derive(Default)]
pub(super) struct Views {
    /// The files and rows as last seen, with `under_way` and `unwritten` on top.
    pub(super) view: SharedState,
    /// The accounts of large pools, in the order in which they would serve by `view`.
    pub(super) indexes: Indexes,
    pub(super) unwritten: Each<SharedState>,
    /// What is being written: a reader sees a change here or in the file, never in neither.
    pub(super) under_way: Each<SharedState>,
    /// Whether more than counts is unwritten of the history.
    pub(super) has_news: bool,
    /// Whether the store of the rows refuses, so that asking again soon does not help.
    pub(super) is_refused: bool,
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

impl Views {
    /// After the clock was set back, beliefs from the future are void.
    pub(super) fn look_at_clock(&mut self, now: Timestamp) {
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

    pub(super) fn note(&mut self, mut change: SharedState) {
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

    pub(super) fn credit(&mut self, credit: &Credit<'_>) {
        self.indexes.credited(credit);
        self.has_news |= self.view.is_news_of(credit);
        self.view.credit(credit);
        self.unwritten.of_mut(Shared::History).credit(credit);
    }

    pub(super) fn due(&self) -> Option<Due> {
        let is_needed = self.has_news || !self.unwritten.of(Shared::State).is_empty();
        if is_needed && !self.is_refused {
            return Some(Due::Soon);
        }
        let is_unwritten = is_needed || !self.unwritten.of(Shared::History).is_empty();
        is_unwritten.then_some(Due::Later)
    }

    /// Whether anything waits for a file; beside rows that is bindings alone.
    pub(super) fn waits_for_file(&self, shared: Shared, has_rows: bool) -> bool {
        let unwritten = self.unwritten.of(shared);
        match has_rows {
            true => !unwritten.bindings.is_empty(),
            false => !unwritten.is_empty(),
        }
    }

    /// What is unwritten of a file is under way from here on.
    pub(super) fn take(&mut self, shared: Shared, has_rows: bool) -> SharedState {
        self.take_part(shared, |unwritten| match has_rows {
            true => SharedState {
                bindings: std::mem::take(&mut unwritten.bindings),
                ..SharedState::default()
            },
            false => std::mem::take(unwritten),
        })
    }

    /// The same of what goes into rows, which are `known` so far. What is only counted waits until
    /// it is due.
    pub(super) fn take_for_rows(
        &mut self,
        (shared, due): (Shared, Due),
        known: &SharedState,
    ) -> SharedState {
        let mut counts = SharedState::default();
        let change = self.take_part(shared, |unwritten| {
            let bindings = std::mem::take(&mut unwritten.bindings);
            let mut change = std::mem::take(unwritten);
            unwritten.bindings = bindings;
            change.drop_slides(known);
            if due == Due::Soon {
                counts = change.take_counts(known);
            }
            change
        });
        self.unwritten.of_mut(Shared::History).merge(&counts);
        change
    }

    fn take_part(
        &mut self,
        shared: Shared,
        part: impl FnOnce(&mut SharedState) -> SharedState,
    ) -> SharedState {
        self.has_news &= shared != Shared::History;
        let change = part(self.unwritten.of_mut(shared));
        *self.under_way.of_mut(shared) = change.clone();
        change
    }

    /// What is under way was not written, but for what `left` does not name.
    pub(super) fn put_back_rows(&mut self, shared: Shared, left: SharedState) {
        *self.under_way.of_mut(shared) = left;
        if !self.under_way.of(shared).is_empty() {
            self.put_back(shared);
        }
    }

    pub(super) fn put_back(&mut self, shared: Shared) {
        self.has_news |= shared == Shared::History;
        let change = std::mem::take(self.under_way.of_mut(shared));
        let unwritten = self.unwritten.of_mut(shared);
        let meanwhile = std::mem::replace(unwritten, change);
        unwritten.merge(&meanwhile);
    }
}
