//! The laws that every backend keeps, whatever engine it is of: run on a folder and on the store in
//! memory. Another engine is one more line in `check`.

#![expect(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod support;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use provider_auth_vault::{
    Backend, Disk, Document, Engine, Heard, Lock, Memory, Options, RecordGuard, RecordId, Stamp,
    VaultError,
};
use support::folder;

/// Longer than any step takes that must come to an end.
const LONG: Duration = Duration::from_secs(20);
/// For what must not come within it.
const SHORT: Duration = Duration::from_millis(30);

/// Runs a law on every engine. It gets the backend, and a second one of the same place, as another
/// process has it.
#[track_caller]
fn check(law: impl Fn(&Arc<dyn Backend>, &Arc<dyn Backend>)) {
    let (_outer, dir) = folder();
    let (disk, memory) = (Arc::new(Disk), Arc::new(Memory::default()));
    for engine in [disk as Arc<dyn Engine>, memory] {
        law(&place(&engine, &dir), &place(&engine, &dir));
    }
}

fn place(engine: &Arc<dyn Engine>, dir: &Path) -> Arc<dyn Backend> {
    Arc::clone(engine).prepare(&Options::new(dir)).unwrap()
}

fn id(number: u8) -> RecordId {
    RecordId::from_parts(u64::from(number), [number; 10])
}

fn guard(backend: &Arc<dyn Backend>, id: RecordId) -> RecordGuard {
    RecordGuard::new(id, backend.lock(Lock::Record(id), LONG).unwrap())
}

/// Returns a stamp that tells something, once what was written is old enough.
fn settled(stamp: impl Fn() -> Stamp) -> Stamp {
    for _ in 0..1_000 {
        match stamp() {
            Stamp::Fresh(_) | Stamp::Unsettled => {
                std::thread::park_timeout(Duration::from_millis(5))
            }
            told => return told,
        }
    }
    panic!("the stamp does not settle in 5 s");
}

#[test]
fn nothing_is_found_before_it_is_prepared_and_looking_makes_nothing() {
    let (_outer, dir) = folder();
    let options = Options::new(&dir);
    assert!(Arc::new(Disk).find(&options).unwrap().is_none());
    assert!(!dir.exists());
    Arc::new(Disk).prepare(&options).unwrap();
    assert!(Arc::new(Disk).find(&options).unwrap().is_some());
}

#[test]
fn a_lock_excludes_everybody_until_it_is_dropped() {
    check(|one, two| {
        for lock in [
            Lock::Record(id(1)),
            Lock::Vault,
            Lock::History,
            Lock::Keys,
            Lock::Records,
            Lock::HighWater,
        ] {
            let held = one.lock(lock, LONG).unwrap();
            assert!(two.try_lock(lock).unwrap().is_none(), "{lock:?}");
            let busy = two.lock(lock, SHORT).map(drop).unwrap_err();
            assert!(
                matches!(busy, VaultError::Busy { waited: SHORT, .. }),
                "{busy:?}"
            );
            assert!(two.try_lock(Lock::Record(id(2))).unwrap().is_some());
            drop(held);
            assert!(two.lock(lock, LONG).is_ok(), "{lock:?}");
        }
    });
}

#[test]
fn a_lock_that_is_waited_for_is_handed_on() {
    check(|one, two| {
        let held = one.lock(Lock::Record(id(1)), LONG).unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| two.lock(Lock::Record(id(1)), LONG).is_ok());
            drop(held);
            assert!(waiter.join().unwrap());
        });
    });
}

#[test]
fn a_record_is_what_was_written_last_and_each_write_moves_its_stamps() {
    check(|one, two| {
        assert_eq!(one.read_record(id(1)).unwrap(), None);
        assert!(!one.has_records().unwrap());
        {
            let _adding = one.lock(Lock::Vault, LONG).unwrap();
            one.create_record(id(2), b"two").unwrap();
            one.create_record(id(1), b"one").unwrap();
        }
        assert_eq!(two.ids().unwrap(), [id(1), id(2)]);
        assert!(two.has_records().unwrap());
        let guard = guard(one, id(1));
        for (from, content) in [b"next", b"last"].into_iter().enumerate() {
            let before = settled(|| two.record_stamp(id(1)).unwrap());
            assert_eq!(before, two.record_stamp(id(1)).unwrap());
            let (stamp, _) = two.stamped_record(id(1)).unwrap().unwrap();
            assert_eq!(before, stamp);
            let all = settled(|| two.records_stamp().unwrap());
            one.replace_record(&guard, from as u64 + 1, content)
                .unwrap();
            assert_ne!(before, two.record_stamp(id(1)).unwrap());
            assert_ne!(all, two.records_stamp().unwrap());
            assert_eq!(two.read_record(id(1)).unwrap().unwrap(), content);
        }
        assert_eq!(two.read_record(id(2)).unwrap().unwrap(), b"two");
    });
}

#[test]
fn a_removed_record_is_gone_with_its_note_and_its_copies() {
    check(|one, two| {
        let guard = guard(one, id(1));
        one.replace_record(&guard, 0, b"damaged").unwrap();
        one.set_record_aside(&guard, 7).unwrap();
        assert_eq!(two.read_record(id(1)).unwrap(), None);
        let aside = two.quarantined().unwrap();
        assert_eq!(
            aside
                .iter()
                .map(|it| (it.id, it.generation))
                .collect::<Vec<_>>(),
            [(id(1), 7)]
        );
        one.replace_record(&guard, 0, b"again").unwrap();
        one.write_note(&guard, b"note").unwrap();
        assert!(one.remove_record(&guard).unwrap());
        assert_eq!(two.read_record(id(1)).unwrap(), None);
        assert_eq!(two.read_note(id(1)).unwrap(), None);
        assert!(two.ids().unwrap().is_empty() && two.quarantined().unwrap().is_empty());
        assert!(matches!(two.record_stamp(id(1)).unwrap(), Stamp::Absent));
        assert!(!one.remove_record(&guard).unwrap());
    });
}

#[test]
fn a_note_outlives_its_guard_and_is_abandoned_only_then() {
    check(|one, two| {
        let held = guard(one, id(1));
        one.replace_record(&held, 0, b"record").unwrap();
        one.write_note(&held, b"note").unwrap();
        assert!(two.abandoned().unwrap().is_empty(), "its writer lives");
        drop(held);
        assert_eq!(two.abandoned().unwrap(), [id(1)]);
        assert_eq!(two.read_note(id(1)).unwrap().unwrap(), b"note");
        let next = guard(two, id(1));
        two.clear_note(&next).unwrap();
        two.clear_note(&next).unwrap();
        drop(next);
        assert_eq!(one.read_note(id(1)).unwrap(), None);
        assert!(one.abandoned().unwrap().is_empty());
    });
}

#[test]
fn documents_are_kept_apart_and_removed_for_good() {
    check(|one, two| {
        let documents = [
            Document::Header,
            Document::HeaderBackup,
            Document::Moved,
            Document::State,
            Document::History,
            Document::Cache([1; 16]),
            Document::Cache([2; 16]),
        ];
        for document in documents {
            assert_eq!(one.read_document(document).unwrap(), None);
            let name = one.document_name(document);
            one.write_document(document, name.as_bytes()).unwrap();
        }
        for document in documents {
            let name = two.document_name(document);
            assert_eq!(
                two.read_document(document).unwrap().unwrap(),
                name.as_bytes()
            );
            let before = settled(|| two.document_stamp(document).unwrap());
            assert!(one.remove_document(document).unwrap());
            assert_ne!(before, two.document_stamp(document).unwrap());
            assert_eq!(two.read_document(document).unwrap(), None);
            assert!(!one.remove_document(document).unwrap());
        }
    });
}

#[test]
fn a_header_that_was_set_aside_is_no_record_and_can_be_removed() {
    check(|one, two| {
        one.set_header_aside(b"header").unwrap();
        assert!(two.quarantined().unwrap().is_empty() && !two.has_records().unwrap());
        two.remove_headers_aside().unwrap();
    });
}

#[test]
fn two_that_merge_what_is_shared_at_once_lose_nothing() {
    const ROUNDS: usize = 50;
    for (lock, document) in [
        (Lock::Vault, Document::State),
        (Lock::History, Document::History),
    ] {
        check(|one, two| {
            let inside = AtomicUsize::new(0);
            let add = |backend: &Arc<dyn Backend>| {
                for _ in 0..ROUNDS {
                    let held = backend.lock(lock, LONG).unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                    let old = backend.read_document(document).unwrap();
                    let merged = [old.unwrap_or_default(), b"x".to_vec()].concat();
                    backend.write_document(document, &merged).unwrap();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(held);
                }
            };
            std::thread::scope(|scope| {
                scope.spawn(|| add(one));
                scope.spawn(|| add(two));
            });
            let merged = one.read_document(document).unwrap().unwrap();
            assert_eq!(merged.len(), 2 * ROUNDS);
        });
    }
}

#[test]
fn a_change_is_never_missed() {
    check(|one, two| {
        let mut watch = two.watch();
        let guard = guard(one, id(1));
        let change = |round: u64| match round % 5 {
            4 => one.write_document(Document::History, b"history").unwrap(),
            0 => one.replace_record(&guard, round, &[b'x'; 7]).unwrap(),
            1 => one.write_document(Document::State, b"state").unwrap(),
            2 => one.replace_record(&guard, round, &[b'y'; 7]).unwrap(),
            _ => assert!(one.remove_record(&guard).unwrap()),
        };
        let stamps = || {
            let stamp = |document| two.document_stamp(document).unwrap();
            let records = two.records_stamp().unwrap();
            [records, stamp(Document::State), stamp(Document::History)]
        };
        for round in 0..200 {
            let before = stamps();
            if let Some(watch) = &mut watch {
                watch.heard();
                assert_eq!(watch.heard(), Heard::default(), "round {round}");
            }
            change(round);
            assert_ne!(before, stamps(), "round {round}");
            if let Some(watch) = &mut watch {
                let heard = watch.heard();
                let changed = Heard {
                    state: round % 5 == 1,
                    history: round % 5 == 4,
                    records: !matches!(round % 5, 1 | 4),
                };
                assert_eq!(heard, changed, "round {round}");
            }
        }
    });
}
