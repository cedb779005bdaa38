//! New tokens on their way to the disk.
//!
//! The server has replaced the old refresh token by the time they are here, so they must not be
//! lost. A disk that refuses them, a full one most of all, is asked again every second and at the
//! end of the process. Until then they are not used, and the record's lock stays with them: no
//! other process may spend the old token again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use provider_auth_vault::{
    Need, Outcome, Pending, Purpose, RecordGuard, RecordId, Vault, VaultError, line,
};

use super::credential::Credential;
use super::secret::fingerprint;

/// The tokens of this process that are not on disk, by record: each in a slot of its own, so that a
/// write that hangs keeps no other account waiting.
#[derive(Default)]
pub(super) struct UnsavedTokens(Mutex<HashMap<RecordId, Slot>>);

/// Held while its tokens are written, and empty once they are.
type Slot = Arc<Mutex<Option<Unsaved>>>;

/// A credential with new tokens, the lock of its record, and the note that they were asked for.
pub(crate) struct Unsaved {
    guard: RecordGuard,
    note: Pending,
    credential: Credential,
    /// The generation that the credential was made of.
    from: u64,
}

impl Unsaved {
    pub(crate) fn new(guard: RecordGuard, note: Pending, credential: Credential) -> Self {
        Self {
            from: note.generation,
            guard,
            note,
            credential,
        }
    }

    pub(crate) fn id(&self) -> RecordId {
        self.guard.id()
    }

    /// Writes them and ends the claim; returns the generation that the record has then.
    fn write(&mut self, vault: &Vault) -> Result<u64, VaultError> {
        let written = self.bring(vault).or_else(|error| {
            // On a full disk the note's own space may be what is missing.
            if !matches!(error, VaultError::Io { .. }) {
                return Err(error);
            }
            vault.release(&self.guard, Outcome::Known)?;
            self.bring(vault)
        });
        match &written {
            Ok(_) => release(vault, &self.guard, Outcome::Known),
            // Should this process die before the disk takes them, the next one must try at once.
            Err(_) => {
                if let Err(error) = vault.claim(&self.guard, Need::Now, &self.note) {
                    line!(
                        WARN,
                        account = self.guard.id(),
                        error = error,
                        "the note of a refresh could not be put back"
                    );
                }
            }
        }
        written
    }

    /// Brings the tokens into the record. They win as long as it holds the token that they came
    /// from; where it holds another one, somebody has newer ones.
    fn bring(&mut self, vault: &Vault) -> Result<u64, VaultError> {
        loop {
            let plaintext = self.credential.plaintext();
            let brought = vault.bring(&self.guard, self.from, Purpose::Tokens, &plaintext)?;
            if let Some(generation) = brought {
                return Ok(generation);
            }
            let id = self.guard.id();
            let moved = vault.reread(&self.guard)?;
            let moved = moved.ok_or(VaultError::Absent { id })?;
            match Credential::open(&moved) {
                Some(newer) if self.came_from(&newer) => {
                    self.credential = self.credential.clone().in_place_of(newer);
                    self.from = moved.generation;
                }
                _ => {
                    line!(
                        INFO,
                        account = id,
                        generation = moved.generation,
                        "a record has newer tokens than those that came for it"
                    );
                    return Ok(moved.generation);
                }
            }
        }
    }

    fn came_from(&self, credential: &Credential) -> bool {
        let spent = self.note.refresh_hash;
        let held = credential.held();
        held.iter().any(|secret| fingerprint(secret) == spent)
    }
}

impl UnsavedTokens {
    pub(super) fn insert(&self, id: RecordId, unsaved: Unsaved) {
        let slot = Arc::new(Mutex::new(Some(unsaved)));
        self.0.lock().insert(id, slot);
    }

    pub(super) fn ids(&self) -> Vec<RecordId> {
        self.0.lock().keys().copied().collect()
    }

    /// Writes the record's new tokens, if there are unsaved ones; returns its lock and the new
    /// generation. Another caller who writes them is waited for, but not for longer than this: then
    /// it is [`VaultError::Busy`].
    pub(super) fn write(
        &self,
        vault: &Vault,
        id: &RecordId,
        patience: Duration,
    ) -> Result<Option<(RecordGuard, u64)>, VaultError> {
        let Some(slot) = self.0.lock().get(id).cloned() else {
            return Ok(None);
        };
        // Held during the write: another caller for the lock of this record must not wait for it in
        // vain.
        let Some(mut waiting) = slot.try_lock_for(patience) else {
            return Err(VaultError::Busy {
                lock: format!("record {id}"),
                waited: patience,
                holder: Some(std::process::id()),
            });
        };
        let Some(unsaved) = &mut *waiting else {
            return Ok(None);
        };
        let generation = unsaved.write(vault)?;
        self.0.lock().remove(id);
        Ok(waiting.take().map(|saved| (saved.guard, generation)))
    }
}

/// Brings new tokens that a process left behind which is gone, and returns the lock. For a folder
/// there are none: what a process brought there is in the record.
pub(crate) fn bring_left(vault: &Vault, guard: RecordGuard) -> Result<RecordGuard, VaultError> {
    let record = match vault.left(&guard) {
        Ok(None) => return Ok(guard),
        Ok(Some(record)) => Some(record),
        Err(VaultError::Corrupt { .. }) => None,
        Err(error) => return Err(error),
    };
    let note = vault.pending(&guard.id()).ok().flatten();
    let credential = record.as_ref().and_then(Credential::open);
    let (Some(note), Some(credential)) = (note, credential) else {
        line!(
            WARN,
            account = guard.id(),
            "what a process left of a refresh cannot be used"
        );
        release(vault, &guard, Outcome::Known);
        return Ok(guard);
    };
    let mut left = Unsaved::new(guard, note, credential);
    left.write(vault)?;
    Ok(left.guard)
}

/// Gives back the claim of a refresh that has ended. A note that stays behind is known by its
/// generation to be old.
pub(crate) fn release(vault: &Vault, guard: &RecordGuard, outcome: Outcome) {
    if let Err(error) = vault.release(guard, outcome) {
        line!(
            WARN,
            account = guard.id(),
            error = error,
            "the note of a finished refresh could not be removed"
        );
    }
}
