//! The key's life: made once, given several ways in, exported, imported, replaced. Never is a
//! record orphaned.

#![expect(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod support;

use std::{fs, path::Path, sync::Arc};

use provider_auth_vault::{
    Disk, ExistingKey, KeySecrets, KeySource, Options, RecordId, Vault, VaultError,
};
use secrecy::{ExposeSecret, SecretString};
use support::{KEY, OTHER_KEY, entropy, folder, open, refused, snapshot, with_key, with_source};

fn vault() -> (tempfile::TempDir, Vault, RecordId) {
    let (outer, dir) = folder();
    let vault = open(with_key(&dir)).unwrap();
    let (id, _) = vault.create(1, b"content").unwrap();
    (outer, vault, id)
}

fn passphrase(text: &str) -> KeySecrets {
    KeySecrets {
        passphrase: Some(text.into()),
        ..KeySecrets::default()
    }
}

fn with_secrets(dir: &Path, secrets: KeySecrets) -> Options {
    Options {
        secrets,
        ..Options::new(dir)
    }
}

fn other_key(dir: &Path) -> Options {
    let secrets = KeySecrets {
        key: Some(OTHER_KEY.into()),
        ..KeySecrets::default()
    };
    with_secrets(dir, secrets)
}

fn init(options: Options, existing: ExistingKey) -> Result<Vault, VaultError> {
    Vault::init(options, existing, Arc::new(Disk), entropy())
}

fn import(options: Options, key: &str) -> Result<Vault, VaultError> {
    Vault::import_key(options, &key.into(), Arc::new(Disk), entropy())
}

fn exported(vault: &Vault) -> String {
    vault.export_key().unwrap().expose_secret().to_owned()
}

#[track_caller]
fn check_opens(options: Options, id: RecordId) -> Vault {
    let vault = open(options).unwrap();
    let record = vault.read(&id).unwrap().expect("the record is there");
    assert_eq!(record.plaintext(), b"content");
    vault
}

#[test]
fn a_recovery_passphrase_opens_what_another_key_made() {
    let (_outer, vault, id) = vault();
    let slot = vault
        .add_slot(KeySource::Passphrase, &passphrase("recovery"))
        .unwrap();
    assert_eq!(slot.key_source, Some(KeySource::Passphrase));
    let again = vault
        .add_slot(KeySource::Passphrase, &passphrase("recovery"))
        .unwrap();
    assert_eq!(
        (again, vault.status_now().unwrap().slots.len()),
        (slot.clone(), 2)
    );
    check_opens(with_key(vault.dir()), id);
    check_opens(with_secrets(vault.dir(), passphrase("recovery")), id);

    assert!(vault.remove_slot(&slot.id).unwrap());
    assert!(!vault.remove_slot(&slot.id).unwrap());
    refused(with_secrets(vault.dir(), passphrase("recovery")));
    check_opens(with_key(vault.dir()), id);
}

#[test]
fn a_key_file_slot_serves_without_any_secret_given() {
    let (_outer, vault, id) = vault();
    vault
        .add_slot(KeySource::Keyfile, &KeySecrets::default())
        .unwrap();
    check_opens(with_source(vault.dir(), KeySource::Keyfile), id);
    check_opens(Options::new(vault.dir()), id);
}

#[test]
fn two_keys_of_one_source_both_open() {
    let (_outer, vault, id) = vault();
    let other = other_key(vault.dir());
    vault.add_slot(KeySource::Env, &other.secrets).unwrap();
    check_opens(other.clone(), id);
    check_opens(with_key(vault.dir()), id);
    // The first one is taken away, even from the one who came by it.
    let first = vault.status_now().unwrap().slots.remove(0);
    assert!(vault.remove_slot(&first.id).unwrap());
    refused(with_key(vault.dir()));
    check_opens(other, id);
}

#[test]
fn the_last_slot_stays() {
    let (_outer, vault, id) = vault();
    let before = snapshot(vault.dir());
    let last = vault.status_now().unwrap().slots.remove(0);
    vault.remove_slot(&last.id).unwrap_err();
    let error = vault.remove_slot(&last.id).unwrap_err();
    assert!(matches!(error, VaultError::LastSlot), "{error:?}");
    for (path, content) in before {
        assert_eq!(fs::read(path).unwrap(), content);
    }
    check_opens(with_key(vault.dir()), id);
}

#[test]
fn a_vault_that_has_a_key_gets_no_other_unasked() {
    let (_outer, vault, id) = vault();
    for options in [with_key(vault.dir()), other_key(vault.dir())] {
        let error = init(options, ExistingKey::Refuse).unwrap_err();
        assert_eq!(error.code(), "KEY_EXISTS");
    }
    check_opens(with_key(vault.dir()), id);
}

#[test]
fn the_first_key_is_made_by_either_choice() {
    for existing in [ExistingKey::Refuse, ExistingKey::Replace] {
        let (_outer, dir) = folder();
        let (id, _) = init(with_key(&dir), existing)
            .unwrap()
            .create(1, b"content")
            .unwrap();
        check_opens(with_key(&dir), id);
    }
}

#[test]
fn replacing_the_key_re_encrypts_every_record_for_the_new_source() {
    let (_outer, vault, id) = vault();
    let old = exported(&vault);
    let mut options = with_source(vault.dir(), KeySource::Passphrase);
    options.secrets = passphrase("new");
    options.secrets.key = Some(KEY.into());
    let new = init(options, ExistingKey::Replace).unwrap();
    assert_eq!(new.key_source(), KeySource::Passphrase);
    assert_eq!(new.status_now().unwrap().slots.len(), 1);
    assert_ne!(exported(&new), old);
    check_opens(with_secrets(vault.dir(), passphrase("new")), id);
    refused(with_key(vault.dir()));
    // One who still has it open under the old key writes nothing unreadable.
    let guard = vault.lock(&id).unwrap();
    assert_eq!(
        vault.replace(&guard, b"lost").unwrap_err().code(),
        "VAULT_KEY_MISMATCH"
    );
}

#[test]
fn a_vault_that_is_open_goes_on_with_the_key_that_took_the_place_of_its_own() {
    let (_outer, vault, id) = vault();
    let secrets = passphrase("a phrase");
    let options = with_secrets(vault.dir(), secrets);
    vault.replace_key(options.clone()).unwrap();
    assert_eq!(vault.key_source(), KeySource::Passphrase);
    let guard = vault.lock(&id).unwrap();
    vault.replace(&guard, b"content").unwrap();
    drop(guard);
    vault.rotate_key().unwrap();
    check_opens(options, id);
    assert_eq!(refused(with_key(vault.dir())).code(), "VAULT_KEY_MISMATCH");
}

#[test]
fn a_record_of_another_vault_keeps_its_id_and_generation_and_never_replaces_one() {
    let (_outer, vault, id) = vault();
    let (_other, target, _) = self::vault();
    let guard = target.lock(&id).unwrap();
    assert!(target.adopt(&guard, 2, 7, b"moved").unwrap());
    assert!(!target.adopt(&guard, 2, 8, b"again").unwrap());
    let record = target.read(&id).unwrap().unwrap();
    assert_eq!((record.kind, record.generation), (2, 7));
    assert_eq!(record.plaintext(), b"moved");
    drop(vault);
}

#[test]
fn a_key_that_cannot_be_replaced_without_orphans_stays() {
    let (_outer, vault, id) = vault();
    let before = snapshot(vault.dir());
    let error = init(other_key(vault.dir()), ExistingKey::Replace).unwrap_err();
    assert_eq!(error.code(), "VAULT_KEY_MISMATCH");
    for (path, content) in before {
        assert_eq!(fs::read(path).unwrap(), content);
    }
    check_opens(with_key(vault.dir()), id);
}

#[test]
fn a_vault_without_records_may_be_made_anew_when_its_key_is_lost() {
    let (_outer, dir) = folder();
    open(with_key(&dir)).unwrap();
    let (id, _) = init(other_key(&dir), ExistingKey::Replace)
        .unwrap()
        .create(1, b"content")
        .unwrap();
    check_opens(other_key(&dir), id);
    refused(with_key(&dir));
}

#[test]
fn an_exported_key_opens_a_folder_that_came_alone() {
    let (_outer, vault, id) = vault();
    vault.rotate_key().unwrap();
    let mut key = exported(&vault);
    for lost in [&[][..], &["vault.hdr"], &["vault.hdr", "vault.hdr.bak"]] {
        for name in lost {
            fs::remove_file(vault.dir().join(name)).unwrap();
        }
        let imported = import(with_source(vault.dir(), KeySource::Keyfile), &key).unwrap();
        assert_eq!(imported.key_source(), KeySource::Keyfile);
        assert_eq!(exported(&imported), key);
        check_opens(with_source(vault.dir(), KeySource::Keyfile), id);
        // The key that was given before is not at hand; its public half is.
        imported.rotate_key().unwrap();
        key = exported(&imported);
    }
}

#[test]
fn an_import_of_what_is_there_already_adds_nothing() {
    let (_outer, vault, _) = vault();
    let before = vault.status_now().unwrap().slots;
    import(with_key(vault.dir()), &exported(&vault)).unwrap();
    assert_eq!(vault.status_now().unwrap().slots, before);
}

#[test]
fn a_key_that_does_not_open_the_records_is_refused_and_changes_nothing() {
    let (_outer, vault, id) = vault();
    let old = exported(&vault);
    vault.rotate_key().unwrap();
    let before = snapshot(vault.dir());
    for key in [OTHER_KEY, old.as_str(), "S3CRET", ""] {
        let error = import(with_source(vault.dir(), KeySource::Keyfile), key).unwrap_err();
        assert_eq!(error.code(), "VAULT_KEY_MISMATCH");
        assert!(!format!("{error}{error:?}").contains("S3CRET"));
        assert_eq!(snapshot(vault.dir()), before);
    }
    assert!(!vault.dir().with_file_name("vault.key").exists());
    for name in ["vault.hdr", "vault.hdr.bak"] {
        fs::remove_file(vault.dir().join(name)).unwrap();
    }
    let before = snapshot(vault.dir());
    for key in [OTHER_KEY, old.as_str()] {
        import(with_key(vault.dir()), key).unwrap_err();
        assert_eq!(snapshot(vault.dir()), before);
    }
    assert!(vault.read(&id).unwrap().is_some());
}

#[test]
fn a_vault_without_records_takes_any_key() {
    let (_outer, dir) = folder();
    for _ in 0..2 {
        let vault = import(with_key(&dir), OTHER_KEY).unwrap();
        assert_eq!(exported(&vault), OTHER_KEY);
    }
    open(with_key(&dir)).unwrap().create(1, b"content").unwrap();
    let (_outer, dir) = folder();
    open(with_key(&dir)).unwrap();
    let vault = import(with_key(&dir), OTHER_KEY).unwrap();
    let (id, _) = vault.create(1, b"content").unwrap();
    check_opens(with_key(&dir), id);
}

#[test]
fn a_key_does_not_print() {
    let (_outer, vault, _) = vault();
    let key: SecretString = vault.export_key().unwrap();
    let printed = format!("{key:?}{vault:?}{:?}", vault.status_now().unwrap().slots);
    assert!(!printed.contains(key.expose_secret()));
}
