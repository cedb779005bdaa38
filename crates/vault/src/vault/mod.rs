//! An open vault: where it is kept, its keys, and the records that were opened.

mod current_keys;
pub(crate) mod fleet;
pub(crate) mod high_water;
mod index;
pub(crate) mod init;
mod key_ring;
pub(crate) mod key_slots;
mod moved;
pub(crate) mod notes;
mod open;
pub(crate) mod records;
mod rotate;
pub(crate) mod rows;
pub(crate) mod shared;
pub(crate) mod status;
mod unlock;

use std::{collections::HashMap, fmt, path::Path, sync::Arc};

use parking_lot::Mutex;

use crate::{
    Entropy, Held, KeySource, Options, VaultError,
    backend::{Backend, Changes, Lock, Pulse},
    crypto::key::Key,
    format::id::RecordId,
    format::record::{Record, VaultId},
    limits,
    stamp::{Mark, Stamp},
    store_status::StoreStatus,
    vault::key_ring::CheckedKeys,
};

/// An open vault: any number of threads may use it, and so may other processes.
pub struct Vault {
    backend: Arc<dyn Backend>,
    entropy: Arc<dyn Entropy>,
    id: VaultId,
    keys: Mutex<CheckedKeys>,
    unlocked_with: Mutex<Arc<UnlockContext>>,
    /// The last opened records, each with the stamp that it had before it was read.
    cache: Mutex<HashMap<RecordId, (Stamp, Arc<Record>)>>,
}

/// What opened the vault, and opens its header again after a rotation.
struct UnlockContext {
    wrapping_key: Key,
    key_source: KeySource,
    /// Where to look when that key no longer opens it.
    options: Options,
}

impl Vault {
    /// Returns the folder, with links resolved.
    pub fn dir(&self) -> &Path {
        self.backend.dir()
    }

    /// Returns what tells this vault from every other. No secret.
    pub fn id(&self) -> [u8; 16] {
        self.id
    }

    /// Returns where the key came from.
    pub fn key_source(&self) -> KeySource {
        self.unlock_context().key_source
    }

    /// Returns the first 8 hex digits of the check value of the key that records are written under.
    pub fn key_id(&self) -> String {
        self.cached_keys().header.key_id()
    }

    /// Tells how a store for many machines stands; `None` for a folder. It never waits.
    pub fn store_status(&self) -> Option<StoreStatus> {
        self.backend.store_status()
    }

    /// Tells how often records, state and history changed. Take it before reading; it never waits.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        self.backend.pulse()
    }

    /// Returns the records that may have changed since a mark of this vault; without one, from where
    /// on to ask. Take it before reading them.
    pub fn changes(&self, since: Option<Mark>) -> Result<Changes, VaultError> {
        self.backend.changes(since)
    }

    /// Keeps others from adding records and from changing the header.
    fn lock_vault(&self) -> Result<Held, VaultError> {
        self.backend.lock(Lock::Vault, limits::VAULT_LOCK_TIMEOUT)
    }

    /// Keeps others from changing the data key and its slots.
    fn lock_keys(&self) -> Result<Held, VaultError> {
        self.backend.lock(Lock::Keys, limits::KEYS_LOCK_TIMEOUT)
    }

    fn unlock_context(&self) -> Arc<UnlockContext> {
        Arc::clone(&self.unlocked_with.lock())
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut vault = to.debug_struct("Vault");
        vault
            .field("dir", &self.dir())
            .field("key_source", &self.key_source())
            .field("key_id", &self.key_id());
        vault.finish_non_exhaustive()
    }
}
