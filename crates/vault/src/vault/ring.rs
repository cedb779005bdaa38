//! The keys that an open vault has in memory, and how it keeps up with a header that another process changes.
//!
//! Whoever writes a record looks at the header first, while holding what keeps a rotation from passing by: the record's lock, or
//! for a new record `vault.lock`. So no record is written under a key that has been dropped.

use std::sync::Arc;

use crate::{
    Vault, VaultError,
    crypto::key::Key,
    error::io,
    folder::store::Stamp,
    format::header::{Header, Refused},
    format::record::record_key,
    vault::unlock::{Unlocked, refusal, unlock},
};

/// The record keys of a header: of its epoch, and of those that records may still be under.
pub(crate) struct KeyRing {
    pub(crate) header: Header,
    /// The header's own epoch comes first.
    keys: Vec<(u32, Key)>,
}

/// A ring, and the header's file as it was when the ring was last compared with it.
pub(crate) struct Seen {
    pub(crate) stamp: Stamp,
    pub(crate) ring: Arc<KeyRing>,
}

impl KeyRing {
    pub(crate) fn of(unlocked: &Unlocked) -> Result<Self, Refused> {
        let keys = unlocked.header.data_keys(&unlocked.data_key)?;
        let keys = keys
            .iter()
            .map(|(epoch, key)| (*epoch, record_key(key, *epoch)));
        Ok(Self {
            header: unlocked.header.clone(),
            keys: keys.collect(),
        })
    }

    /// Returns the epoch and the key under which records are written.
    pub(crate) fn current(&self) -> (u32, &Key) {
        let (epoch, key) = &self.keys[0];
        (*epoch, key)
    }

    pub(crate) fn record_key(&self, epoch: u32) -> Option<&Key> {
        let found = self.keys.iter().find(|(known, _)| *known == epoch);
        found.map(|(_, key)| key)
    }
}

impl Vault {
    /// Returns the keys in memory, which may be old.
    pub(crate) fn known_keys(&self) -> Arc<KeyRing> {
        Arc::clone(&self.keys.lock().ring)
    }

    /// Returns the keys as the header has them now: one `stat`, and more only when it changed.
    ///
    /// A header that was damaged or lost meanwhile, with its backup, says nothing of a rotation: then those in memory serve on.
    pub(crate) fn fresh_keys(&self) -> Result<Arc<KeyRing>, VaultError> {
        let path = self.paths.header();
        // Before the read, so that a write in between makes the stamp old, never the keys.
        let stamp = self.store.stamp(&path).map_err(io("read", &path))?;
        let known = {
            let seen = self.keys.lock();
            if seen.stamp == stamp {
                return Ok(Arc::clone(&seen.ring));
            }
            Arc::clone(&seen.ring)
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
            Arc::new(
                KeyRing::of(&unlocked).map_err(|why| refusal(why, &path, unlocked.key_source))?,
            )
        } else {
            known
        };
        let mut seen = self.keys.lock();
        // Another thread may have seen more.
        if ring.header.epoch >= seen.ring.header.epoch {
            *seen = Seen { stamp, ring };
        }
        Ok(Arc::clone(&seen.ring))
    }

    /// Reads and opens the header as it is now, with the key that opened the vault, else with what is given as its options.
    pub(crate) fn unlocked(&self) -> Result<Unlocked, VaultError> {
        let path = self.paths.header();
        let opener = self.opener();
        let file = self.store.read(&path).map_err(io("read", &path))?;
        if let Some(file) = file
            && let Ok(header) = Header::parse(&file)
            && let Some(data_key) = open_any_slot(&header, &file, &opener.outer)
        {
            return Ok(Unlocked {
                header,
                file,
                data_key,
                outer: opener.outer.duplicate(),
                key_source: opener.key_source,
                from_backup: false,
            });
        }
        match unlock(&opener.options, &*self.store, &self.paths)? {
            Some(unlocked) if unlocked.header.vault == self.id => Ok(unlocked),
            Some(_) => Err(VaultError::KeyMismatch {
                key_source: opener.key_source,
            }),
            None => Err(VaultError::HeaderUnusable {
                path,
                why: "is gone",
            }),
        }
    }

    /// Returns the header as it stands, or its backup, unchecked; `None` when neither can be read as one.
    fn header_now(&self) -> Result<Option<Header>, VaultError> {
        for path in [self.paths.header(), self.paths.header_backup()] {
            let file = self.store.read(&path).map_err(io("read", &path))?;
            match file.as_deref().map(Header::parse) {
                Some(Ok(header)) => return Ok(Some(header)),
                Some(Err(Refused::Newer)) => return Err(VaultError::NewerFormat { path }),
                Some(Err(_)) | None => {}
            }
        }
        Ok(None)
    }
}

fn open_any_slot(header: &Header, file: &[u8], outer: &Key) -> Option<Key> {
    let opened = |slot| header.unlock(file, slot, outer).ok();
    header.slots.iter().find_map(opened)
}
