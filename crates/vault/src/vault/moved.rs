//! The last bundle that took something along, kept in case it got lost on its way. It lies under the vault's key too: a copy of the
//! folder opens it as little as a record, however weak the bundle's own passphrase is.

use std::sync::Arc;

use crate::{
    Record, RecordId, Vault, VaultError,
    error::io,
    folder::store::Durability,
    format::record::{self, RecordHeader, Unopened},
    limits,
    vault::hold,
};

/// The kind of its record; those of other records are their owner's to give.
const KIND: u8 = 0;

/// How a bundle began that was kept before it was sealed.
const UNSEALED: &[u8] = b"age-encryption.org/";

/// The id under which it is sealed. No record has it, since ids begin with the time of their making.
fn id() -> RecordId {
    RecordId::from_parts(0, [0; 10])
}

impl Vault {
    /// Keeps a bundle, sealed, durably and in place of the one before: what leaves the vault with it is not lost if nobody
    /// receives it.
    pub fn keep_moved(&self, bundle: &[u8]) -> Result<(), VaultError> {
        // As in `create`: a rotation must not drop the key meanwhile.
        let _held = hold(
            &self.room,
            &self.paths.vault_lock(),
            limits::VAULT_LOCK_WAIT,
        )?;
        self.write_moved(bundle)
    }

    /// Returns the bundle that is kept; `None` when there is none, or none that the vault's key opens.
    pub fn moved(&self) -> Result<Option<Arc<Record>>, VaultError> {
        let path = self.paths.moved();
        let Some(file) = self.store.read(&path).map_err(io("read", &path))? else {
            return Ok(None);
        };
        // A rotation in another process drops the key and the bundle with it.
        let keys = self.fresh_keys()?;
        match record::open(|epoch| keys.record_key(epoch), &self.id, id(), &file) {
            Ok(record) => Ok(Some(Arc::new(record))),
            Err(Unopened::Newer | Unopened::Damaged) => Ok(None),
        }
    }

    /// Removes the bundle that is kept if `is_over` says so of it; it may have been replaced since anybody looked.
    pub fn forget_moved(&self, is_over: &mut dyn FnMut(&[u8]) -> bool) -> Result<bool, VaultError> {
        let _held = hold(
            &self.room,
            &self.paths.vault_lock(),
            limits::VAULT_LOCK_WAIT,
        )?;
        match self.moved()? {
            Some(kept) if is_over(kept.plaintext()) => self.remove_moved(),
            _ => Ok(false),
        }
    }

    /// Removes a bundle that is under another key than the present one: what an old key opens is not kept beside what it does
    /// not open any more.
    pub(crate) fn forget_moved_of_old_keys(&self) -> Result<(), VaultError> {
        let path = self.paths.moved();
        let Some(file) = self.store.read(&path).map_err(io("read", &path))? else {
            return Ok(());
        };
        let (epoch, _) = self.fresh_keys()?.current();
        let is_present = |header: &RecordHeader| header.vault == self.id && header.epoch >= epoch;
        match RecordHeader::parse(&file) {
            Ok(header) if is_present(&header) => Ok(()),
            // A newer version's is left to it.
            Err(Unopened::Newer) => Ok(()),
            _ => self.remove_moved().map(drop),
        }
    }

    /// Seals a bundle that an earlier version kept as it was returned.
    pub(crate) fn seal_moved(&self) -> Result<(), VaultError> {
        let path = self.paths.moved();
        let is_unsealed = |file: &Vec<u8>| file.starts_with(UNSEALED);
        let read = || self.store.read(&path).map_err(io("read", &path));
        if read()?.is_none_or(|file| !is_unsealed(&file)) {
            return Ok(());
        }
        let _held = hold(
            &self.room,
            &self.paths.vault_lock(),
            limits::VAULT_LOCK_WAIT,
        )?;
        match read()?.filter(is_unsealed) {
            Some(bundle) => self.write_moved(&bundle),
            None => Ok(()),
        }
    }

    fn write_moved(&self, bundle: &[u8]) -> Result<(), VaultError> {
        let file = self.sealed(id(), KIND, 1, bundle)?;
        let path = self.paths.moved();
        self.store
            .replace(&path, &file, Durability::Durable)
            .map_err(io("write", path))
    }

    fn remove_moved(&self) -> Result<bool, VaultError> {
        let path = self.paths.moved();
        self.store
            .remove(&path, Durability::Durable)
            .map_err(io("remove", path))
    }
}
