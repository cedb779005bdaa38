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
    /// One that is watched from the first look on.
    fn new() -> Self {
        let folder = Self::unwatched();
        folder.log.0.lock().asked = limits::UNWATCHED_QUESTIONS;
        folder
    }

    fn unwatched() -> Self {
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

    /// As if the last look at the files were older than the word of the watch counts.
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

/// A folder in which nothing is too new for its stamp to tell.
fn settled_folder() -> Folder {
    let folder = Folder::unwatched();
    let settling = limits::SETTLING + Duration::from_millis(50);
    thread::park_timeout(settling);
    folder
}

#[test]
fn the_watch_begins_after_some_questions_and_names_what_changes_from_there_on() {
    let folder = settled_folder();
    let is_watched = || folder.log.0.lock().watch.is_some();
    let first = folder.pulse();
    for _ in 1..limits::UNWATCHED_QUESTIONS {
        assert_eq!(folder.pulse(), first);
    }
    assert!(!is_watched());
    assert_eq!(folder.pulse(), first);
    assert!(is_watched());
    let id = folder.write_record(1);
    assert_ne!(folder.pulse().records, first.records);
    if cfg!(target_os = "linux") {
        assert_eq!(folder.since(first.records), Some(vec![id]));
    }
}

#[test]
fn a_change_from_before_the_watch_began_is_seen() {
    for questions in [0, limits::UNWATCHED_QUESTIONS - 1] {
        let folder = settled_folder();
        let mut known = folder.pulse();
        for _ in 0..questions {
            known = folder.pulse();
        }
        folder.write_record(1);
        assert_ne!(folder.pulse().records, known.records, "{questions}");
        assert!(folder.log.0.lock().watch.is_some(), "it is too new to tell");
        assert_eq!(folder.since(known.records), None, "which one is not known");
    }
}

#[test]
fn the_watch_begins_with_a_file_that_is_too_new() {
    let folder = settled_folder();
    folder.pulse();
    assert!(folder.log.0.lock().watch.is_none());
    folder.write(Document::State, "{}");
    let known = folder.pulse();
    assert!(folder.log.0.lock().watch.is_some());
    if cfg!(target_os = "linux") {
        assert_eq!(folder.pulse(), known);
    }
}
