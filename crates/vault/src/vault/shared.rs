//! What processes share and may lose: the state and small caches. Not secret, and not sealed.

use crate::{Vault, VaultError, backend::Document, stamp::Stamp};

impl Vault {
    /// Returns a stamp of the shared state, like [`Vault::stamp`].
    pub fn state_stamp(&self) -> Stamp {
        let stamp = self.backend.document_stamp(Document::State);
        stamp.unwrap_or(Stamp::Unsettled)
    }

    /// Returns the shared state.
    pub fn read_state(&self) -> Result<Option<Vec<u8>>, VaultError> {
        self.backend.read_document(Document::State)
    }

    /// Replaces the shared state by what `merge` makes of it; no other process merges meanwhile.
    ///
    /// Whole at every moment, but not flushed: a power cut may bring the old one back.
    pub fn update_state(
        &self,
        merge: &mut dyn FnMut(Option<&[u8]>) -> Vec<u8>,
    ) -> Result<(), VaultError> {
        self.backend.merge_state(merge)
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
