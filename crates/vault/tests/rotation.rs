//! A new data key: what stays readable, who keeps up, and that it works at every moment between two
//! steps of another.

#![expect(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod support;

use std::{fs, sync::Arc};

use provider_auth_vault::{KeySecrets, KeySource, RecordId, Vault, VaultError};
use support::{
    entropy, eventually, folder, open, snapshot,
    stepping::{Step, Stepping},
    with_key, with_source,
};

fn vault_of(count: usize) -> (tempfile::TempDir, Vault, Vec<RecordId>) {
    let (outer, dir) = folder();
    let vault = open(with_key(&dir)).unwrap();
    let make = |at: usize| {
        vault
            .create(7, format!("record {at}").as_bytes())
            .unwrap()
            .0
    };
    let ids = (0..count).map(make).collect();
    (outer, vault, ids)
}

fn epoch_of(vault: &Vault, id: RecordId) -> u32 {
    let file = fs::read(vault.dir().join(format!("rec/{id}.rec"))).unwrap();
    u32::from_le_bytes(file[12..16].try_into().unwrap())
}

fn header(vault: &Vault) -> String {
    fs::read_to_string(vault.dir().join("vault.hdr")).unwrap()
}

#[track_caller]
fn check_content(vault: &Vault, ids: &[RecordId]) {
    for (at, id) in ids.iter().enumerate() {
        let record = vault.read(id).unwrap().unwrap();
        assert_eq!(record.plaintext(), format!("record {at}").as_bytes());
    }
}

#[test]
fn every_record_is_under_the_new_key_and_is_otherwise_the_same() {
    let (_outer, vault, ids) = vault_of(3);
    let old_key = vault.key_id();
    vault.rotate_key().unwrap();
    assert_ne!(vault.key_id(), old_key);
    assert!(
        !header(&vault).contains("previous"),
        "the old key is dropped"
    );
    assert_eq!(
        header(&vault),
        fs::read_to_string(vault.dir().join("vault.hdr.bak")).unwrap()
    );
    for id in &ids {
        assert_eq!(epoch_of(&vault, *id), 2);
        let record = vault.read(id).unwrap().unwrap();
        assert_eq!((record.kind, record.generation), (7, 1));
    }
    check_content(&vault, &ids);
    check_content(&open(with_key(vault.dir())).unwrap(), &ids);
    vault.rotate_key().unwrap();
    check_content(&open(with_key(vault.dir())).unwrap(), &ids);
}

#[test]
fn a_vault_in_memory_rotates_too() {
    let (_outer, dir) = folder();
    let vault = open(with_source(&dir, KeySource::Memory)).unwrap();
    let (id, _) = vault.create(1, b"x").unwrap();
    vault.rotate_key().unwrap();
    assert_eq!(vault.read(&id).unwrap().unwrap().plaintext(), b"x");
}

#[test]
fn a_process_that_opened_the_vault_before_reads_and_writes_on() {
    let (_outer, vault, ids) = vault_of(2);
    let early = open(with_key(vault.dir())).unwrap();
    for round in 1..4 {
        vault.rotate_key().unwrap();
        check_content(&early, &ids);
        let guard = early.lock(&ids[0]).unwrap();
        early.replace(&guard, b"record 0").unwrap();
        let (new, _) = early.create(1, b"new").unwrap();
        for id in [ids[0], new] {
            assert_eq!(epoch_of(&vault, id), round + 1);
            assert!(vault.read(&id).unwrap().is_some());
        }
        assert_eq!(early.key_id(), vault.key_id());
    }
}

#[test]
fn a_writer_that_was_about_to_use_the_old_key_is_waited_for() {
    let (_outer, vault, ids) = vault_of(1);
    let guard = vault.lock(&ids[0]).unwrap();
    std::thread::scope(|scope| {
        let rotation = scope.spawn(|| vault.rotate_key());
        eventually("the rotation begins", || {
            header(&vault).contains("previous")
        });
        vault.replace(&guard, b"written meanwhile").unwrap();
        drop(guard);
        rotation.join().unwrap().unwrap();
    });
    let record = open(with_key(vault.dir())).unwrap().read(&ids[0]).unwrap();
    assert_eq!(record.unwrap().plaintext(), b"written meanwhile");
    assert!(!header(&vault).contains("previous"));
}

/// Two vault objects, of which the second acts between any two steps of the first one's rotation.
#[test]
fn at_every_step_of_a_rotation_another_reads_and_writes() {
    let (_outer, vault, ids) = vault_of(3);
    let early = Arc::new(open(with_key(vault.dir())).unwrap());
    let early_ids = ids.clone();
    let acts = Arc::new(parking_lot::Mutex::new((0_usize, Vec::new())));
    let seen = Arc::clone(&acts);
    let dir = vault.dir().to_owned();
    let between = move |_: Step| {
        let mut seen = seen.lock();
        seen.0 += 1;
        for id in &early_ids {
            assert!(early.read(id).unwrap().is_some(), "step {}", seen.0);
        }
        let id = early_ids[seen.0 % early_ids.len()];
        if let Some(guard) = early.try_lock(&id).unwrap() {
            let old = early.read(&id).unwrap().unwrap();
            let generation = early.replace(&guard, old.plaintext()).unwrap();
            assert_eq!(generation, old.generation + 1);
        }
        let lock = fs::File::open(dir.join("lock/vault.lock")).unwrap();
        if lock.try_lock().is_ok() {
            drop(lock);
            seen.1.push(early.create(1, b"new").unwrap().0);
            // One who opens it now, too; where the lock is taken, both would wait for this very
            // thread.
            let late = open(with_key(&dir)).unwrap();
            assert!(late.read(&id).unwrap().is_some());
        }
        Ok(())
    };
    let rotating = Vault::open(
        with_key(vault.dir()),
        Arc::new(Stepping::new(between)),
        entropy(),
    )
    .unwrap();
    rotating.rotate_key().unwrap();
    let (steps, created) = std::mem::take(&mut *acts.lock());
    assert!(
        steps > 30 && created.len() > 10,
        "{steps} {}",
        created.len()
    );
    let last = open(with_key(vault.dir())).unwrap();
    last.rotate_key().unwrap();
    check_content(&last, &ids);
    for id in created {
        assert_eq!(last.read(&id).unwrap().unwrap().plaintext(), b"new");
    }
    assert_eq!(last.quarantine().len(), 0);
    assert!(!header(&last).contains("previous"));
}

#[test]
fn a_slot_whose_key_is_not_at_hand_stops_a_rotation_before_it_begins() {
    // One that an earlier version made: those of this version have a public half.
    let (_outer, dir) = folder();
    open(with_key(&dir)).unwrap();
    let of_an_earlier_version =
        include_bytes!("../../../specs/vectors/header-without-public-keys.hdr");
    for name in ["vault.hdr", "vault.hdr.bak"] {
        fs::write(dir.join(name), of_an_earlier_version).unwrap();
    }
    let vault = open(with_key(&dir)).unwrap();
    let ids = [vault.create(7, b"record 0").unwrap().0];
    let passphrase = KeySecrets {
        passphrase: Some("recovery".into()),
        ..KeySecrets::default()
    };
    let before = snapshot(vault.dir());
    let error = vault.rotate_key().unwrap_err();
    assert!(
        matches!(
            error,
            VaultError::SlotKeyMissing {
                key_source: KeySource::Passphrase,
                ..
            }
        ),
        "{error:?}"
    );
    let [_, recovery] = &vault.status_now().unwrap().slots[..] else {
        panic!("two slots");
    };
    assert!(error.to_string().contains(&recovery.id), "{error}");
    let wrong = KeySecrets {
        passphrase: Some("another".into()),
        ..KeySecrets::default()
    };
    assert!(vault.rotate_key_with(&wrong).is_err());
    assert_eq!(snapshot(vault.dir()), before);
    vault.rotate_key_with(&passphrase).unwrap();

    let mut options = with_key(vault.dir());
    options.secrets.passphrase = passphrase.passphrase.clone();
    open(options).unwrap().rotate_key().unwrap();
    let mut recovery = with_source(vault.dir(), KeySource::Passphrase);
    recovery.secrets = passphrase;
    check_content(&open(recovery).unwrap(), &ids);
}

#[test]
fn a_record_of_a_newer_version_keeps_its_key_and_all_others_get_the_new_one() {
    let (_outer, vault, ids) = vault_of(2);
    let path = vault.dir().join(format!("rec/{}.rec", ids[0]));
    let mut newer = fs::read(&path).unwrap();
    newer[4] = 9;
    fs::write(&path, &newer).unwrap();
    let error = vault.rotate_key().unwrap_err();
    assert!(matches!(error, VaultError::NewerFormat { .. }), "{error:?}");
    assert_eq!(fs::read(&path).unwrap(), newer);
    assert_eq!(epoch_of(&vault, ids[1]), 2);
    assert!(header(&vault).contains("previous"));
    newer[4] = 1;
    fs::write(&path, &newer).unwrap();
    check_content(&open(with_key(vault.dir())).unwrap(), &ids);
    assert!(
        !header(&vault).contains("previous"),
        "opening went on with it"
    );
}

#[test]
fn a_damaged_record_does_not_stop_a_rotation() {
    let (_outer, vault, ids) = vault_of(2);
    fs::write(vault.dir().join(format!("rec/{}.rec", ids[0])), b"junk").unwrap();
    vault.rotate_key().unwrap();
    assert_eq!(
        (vault.ids().unwrap(), vault.quarantine().len()),
        (vec![ids[1]], 1)
    );
}

#[test]
fn a_backup_that_is_ahead_takes_the_headers_place() {
    let (_outer, vault, ids) = vault_of(1);
    let old = header(&vault);
    vault.rotate_key().unwrap();
    let new = header(&vault);
    fs::write(vault.dir().join("vault.hdr"), old).unwrap();
    check_content(&open(with_key(vault.dir())).unwrap(), &ids);
    assert_eq!(header(&vault), new);
    assert!(
        !vault.dir().join("quarantine").exists(),
        "nothing was damaged"
    );
}

#[test]
fn a_header_that_is_damaged_meanwhile_does_not_stop_a_writer() {
    let (_outer, vault, ids) = vault_of(1);
    for name in ["vault.hdr", "vault.hdr.bak"] {
        fs::write(vault.dir().join(name), b"junk").unwrap();
    }
    let guard = vault.lock(&ids[0]).unwrap();
    assert_eq!(vault.replace(&guard, b"x").unwrap(), 2);
    assert_eq!(vault.rotate_key().unwrap_err().code(), "VAULT_CORRUPT");
}

#[test]
fn a_writer_refuses_when_the_folder_holds_another_vault_now() {
    let (_outer, vault, ids) = vault_of(1);
    let (_other_outer, other, _) = vault_of(0);
    fs::copy(other.dir().join("vault.hdr"), vault.dir().join("vault.hdr")).unwrap();
    let guard = vault.lock(&ids[0]).unwrap();
    let error = vault.replace(&guard, b"x").unwrap_err();
    assert_eq!(error.code(), "VAULT_KEY_MISMATCH");
}

#[test]
fn the_lock_that_keeps_rotations_apart_is_waited_for_in_turn() {
    let (_outer, vault, ids) = vault_of(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| open(with_key(vault.dir())).unwrap().rotate_key().unwrap());
        }
    });
    assert!(ids.iter().all(|id| epoch_of(&vault, *id) == 5));
    check_content(&vault, &ids);
}
