//! A disk that fails at every possible moment: what was written before stays, and nothing
//! half-written is ever served.

#![expect(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod support;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use provider_auth_vault::{
    Disk, Durability, Engine, Held, KeySource, NetworkFolders, Options, RecordId, Shared, Stamp,
    Store, Vault, VaultError,
};
use support::{entropy, folder, open, with_key, with_source};

/// When the failing call reports its error.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// Before it did anything.
    Before,
    /// After it did it all: the caller must not take the error for "nothing happened".
    After,
}

/// The real disk, but one call that would change it fails.
struct Failing {
    moment: Moment,
    /// Changes until the one that fails.
    left: AtomicUsize,
}

impl Failing {
    fn change<T>(&self, deed: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if self.left.fetch_sub(1, Ordering::Relaxed) != 0 {
            return deed();
        }
        if let Moment::After = self.moment {
            deed()?;
        }
        Err(io::Error::other("injected"))
    }
}

impl Store for Failing {
    fn resolve(
        &self,
        folder: &Path,
        network: NetworkFolders,
    ) -> Result<Option<PathBuf>, VaultError> {
        Disk.resolve(folder, network)
    }
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.change(|| Disk.create_folder(folder))
    }
    fn owner_only(&self, file: &Path) -> Result<(), VaultError> {
        Disk.owner_only(file)
    }
    fn stamp(&self, path: &Path) -> io::Result<Stamp> {
        Disk.stamp(path)
    }
    fn read(&self, file: &Path) -> io::Result<Option<Vec<u8>>> {
        self.change(|| Disk.read(file))
    }
    fn replace(&self, file: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
        self.change(|| Disk.replace(file, content, durability))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|| Disk.rename(from, to))
    }
    fn remove(&self, file: &Path, durability: Durability) -> io::Result<bool> {
        self.change(|| Disk.remove(file, durability))
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.change(|| Disk.list(folder))
    }
    fn lock(&self, file: &Path) -> io::Result<Held> {
        self.change(|| Disk.lock(file))
    }
    fn try_lock(&self, file: &Path) -> io::Result<Option<Held>> {
        self.change(|| Disk.try_lock(file))
    }
    fn sweep(&self, folder: &Path) -> io::Result<()> {
        Disk.sweep(folder)
    }
    fn now(&self) -> u64 {
        Disk.now()
    }
}

/// Lets `deeds` run with one failing call after the other, until a run has none; `check` sees each
/// outcome on the good disk.
fn at_every_call(
    options: &dyn Fn(&Path) -> Options,
    deeds: &dyn Fn(&Vault) -> Result<(), VaultError>,
    check: &dyn Fn(&Path),
) {
    for moment in [Moment::Before, Moment::After] {
        let mut failures = 0;
        loop {
            let (_outer, dir) = folder();
            let store = Arc::new(Failing {
                moment,
                left: AtomicUsize::new(failures),
            });
            let outcome =
                Vault::open(options(&dir), store, entropy()).and_then(|vault| deeds(&vault));
            match &outcome {
                Ok(()) => break,
                Err(VaultError::Io { .. }) => {}
                Err(other) => panic!("{moment:?} call {failures}: {other:?}"),
            }
            check(&dir);
            failures += 1;
        }
        assert!(failures > 5, "calls were counted");
    }
}

fn only_record(vault: &Vault) -> Option<RecordId> {
    let ids = vault.ids().unwrap();
    assert!(ids.len() <= 1);
    ids.first().copied()
}

#[test]
fn a_vault_whose_creation_failed_is_created_by_the_next_one() {
    for source in [KeySource::Keyfile, KeySource::Env] {
        let options = |dir: &Path| Options {
            key: source,
            ..with_key(dir)
        };
        at_every_call(&options, &|_| Ok(()), &|dir| {
            open(options(dir)).unwrap().create(1, b"x").unwrap();
        });
    }
}

#[test]
fn a_failed_write_leaves_the_old_record_or_the_new_one() {
    let deeds = |vault: &Vault| {
        let (id, _) = vault.create(1, b"old")?;
        let guard = vault.lock(&id)?;
        vault.replace(&guard, b"new").map(drop)
    };
    at_every_call(&with_key, &deeds, &|dir| {
        let vault = open(with_key(dir)).unwrap();
        if let Some(id) = only_record(&vault) {
            let record = vault.read(&id).unwrap().unwrap();
            let known: [(u64, &[u8]); 2] = [(1, b"old"), (2, b"new")];
            assert!(
                known.contains(&(record.generation, record.plaintext())),
                "{record:?}"
            );
        }
        assert_eq!(vault.quarantine().len(), 0);
    });
}

#[test]
fn a_failed_import_leaves_what_was_there_or_what_was_brought() {
    let id: RecordId = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let deeds = |vault: &Vault| {
        let guard = vault.lock(&id)?;
        vault.adopt(&guard, 1, 7, b"added")?;
        vault.replace_above(&guard, b"updated", 8).map(drop)
    };
    at_every_call(&with_key, &deeds, &|dir| {
        let vault = open(with_key(dir)).unwrap();
        if only_record(&vault).is_some() {
            let record = vault.read(&id).unwrap().unwrap();
            let known: [(u64, &[u8]); 2] = [(7, b"added"), (9, b"updated")];
            assert!(
                known.contains(&(record.generation, record.plaintext())),
                "{record:?}"
            );
        }
        assert_eq!(vault.quarantine().len(), 0);
    });
}

#[test]
fn a_failed_removal_leaves_the_record_whole_or_gone() {
    let deeds = |vault: &Vault| {
        let (id, _) = vault.create(1, b"x")?;
        let guard = vault.lock(&id)?;
        vault.remove(guard).map(drop)
    };
    at_every_call(&with_key, &deeds, &|dir| {
        let vault = open(with_key(dir)).unwrap();
        assert!(only_record(&vault).is_none_or(|id| vault.read(&id).unwrap().is_some()));
    });
}

#[test]
fn a_disk_that_cannot_be_read_is_an_error_and_never_an_empty_vault() {
    let (_outer, dir) = folder();
    let (id, _) = open(with_source(&dir, KeySource::Keyfile))
        .unwrap()
        .create(1, b"x")
        .unwrap();
    let store = Arc::new(Failing {
        moment: Moment::Before,
        left: AtomicUsize::new(usize::MAX),
    });
    let vault = Vault::open(
        Options::new(&dir),
        Arc::clone(&store) as Arc<dyn Engine>,
        entropy(),
    )
    .unwrap();
    let fail_next = || store.left.store(0, Ordering::Relaxed);
    fail_next();
    assert!(matches!(vault.read(&id), Err(VaultError::Io { .. })));
    fail_next();
    assert!(matches!(vault.ids(), Err(VaultError::Io { .. })));
    fail_next();
    assert!(matches!(
        vault.read_shared(Shared::State),
        Err(VaultError::Io { .. })
    ));
    fail_next();
    assert!(matches!(vault.pending(&id), Err(VaultError::Io { .. })));
    fail_next();
    assert!(matches!(
        Vault::status(&Options::new(&dir), store.clone()),
        Err(VaultError::Io { .. })
    ));
    assert_eq!(vault.read(&id).unwrap().unwrap().plaintext(), b"x");
    assert_eq!(vault.quarantine().len(), 0);
}
