//! The keys that an open vault has in memory.

use std::sync::Arc;

use crate::{
    crypto::key::Key,
    format::{
        header::Header,
        record::{index_key, record_key},
        slot::HeaderError,
    },
    vault::unlock::Unlocked,
};

/// The record keys of a header: of its epoch, and of those that records may still be under.
pub(super) struct KeyRing {
    pub(super) header: Header,
    /// The header's own epoch comes first.
    keys: Vec<(u32, Key)>,
    /// Of the header's own epoch: an index under an older key is made anew.
    index_key: Key,
}

/// A ring, and the header's bytes when the ring was last compared with it.
pub(super) struct CheckedKeys {
    pub(super) file: Option<Vec<u8>>,
    pub(super) ring: Arc<KeyRing>,
}

impl KeyRing {
    pub(super) fn of(unlocked: &Unlocked) -> Result<Self, HeaderError> {
        let keys = unlocked.header.data_keys(&unlocked.data_key)?;
        let keys = keys
            .iter()
            .map(|(epoch, key)| (*epoch, record_key(key, *epoch)));
        Ok(Self {
            keys: keys.collect(),
            index_key: index_key(&unlocked.data_key, unlocked.header.epoch),
            header: unlocked.header.clone(),
        })
    }

    /// Returns the epoch and the key under which records are written.
    pub(super) fn current(&self) -> (u32, &Key) {
        let (epoch, key) = &self.keys[0];
        (*epoch, key)
    }

    /// Returns the epoch and the key under which the index is written.
    pub(super) fn index_key(&self) -> (u32, &Key) {
        (self.header.epoch, &self.index_key)
    }

    pub(super) fn record_key(&self, epoch: u32) -> Option<&Key> {
        let found = self.keys.iter().find(|(known, _)| *known == epoch);
        found.map(|(_, key)| key)
    }
}
