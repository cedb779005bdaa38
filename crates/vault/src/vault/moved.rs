//! The last bundle that took something along, kept in case it got lost on its way. It lies under
//! the vault's key too: a copy of the vault's bytes opens it as little as a record, however weak
//! the bundle's own passphrase is.

use std::sync::Arc;

use crate::{
    Record, RecordId, Vault, VaultError,
    backend::Document,
    format::record::{self, RecordError, RecordHeader},
};

/// The kind of its record; those of other records are their owner's to give.
const KIND: u8 = 0;

/// How a bundle began that was kept before it was sealed.
const UNSEALED: &[u8] = b"age-encryption.org/";

/// The id under which it is sealed. No record has it, since ids begin with the time of their
/// making.
fn id() -> RecordId {
    RecordId::from_parts(0, [0; 10])
}

impl Vault {
    /// Keeps a bundle, sealed, durably and in place of the one before: what leaves the vault with
    /// it is not lost if it does not arrive.
    pub fn keep_moved(&self, bundle: &[u8]) -> Result<(), VaultError> {
        // As in `create`: a rotation must not drop the key meanwhile.
        let _held = self.lock_vault()?;
        self.write_moved(bundle)
    }

    /// Like [`Vault::keep_moved`], if `may` says so of what is kept until now; false, and nothing is
    /// written, where it does not.
    pub fn replace_moved(
        &self,
        may: &mut dyn FnMut(Option<&[u8]>) -> bool,
        bundle: &[u8],
    ) -> Result<bool, VaultError> {
        let _held = self.lock_vault()?;
        let kept = self.moved()?;
        let is_allowed = may(kept.as_ref().map(|kept| kept.plaintext()));
        if is_allowed {
            self.write_moved(bundle)?;
        }
        Ok(is_allowed)
    }

    /// Returns the bundle that is kept; `None` when there is none, or the vault's key does not open
    /// it.
    pub fn moved(&self) -> Result<Option<Arc<Record>>, VaultError> {
        let Some(file) = self.backend.read_document(Document::Moved)? else {
            return Ok(None);
        };
        // A rotation in another process drops the key and the bundle with it.
        let keys = self.current_keys()?;
        match record::open(|epoch| keys.record_key(epoch), &self.id, id(), &file) {
            Ok(record) => Ok(Some(Arc::new(record))),
            Err(RecordError::Newer | RecordError::Damaged) => Ok(None),
        }
    }

    /// Removes the bundle that is kept if `is_over` says so of it; it may have been replaced since
    /// the caller looked.
    pub fn forget_moved(&self, is_over: &mut dyn FnMut(&[u8]) -> bool) -> Result<bool, VaultError> {
        let _held = self.lock_vault()?;
        match self.moved()? {
            Some(kept) if is_over(kept.plaintext()) => {
                self.backend.remove_document(Document::Moved)
            }
            _ => Ok(false),
        }
    }

    /// Removes a bundle that is under another key than the present one: what an old key opens is
    /// not kept beside what it does not open any more.
    pub(super) fn forget_moved_of_old_keys(&self) -> Result<(), VaultError> {
        let Some(file) = self.backend.read_document(Document::Moved)? else {
            return Ok(());
        };
        let (epoch, _) = self.current_keys()?.current();
        let is_present = |header: &RecordHeader| header.vault == self.id && header.epoch >= epoch;
        match RecordHeader::parse(&file) {
            Ok(header) if is_present(&header) => Ok(()),
            // A newer version's is left to it.
            Err(RecordError::Newer) => Ok(()),
            _ => self.backend.remove_document(Document::Moved).map(drop),
        }
    }

    /// Seals a bundle that an earlier version kept as it was returned.
    pub(super) fn seal_moved(&self) -> Result<(), VaultError> {
        let is_unsealed = |file: &Vec<u8>| file.starts_with(UNSEALED);
        let read = || self.backend.read_document(Document::Moved);
        if read()?.is_none_or(|file| !is_unsealed(&file)) {
            return Ok(());
        }
        let _held = self.lock_vault()?;
        match read()?.filter(is_unsealed) {
            Some(bundle) => self.write_moved(&bundle),
            None => Ok(()),
        }
    }

    fn write_moved(&self, bundle: &[u8]) -> Result<(), VaultError> {
        let file = self.sealed(id(), KIND, 1, bundle)?;
        self.backend.write_document(Document::Moved, &file)
    }
}
