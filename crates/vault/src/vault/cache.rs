//! What may be lost and is not secret: files by key, beside the records.

use std::path::PathBuf;

use crate::{Vault, VaultError, error::io, folder::store::Durability, hex};

impl Vault {
    /// Returns what was last kept under this key.
    pub fn read_cache(&self, key: &[u8; 16]) -> Result<Option<Vec<u8>>, VaultError> {
        let path = self.cached(key);
        self.store.read(&path).map_err(io("read", path))
    }

    /// Keeps `content` under a key. Of two that write at the same time the last one wins.
    ///
    /// Whole at every moment, but not flushed: a power cut may bring the old one back.
    pub fn write_cache(&self, key: &[u8; 16], content: &[u8]) -> Result<(), VaultError> {
        let folder = self.paths.cache();
        self.store
            .create_folder(&folder)
            .map_err(io("create", folder))?;
        let path = self.cached(key);
        self.store
            .replace(&path, content, Durability::Lossy)
            .map_err(io("write", path))
    }

    fn cached(&self, key: &[u8; 16]) -> PathBuf {
        self.paths.cache().join(hex::encode(key))
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
