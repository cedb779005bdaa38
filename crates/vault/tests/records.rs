//! Records on a real disk: writing, setting aside, the pulse, notes and state.

#![expect(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod support;

use std::{fs, time::Duration};

use provider_auth_vault::{
    Claimed, Need, Outcome, Pending, Pulse, Purpose, RecordId, SendBy, Shared, Vault, VaultError,
};
use support::{eventually, folder, open, with_key};

fn vault() -> (tempfile::TempDir, Vault) {
    let (outer, dir) = folder();
    let vault = open(with_key(&dir)).unwrap();
    (outer, vault)
}

fn file(vault: &Vault, id: RecordId) -> std::path::PathBuf {
    vault.dir().join(format!("rec/{id}.rec"))
}

/// Waits until what was just written is old enough to tell, where it cannot be watched.
fn quiet(vault: &Vault) -> Pulse {
    let mut pulse = vault.pulse();
    eventually("the pulse rests", || {
        let before = pulse;
        pulse = vault.pulse();
        pulse == before
    });
    pulse
}

#[test]
fn a_record_is_created_replaced_and_removed() {
    let (_outer, vault) = vault();
    let (id, generation) = vault.create(7, b"one").unwrap();
    assert_eq!(generation, 1);
    let guard = vault.lock(&id).unwrap();
    assert_eq!(vault.replace(&guard, b"two").unwrap(), 2);
    assert_eq!(vault.replace(&guard, b"three").unwrap(), 3);
    let record = vault.read(&id).unwrap().unwrap();
    assert_eq!(
        (record.kind, record.generation, record.plaintext()),
        (7, 3, b"three".as_slice())
    );
    assert!(vault.remove(guard).unwrap());
    assert!(vault.read(&id).unwrap().is_none());
    let guard = vault.lock(&id).unwrap();
    assert!(matches!(
        vault.replace(&guard, b"four"),
        Err(VaultError::Absent { .. })
    ));
    assert!(!vault.remove(guard).unwrap());
}

#[test]
fn ids_are_listed_oldest_first_and_strangers_are_ignored() {
    let (_outer, vault) = vault();
    let mut ids: Vec<_> = (0..5).map(|_| vault.create(1, b"x").unwrap().0).collect();
    ids.sort();
    fs::write(vault.dir().join("rec/notes.txt"), "").unwrap();
    fs::write(vault.dir().join("rec/short.rec"), "").unwrap();
    assert_eq!(vault.ids().unwrap(), ids);
}

#[test]
fn a_write_by_another_vault_object_is_seen_at_once() {
    let (_outer, one) = vault();
    let two = open(with_key(one.dir())).unwrap();
    let (id, _) = one.create(1, b"0").unwrap();
    for round in 1..200_u32 {
        let content = round.to_string();
        let guard = one.lock(&id).unwrap();
        one.replace(&guard, content.as_bytes()).unwrap();
        drop(guard);
        assert_eq!(
            two.read(&id).unwrap().unwrap().plaintext(),
            content.as_bytes()
        );
    }
}

#[test]
fn a_settled_record_is_read_once() {
    let (_outer, vault) = vault();
    let (id, _) = vault.create(1, b"x").unwrap();
    let read = || vault.read(&id).unwrap().unwrap();
    eventually(
        "a record that is old enough to tell is not read again",
        || std::sync::Arc::ptr_eq(&read(), &read()),
    );
}

#[test]
fn what_was_set_aside_is_kept_whole() {
    let (_outer, vault) = vault();
    let (id, _) = vault.create(1, b"x").unwrap();
    let mut damaged = fs::read(file(&vault, id)).unwrap();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(file(&vault, id), &damaged).unwrap();
    vault.read(&id).unwrap_err();
    assert_eq!(vault.quarantine().len(), 1);
    let aside = support::files(&vault.dir().join("quarantine"));
    assert!(
        aside[0]
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with(&format!("{id}.1.")),
        "{aside:?}"
    );
    assert_eq!(fs::read(&aside[0]).unwrap(), damaged);
}

#[test]
fn a_damaged_record_under_a_foreign_lock_is_left_to_its_holder() {
    let (_outer, vault) = vault();
    let (id, _) = vault.create(1, b"x").unwrap();
    let guard = vault.lock(&id).unwrap();
    fs::write(file(&vault, id), b"junk").unwrap();
    assert!(matches!(vault.read(&id), Err(VaultError::Corrupt { .. })));
    assert!(file(&vault, id).exists());
    assert!(matches!(
        vault.reread(&guard),
        Err(VaultError::Corrupt { .. })
    ));
    assert!(!file(&vault, id).exists());
}

#[test]
fn a_record_of_another_vault_with_the_same_key_is_refused() {
    let (_outer, one) = vault();
    let (_other_outer, two) = vault();
    let (id, _) = one.create(1, b"one").unwrap();
    fs::copy(file(&one, id), file(&two, id)).unwrap();
    assert!(matches!(two.read(&id), Err(VaultError::Corrupt { .. })));
}

#[test]
fn the_pulse_moves_with_every_change_and_rests_without() {
    let (_outer, vault) = vault();
    let (id, _) = vault.create(1, b"x").unwrap();
    let first = quiet(&vault);
    let guard = vault.lock(&id).unwrap();
    assert_eq!(first, vault.pulse(), "a lock changes no record");
    vault.replace(&guard, b"y").unwrap();
    assert_ne!(first.records, vault.pulse().records);
    let second = quiet(&vault);
    vault.remove(guard).unwrap();
    assert_ne!(second.records, vault.pulse().records);
    let third = quiet(&vault);
    vault.create(1, b"z").unwrap();
    assert_ne!(third.records, vault.pulse().records);
    assert_ne!(third.records, quiet(&vault).records);
}

#[test]
fn what_was_made_of_an_older_content_is_not_written() {
    let (_outer, vault) = vault();
    let (id, _) = vault.create(1, b"one").unwrap();
    let guard = vault.lock(&id).unwrap();
    assert_eq!(
        vault.bring(&guard, 1, Purpose::Other, b"two").unwrap(),
        Some(2)
    );
    assert_eq!(
        vault.bring(&guard, 1, Purpose::Other, b"other").unwrap(),
        None
    );
    assert_eq!(vault.read(&id).unwrap().unwrap().plaintext(), b"two");
    assert_eq!(
        vault.bring(&guard, 2, Purpose::Other, b"three").unwrap(),
        Some(3)
    );
}

#[test]
fn state_is_merged_under_a_lock_by_any_number_of_threads() {
    let (_outer, vault) = vault();
    assert_eq!(vault.read_shared(Shared::State).unwrap(), None);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..25 {
                    support::merge_state(&vault, |old| [old, b"x".to_vec()].concat()).unwrap();
                }
            });
        }
    });
    assert_eq!(
        vault.read_shared(Shared::State).unwrap().unwrap(),
        [b'x'; 200]
    );
    let before = quiet(&vault);
    support::merge_state(&vault, |_| b"{}".to_vec()).unwrap();
    assert_ne!(before.state, vault.pulse().state);
}

#[test]
fn a_note_on_a_refresh_is_kept_found_and_cleared() {
    let (_outer, vault) = vault();
    let (id, _) = vault.create(1, b"x").unwrap();
    let note = Pending {
        generation: 1,
        refresh_hash: [7; 32],
        started_at: 5,
        pid: 9,
        boot_id: "boot".to_owned(),
    };
    let guard = vault.lock(&id).unwrap();
    assert_eq!(
        vault.claim(&guard, Need::Now, &note).unwrap(),
        Claimed::Yes(SendBy::FOR_EVER)
    );
    assert_eq!(vault.pending(&id).unwrap(), Some(note));
    assert!(vault.abandoned().is_empty(), "its holder is at work");
    drop(guard);
    assert_eq!(vault.abandoned(), [id], "its holder is gone");
    let guard = vault.lock_within(&id, Duration::from_secs(20)).unwrap();
    let busy = vault
        .lock_within(&id, Duration::from_millis(20))
        .unwrap_err();
    assert!(
        busy.to_string()
            .contains("is still held by process 9 after 20ms: wait"),
        "{busy}"
    );
    assert!(
        matches!(
            busy,
            VaultError::Busy {
                holder: Some(9),
                ..
            }
        ),
        "{busy:?}"
    );
    vault.release(&guard, Outcome::Known).unwrap();
    assert_eq!(vault.pending(&id).unwrap(), None);
}

#[test]
fn an_overwritten_record_is_the_newest_and_has_no_note() {
    let (_outer, vault) = vault();
    let (id, _) = vault.create(1, b"spent").unwrap();
    let guard = vault.lock(&id).unwrap();
    let note = Pending {
        generation: 1,
        refresh_hash: [7; 32],
        started_at: 5,
        pid: 9,
        boot_id: "boot".to_owned(),
    };
    assert_eq!(
        vault.claim(&guard, Need::Now, &note).unwrap(),
        Claimed::Yes(SendBy::FOR_EVER)
    );
    assert_eq!(vault.overwrite(&guard, b"signed in", 8).unwrap(), 9);
    let record = vault.read(&id).unwrap().unwrap();
    assert_eq!(
        (record.plaintext(), record.generation),
        (b"signed in".as_slice(), 9)
    );
    assert_eq!(vault.pending(&id).unwrap(), None);
    assert_eq!(vault.overwrite(&guard, b"again", 0).unwrap(), 10);
}

#[test]
fn a_note_that_cannot_be_read_is_an_error_until_it_is_cleared() {
    let (_outer, vault) = vault();
    let (id, _) = vault.create(1, b"x").unwrap();
    fs::write(vault.dir().join(format!("rec/{id}.pending")), "{").unwrap();
    assert!(matches!(
        vault.pending(&id),
        Err(VaultError::Corrupt { .. })
    ));
    let guard = vault.lock(&id).unwrap();
    vault.release(&guard, Outcome::Known).unwrap();
    assert_eq!(vault.pending(&id).unwrap(), None);
}

#[test]
fn two_threads_that_count_in_one_record_lose_no_step() {
    let (_outer, vault) = vault();
    let (id, _) = vault.create(1, b"").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    let guard = vault.lock_within(&id, Duration::from_secs(30)).unwrap();
                    let old = vault.read(&id).unwrap().unwrap();
                    vault
                        .replace(&guard, &[old.plaintext(), b"x"].concat())
                        .unwrap();
                }
            });
        }
    });
    let record = vault.read(&id).unwrap().unwrap();
    assert_eq!((record.plaintext().len(), record.generation), (100, 101));
}
