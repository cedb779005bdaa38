//! What is known of the records without reading each of them: written by a process that has read them all,
//! for the next one who opens the vault. It is as secret as they are, so it is sealed like one, under a
//! key of its own; it may be missing, old or damaged, and then it says nothing.

use std::sync::Arc;

use crate::{
    Record, RecordId, Vault, VaultError,
    backend::Document,
    crypto::key::random,
    format::record::{self, RecordHeader},
    limits,
};

/// The kind of its record; those of other records are their owner's to give.
const KIND: u8 = 0;

/// The id under which it is sealed. No record has it, since ids begin with the time of their
/// making.
fn id() -> RecordId {
    RecordId::from_parts(0, [1; 10])
}

impl Vault {
    /// Returns the index as it was last written under the present key; `None` where there is none
    /// that opens.
    pub fn read_index(&self) -> Option<Arc<Record>> {
        let file = self.backend.read_document(Document::Index).ok()??;
        let keys = self.current_keys().ok()?;
        let (epoch, key) = keys.index_key();
        let key_of = |of| (of == epoch).then_some(key);
        let opened = record::open(key_of, &self.id, id(), &file);
        opened.ok().map(Arc::new)
    }

    /// Replaces the index. Of two that write at the same time the last one wins.
    ///
    /// Whole at every moment, but not flushed: a power cut may bring the old one back. An index that
    /// would be longer than [`limits::LONGEST_FILE`] is not written.
    pub fn write_index(&self, content: &[u8]) -> Result<(), VaultError> {
        if record::sealed_length(content) > limits::LONGEST_FILE {
            return Ok(());
        }
        let keys = self.current_keys()?;
        let (epoch, key) = keys.index_key();
        let header = RecordHeader {
            kind: KIND,
            epoch,
            generation: 1,
            vault: self.id,
            id: id(),
            nonce: random(&*self.entropy),
            length: 0,
        };
        let file = record::seal(key, header, content);
        self.backend.write_document(Document::Index, &file)?;
        // No lock kept a rotation from passing by, so that no call waits for this file; what it left
        // under the old key must not stay.
        if self.current_keys()?.index_key().0 != epoch {
            self.forget_index()?;
        }
        Ok(())
    }

    /// Removes the index: it is under an old key, or holds what must be gone.
    pub(super) fn forget_index(&self) -> Result<(), VaultError> {
        self.backend.remove_document(Document::Index).map(drop)
    }
}
