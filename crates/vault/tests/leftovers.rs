//! What is still there of a record that was removed, of a key that was dropped and of a slot that
//! was taken out: nothing.

#![expect(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod support;

use std::{fs, path::Path};

use provider_auth_vault::{KeySecrets, KeySource, Options, Vault};
use support::{SECRET, open, quick_folder, with_key};

const BUNDLE: &[u8] = b"age-encryption.org/v1\nS3CRET bundle";

fn vault() -> (tempfile::TempDir, Vault) {
    let (outer, dir) = quick_folder();
    let vault = open(with_key(&dir)).unwrap();
    (outer, vault)
}

fn kept(vault: &Vault) -> Option<Vec<u8>> {
    let kept = vault.moved().unwrap();
    kept.map(|kept| kept.plaintext().to_vec())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_removed_record_leaves_neither_a_torn_write_nor_a_copy_set_aside() {
    let (_outer, vault) = vault();
    let (id, _) = vault.create(1, SECRET.as_bytes()).unwrap();
    let (other, _) = vault.create(1, b"other").unwrap();
    let rec = vault.dir().join("rec");
    let aside = vault.dir().join("quarantine");
    fs::create_dir(&aside).unwrap();
    let file = fs::read(rec.join(format!("{id}.rec"))).unwrap();
    for name in [
        format!("{id}.rec.1-0.tmp"),
        format!("{id}.pending.1-1.tmp"),
        format!("{other}.rec.1-2.tmp"),
    ] {
        fs::write(rec.join(name), &file).unwrap();
    }
    for name in [
        format!("{id}.1.1000.rec"),
        format!("{id}.7.2000.rec"),
        format!("{other}.1.3000.rec"),
    ] {
        fs::write(aside.join(name), &file).unwrap();
    }
    assert!(vault.remove(vault.lock(&id).unwrap()).unwrap());
    assert_eq!(
        names(&rec),
        [format!("{other}.rec"), format!("{other}.rec.1-2.tmp")]
    );
    assert_eq!(names(&aside), [format!("{other}.1.3000.rec")]);

    // A damaged record whose copy is all that is left can be removed too, once.
    vault.remove(vault.lock(&other).unwrap()).unwrap();
    fs::write(aside.join(format!("{other}.1.4000.rec")), &file).unwrap();
    assert!(vault.remove(vault.lock(&other).unwrap()).unwrap());
    assert!(!vault.remove(vault.lock(&other).unwrap()).unwrap());
}

#[test]
fn the_kept_bundle_takes_the_vaults_key_and_is_of_this_vault() {
    let (_outer, vault) = vault();
    assert_eq!(kept(&vault), None);
    vault.keep_moved(BUNDLE).unwrap();
    assert_eq!(kept(&vault).unwrap(), BUNDLE);
    assert_eq!(kept(&open(with_key(vault.dir())).unwrap()).unwrap(), BUNDLE);
    let file = vault.dir().join("moved.age");
    let sealed = fs::read(&file).unwrap();
    for part in [&b"age-encryption"[..], b"S3CRET"] {
        assert!(!sealed.windows(part.len()).any(|found| found == part));
    }
    // Another vault under the same key, a changed file and a record in its place are none.
    let (_other_outer, other) = self::vault();
    fs::write(other.dir().join("moved.age"), &sealed).unwrap();
    assert_eq!(kept(&other), None);
    let (id, _) = vault.create(0, BUNDLE).unwrap();
    fs::copy(vault.dir().join(format!("rec/{id}.rec")), &file).unwrap();
    assert_eq!(kept(&vault), None);
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        fs::write(&file, changed).unwrap();
        assert_eq!(kept(&vault), None, "{at}");
    }
    fs::write(&file, &sealed).unwrap();
    assert!(!vault.forget_moved(&mut |_| false).unwrap());
    assert!(
        vault
            .forget_moved(&mut |content| content == BUNDLE)
            .unwrap()
    );
    assert!(!vault.forget_moved(&mut |_| true).unwrap());
    assert!(!file.exists());
}

#[test]
fn a_bundle_that_was_kept_in_the_open_is_sealed_when_the_vault_opens() {
    let (_outer, vault) = vault();
    let file = vault.dir().join("moved.age");
    fs::write(&file, BUNDLE).unwrap();
    assert_eq!(kept(&vault), None);
    assert_eq!(kept(&open(with_key(vault.dir())).unwrap()).unwrap(), BUNDLE);
    assert!(!fs::read(&file).unwrap().starts_with(b"age"));
}

#[test]
fn a_new_key_takes_the_kept_bundle_and_old_headers_along() {
    let (_outer, vault) = vault();
    vault.create(1, SECRET.as_bytes()).unwrap();
    let aside = vault.dir().join("quarantine");
    fs::create_dir(&aside).unwrap();
    let old = fs::read(vault.dir().join("vault.hdr")).unwrap();
    fs::write(aside.join("vault.1000.hdr"), &old).unwrap();
    vault.keep_moved(BUNDLE).unwrap();
    vault.rotate_key().unwrap();
    assert_eq!((kept(&vault), names(&aside)), (None, vec![]));
    assert!(!vault.dir().join("moved.age").exists());
    // One that is kept from now on is under the new key, and stays when nothing changes.
    vault.keep_moved(BUNDLE).unwrap();
    assert_eq!(kept(&open(with_key(vault.dir())).unwrap()).unwrap(), BUNDLE);
    for file in ["vault.hdr", "vault.hdr.bak"] {
        assert_ne!(fs::read(vault.dir().join(file)).unwrap(), old, "{file}");
    }
}

#[test]
fn no_file_has_a_slot_that_was_taken_out() {
    let (_outer, vault) = vault();
    let secrets = KeySecrets {
        passphrase: Some("in the safe".into()),
        ..KeySecrets::default()
    };
    let slot = vault.add_slot(KeySource::Passphrase, &secrets).unwrap();
    let aside = vault.dir().join("quarantine");
    fs::create_dir(&aside).unwrap();
    let with_slot = fs::read(vault.dir().join("vault.hdr")).unwrap();
    fs::write(aside.join("vault.1000.hdr"), &with_slot).unwrap();
    vault.remove_slot(&slot.id).unwrap();
    assert!(names(&aside).is_empty());
    let by_passphrase = Options {
        key: KeySource::Passphrase,
        secrets,
        ..Options::new(vault.dir())
    };
    open(by_passphrase).unwrap_err();
    for file in support::files(vault.dir()) {
        let content = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        assert!(!content.contains("passphrase"), "{}", file.display());
    }
}
