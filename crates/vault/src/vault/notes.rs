//! What needs no seal of ours: the note that a refresh is under way, the shared state file.

use serde::{Deserialize, Serialize};

use crate::{
    RecordGuard, RecordId, Vault, VaultError,
    error::io,
    folder::store::{Durability, Stamp},
    hex, limits,
    vault::hold,
};

/// Says that a refresh token is being spent, so that a crash in between is noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The record's generation when its token was spent: an older note is a leftover.
    pub generation: u64,
    /// A hash of the refresh token.
    #[serde(with = "hex")]
    pub refresh_hash: [u8; 32],
    /// Unix milliseconds.
    pub started_at: u64,
    /// The process that refreshes.
    pub pid: u32,
    /// Names the boot of the machine, since process numbers start again.
    pub boot_id: String,
}

impl Vault {
    /// Returns the note on a record; one that cannot be read is [`VaultError::Corrupt`], and may be cleared.
    pub fn pending(&self, id: &RecordId) -> Result<Option<Pending>, VaultError> {
        let path = self.paths.pending(*id);
        let Some(note) = self.store.read(&path).map_err(io("read", path))? else {
            return Ok(None);
        };
        serde_json::from_slice(&note)
            .map(Some)
            .map_err(|_| VaultError::Corrupt { id: *id })
    }

    /// Puts a note on the guarded record, durably.
    pub fn set_pending(&self, guard: &RecordGuard, note: &Pending) -> Result<(), VaultError> {
        let path = self.paths.pending(guard.id);
        let note = serde_json::to_vec(note).expect("a note has no key that JSON could not hold");
        self.store
            .replace(&path, &note, Durability::Durable)
            .map_err(io("write", path))
    }

    /// Removes the note from the guarded record.
    ///
    /// After a power cut it may be back; its generation then shows that it is old.
    pub fn clear_pending(&self, guard: &RecordGuard) -> Result<(), VaultError> {
        let path = self.paths.pending(guard.id);
        self.store
            .remove(&path, Durability::Lossy)
            .map(drop)
            .map_err(io("remove", path))
    }

    /// Returns the records with a note whose lock is free: whoever was refreshing them is gone.
    pub fn abandoned(&self) -> Vec<RecordId> {
        let noted = self.ids_ending(".pending").unwrap_or_default();
        noted
            .into_iter()
            .filter(|id| matches!(self.try_lock(id), Ok(Some(_))))
            .collect()
    }

    /// Returns a stamp of the state file, like [`Vault::stamp`].
    pub fn state_stamp(&self) -> Stamp {
        self.store
            .stamp(&self.paths.state())
            .unwrap_or(Stamp::Unsettled)
    }

    /// Returns the state file's content.
    pub fn read_state(&self) -> Result<Option<Vec<u8>>, VaultError> {
        let path = self.paths.state();
        self.store.read(&path).map_err(io("read", path))
    }

    /// Replaces the state file by what `merge` makes of its content, alone among all processes.
    ///
    /// Whole at every moment, but not flushed: a power cut may bring the old one back.
    pub fn update_state(
        &self,
        merge: &mut dyn FnMut(Option<&[u8]>) -> Vec<u8>,
    ) -> Result<(), VaultError> {
        let _held = hold(
            &self.room,
            &self.paths.vault_lock(),
            limits::VAULT_LOCK_WAIT,
        )?;
        let merged = merge(self.read_state()?.as_deref());
        let path = self.paths.state();
        self.store
            .replace(&path, &merged, Durability::Lossy)
            .map_err(io("write", path))
    }
}
