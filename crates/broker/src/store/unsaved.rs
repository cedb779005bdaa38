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
use provider_auth_vault::{Pending, RecordGuard, RecordId, Vault, VaultError, line};

use super::credential::Credential;

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
}

impl Unsaved {
    pub(crate) fn new(guard: RecordGuard, note: Pending, credential: Credential) -> Self {
        Self {
            guard,
            note,
            credential,
        }
    }

    pub(crate) fn id(&self) -> RecordId {
        self.guard.id()
    }

    fn write(&self, vault: &Vault) -> Result<u64, VaultError> {
        let plaintext = self.credential.plaintext();
        let written = vault.replace(&self.guard, &plaintext).or_else(|_| {
            // On a full disk the note's own space may be what is missing.
            vault.clear_pending(&self.guard)?;
            vault.replace(&self.guard, &plaintext)
        });
        match &written {
            Ok(_) => clear_note(vault, &self.guard),
            // Should this process die before the disk takes them, the next one must try at once.
            Err(_) => {
                if let Err(error) = vault.set_pending(&self.guard, &self.note) {
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
        let Some(unsaved) = &*waiting else {
            return Ok(None);
        };
        let generation = unsaved.write(vault)?;
        self.0.lock().remove(id);
        Ok(waiting.take().map(|saved| (saved.guard, generation)))
    }
}

/// Removes the note of a refresh that has an outcome. One that stays behind is known by its
/// generation to be old.
pub(crate) fn clear_note(vault: &Vault, guard: &RecordGuard) {
    if let Err(error) = vault.clear_pending(guard) {
        line!(
            WARN,
            account = guard.id(),
            error = error,
            "the note of a finished refresh could not be removed"
        );
    }
}
