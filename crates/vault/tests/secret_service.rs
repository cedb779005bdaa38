//! The key in a real Secret Service. Runs inside `scripts/secret-service-session.sh`; the last test
//! needs no session.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a step that fails fails its test")]
#![expect(clippy::print_stderr, reason = "a test that is left out says so")]

mod support;

use std::{
    process::Command,
    sync::{Arc, mpsc},
    time::Duration,
};

use provider_auth_vault::{
    Disk, ExistingKey, KeySource, Options, RecordId, Vault, VaultError, VaultState,
};
use support::{SECRET, entropy, folder, open, refused, snapshot, with_source};

#[expect(
    clippy::disallowed_methods,
    reason = "the session's script tells its test about itself in the environment"
)]
fn session(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Calls the Secret Service past the vault.
fn call(path: &str, method: &str, argument: &[&str]) -> String {
    let method = format!("org.freedesktop.Secret.{method}");
    let fixed = [
        "--session",
        "--print-reply",
        "--dest=org.freedesktop.secrets",
        path,
        &method,
    ];
    run("dbus-send", &[&fixed, argument].concat())
}

fn lock_the_keyring() {
    call(
        "/org/freedesktop/secrets",
        "Service.Lock",
        &["array:objpath:/org/freedesktop/secrets/collection/login"],
    );
}

/// Returns the path of every entry of ours.
fn entries() -> Vec<String> {
    let found = call(
        "/org/freedesktop/secrets",
        "Service.SearchItems",
        &["dict:string:string:service,provider-auth"],
    );
    let items = found.split('"').filter(|part| part.starts_with("/org/"));
    items.map(str::to_owned).collect()
}

/// Deletes every entry of ours; returns how many there were.
fn delete_the_entries() -> usize {
    let items = entries();
    for item in &items {
        call(item, "Item.Delete", &[]);
    }
    items.len()
}

/// Fails unless `call` ends within `limit`.
#[track_caller]
fn within<T: Send>(limit: Duration, call: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let (sender, answer) = mpsc::channel();
        scope.spawn(move || sender.send(call()));
        answer.recv_timeout(limit).expect("the call ends in time")
    })
}

fn replace(options: &Options) -> Result<Vault, VaultError> {
    let (disk, entropy) = (Arc::new(Disk), entropy());
    Vault::init(options.clone(), ExistingKey::Replace, disk, entropy)
}

fn state(options: &Options) -> VaultState {
    Vault::status(options, Arc::new(Disk)).unwrap().state
}

#[test]
fn the_secret_service_keeps_the_key_and_each_of_its_troubles_has_a_name() {
    if session("PROVIDER_AUTH_TEST_SECRET_SERVICE").is_none() {
        eprintln!(
            "not run: no Secret Service session; start it with scripts/secret-service-session.sh"
        );
        return;
    }
    let (outer, dir) = folder();
    let options = Options::new(&dir);

    // `auto` chooses the keychain, and a second opening finds the key there.
    let vault = open(options.clone()).unwrap();
    let (id, _) = vault.create(1, SECRET.as_bytes()).unwrap();
    assert_eq!(vault.key_source(), KeySource::Keychain);
    assert!(open(options.clone()).unwrap().read(&id).unwrap().is_some());
    assert_eq!(state(&options), VaultState::Open);
    assert!(!outer.path().join("vault.key").exists());

    the_key_can_be_replaced_and_imported_with_one_entry(&options, &id);
    let before = snapshot(&dir);

    // Stopped: the deadline holds.
    let daemon = session("SECRET_SERVICE_PID").unwrap();
    run("kill", &["-STOP", &daemon]);
    let quick = Options {
        keychain_timeout: Duration::from_millis(500),
        ..options.clone()
    };
    let error = within(Duration::from_millis(700), || refused(quick.clone()));
    run("kill", &["-CONT", &daemon]);
    assert_eq!(error.code(), "KEYCHAIN_TIMEOUT");
    assert!(
        open(options.clone()).unwrap().read(&id).unwrap().is_some(),
        "it serves again once it answers"
    );

    // The entry is gone: the vault keeps its records, and no new key is made.
    assert_eq!(delete_the_entries(), 2);
    assert_eq!(refused(options.clone()).code(), "VAULT_KEY_MISSING");
    assert_eq!(
        (state(&options), delete_the_entries()),
        (VaultState::KeyMissing, 0)
    );

    // Locked: it is said so, and no prompt is shown; no new vault is made under another key either.
    lock_the_keyring();
    within(options.keychain_timeout, || {
        assert!(matches!(refused(options.clone()), VaultError::Locked));
        assert_eq!(
            refused(Options::new(outer.path().join("new"))).code(),
            "VAULT_LOCKED"
        );
        assert!(matches!(replace(&options), Err(VaultError::Locked)));
    });
    assert_eq!(state(&options), VaultState::Locked);
    assert!(!outer.path().join("new/vault.hdr").exists());
    assert_eq!(snapshot(&dir), before, "no trouble has changed the vault");
}

/// A keychain has one key for each vault: what makes or brings another data key finds that entry
/// again.
fn the_key_can_be_replaced_and_imported_with_one_entry(options: &Options, id: &RecordId) {
    let outer = folder().0;
    let again = Vault::init(
        options.clone(),
        ExistingKey::Refuse,
        Arc::new(Disk),
        entropy(),
    );
    assert_eq!(again.err().unwrap().code(), "KEY_EXISTS");
    let replaced = replace(options).unwrap();
    assert_eq!(replaced.key_source(), KeySource::Keychain);
    assert_eq!(entries().len(), 1);
    assert!(open(options.clone()).unwrap().read(id).unwrap().is_some());

    // A folder that came to a machine without its entry: the key is imported, and gets one there.
    let key = replaced.export_key().unwrap();
    assert_eq!(delete_the_entries(), 1);
    assert_eq!(refused(options.clone()).code(), "VAULT_KEY_MISSING");
    let imported = Vault::import_key(options.clone(), &key, Arc::new(Disk), entropy()).unwrap();
    assert_eq!(imported.key_source(), KeySource::Keychain);
    assert_eq!(entries().len(), 1);
    assert!(open(options.clone()).unwrap().read(id).unwrap().is_some());

    // A vault under another source moves to the keychain, and has an entry of its own there.
    let elsewhere = with_source(&outer.path().join("elsewhere"), KeySource::Keyfile);
    let (moved, _) = open(elsewhere.clone()).unwrap().create(1, b"x").unwrap();
    let to_keychain = Options {
        key: KeySource::Keychain,
        ..elsewhere
    };
    assert!(replace(&to_keychain).is_ok());
    assert_eq!(entries().len(), 2);
    assert!(open(to_keychain).unwrap().read(&moved).unwrap().is_some());
}

#[test]
fn without_a_session_bus_the_keychain_is_unavailable_at_once() {
    let (_outer, dir) = folder();
    let open_without_bus = |source: &str| {
        let mut child = Command::new(support::program());
        child
            .arg(&dir)
            .args([source, "open"])
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            .env("XDG_RUNTIME_DIR", "/nowhere");
        let output = within(Duration::from_secs(2), move || child.output().unwrap());
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let said = open_without_bus("keychain");
    assert!(said.contains("KeychainUnavailable"), "{said}");
    let said = open_without_bus("auto");
    assert!(said.contains("NoKeySource"), "{said}");
    assert!(!dir.join("vault.hdr").exists());
    assert_eq!(
        open(with_source(&dir, KeySource::Keyfile))
            .unwrap()
            .key_source(),
        KeySource::Keyfile
    );
}
