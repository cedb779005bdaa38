//! Each key source: making a vault, opening it again, and every way in which its key can be missing
//! or wrong.

#![expect(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod support;

use std::fs;

use provider_auth_vault::{
    KeySecrets, KeySource, Options, Vault, VaultError, VaultState, default_engine,
};
use support::{
    KEY, OTHER_KEY, SECRET, files, folder, open, refused, snapshot, with_key, with_source,
};

fn with_passphrase(dir: &std::path::Path, passphrase: &str) -> Options {
    Options {
        secrets: KeySecrets {
            passphrase: Some(passphrase.into()),
            ..KeySecrets::default()
        },
        ..Options::new(dir)
    }
}

fn state(options: &Options) -> VaultState {
    Vault::status(options, default_engine()).unwrap().state
}

/// Makes a vault with one record and opens it again with the same options.
#[track_caller]
fn check_reopens(options: &Options, source: KeySource) {
    let made = open(options.clone()).unwrap();
    let (id, generation) = made.create(1, SECRET.as_bytes()).unwrap();
    assert_eq!(generation, 1);
    let again = open(options.clone()).unwrap();
    assert_eq!(
        again.read(&id).unwrap().unwrap().plaintext(),
        SECRET.as_bytes()
    );
    assert_eq!(
        (again.key_id(), again.key_source()),
        (made.key_id(), source)
    );
    assert_eq!(made.key_id().len(), 8);
    let status = Vault::status(options, default_engine()).unwrap();
    assert_eq!(
        (status.state, status.key_source, status.key_id.as_str()),
        (VaultState::Open, source, made.key_id().as_str())
    );
}

#[test]
fn a_key_that_was_given_makes_and_opens_a_vault() {
    let (_outer, dir) = folder();
    check_reopens(&with_key(&dir), KeySource::Env);
}

#[test]
fn a_passphrase_makes_and_opens_a_vault() {
    let (_outer, dir) = folder();
    check_reopens(
        &with_passphrase(&dir, "correct horse"),
        KeySource::Passphrase,
    );
    assert_eq!(
        state(&with_passphrase(&dir, "wrong horse")),
        VaultState::KeyMismatch
    );
    assert!(matches!(
        refused(with_passphrase(&dir, "wrong S3CRET")),
        VaultError::KeyMismatch { .. }
    ));
}

#[test]
fn a_passphrase_file_is_read_to_the_end_of_its_first_line() {
    let (outer, dir) = folder();
    let file = outer.path().join("passphrase");
    fs::write(&file, "correct horse\r\nnot this\n").unwrap();
    let secrets = KeySecrets {
        passphrase_file: Some(file),
        ..KeySecrets::default()
    };
    open(Options {
        secrets,
        ..Options::new(&dir)
    })
    .unwrap();
    open(with_passphrase(&dir, "correct horse")).unwrap();
}

#[test]
fn an_empty_passphrase_is_refused() {
    let (_outer, dir) = folder();
    assert!(matches!(
        refused(with_passphrase(&dir, "")),
        VaultError::KeyUnreadable { .. }
    ));
    assert!(!dir.join("vault.hdr").exists());
}

#[test]
fn a_key_file_is_made_beside_the_vault_for_its_owner_only() {
    let (outer, dir) = folder();
    check_reopens(&with_source(&dir, KeySource::Keyfile), KeySource::Keyfile);
    let keyfile = outer.path().join("vault.key");
    assert_eq!(fs::read_to_string(&keyfile).unwrap().trim().len(), 44);
    // The header remembers: no option has to ask for it again.
    assert_eq!(
        open(Options::new(&dir)).unwrap().key_source(),
        KeySource::Keyfile
    );

    fs::rename(&keyfile, outer.path().join("elsewhere")).unwrap();
    assert!(matches!(
        refused(Options::new(&dir)),
        VaultError::KeyMissing {
            key_source: KeySource::Keyfile
        }
    ));
    assert_eq!(state(&Options::new(&dir)), VaultState::KeyMissing);
    assert!(!keyfile.exists(), "an existing vault never gets a new key");
}

#[cfg(unix)]
#[test]
fn a_key_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let (outer, dir) = folder();
    open(with_source(&dir, KeySource::Keyfile)).unwrap();
    let keyfile = outer.path().join("vault.key");
    assert_eq!(
        fs::metadata(&keyfile).unwrap().permissions().mode() & 0o777,
        0o600
    );
    fs::set_permissions(&keyfile, fs::Permissions::from_mode(0o640)).unwrap();
    let error = refused(Options::new(&dir));
    assert!(error.to_string().contains("chmod 600"), "{error}");
}

#[test]
fn a_credential_of_systemd_serves_as_the_key() {
    let (outer, dir) = folder();
    fs::write(outer.path().join("provider-auth"), format!("{KEY}\n")).unwrap();
    let directory = Some(outer.path().to_owned());
    let secrets = KeySecrets {
        credentials_directory: directory,
        ..KeySecrets::default()
    };
    check_reopens(
        &Options {
            key: KeySource::Env,
            secrets: secrets.clone(),
            ..Options::new(&dir)
        },
        KeySource::Env,
    );
    check_reopens(
        &Options {
            secrets,
            ..Options::new(&dir)
        },
        KeySource::Env,
    );
    open(with_key(&dir)).unwrap();
}

#[test]
fn memory_writes_nothing_and_forgets_with_the_vault() {
    let (_outer, dir) = folder();
    let vault = open(with_source(&dir, KeySource::Memory)).unwrap();
    let (id, _) = vault.create(1, SECRET.as_bytes()).unwrap();
    let guard = vault.lock(&id).unwrap();
    assert!(vault.try_lock(&id).unwrap().is_none());
    assert_eq!(vault.replace(&guard, b"next").unwrap(), 2);
    drop(guard);
    support::merge_state(&vault, |_| b"{}".to_vec()).unwrap();
    assert_eq!(vault.read(&id).unwrap().unwrap().plaintext(), b"next");
    assert_eq!(vault.ids().unwrap(), [id]);
    assert!(!dir.exists());
    assert!(
        open(with_source(&dir, KeySource::Memory))
            .unwrap()
            .ids()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_wrong_key_is_called_wrong_and_changes_nothing() {
    let (_outer, dir) = folder();
    open(with_key(&dir))
        .unwrap()
        .create(1, SECRET.as_bytes())
        .unwrap();
    let before = snapshot(&dir);
    for (key, source) in [
        (OTHER_KEY, KeySource::Auto),
        (OTHER_KEY, KeySource::Env),
        ("S3CRET", KeySource::Env),
    ] {
        let secrets = KeySecrets {
            key: Some(key.into()),
            ..KeySecrets::default()
        };
        let options = Options {
            key: source,
            secrets,
            ..Options::new(&dir)
        };
        assert_eq!(state(&options), VaultState::KeyMismatch);
        assert_eq!(refused(options).code(), "VAULT_KEY_MISMATCH");
    }
    assert_eq!(snapshot(&dir), before);
}

#[test]
fn a_missing_key_is_called_missing_and_no_new_one_is_made() {
    let (_outer, dir) = folder();
    open(with_key(&dir)).unwrap();
    let before = snapshot(&dir);
    let error = refused(Options::new(&dir));
    assert!(
        matches!(
            error,
            VaultError::KeyMissing {
                key_source: KeySource::Env
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("PROVIDER_AUTH_KEY"), "{error}");
    assert_eq!(state(&Options::new(&dir)), VaultState::KeyMissing);
    assert_eq!(snapshot(&dir), before);
}

#[test]
fn a_source_that_the_vault_has_no_slot_for_does_not_open_it() {
    let (_outer, dir) = folder();
    open(with_key(&dir)).unwrap();
    for options in [
        with_passphrase(&dir, "horse"),
        with_source(&dir, KeySource::Keyfile),
    ] {
        assert!(matches!(refused(options), VaultError::KeyMismatch { .. }));
    }
    assert!(!dir.with_file_name("vault.key").exists());
}

#[test]
fn looking_at_a_vault_that_is_not_there_creates_nothing() {
    let (outer, dir) = folder();
    assert_eq!(state(&with_key(&dir)), VaultState::Empty);
    assert_eq!(
        Vault::status(&with_key(&dir), default_engine())
            .unwrap()
            .key_source,
        KeySource::Env
    );
    assert_eq!(
        Vault::status(&Options::new(&dir), default_engine())
            .unwrap()
            .key_source,
        KeySource::Keychain
    );
    assert!(files(outer.path()).is_empty() && !dir.exists());
}

#[test]
fn no_file_of_a_vault_holds_a_secret_in_clear() {
    let (_outer, dir) = folder();
    let secrets = KeySecrets {
        passphrase: Some("S3CRET-passphrase".into()),
        ..KeySecrets::default()
    };
    let vault = open(Options {
        secrets,
        ..Options::new(&dir)
    })
    .unwrap();
    let (id, _) = vault.create(1, SECRET.as_bytes()).unwrap();
    let guard = vault.lock(&id).unwrap();
    vault
        .replace(&guard, SECRET.repeat(100).as_bytes())
        .unwrap();
    let all = snapshot(&dir);
    assert!(all.len() >= 4, "{all:?}");
    for (file, content) in all {
        assert!(
            !content.windows(6).any(|bytes| bytes == b"S3CRET"),
            "{}",
            file.display()
        );
    }
    assert!(!format!("{vault:?}{guard:?}{:?}", vault.read(&id).unwrap()).contains("S3CRET"));
}
