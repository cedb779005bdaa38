//! Counts the changes of a vault's folder, by whoever made them, and remembers which records they
//! were of.
//!
//! Two proofs that nothing changed: a watch that has heard of nothing, and stamps that are equal.
//! The watch costs less, and its word counts for a file that is too new for a stamp to tell; the
//! stamps count where nothing can be watched, and once a second.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::{
    backend::{Document, Mark, Pulse},
    folder::{
        listener::Watch,
        paths::Paths,
        store::{Store, Watched},
    },
    format::record::RecordId,
    limits,
    stamp::Stamp,
};

/// What is counted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Records,
    State,
    History,
}

impl Part {
    const ALL: [Self; 3] = [Self::Records, Self::State, Self::History];
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
            history: &self.paths.document(Document::History),
        })
    }

    /// Where it fails the stamp equals no other, so that reading shows the error.
    fn stamp(self, part: Part) -> Stamp {
        let path = match part {
            Part::Records => self.paths.records(),
            Part::State => self.paths.document(Document::State),
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
    /// `None` until the first look, and then `Some(None)` where nothing can be watched.
    watch: Option<Option<Watch>>,
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
        let [records, state, history] = log.changes;
        Pulse {
            records,
            state,
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
        self.listen(place);
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
    fn listen(&mut self, place: Place<'_>) {
        let watch = self.watch.get_or_insert_with(|| place.watch());
        let Some(listening) = watch else { return };
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
        for (part, has_changed) in [(Part::State, heard.state), (Part::History, heard.history)] {
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
        self.listen(place);
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
mod tests {
    use std::{fs, path::Path, thread, time::Duration};

    use super::*;
    use crate::folder::disk::Disk;

    /// How often a file is replaced by one of the same length, within one tick of the kernel's clock
    /// most of the time.
    const ROUNDS: u64 = 100;

    struct Folder {
        _outer: tempfile::TempDir,
        paths: Paths,
        log: ChangeLog,
    }

    impl Folder {
        fn new() -> Self {
            let outer = tempfile::tempdir().unwrap();
            let paths = Paths::new(outer.path().join("above/vault"));
            fs::create_dir_all(paths.records()).unwrap();
            Self {
                _outer: outer,
                paths,
                log: ChangeLog::default(),
            }
        }

        fn place(&self) -> Place<'_> {
            Place {
                store: &Disk,
                paths: &self.paths,
            }
        }

        fn pulse(&self) -> Pulse {
            self.log.pulse(self.place())
        }

        fn since(&self, mark: u64) -> Option<Vec<RecordId>> {
            self.log.since(Mark(mark), self.place()).0
        }

        /// As if nobody had looked at the files for longer than the word of the watch counts.
        fn forget_time(&self) {
            for look in self.log.0.lock().looks.iter_mut().flatten() {
                look.at = 0;
            }
        }

        fn write(&self, document: Document, content: &str) {
            let file = self.paths.document(document);
            let new = file.with_extension("tmp");
            fs::write(&new, content).unwrap();
            fs::rename(new, file).unwrap();
        }

        fn write_record(&self, number: u8) -> RecordId {
            let id = RecordId::from_parts(u64::from(number), [number; 10]);
            let new = self.paths.records().join("x.tmp");
            fs::write(&new, "record").unwrap();
            fs::rename(new, self.paths.record(id)).unwrap();
            id
        }

        fn swap_folder_above(&self) {
            let above = self.paths.dir().parent().unwrap();
            fs::rename(above, above.with_extension("aside")).unwrap();
            fs::create_dir_all(self.paths.records()).unwrap();
        }
    }

    /// Waits until files are old enough for their stamps to tell.
    fn quiet(folder: &Folder) -> Pulse {
        for _ in 0..1_000 {
            let pulse = folder.pulse();
            if folder.pulse() == pulse {
                return pulse;
            }
            thread::park_timeout(Duration::from_millis(5));
        }
        panic!("it never settles");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn each_change_of_what_is_watched_counts_once_and_at_once() {
        let folder = Folder::new();
        let mut known = folder.pulse();
        for round in 0..ROUNDS {
            let content = (round % 10).to_string();
            match round % 3 {
                0 => {
                    folder.write(Document::State, &content);
                    known.state += 1;
                }
                1 => {
                    folder.write(Document::History, &content);
                    known.history += 1;
                }
                _ => {
                    folder.write_record(1);
                    known.records += 1;
                }
            }
            assert_eq!(folder.pulse(), known, "{round}");
            folder.forget_time();
            assert_eq!(folder.pulse(), known, "{round}");
        }
        fs::write(folder.paths.records().join("x.pending"), "note").unwrap();
        folder.forget_time();
        assert_eq!(folder.pulse(), known, "a note is no record");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_records_are_named_that_changed_since_a_mark() {
        let folder = Folder::new();
        let first = folder.pulse().records;
        let one = folder.write_record(1);
        let second = folder.pulse().records;
        let two = folder.write_record(2);
        assert_eq!(folder.since(second), Some(vec![two]));
        assert_eq!(folder.since(first), Some(vec![one, two]));
        // In its place, which leaves the stamp of the folder as it was.
        let third = folder.pulse().records;
        fs::write(folder.paths.record(one), "other").unwrap();
        assert_eq!(folder.since(third), Some(vec![one]));
        assert_eq!(folder.since(folder.pulse().records), Some(vec![]));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn who_is_too_far_behind_looks_at_all_records() {
        let folder = Folder::new();
        let first = folder.pulse().records;
        folder.write_record(1);
        let second = folder.pulse().records;
        for _ in 0..limits::NAMED_CHANGES {
            folder.write_record(2);
            folder.pulse();
        }
        assert_eq!(folder.since(first), None);
        let two = RecordId::from_parts(2, [2; 10]);
        assert_eq!(folder.since(second), Some(vec![two]));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn in_a_folder_that_another_one_was_put_in_place_of_anything_changed_and_stamps_tell() {
        let folder = Folder::new();
        folder.write_record(1);
        let known = folder.pulse();
        folder.swap_folder_above();
        folder.forget_time();
        let swapped = folder.pulse();
        assert!(swapped.records > known.records && swapped.state > known.state);
        assert_eq!(folder.since(known.records), None);
        let known = quiet(&folder);
        folder.write_record(2);
        assert_ne!(folder.pulse().records, known.records);
        let known = quiet(&folder);
        folder.write(Document::State, "1");
        let now = folder.pulse();
        assert!(now.state != known.state && now.records == known.records);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_write_to_a_folder_that_is_out_of_the_way_is_no_word_on_the_one_in_its_place() {
        let folder = Folder::new();
        let id = folder.write_record(1);
        let known = folder.pulse();
        folder.swap_folder_above();
        let above: &Path = folder.paths.dir().parent().unwrap();
        let old = above.with_extension("aside").join("vault/rec");
        fs::write(old.join(format!("{id}.rec")), "elsewhere").unwrap();
        assert_eq!(folder.since(known.records), None);
    }

    #[test]
    fn what_cannot_be_watched_is_as_it_was_once_it_is_old_enough_to_tell() {
        let folder = Folder::new();
        folder.log.0.lock().watch = Some(None);
        let mut known = quiet(&folder);
        for round in 0..3 {
            folder.write(Document::State, &round.to_string());
            let changed = folder.pulse();
            assert_ne!(changed.state, known.state);
            assert_ne!(folder.pulse().state, changed.state, "it is too new to tell");
            known = quiet(&folder);
            let mark = known.records;
            folder.write_record(round);
            assert_eq!(folder.since(mark), None, "which one is not known");
            known = quiet(&folder);
        }
    }
}
