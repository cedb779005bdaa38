//! What processes share and may lose: state, history and small caches. Not secret, and not sealed.

use crate::{
    Held, Vault, VaultError,
    backend::{Document, Lock},
    limits,
};

/// A file that all processes read, and merge their changes into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// What every process must know before its next request.
    State,
    /// The latest of it, where the state is long.
    News,
    /// What none has to wait for.
    History,
}

impl Shared {
    fn document(self) -> Document {
        match self {
            Self::State => Document::State,
            Self::News => Document::News,
            Self::History => Document::History,
        }
    }

    fn lock(self) -> Lock {
        match self {
            Self::State | Self::News => Lock::Vault,
            Self::History => Lock::History,
        }
    }
}

/// The right to replace a shared file, in all processes: no other one merges meanwhile. The right to
/// the state is that to its news, too.
#[must_use]
pub struct SharedGuard {
    shared: Shared,
    _lock: Held,
}

impl std::fmt::Debug for SharedGuard {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("SharedGuard")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

impl Vault {
    /// Returns the content of a shared file; [`VaultError::is_too_long`] tells that it is damaged.
    pub fn read_shared(&self, shared: Shared) -> Result<Option<Vec<u8>>, VaultError> {
        self.backend.read_document(shared.document())
    }

    /// Waits for the right to replace a shared file.
    pub fn lock_shared(&self, shared: Shared) -> Result<SharedGuard, VaultError> {
        let lock = self
            .backend
            .lock(shared.lock(), limits::VAULT_LOCK_TIMEOUT)?;
        Ok(SharedGuard {
            shared,
            _lock: lock,
        })
    }

    /// Replaces the news of the guarded state, like [`Vault::write_shared`].
    pub fn write_news(&self, guard: &SharedGuard, content: &[u8]) -> Result<(), VaultError> {
        debug_assert_eq!(guard.shared.lock(), Shared::News.lock());
        self.backend.write_document(Document::News, content)
    }

    /// Replaces the guarded file.
    ///
    /// Whole at every moment, but not flushed: a power cut may bring the old one back.
    pub fn write_shared(&self, guard: &SharedGuard, content: &[u8]) -> Result<(), VaultError> {
        let document = guard.shared.document();
        self.backend.write_document(document, content)
    }

    /// Returns the counts of what happened; [`VaultError::is_too_long`] tells that they are damaged.
    pub fn read_stats(&self) -> Result<Option<Vec<u8>>, VaultError> {
        self.backend.read_document(Document::Stats)
    }

    /// Replaces the counts by what `change` makes of them; no other process changes them meanwhile.
    /// With `None` they stay as they are.
    ///
    /// Whole at every moment, but not flushed: a power cut may bring the old ones back.
    pub fn change_stats(
        &self,
        change: impl FnOnce(Result<Option<Vec<u8>>, VaultError>) -> Result<Option<Vec<u8>>, VaultError>,
    ) -> Result<(), VaultError> {
        let _held = self.backend.lock(Lock::Stats, limits::VAULT_LOCK_TIMEOUT)?;
        match change(self.read_stats())? {
            Some(content) => self.backend.write_document(Document::Stats, &content),
            None => Ok(()),
        }
    }

    /// Removes the counts.
    pub fn remove_stats(&self) -> Result<(), VaultError> {
        self.backend.remove_document(Document::Stats).map(drop)
    }

    /// Returns what was last kept under this key.
    pub fn read_cache(&self, key: &[u8; 16]) -> Result<Option<Vec<u8>>, VaultError> {
        self.backend.read_document(Document::Cache(*key))
    }

    /// Keeps `content` under a key. Of two that write at the same time the last one wins.
    ///
    /// Whole at every moment, but not flushed: a power cut may bring the old one back.
    pub fn write_cache(&self, key: &[u8; 16], content: &[u8]) -> Result<(), VaultError> {
        self.backend.write_document(Document::Cache(*key), content)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::{Disk, KeySource, Options, Vault};

    #[test]
    fn what_is_kept_is_found_under_its_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("vault");
        for key in [KeySource::Keyfile, KeySource::Memory] {
            let options = Options {
                key,
                ..Options::new(&dir)
            };
            let entropy = Arc::new(|bytes: &mut [u8]| bytes.fill(7));
            let vault = Vault::open(options, Arc::new(Disk), entropy).unwrap();
            assert_eq!(vault.read_cache(&[1; 16]).unwrap(), None);
            vault.write_cache(&[1; 16], b"old").unwrap();
            vault.write_cache(&[1; 16], b"new").unwrap();
            assert_eq!(vault.read_cache(&[1; 16]).unwrap().unwrap(), b"new");
            assert_eq!(vault.read_cache(&[2; 16]).unwrap(), None);
        }
        let names: Vec<_> = std::fs::read_dir(dir.join("cache"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["01".repeat(16).as_str()]);
    }
}
