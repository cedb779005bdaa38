//! What every test of the vault needs: a folder, entropy, and options with a key.

#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test file uses its own part"
)]

pub(crate) mod shared_store;
pub(crate) mod stepping;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use provider_auth_vault::{
    Disk, Entropy, KeySecrets, KeySource, Options, Shared, Vault, VaultError,
};

/// A marker that must never be found in a file, a message or a `Debug` output.
pub(crate) const SECRET: &str = "S3CRET-refresh-token";
pub(crate) const KEY: &str = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=";
pub(crate) const OTHER_KEY: &str = "YWJjZGVmQUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=";

/// Looks, at least a millisecond apart, at what takes a few milliseconds on a quiet machine.
const MOST_LOOKS: u32 = 30_000;

/// Waits until `condition` holds; at the limit it fails with `what` was missing.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..MOST_LOOKS {
        if condition() {
            return;
        }
        thread::park_timeout(Duration::from_millis(1));
    }
    panic!("waited in vain: {what}");
}

pub(crate) fn entropy() -> Arc<dyn Entropy> {
    Arc::new(|bytes: &mut [u8]| getrandom::fill(bytes).expect("the system has entropy"))
}

pub(crate) fn folder() -> (tempfile::TempDir, PathBuf) {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("vault");
    (outer, dir)
}

/// Replaces the shared state by what `merge` makes of it.
pub(crate) fn merge_state(
    vault: &Vault,
    merge: impl FnOnce(Vec<u8>) -> Vec<u8>,
) -> Result<(), VaultError> {
    let guard = vault.lock_shared(Shared::State)?;
    let old = vault.read_shared(Shared::State)?.unwrap_or_default();
    vault.write_shared(&guard, &merge(old))
}

/// A folder in memory where there is one, for tests that write thousands of times and do not ask
/// what a flush is good for.
pub(crate) fn quick_folder() -> (tempfile::TempDir, PathBuf) {
    let outer = tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap());
    let dir = outer.path().join("vault");
    (outer, dir)
}

/// Options with the key in the environment: the quickest source.
pub(crate) fn with_key(dir: &Path) -> Options {
    let secrets = KeySecrets {
        key: Some(KEY.into()),
        ..KeySecrets::default()
    };
    Options {
        secrets,
        ..Options::new(dir)
    }
}

pub(crate) fn with_source(dir: &Path, key: KeySource) -> Options {
    Options {
        key,
        ..Options::new(dir)
    }
}

pub(crate) fn open(options: Options) -> Result<Vault, VaultError> {
    Vault::open(options, Arc::new(Disk), entropy())
}

#[track_caller]
pub(crate) fn refused(options: Options) -> VaultError {
    let error = open(options).expect_err("this vault must not open");
    assert!(!format!("{error}{error:?}").contains("S3CRET"), "{error:?}");
    error
}

/// The second process, which cargo builds along with the tests.
pub(crate) fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let name = format!("vault_process{}", std::env::consts::EXE_SUFFIX);
    let built = tests
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples")
        .join(name);
    assert!(
        built.exists(),
        "run `cargo test` for the whole crate once: it builds {}",
        built.display()
    );
    built
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path))
        } else {
            found.push(path)
        }
    }
    found.sort();
    found
}

/// Every file below a folder with its content.
pub(crate) fn snapshot(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    files(folder)
        .into_iter()
        .map(|file| (file.clone(), std::fs::read(file).unwrap()))
        .collect()
}
