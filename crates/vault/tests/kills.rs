//! Every deed that writes, broken off at every step: killed there, or refused by the system.
//!
//! Whatever happened, no record is torn, what was acknowledged is there, and the next process goes
//! on.

#![expect(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod support;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use provider_auth_vault::{
    Engine, ExistingKey, KeySecrets, KeySource, Options, RecordId, Vault, VaultError,
};
use secrecy::SecretString;
use support::{
    entropy, open, quick_folder,
    stepping::{Failure, Step, Stepping},
    with_key, with_source,
};

/// `EIO` and `ENOSPC`, on every Unix.
const FAILURES: [Failure; 3] = [Failure::Killed, Failure::System(5), Failure::System(28)];

/// What each record may hold; `None` stands for its absence.
type Expected = BTreeMap<RecordId, Vec<Option<&'static [u8]>>>;

type Deed<'d> = dyn Fn(Options, Arc<dyn Engine>, &mut Expected) -> Result<(), VaultError> + 'd;

/// A disk whose `at`th step fails; after a kill, so do all that follow.
fn breaking(at: usize, failure: Failure, steps: &Arc<AtomicUsize>) -> Arc<dyn Engine> {
    let steps = Arc::clone(steps);
    Arc::new(Stepping::new(move |step| {
        // Whether one dies before a look or after it is all the same.
        if step == Step::Look && matches!(failure, Failure::Killed) {
            return Ok(());
        }
        let step = steps.fetch_add(1, Ordering::Relaxed);
        let is_over = matches!(failure, Failure::Killed) && step > at;
        if step == at || is_over {
            Err(failure)
        } else {
            Ok(())
        }
    }))
}

/// A vault with three records.
fn prepare(dir: &Path) -> Expected {
    let vault = open(with_key(dir)).unwrap();
    let contents: [&'static [u8]; 3] = [b"one", b"two", b"three"];
    let make = |content: &'static [u8]| (vault.create(1, content).unwrap().0, vec![Some(content)]);
    contents.into_iter().map(make).collect()
}

/// Runs a deed with each of its steps broken in each way.
fn sweep(spoil: &dyn Fn(&Path), deed: &Deed<'_>) {
    for failure in FAILURES {
        for at in 0.. {
            let (_outer, dir) = quick_folder();
            let mut expected = prepare(&dir);
            spoil(&dir);
            let steps = Arc::new(AtomicUsize::new(0));
            let store = breaking(at, failure, &steps);
            let outcome = deed(with_key(&dir), store, &mut expected);
            let was_hit = steps.load(Ordering::Relaxed) > at;
            if !was_hit {
                outcome.unwrap();
                assert!(at >= 4, "steps were counted");
                break;
            }
            check(&dir, &expected, &format!("{failure:?} at step {at}"));
        }
    }
}

#[track_caller]
fn check(dir: &Path, expected: &Expected, when: &str) {
    let ways = [with_key(dir), with_source(dir, KeySource::Keyfile)];
    let vault = ways.into_iter().find_map(|options| open(options).ok());
    let vault = vault.unwrap_or_else(|| panic!("{when}: no key opens it"));
    for turn in ["at once", "after a rotation"] {
        for id in vault.ids().unwrap() {
            let record = vault.read(&id).unwrap().unwrap();
            let content = record.plaintext();
            match expected.get(&id) {
                Some(may) => assert!(may.iter().flatten().any(|may| *may == content), "{when}"),
                None => assert_eq!(content, b"new", "{when}, {turn}"),
            }
        }
        for (id, may) in expected {
            if !may.contains(&None) {
                assert!(
                    vault.read(id).unwrap().is_some(),
                    "{when}, {turn}: {id} is lost"
                );
            }
        }
        assert_eq!(vault.quarantine().len(), 0, "{when}, {turn}");
        if turn == "at once" {
            vault.rotate_key().unwrap();
        }
        let header = fs::read_to_string(dir.join("vault.hdr")).unwrap();
        assert!(
            !header.contains("previous"),
            "{when}: the old key is dropped"
        );
    }
}

#[test]
fn a_broken_creation_loses_no_record() {
    sweep(&|_| {}, &|options, store, expected| {
        let vault = Vault::open(options, store, entropy())?;
        let (id, _) = vault.create(1, b"new")?;
        expected.insert(id, vec![Some(b"new")]);
        Ok(())
    });
}

#[test]
fn a_broken_replacement_leaves_the_old_content_or_the_new() {
    sweep(&|_| {}, &|options, store, expected| {
        let vault = Vault::open(options, store, entropy())?;
        let id = *expected.keys().next().unwrap();
        expected.get_mut(&id).unwrap().push(Some(b"replaced"));
        let guard = vault.lock(&id)?;
        vault.replace(&guard, b"replaced")?;
        expected.insert(id, vec![Some(b"replaced")]);
        Ok(())
    });
}

#[test]
fn a_broken_removal_leaves_the_record_whole_or_gone() {
    sweep(&|_| {}, &|options, store, expected| {
        let vault = Vault::open(options, store, entropy())?;
        let id = *expected.keys().next().unwrap();
        expected.get_mut(&id).unwrap().push(None);
        let guard = vault.lock(&id)?;
        vault.remove(guard)?;
        Ok(())
    });
}

#[test]
fn a_broken_write_of_the_index_leaves_the_old_one_or_the_new() {
    let with_index = |dir: &Path| open(with_key(dir)).unwrap().write_index(b"old").unwrap();
    sweep(&with_index, &|options, store, _| {
        let written = Vault::open(options.clone(), store, entropy())
            .and_then(|vault| vault.write_index(b"new"));
        let index = open(options)?.read_index().unwrap();
        assert!([&b"old"[..], b"new"].contains(&index.plaintext()));
        written
    });
}

#[test]
fn a_broken_rotation_loses_no_record_and_is_gone_on_with() {
    sweep(&|_| {}, &|options, store, _| {
        Vault::open(options, store, entropy())?.rotate_key()
    });
}

#[test]
fn a_rotation_that_is_broken_again_while_it_is_gone_on_with_loses_no_record() {
    let first_half = |dir: &Path| {
        let steps = Arc::new(AtomicUsize::new(0));
        let store = breaking(18, Failure::Killed, &steps);
        let rotated =
            Vault::open(with_key(dir), store, entropy()).and_then(|vault| vault.rotate_key());
        rotated.unwrap_err();
        let header = fs::read_to_string(dir.join("vault.hdr")).unwrap();
        assert!(header.contains("previous"), "it was broken in the middle");
    };
    sweep(&first_half, &|options, store, _| {
        Vault::open(options, store, entropy())?.rotate_key()
    });
}

#[test]
fn a_broken_revocation_of_a_host_loses_no_record_and_is_gone_on_with() {
    let admit = |dir: &Path| {
        let join = Vault::join(
            &with_source(dir, KeySource::Keyfile),
            Arc::new(provider_auth_vault::Disk),
            &*entropy(),
        );
        open(with_key(dir))
            .unwrap()
            .admit_host(&join.unwrap(), "ci-7")
            .unwrap();
    };
    sweep(&admit, &|options, store, _| {
        let vault = Vault::open(options, store, entropy())?;
        let gone = vault.revoke_host("ci-7", &KeySecrets::default())?;
        assert!(gone.is_some_and(|host| host.revoked));
        vault.finish_revocation("ci-7")
    });
}

#[test]
fn a_broken_change_of_slots_leaves_a_key_that_opens() {
    sweep(&|_| {}, &|options, store, _| {
        let vault = Vault::open(options, store, entropy())?;
        let made_with = vault.status_now()?.slots.remove(0);
        vault.add_slot(KeySource::Keyfile, &KeySecrets::default())?;
        assert!(vault.remove_slot(&made_with.id)?);
        Ok(())
    });
}

#[test]
fn a_broken_replacement_of_the_key_leaves_the_old_one_or_the_new() {
    sweep(&|_| {}, &|mut options, store, _| {
        options.key = KeySource::Keyfile;
        Vault::init(options, ExistingKey::Replace, store, entropy()).map(drop)
    });
}

#[test]
fn a_broken_import_can_be_done_again() {
    for lost in [&["vault.hdr"][..], &["vault.hdr", "vault.hdr.bak"]] {
        let exported = parking_lot::Mutex::new(None::<SecretString>);
        let spoil = |dir: &Path| {
            *exported.lock() = Some(open(with_key(dir)).unwrap().export_key().unwrap());
            for name in lost {
                fs::remove_file(dir.join(name)).unwrap();
            }
        };
        sweep(&spoil, &|options, store, _| {
            let key = exported.lock().clone().unwrap();
            let import = |store| Vault::import_key(options.clone(), &key, store, entropy());
            let outcome = import(store).map(drop);
            if outcome.is_err() {
                import(Arc::new(provider_auth_vault::Disk)).unwrap();
            }
            outcome
        });
    }
}
