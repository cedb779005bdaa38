//! Hosts with keys of their own: how one comes in, that a new data key reaches all of them without
//! anybody's secret, and that one which was revoked learns nothing any more.

#![expect(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod support;

use std::{
    fs,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use provider_auth_vault::{
    Disk, KeySecrets, KeySource, Options, RecordId, Vault, VaultError, limits,
};
use sha2::{Digest, Sha256};
use support::{entropy, folder, open, quick_folder, refused, shared_store::SharedStore, with_key};

/// A vault with one record, which opens with a key that was given.
fn vault() -> (tempfile::TempDir, Vault, RecordId) {
    let (outer, dir) = folder();
    let vault = open(with_key(&dir)).unwrap();
    let (id, _) = vault.create(1, b"content").unwrap();
    (outer, vault, id)
}

/// The options of another host with the same vault: its key files are its own, and nothing is given.
fn on(host: &str, dir: &Path) -> Options {
    Options {
        keyfile: Some(dir.with_file_name(host).with_extension("key")),
        ..Options::new(dir)
    }
}

/// What a host prints when it joins, with its key in a file.
fn join(host: &str, dir: &Path) -> String {
    let options = Options {
        key: KeySource::Keyfile,
        ..on(host, dir)
    };
    Vault::join(&options, Arc::new(Disk), &*entropy()).unwrap()
}

fn admit(vault: &Vault, host: &str) {
    let admitted = vault.admit_host(&join(host, vault.dir()), host).unwrap();
    assert_eq!(admitted.name, host);
}

fn passphrase() -> KeySecrets {
    KeySecrets {
        passphrase: Some("recovery".into()),
        ..KeySecrets::default()
    }
}

fn with_passphrase(dir: &Path) -> Options {
    Options {
        secrets: passphrase(),
        ..Options::new(dir)
    }
}

#[track_caller]
fn check_opens(options: Options, id: RecordId) -> Vault {
    let vault = open(options).unwrap();
    let record = vault.read(&id).unwrap().expect("the record is there");
    assert_eq!(record.plaintext(), b"content");
    vault
}

#[test]
fn a_host_that_was_admitted_opens_the_vault_with_its_own_key_alone() {
    let (outer, vault, id) = vault();
    let key = join("ci-7", vault.dir());
    assert!(key.starts_with("pa-host1") && key.len() < 110, "{key}");
    assert_eq!(join("ci-7", vault.dir()), key, "the same each time");
    let kept = outer.path().join("ci-7.host.key");
    assert_eq!(fs::read_to_string(&kept).unwrap().trim().len(), 44);
    // Nothing in the header speaks of a host yet.
    assert_eq!(refused(on("ci-7", vault.dir())).code(), "VAULT_KEY_MISSING");

    let admitted = vault.admit_host(&key, "ci-7").unwrap();
    let there = check_opens(on("ci-7", vault.dir()), id);
    assert_eq!(there.key_source(), KeySource::Host);
    assert_eq!(there.hosts().unwrap(), std::slice::from_ref(&admitted));
    let slots = there.status_now().unwrap().slots;
    assert_eq!(slots.len(), 2);
    assert_eq!(
        (&slots[1].id, slots[1].key_source),
        (&admitted.id, Some(KeySource::Host))
    );
    // Where a key file was named, the host's own is looked for too.
    let named = Options {
        key: KeySource::Keyfile,
        ..on("ci-7", vault.dir())
    };
    check_opens(named, id);
    // Another host has no key here.
    let error = refused(on("ci-8", vault.dir()));
    assert_eq!(error.code(), "VAULT_KEY_MISSING", "{error:?}");
    join("ci-8", vault.dir());
    let error = refused(Options {
        key: KeySource::Keyfile,
        ..on("ci-8", vault.dir())
    });
    assert_eq!(error.code(), "VAULT_KEY_MISMATCH", "{error:?}");
    assert!(vault.remove_slot(&admitted.id).unwrap());
    refused(on("ci-7", vault.dir()));
}

#[test]
fn a_new_data_key_reaches_every_slot_without_its_key() {
    let (_outer, vault, id) = vault();
    let dir = vault.dir();
    vault
        .add_slot(KeySource::Passphrase, &passphrase())
        .unwrap();
    for host in ["ci-7", "ci-8"] {
        admit(&vault, host);
    }
    let early = check_opens(on("ci-8", dir), id);
    for _ in 0..2 {
        vault.rotate_key().unwrap();
        check_opens(with_passphrase(dir), id);
        let there = check_opens(on("ci-7", dir), id);
        there.rotate_key().unwrap();
        check_opens(with_key(dir), id);
        // A process that had it open goes on.
        let guard = early.lock(&id).unwrap();
        early.replace(&guard, b"content").unwrap();
        assert_eq!(early.key_id(), there.key_id());
    }
    assert_eq!(vault.hosts().unwrap().len(), 2);
}

#[test]
fn a_host_that_was_revoked_opens_nothing_new_and_its_processes_notice() {
    let (_outer, vault, id) = vault();
    let dir = vault.dir();
    for host in ["ci-7", "ci-8"] {
        admit(&vault, host);
    }
    let open_there = check_opens(on("ci-7", dir), id);
    let old_header = fs::read(dir.join("vault.hdr")).unwrap();
    let error = open_there
        .revoke_host("ci-7", &KeySecrets::default())
        .unwrap_err();
    assert!(matches!(error, VaultError::HostRefused { .. }), "{error:?}");

    let revoke = || vault.revoke_host("ci-7", &KeySecrets::default()).unwrap();
    let gone = revoke().unwrap();
    assert_eq!((gone.name.as_str(), gone.revoked), ("ci-7", true));
    let epoch = vault.key_id();
    assert_eq!(revoke().as_ref(), Some(&gone), "until it is finished");
    assert_eq!(vault.key_id(), epoch);
    assert_eq!(vault.hosts().unwrap().last(), Some(&gone));
    vault.finish_revocation("ci-7").unwrap();
    assert_eq!(revoke(), None);
    let (new, _) = vault.create(1, b"content").unwrap();
    let error = open_there.read(&new).unwrap_err();
    assert_eq!(error.code(), "VAULT_KEY_MISMATCH", "{error:?}");
    let guard = open_there.lock(&id).unwrap();
    assert!(open_there.replace(&guard, b"forged").is_err());
    drop(guard);
    assert!(open_there.create(1, b"forged").is_err());
    refused(on("ci-7", dir));

    let names = |vault: &Vault| vault.hosts().unwrap().into_iter().map(|host| host.name);
    assert_eq!(names(&vault).collect::<Vec<_>>(), ["ci-8"]);
    check_opens(on("ci-8", dir), new);
    // Nor with a header that it kept: that has the old data key, and no record is under it.
    for name in ["vault.hdr", "vault.hdr.bak"] {
        fs::write(dir.join(name), &old_header).unwrap();
    }
    let there = open(on("ci-7", dir)).unwrap();
    assert!(there.read(&id).is_err() && there.read(&new).is_err());
}

#[test]
fn a_revocation_stops_where_the_key_of_an_old_slot_is_needed() {
    let (_outer, vault, id) = of_an_earlier_version();
    admit(&vault, "ci-7");
    let error = vault
        .revoke_host("ci-7", &KeySecrets::default())
        .unwrap_err();
    assert!(
        matches!(error, VaultError::SlotKeyMissing { .. }),
        "{error:?}"
    );
    check_opens(on("ci-7", vault.dir()), id);
    assert!(vault.revoke_host("ci-7", &passphrase()).unwrap().is_some());
    refused(on("ci-7", vault.dir()));
    check_opens(with_passphrase(vault.dir()), id);
}

/// A host's line with this public key, as `join` writes it.
fn line(vault: &Vault, public: [u8; 32]) -> String {
    let mut bytes = [vault.id().as_slice(), &[5; 16], &public].concat();
    let sum = Sha256::new_with_prefix("pa-host1").chain_update(&bytes);
    bytes.extend_from_slice(&sum.finalize()[..4]);
    format!("pa-host1{}", URL_SAFE_NO_PAD.encode(bytes))
}

#[test]
fn what_is_no_new_host_of_this_vault_is_refused() {
    let (_outer, vault, _) = vault();
    let (_elsewhere, other, _) = self::vault();
    admit(&vault, "ci-7");
    let good = join("ci-8", vault.dir());
    let before = fs::read(vault.dir().join("vault.hdr")).unwrap();
    let mut one = [0; 32];
    one[0] = 1;
    let long = "x".repeat(65);
    let cases = [
        (String::new(), "ci-8", "fleet join"),
        ("S3CRET".to_owned(), "ci-8", "fleet join"),
        (good[..good.len() - 1].to_owned(), "ci-8", "fleet join"),
        (join("ci-8", other.dir()), "ci-8", "another vault"),
        (join("ci-7", vault.dir()), "ci-8", "in already"),
        (good.clone(), "ci-7", "that name"),
        (good.clone(), "", "a name is"),
        (good.clone(), "ci 8", "a name is"),
        (good.clone(), "ci'8", "a name is"),
        (good.clone(), &long, "a name is"),
        (line(&vault, [0; 32]), "ci-8", "nothing can be sealed"),
        (line(&vault, one), "ci-8", "nothing can be sealed"),
    ];
    for (key, name, why) in cases {
        let error = vault.admit_host(&key, name).unwrap_err();
        assert_eq!(error.code(), "INVALID_ARGUMENT");
        let said = error.to_string();
        assert!(said.contains(why), "{key} as {name:?}: {said}");
        assert!(!said.contains("S3CRET"));
    }
    assert_eq!(fs::read(vault.dir().join("vault.hdr")).unwrap(), before);
    assert_ne!(good, line(&vault, [9; 32]));
    vault.admit_host(&line(&vault, [9; 32]), "ci-9").unwrap();
    vault.admit_host(&good, "ci-8").unwrap();
}

#[test]
fn nobody_joins_where_there_is_no_vault() {
    let (outer, dir) = folder();
    let options = Options {
        key: KeySource::Keyfile,
        ..on("ci-7", &dir)
    };
    let error = Vault::join(&options, Arc::new(Disk), &*entropy()).unwrap_err();
    assert!(matches!(error, VaultError::HostRefused { .. }), "{error:?}");
    assert!(support::files(outer.path()).is_empty());
}

#[test]
fn a_byte_of_a_hosts_slot_that_was_changed_is_noticed() {
    let (_outer, dir) = quick_folder();
    let vault = open(with_key(&dir)).unwrap();
    admit(&vault, "ci-7");
    let whole = fs::read(dir.join("vault.hdr")).unwrap();
    let text = String::from_utf8(whole.clone()).unwrap();
    let slot = text.find(r#"{"source":"host""#).unwrap()..text.find('\n').unwrap();
    assert!(slot.len() > 400);
    for byte in slot {
        let mut flipped = whole.clone();
        flipped[byte] ^= 1;
        for name in ["vault.hdr", "vault.hdr.bak"] {
            fs::write(dir.join(name), &flipped).unwrap();
        }
        refused(on("ci-7", &dir));
        refused(with_key(&dir));
    }
}

/// A vault whose header an earlier version wrote, with a slot for a key that was given and one for a
/// passphrase, and without their public halves.
fn of_an_earlier_version() -> (tempfile::TempDir, Vault, RecordId) {
    let (outer, dir) = folder();
    open(with_key(&dir)).unwrap();
    let header = include_bytes!("../../../specs/vectors/header-without-public-keys.hdr");
    for name in ["vault.hdr", "vault.hdr.bak"] {
        fs::write(dir.join(name), header).unwrap();
    }
    let vault = open(with_key(&dir)).unwrap();
    let (id, _) = vault.create(1, b"content").unwrap();
    (outer, vault, id)
}

#[test]
fn a_slot_of_an_earlier_version_gets_its_public_half_when_its_key_opens_the_vault() {
    let (_outer, vault, id) = of_an_earlier_version();
    let published = || {
        let header = fs::read_to_string(vault.dir().join("vault.hdr")).unwrap();
        header.matches(r#""public""#).count()
    };
    assert_eq!(published(), 1);
    check_opens(with_key(vault.dir()), id);
    assert_eq!(published(), 1);
    check_opens(with_passphrase(vault.dir()), id);
    assert_eq!(published(), 2);
    vault.rotate_key().unwrap();
    check_opens(with_passphrase(vault.dir()), id);
}

#[test]
fn where_hosts_share_a_store_an_old_key_is_kept_for_a_week_after_its_last_record() {
    let (_outer, dir) = folder();
    let store = Arc::new(SharedStore::default());
    let open = || Vault::open(with_key(&dir), store.clone(), entropy()).unwrap();
    let vault = open();
    let (id, _) = vault.create(1, b"content").unwrap();
    let path = dir.join(format!("rec/{id}.rec"));
    let under_old_key = fs::read(&path).unwrap();
    let keeps_old_key = || {
        let header = fs::read_to_string(dir.join("vault.hdr")).unwrap();
        header.contains("previous")
    };
    let week = limits::OLD_KEY_KEPT.as_millis() as u64;

    vault.rotate_key().unwrap();
    let under_second_key = fs::read(&path).unwrap();
    store.ahead.fetch_add(week - 60_000, Ordering::Relaxed);
    open();
    assert!(keeps_old_key());
    // What a host that was cut off has kept, it brings now, and it is read.
    fs::write(&path, &under_old_key).unwrap();
    let late = open().read(&id).unwrap().unwrap();
    assert_eq!(late.plaintext(), b"content");

    // A second rotation does not begin the week of the first key anew.
    vault.rotate_key().unwrap();
    store.ahead.fetch_add(61_000, Ordering::Relaxed);
    open();
    let header = fs::read_to_string(dir.join("vault.hdr")).unwrap();
    assert_eq!(header.matches(r#""left""#).count(), 1, "{header}");
    store.ahead.fetch_add(week, Ordering::Relaxed);
    // A record that came late is brought under the new key before the old one is dropped.
    fs::write(&path, &under_second_key).unwrap();
    let last = open();
    assert!(!keeps_old_key());
    assert_eq!(last.read(&id).unwrap().unwrap().plaintext(), b"content");
}
