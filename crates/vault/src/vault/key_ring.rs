//! The keys that an open vault has in memory.

use std::sync::Arc;

use crate::{
    crypto::key::Key,
    format::{
        header::Header,
        record::{index_key, record_key},
        row::state_key,
        slot::HeaderError,
    },
    vault::unlock::Unlocked,
};

/// The keys that follow from a header: of its epoch, and of those that records may still be under.
pub(super) struct KeyRing {
    pub(super) header: Header,
    /// The header's own epoch comes first.
    keys: Vec<(u32, Key)>,
    /// Those of rows, likewise.
    state_keys: Vec<(u32, Key)>,
    /// Of the names of rows.
    names_key: Key,
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
        let derived = |derive: fn(&Key, u32) -> Key| {
            let keys = keys.iter();
            keys.map(|(epoch, key)| (*epoch, derive(key, *epoch)))
                .collect()
        };
        Ok(Self {
            keys: derived(record_key),
            state_keys: derived(state_key),
            names_key: unlocked.header.names_key(&unlocked.data_key),
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
        key_of(&self.keys, epoch)
    }

    /// Returns the epoch and the key under which rows are written.
    pub(super) fn state_key(&self) -> (u32, &Key) {
        let (epoch, key) = &self.state_keys[0];
        (*epoch, key)
    }

    pub(super) fn state_key_of(&self, epoch: u32) -> Option<&Key> {
        key_of(&self.state_keys, epoch)
    }

    pub(super) fn names_key(&self) -> &Key {
        &self.names_key
    }
}

fn key_of(keys: &[(u32, Key)], epoch: u32) -> Option<&Key> {
    let found = keys.iter().find(|(known, _)| *known == epoch);
    found.map(|(_, key)| key)
}
