//! An open vault: its folder, its key, its locks. What is done with records is in `records.rs`, with other files in `notes.rs`.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;

use crate::{
    Entropy, KeySource, Options, RecordId, VaultError,
    error::io,
    header::Header,
    key::{Key, random},
    limits,
    lock::WaitingRoom,
    memory::Memory,
    record::{Shared, VaultId, record_key},
    store::{Held, Stamp, Store},
    unlock::{self, Unlocked, unlock},
};

/// An open vault: any number of threads may use it, and so may other processes.
pub struct Vault {
    pub(crate) paths: Paths,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) id: VaultId,
    pub(crate) epoch: u32,
    pub(crate) record_key: Key,
    pub(crate) room: Arc<WaitingRoom>,
    pub(crate) cache: Mutex<HashMap<RecordId, (Stamp, Shared)>>,
    key_source: KeySource,
    key_id: String,
}

impl Vault {
    /// Opens the vault, or creates it with a key of its own if its folder holds none.
    ///
    /// Any number of processes may do so at once: they get one vault with one key. An existing vault never gets a new key.
    /// With [`KeySource::Memory`] neither `dir` nor `store` is touched.
    pub fn open(
        options: Options,
        store: Arc<dyn Store>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, VaultError> {
        if options.key == KeySource::Memory {
            return Ok(Self::in_memory(&options.dir, entropy));
        }
        let paths = create_folders(&options, &*store)?;
        let room = WaitingRoom::new(Arc::clone(&store));
        let patience = options.keychain_deadline + limits::VAULT_LOCK_WAIT;
        let unlocked = match unlock(&options, &*store, &paths)? {
            Some(unlocked) if !unlocked.from_backup => unlocked,
            _ => {
                let _held = hold(&room, &paths.vault_lock(), patience)?;
                // Another process may have been faster.
                match unlock(&options, &*store, &paths)? {
                    Some(unlocked) => {
                        if unlocked.from_backup {
                            unlock::restore_header(&*store, &paths, &unlocked.file)?;
                        }
                        unlocked
                    }
                    None => unlock::create(&options, &*store, &paths, &*entropy)?,
                }
            }
        };
        unlock::tidy(&*store, &room, &paths, &unlocked);
        let Unlocked {
            header,
            data_key,
            key_source,
            ..
        } = unlocked;
        if key_source == KeySource::Keyfile {
            tracing::warn!(
                "the vault key is in a file: whoever reads it and the vault's folder reads every login"
            );
        }
        Ok(Self::with_key(
            paths, store, entropy, room, &header, &data_key, key_source,
        ))
    }

    /// Returns the folder, with links resolved.
    pub fn dir(&self) -> &Path {
        &self.paths.dir
    }

    /// Returns where the key came from.
    pub fn key_source(&self) -> KeySource {
        self.key_source
    }

    /// Returns the first 8 hex digits of the key's check value.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    fn in_memory(dir: &Path, entropy: Arc<dyn Entropy>) -> Self {
        tracing::warn!("the vault is in memory: every login ends with this process");
        let store: Arc<dyn Store> = Arc::new(Memory::default());
        let data_key = Key::random(&*entropy);
        let header = Header::new(
            random(&*entropy),
            KeySource::Memory,
            None,
            &data_key,
            &data_key,
            &*entropy,
        );
        let paths = Paths {
            dir: dir.to_owned(),
        };
        let room = WaitingRoom::new(Arc::clone(&store));
        Self::with_key(
            paths,
            store,
            entropy,
            room,
            &header,
            &data_key,
            KeySource::Memory,
        )
    }

    fn with_key(
        paths: Paths,
        store: Arc<dyn Store>,
        entropy: Arc<dyn Entropy>,
        room: Arc<WaitingRoom>,
        header: &Header,
        data_key: &Key,
        key_source: KeySource,
    ) -> Self {
        Self {
            paths,
            store,
            entropy,
            id: header.vault,
            epoch: header.epoch,
            record_key: record_key(data_key, header.epoch),
            room,
            cache: Mutex::default(),
            key_source,
            key_id: header.key_id(),
        }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut vault = to.debug_struct("Vault");
        vault
            .field("dir", &self.paths.dir)
            .field("key_source", &self.key_source)
            .field("key_id", &self.key_id);
        vault.finish_non_exhaustive()
    }
}

/// Where everything is in a vault's folder.
pub(crate) struct Paths {
    pub(crate) dir: PathBuf,
}

impl Paths {
    pub(crate) fn header(&self) -> PathBuf {
        self.dir.join("vault.hdr")
    }

    pub(crate) fn header_backup(&self) -> PathBuf {
        self.dir.join("vault.hdr.bak")
    }

    pub(crate) fn vault_lock(&self) -> PathBuf {
        self.locks().join("vault.lock")
    }

    pub(crate) fn records_lock(&self) -> PathBuf {
        self.locks().join("records.lock")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.join("state.json")
    }

    pub(crate) fn records(&self) -> PathBuf {
        self.dir.join("rec")
    }

    pub(crate) fn record(&self, id: RecordId) -> PathBuf {
        self.records().join(format!("{id}.rec"))
    }

    pub(crate) fn pending(&self, id: RecordId) -> PathBuf {
        self.records().join(format!("{id}.pending"))
    }

    pub(crate) fn record_lock(&self, id: RecordId) -> PathBuf {
        self.locks().join(format!("{id}.lock"))
    }

    pub(crate) fn quarantine(&self) -> PathBuf {
        self.dir.join("quarantine")
    }

    fn locks(&self) -> PathBuf {
        self.dir.join("lock")
    }
}

/// Waits for a lock, or says that it is busy.
pub(crate) fn hold(
    room: &Arc<WaitingRoom>,
    lock: &Path,
    limit: Duration,
) -> Result<Held, VaultError> {
    let held = room.wait(lock, limit).map_err(io("lock", lock))?;
    held.ok_or_else(|| VaultError::Busy {
        path: lock.to_owned(),
        holder: None,
    })
}

fn create_folders(options: &Options, store: &dyn Store) -> Result<Paths, VaultError> {
    if store.resolve(&options.dir, options.network())?.is_none() {
        store
            .create_folder(&options.dir)
            .map_err(io("create", &options.dir))?;
    }
    let dir = store.resolve(&options.dir, options.network())?;
    let gone = || io("open", &options.dir)(std::io::ErrorKind::NotFound.into());
    let paths = Paths {
        dir: dir.ok_or_else(gone)?,
    };
    for folder in [paths.records(), paths.locks()] {
        store
            .create_folder(&folder)
            .map_err(io("create", &folder))?;
    }
    Ok(paths)
}

pub(crate) fn count_quarantined(store: &dyn Store, paths: &Paths) -> Result<usize, VaultError> {
    let names = store
        .list(&paths.quarantine())
        .map_err(io("list", paths.quarantine()))?;
    Ok(names.iter().filter(|name| name.ends_with(".rec")).count())
}
