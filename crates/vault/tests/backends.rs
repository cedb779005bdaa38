//! The laws that every backend keeps, whatever engine it is of: run on a folder and on the store in
//! memory. Another engine is one more line in `check`.

#![expect(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod support;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use provider_auth_vault::{
    Backend, Brought, Changes, Claimed, Disk, Document, Engine, Lock, Look, Memory, Need, Options,
    Outcome, Pulse, Purpose, RecordGuard, RecordId, SendBy, Stamp, VaultError,
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

fn create(backend: &Arc<dyn Backend>, id: RecordId, sealed: &[u8]) {
    assert_eq!(backend.create_record(id, sealed).unwrap(), Brought::Yes);
}

fn removed(backend: &Arc<dyn Backend>, guard: &RecordGuard) -> Result<bool, VaultError> {
    backend.remove_record(guard, &mut |_| Ok(b"a mark".to_vec()))
}

fn put(backend: &Arc<dyn Backend>, guard: &RecordGuard, from: u64, sealed: &[u8]) {
    let brought = backend.bring(guard, from, Purpose::Other, sealed).unwrap();
    assert_eq!(brought, Brought::Yes);
}

/// Waits until what was written is old enough to tell, where it cannot be watched.
fn quiet(backend: &Arc<dyn Backend>) -> Pulse {
    for _ in 0..1_000 {
        let pulse = backend.pulse();
        if backend.pulse() == pulse {
            return pulse;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    panic!("the pulse does not rest in 5 s");
}

/// Waits until a record is old enough to tell, and returns by which stamp.
fn settled(backend: &Arc<dyn Backend>, id: RecordId) -> Stamp {
    for _ in 0..1_000 {
        if let Look::Found(stamp, _) = backend.look(id, None).unwrap()
            && matches!(backend.look(id, Some(stamp)).unwrap(), Look::AsKnown)
        {
            return stamp;
        }
        std::thread::park_timeout(Duration::from_millis(5));
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
fn a_record_is_what_was_written_last_and_as_known_only_until_then() {
    check(|one, two| {
        assert_eq!(one.read_record(id(1)).unwrap(), None);
        assert!(!one.has_records().unwrap());
        {
            let _adding = one.lock(Lock::Vault, LONG).unwrap();
            create(one, id(2), b"two");
            create(one, id(1), b"one");
        }
        assert_eq!(two.ids().unwrap(), [id(1), id(2)]);
        assert!(two.has_records().unwrap());
        let guard = guard(one, id(1));
        for (from, content) in [b"next", b"last"].into_iter().enumerate() {
            let before = settled(two, id(1));
            put(one, &guard, from as u64 + 1, content);
            let found = two.look(id(1), Some(before)).unwrap();
            assert!(matches!(found, Look::Found(_, bytes) if bytes == content));
            assert_eq!(two.read_record(id(1)).unwrap().unwrap(), content);
        }
        assert_eq!(two.read_record(id(2)).unwrap().unwrap(), b"two");
    });
}

#[test]
fn a_removed_record_is_gone_with_its_note_and_its_copies() {
    check(|one, two| {
        let guard = guard(one, id(1));
        put(one, &guard, 0, b"damaged");
        one.set_record_aside(&guard, 7, &|_| false).unwrap();
        assert_eq!(two.read_record(id(1)).unwrap(), None);
        let aside = two.quarantined().unwrap();
        assert_eq!(
            aside
                .iter()
                .map(|it| (it.id, it.generation))
                .collect::<Vec<_>>(),
            [(id(1), 7)]
        );
        put(one, &guard, 0, b"again");
        assert_eq!(
            one.claim(&guard, 1, Need::Now, b"note").unwrap(),
            Claimed::Yes(SendBy::FOR_EVER)
        );
        assert!(removed(one, &guard).unwrap());
        assert_eq!(two.read_record(id(1)).unwrap(), None);
        assert_eq!(two.read_note(id(1)).unwrap(), None);
        assert!(two.ids().unwrap().is_empty() && two.quarantined().unwrap().is_empty());
        assert!(matches!(two.look(id(1), None).unwrap(), Look::Absent));
        assert!(!removed(one, &guard).unwrap());
    });
}

#[test]
fn a_claim_outlives_its_guard_and_is_abandoned_only_then() {
    check(|one, two| {
        let held = guard(one, id(1));
        put(one, &held, 0, b"record");
        assert_eq!(
            one.claim(&held, 1, Need::Now, b"note").unwrap(),
            Claimed::Yes(SendBy::FOR_EVER)
        );
        assert!(two.abandoned().unwrap().is_empty(), "its writer lives");
        drop(held);
        assert_eq!(two.abandoned().unwrap(), [id(1)]);
        assert_eq!(two.read_note(id(1)).unwrap().unwrap(), b"note");
        let next = guard(two, id(1));
        two.release(&next, Outcome::Unknown).unwrap();
        assert_eq!(one.read_note(id(1)).unwrap().unwrap(), b"note");
        two.release(&next, Outcome::Known).unwrap();
        two.release(&next, Outcome::Known).unwrap();
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
            Document::News,
            Document::History,
            Document::Stats,
            Document::Index,
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
            assert!(one.remove_document(document).unwrap());
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
        (Lock::Vault, Document::News),
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
fn each_change_moves_the_pulse_of_what_changed_and_of_nothing_else() {
    check(|one, two| {
        let guard = guard(one, id(1));
        let change = |round: u64| match round % 7 {
            0 => put(one, &guard, round, &[b'x'; 7]),
            1 => one.write_document(Document::State, b"state").unwrap(),
            2 => put(one, &guard, round, &[b'y'; 7]),
            3 => one.write_document(Document::History, b"history").unwrap(),
            4 => one.write_document(Document::Stats, b"stats").unwrap(),
            5 => one.write_document(Document::News, b"news").unwrap(),
            _ => assert!(removed(one, &guard).unwrap()),
        };
        for round in 0..70 {
            let before = quiet(two);
            change(round);
            let after = two.pulse();
            let moved = [
                after.records != before.records,
                after.state != before.state,
                after.news != before.news,
                after.history != before.history,
            ];
            let expected = match round % 7 {
                1 => [false, true, false, false],
                3 => [false, false, false, true],
                4 => [false, false, false, false],
                5 => [false, false, true, false],
                _ => [true, false, false, false],
            };
            assert_eq!(moved, expected, "round {round}");
        }
    });
}

#[test]
fn a_backend_is_told_of_its_own_changes_at_once() {
    check(|one, _| {
        for _ in 0..50 {
            let before = one.pulse();
            one.write_document(Document::State, b"state").unwrap();
            assert_ne!(one.pulse().state, before.state);
        }
    });
}

#[test]
fn the_changes_since_a_mark_name_what_was_added_replaced_and_removed() {
    check(|one, two| {
        let held = [guard(one, id(1)), guard(one, id(2))];
        create(one, id(1), b"one");
        create(one, id(2), b"two");
        let all = two.changes(None).unwrap();
        assert_eq!(all.records, None, "it may be any");
        assert_eq!(two.ids().unwrap(), [id(1), id(2)]);
        quiet(two);
        let mut mark = two.changes(Some(all.mark)).unwrap().mark;
        let mut changed = |change: &dyn Fn()| {
            change();
            let changes = two.changes(Some(mark)).unwrap();
            let again = two.changes(Some(mark)).unwrap();
            let is_all = changes.records.is_none();
            let names = |changes: &Changes, id: &RecordId| match &changes.records {
                Some(records) => records.contains(id),
                None => two.ids().unwrap().contains(id),
            };
            let named = [1, 2, 3].map(|number| names(&changes, &id(number)));
            for (number, is_named) in [1, 2, 3].into_iter().zip(named) {
                assert!(!is_named || names(&again, &id(number)), "told once more");
            }
            quiet(two);
            mark = two.changes(Some(changes.mark)).unwrap().mark;
            named.map(|is_named| (is_all, is_named))
        };
        let replaced = changed(&|| put(one, &held[0], 1, b"new"));
        assert!(matches!(replaced, [(_, true), (all, two), (_, false)] if all == two));
        let added = changed(&|| create(one, id(3), b"three"));
        assert!(matches!(added, [.., (_, true)]));
        let removed = changed(&|| assert!(removed(one, &held[1]).unwrap()));
        // Of all that there are it is missing.
        assert!(matches!(removed, [_, (all, named), _] if all != named));
        let aside = changed(&|| one.set_record_aside(&held[0], 2, &|_| false).unwrap());
        assert!(matches!(aside, [(all, named), ..] if all != named));
    });
}

#[test]
fn no_change_is_missed_by_who_asks_while_others_write() {
    const RECORDS: u8 = 20;
    const ROUNDS: u8 = 20;
    check(|one, two| {
        let guards: Vec<_> = (0..RECORDS).map(|number| guard(one, id(number))).collect();
        let is_written = AtomicBool::new(false);
        let mut seen: BTreeMap<RecordId, Vec<u8>> = BTreeMap::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..ROUNDS {
                    for guard in &guards {
                        put(one, guard, u64::from(round), &[round; 5]);
                    }
                }
                is_written.store(true, Ordering::SeqCst);
            });
            let mut mark = None;
            loop {
                let is_last = is_written.load(Ordering::SeqCst);
                let changes = two.changes(mark).unwrap();
                for id in changes.records.map_or_else(|| two.ids(), Ok).unwrap() {
                    if let Some(bytes) = two.read_record(id).unwrap() {
                        seen.insert(id, bytes);
                    }
                }
                mark = Some(changes.mark);
                if is_last {
                    break;
                }
            }
        });
        assert_eq!(seen.len(), usize::from(RECORDS));
        assert!(seen.values().all(|bytes| *bytes == [ROUNDS - 1; 5]));
    });
}
