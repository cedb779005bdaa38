//! The claim to a refresh, and the note that it is under way.

use serde::{Deserialize, Serialize};

use crate::{Claimed, Need, Outcome, RecordGuard, RecordId, Vault, VaultError};

/// Says that a refresh token is being spent, so that a crash in between is noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The record's generation when its token was spent: an older note is a leftover.
    pub generation: u64,
    /// A hash of the refresh token.
    #[serde(with = "hex::serde")]
    pub refresh_hash: [u8; 32],
    /// Unix milliseconds.
    pub started_at: u64,
    /// The process that refreshes.
    pub pid: u32,
    /// Names the boot of the machine, since process numbers start again.
    pub boot_id: String,
}

impl Vault {
    /// Returns the note on a record; one that cannot be read is [`VaultError::Corrupt`], and may be
    /// removed.
    pub fn pending(&self, id: &RecordId) -> Result<Option<Pending>, VaultError> {
        let Some(note) = self.backend.read_note(*id)? else {
            return Ok(None);
        };
        serde_json::from_slice(&note)
            .map(Some)
            .map_err(|_| VaultError::Corrupt { id: *id })
    }

    /// Claims the right to spend the refresh token of the guarded record: puts the note on it,
    /// durably.
    pub fn claim(
        &self,
        guard: &RecordGuard,
        need: Need,
        note: &Pending,
    ) -> Result<Claimed, VaultError> {
        let bytes = serde_json::to_vec(note).expect("a note has no key that JSON could not hold");
        self.backend.claim(guard, note.generation, need, &bytes)
    }

    /// Gives back the claim on the guarded record; with a known outcome its note goes.
    ///
    /// After a power cut it may be back; its generation then shows that it is old.
    pub fn release(&self, guard: &RecordGuard, outcome: Outcome) -> Result<(), VaultError> {
        self.backend.release(guard, outcome)
    }

    /// Returns the records with a note whose lock is free: the process that was refreshing them is
    /// gone.
    pub fn abandoned(&self) -> Vec<RecordId> {
        self.backend.abandoned().unwrap_or_default()
    }
}
