//! How an open vault keeps up with a header that another process changes.
//!
//! A writer of a record looks at the header first, while holding what keeps a rotation from
//! passing by: the record's lock, or for a new record [`Lock::Vault`](crate::backend::Lock). So no
//! record is written under a key that has been dropped.

use std::sync::Arc;

use crate::{
    Vault, VaultError,
    backend::Document,
    crypto::key::Key,
    format::{header::Header, slot::HeaderError},
    vault::{
        key_ring::{CheckedKeys, KeyRing},
        unlock::{HEADER_COPIES, Unlocked, header_error, unlock},
    },
};

impl Vault {
    /// Returns the keys in memory, which may be old.
    pub(super) fn cached_keys(&self) -> Arc<KeyRing> {
        Arc::clone(&self.keys.lock().ring)
    }

    /// Returns the keys as the header has them now: one reading of it, and more only when it
    /// changed.
    ///
    /// A header that was damaged or lost meanwhile, with its backup, says nothing of a rotation:
    /// then those in memory serve on.
    pub(super) fn current_keys(&self) -> Result<Arc<KeyRing>, VaultError> {
        // Before the header is looked at, so that a write in between makes these bytes old, never
        // the keys.
        let file = self.backend.read_document(Document::Header)?;
        let known = {
            let checked = self.keys.lock();
            if checked.file == file {
                return Ok(Arc::clone(&checked.ring));
            }
            Arc::clone(&checked.ring)
        };
        let Some(header) = self.header_now()? else {
            return Ok(known);
        };
        let (now, then) = (header.epoch, known.header.epoch);
        if header.vault != self.id || (now == then && !header.has_key_of(&known.header)) {
            return Err(VaultError::KeyMismatch {
                key_source: self.key_source(),
            });
        }
        let ring = if now > then {
            let unlocked = self.unlocked()?;
            let name = self.backend.document_name(Document::Header);
            let ring = KeyRing::of(&unlocked);
            Arc::new(ring.map_err(|why| header_error(why, name, unlocked.key_source))?)
        } else {
            known
        };
        let mut checked = self.keys.lock();
        // Another thread may have seen more.
        if ring.header.epoch >= checked.ring.header.epoch {
            *checked = CheckedKeys { file, ring };
        }
        Ok(Arc::clone(&checked.ring))
    }

    /// Reads and opens the header as it is now, with the key that opened the vault, else with what
    /// its options give.
    pub(super) fn unlocked(&self) -> Result<Unlocked, VaultError> {
        let context = self.unlock_context();
        let file = self.backend.read_document(Document::Header)?;
        if let Some(file) = file
            && let Ok(header) = Header::parse(&file)
            && let Some(data_key) = open_any_slot(&header, &file, &context.wrapping_key)
        {
            return Ok(Unlocked {
                header,
                file,
                data_key,
                wrapping_key: context.wrapping_key.duplicate(),
                key_source: context.key_source,
                from_backup: false,
            });
        }
        match unlock(&context.options, &*self.backend)? {
            Some(unlocked) if unlocked.header.vault == self.id => Ok(unlocked),
            Some(_) => Err(VaultError::KeyMismatch {
                key_source: context.key_source,
            }),
            None => Err(VaultError::HeaderUnusable {
                name: self.backend.document_name(Document::Header),
                why: "is gone",
            }),
        }
    }

    /// Returns the header as it stands, or its backup, unchecked; `None` when neither can be read
    /// as one.
    fn header_now(&self) -> Result<Option<Header>, VaultError> {
        for copy in HEADER_COPIES {
            let file = self.backend.read_document(copy)?;
            match file.as_deref().map(Header::parse) {
                Some(Ok(header)) => return Ok(Some(header)),
                Some(Err(HeaderError::Newer)) => {
                    return Err(VaultError::NewerFormat {
                        name: self.backend.document_name(copy),
                    });
                }
                Some(Err(_)) | None => {}
            }
        }
        Ok(None)
    }
}

fn open_any_slot(header: &Header, file: &[u8], wrapping_key: &Key) -> Option<Key> {
    let opened = |slot| header.unlock(file, slot, wrapping_key).ok();
    header.slots.iter().find_map(opened)
}
