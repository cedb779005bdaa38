//! An open vault: its folder, its key, its locks. What is done with records is in `records.rs`, with other files in `notes.rs`.

mod cache;
pub(crate) mod high_water;
pub(crate) mod init;
mod moved;
pub(crate) mod notes;
mod records;
pub(crate) mod ring;
pub(crate) mod rotate;
pub(crate) mod slots;
pub(crate) mod status;
pub(crate) mod unlock;

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
    crypto::key::{Key, random},
    error::io,
    folder::lock_queue::WaitingRoom,
    folder::memory::Memory,
    folder::store::{Held, Stamp, Store},
    format::record::{Shared, VaultId},
    format::slot::Outer,
    vault::ring::{KeyRing, Seen},
    vault::unlock::{Unlocked, refusal, unlock},
};

/// An open vault: any number of threads may use it, and so may other processes.
pub struct Vault {
    pub(crate) paths: Paths,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) id: VaultId,
    pub(crate) keys: Mutex<Seen>,
    pub(crate) opener: Mutex<Arc<Opener>>,
    pub(crate) room: Arc<WaitingRoom>,
    pub(crate) cache: Mutex<HashMap<RecordId, (Stamp, Shared)>>,
}

/// What opened the vault, and opens its header again after a rotation.
pub(crate) struct Opener {
    pub(crate) outer: Key,
    pub(crate) key_source: KeySource,
    /// Where to look when that key no longer opens it.
    pub(crate) options: Options,
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
            return Self::in_memory(options, entropy);
        }
        let paths = create_folders(&options, &*store)?;
        let room = WaitingRoom::new(Arc::clone(&store));
        let unlocked = match unlock(&options, &*store, &paths)? {
            Some(unlocked) if !unlocked.from_backup => unlocked,
            _ => {
                let _held = hold(&room, &paths.vault_lock(), options.patience())?;
                // Another process may have been faster.
                match unlock(&options, &*store, &paths)? {
                    Some(unlocked) => {
                        if unlocked.from_backup {
                            unlock::restore_header(&*store, &paths, &unlocked)?;
                        }
                        unlocked
                    }
                    None => unlock::create(&options, &*store, &paths, &*entropy)?,
                }
            }
        };
        unlock::tidy(&*store, &room, &paths, &unlocked);
        let vault = Self::with_key(paths, store, entropy, room, options, unlocked)?;
        vault.resume_rotation();
        if let Err(error) = vault.seal_moved() {
            tracing::warn!(dir = %vault.paths.dir.display(), %error, "the bundle of an earlier version could not be sealed");
        }
        Ok(vault)
    }

    /// Returns the folder, with links resolved.
    pub fn dir(&self) -> &Path {
        &self.paths.dir
    }

    /// Returns what tells this vault from every other. No secret.
    pub fn id(&self) -> [u8; 16] {
        self.id
    }

    /// Returns where the key came from.
    pub fn key_source(&self) -> KeySource {
        self.opener().key_source
    }

    /// Returns the first 8 hex digits of the check value of the key that records are written under.
    pub fn key_id(&self) -> String {
        self.known_keys().header.key_id()
    }

    pub(crate) fn opener(&self) -> Arc<Opener> {
        Arc::clone(&self.opener.lock())
    }

    pub(crate) fn in_memory(
        options: Options,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, VaultError> {
        tracing::warn!("the vault is in memory: every login ends with this process");
        let store: Arc<dyn Store> = Arc::new(Memory::default());
        let paths = Paths {
            dir: options.dir.clone(),
        };
        let outer = Outer {
            key: Key::random(&*entropy),
            source: KeySource::Memory,
            stretch: None,
        };
        let id = random(&*entropy);
        let unlocked = Unlocked::made((id, 1), outer, Key::random(&*entropy), &*entropy);
        unlock::write_header(&*store, &paths, &unlocked.file)?;
        let room = WaitingRoom::new(Arc::clone(&store));
        Self::with_key(paths, store, entropy, room, options, unlocked)
    }

    pub(crate) fn with_key(
        paths: Paths,
        store: Arc<dyn Store>,
        entropy: Arc<dyn Entropy>,
        room: Arc<WaitingRoom>,
        options: Options,
        unlocked: Unlocked,
    ) -> Result<Self, VaultError> {
        if unlocked.key_source == KeySource::Keyfile {
            tracing::warn!(
                "the vault key is in a file: whoever reads it and the vault's folder reads every login"
            );
        }
        let ring = KeyRing::of(&unlocked)
            .map_err(|why| refusal(why, &paths.header(), unlocked.key_source))?;
        Ok(Self {
            paths,
            store,
            entropy,
            id: unlocked.header.vault,
            // Nothing equals this, so the first write looks at the header.
            keys: Mutex::new(Seen {
                stamp: Stamp::Unsettled,
                ring: Arc::new(ring),
            }),
            opener: Mutex::new(Arc::new(Opener {
                outer: unlocked.outer,
                key_source: unlocked.key_source,
                options,
            })),
            room,
            cache: Mutex::default(),
        })
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut vault = to.debug_struct("Vault");
        vault
            .field("dir", &self.paths.dir)
            .field("key_source", &self.key_source())
            .field("key_id", &self.key_id());
        vault.finish_non_exhaustive()
    }
}

/// Where everything is in a vault's folder.
#[derive(Clone)]
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

    /// Held by whoever changes the data key or its slots, for as long as that takes.
    pub(crate) fn keys_lock(&self) -> PathBuf {
        self.locks().join("keys.lock")
    }

    /// Held by the thread that raises the high-water marks.
    pub(crate) fn marks_lock(&self) -> PathBuf {
        self.locks().join("marks.lock")
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

    pub(crate) fn cache(&self) -> PathBuf {
        self.dir.join("cache")
    }

    pub(crate) fn moved(&self) -> PathBuf {
        self.dir.join("moved.age")
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

pub(crate) fn create_folders(options: &Options, store: &dyn Store) -> Result<Paths, VaultError> {
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
