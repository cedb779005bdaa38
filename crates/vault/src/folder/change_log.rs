//! Counts the changes of a vault's folder, by all processes, and remembers which records they
//! were of.
//!
//! Two proofs that nothing changed: a watch that has heard of nothing, and stamps that are equal.
//! The watch costs less, and its word counts for a file that is too new for a stamp to tell; the
//! stamps count where nothing can be watched, and once a second. They also do until a process has
//! asked for a while or meets a file that is too new: most processes ask little and end soon, and
//! the kernel takes milliseconds to end a watch.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::{
    backend::{Document, Pulse},
    folder::{
        listener::Watch,
        paths::Paths,
        store::{Store, Watched},
    },
    format::id::RecordId,
    limits,
    stamp::{Mark, Stamp},
};

/// What is counted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Records,
    State,
    News,
    History,
}

impl Part {
    const ALL: [Self; 4] = [Self::Records, Self::State, Self::News, Self::History];
}

/// The folder that changes.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) paths: &'a Paths,
}

impl Place<'_> {
    fn watch(self) -> Option<Watch> {
        self.store.watch(&Watched {
            records: &self.paths.records(),
            state: &self.paths.document(Document::State),
            news: &self.paths.document(Document::News),
            history: &self.paths.document(Document::History),
        })
    }

    /// Where it fails the stamp equals no other, so that reading shows the error.
    fn stamp(self, part: Part) -> Stamp {
        let path = match part {
            Part::Records => self.paths.records(),
            Part::State => self.paths.document(Document::State),
            Part::News => self.paths.document(Document::News),
            Part::History => self.paths.document(Document::History),
        };
        self.store.stamp(&path).unwrap_or(Stamp::Unsettled)
    }
}

/// The changes since the first look.
#[derive(Default)]
pub(super) struct ChangeLog(Mutex<Log>);

#[derive(Default)]
struct Log {
    /// `None` until it begins, and `Some(None)` where nothing can be watched.
    watch: Option<Option<Watch>>,
    /// How often it was asked without a watch.
    asked: u32,
    /// How often each part changed.
    changes: [u64; Part::ALL.len()],
    /// What each part looked like; `None` before the first look, and after a change.
    looks: [Option<Look>; Part::ALL.len()],
    /// The last changes of which it is known which records they were of, in order.
    named: VecDeque<(u64, RecordId)>,
    /// The last change that may have been of any record.
    unnamed: u64,
}

/// What a part looked like.
struct Look {
    stamp: Stamp,
    /// By the clock of the store.
    at: u64,
}

impl Look {
    fn is_recent(&self, now: u64) -> bool {
        self.at <= now && now < self.at + limits::COMPARE_AGAIN.as_millis() as u64
    }
}

impl ChangeLog {
    /// Returns how often each part changed. Equal numbers mean that nothing changed between two
    /// looks; what is read after a look is at least as new.
    pub(super) fn pulse(&self, place: Place<'_>) -> Pulse {
        let mut log = self.0.lock();
        log.look(place);
        let [records, state, news, history] = log.changes;
        Pulse {
            records,
            state,
            news,
            history,
        }
    }

    /// Returns the records that changed since a mark, `None` where any may have, and the next mark.
    pub(super) fn since(&self, mark: Mark, place: Place<'_>) -> (Option<Vec<RecordId>>, Mark) {
        let mut log = self.0.lock();
        log.look(place);
        let next = Mark(log.changes[Part::Records as usize]);
        let is_known = log.unnamed <= mark.0;
        let changed = is_known.then(|| {
            let later = log.named.partition_point(|(change, _)| *change <= mark.0);
            let mut changed: Vec<_> = log.named.range(later..).map(|(_, id)| *id).collect();
            changed.sort_unstable();
            changed.dedup();
            changed
        });
        (changed, next)
    }
}

impl Log {
    fn look(&mut self, place: Place<'_>) {
        if self.watch.is_none() {
            self.asked += 1;
            if self.asked > limits::UNWATCHED_QUESTIONS {
                self.begin_watch(place);
            }
        }
        self.listen();
        self.compare_all(place);
        let is_too_new = |look: &Look| matches!(look.stamp, Stamp::Fresh(_));
        if self.watch.is_none() && self.looks.iter().flatten().any(is_too_new) {
            self.begin_watch(place);
        }
    }

    /// Begins to watch; what changed before shows in the stamps.
    fn begin_watch(&mut self, place: Place<'_>) {
        let watch = place.watch();
        self.compare_all(place);
        self.watch = Some(watch);
    }

    fn compare_all(&mut self, place: Place<'_>) {
        let now = place.store.now();
        for part in Part::ALL {
            self.compare(part, place, now);
        }
        // What changes from here on is heard of, or seen in these.
        for part in Part::ALL {
            self.looks[part as usize].get_or_insert_with(|| Look {
                stamp: place.stamp(part),
                at: now,
            });
        }
    }

    /// Counts what the watch has heard of.
    fn listen(&mut self) {
        let Some(Some(listening)) = &mut self.watch else {
            return;
        };
        let Some(heard) = listening.heard() else {
            return self.stop_listening();
        };
        if heard.anything {
            return self.anything_changed();
        }
        if !heard.records.is_empty() {
            let change = self.changed(Part::Records);
            let named = heard.records.into_iter().map(|id| (change, id));
            self.named.extend(named);
            while self.named.len() > limits::NAMED_CHANGES
                && let Some((forgotten, _)) = self.named.pop_front()
            {
                self.unnamed = forgotten;
            }
        } else if heard.beside_records {
            // The stamp of the folder has moved, and no record.
            self.looks[Part::Records as usize] = None;
        }
        for (part, has_changed) in [
            (Part::State, heard.state),
            (Part::News, heard.news),
            (Part::History, heard.history),
        ] {
            if has_changed {
                self.changed(part);
            }
        }
    }

    /// Looks at a part itself, where the word of the watch is not enough.
    fn compare(&mut self, part: Part, place: Place<'_>, now: u64) {
        let is_watched = matches!(self.watch, Some(Some(_)));
        let Some(known) = &self.looks[part as usize] else {
            return self.check_watch(part);
        };
        if is_watched && known.is_recent(now) {
            return;
        }
        let stamp = place.stamp(part);
        if known.stamp == stamp || (is_watched && known.stamp.is_same_revision(&stamp)) {
            self.looks[part as usize] = Some(Look { stamp, at: now });
            return;
        }
        let before = self.changes[part as usize];
        // It may have been reported since the watch was asked.
        self.listen();
        self.check_watch(part);
        if self.changes[part as usize] == before {
            self.changed_unheard(part);
        }
    }

    /// Leaves a watch that is over another folder than the one that is looked at.
    fn check_watch(&mut self, part: Part) {
        let watch = self.watch.iter().flatten().next();
        if part == Part::Records && watch.is_some_and(|watch| !watch.is_in_place()) {
            self.stop_listening();
        }
    }

    fn stop_listening(&mut self) {
        self.watch = Some(None);
        self.anything_changed();
    }

    fn anything_changed(&mut self) {
        Part::ALL
            .into_iter()
            .for_each(|part| self.changed_unheard(part));
    }

    fn changed_unheard(&mut self, part: Part) {
        let change = self.changed(part);
        if part == Part::Records {
            self.unnamed = change;
            self.named.clear();
        }
    }

    /// Counts a change of a part, and returns its number.
    fn changed(&mut self, part: Part) -> u64 {
        self.looks[part as usize] = None;
        self.changes[part as usize] += 1;
        self.changes[part as usize]
    }
}

#[cfg(test)]
mod tests;
