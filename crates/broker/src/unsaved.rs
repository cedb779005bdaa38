//! New tokens on their way to the disk.
//!
//! The server has replaced the old refresh token by the time they are here, so they must not be lost. A disk that
//! refuses them, a full one most of all, is asked again every second and at the end of the process. Until then nobody
//! uses them, and the record's lock stays with them: no other process may spend the old token again.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use provider_auth_policy::AccountId;
use provider_auth_vault::{Pending, RecordGuard, RecordId, Vault, VaultError};

use crate::broker::{Broker, blocking};
use crate::credential::Credential;
use crate::error::BrokerError;
use crate::events::EventKind;
use crate::exchange::clear_note;
use crate::limits;
use crate::refresh::Landing;

/// The tokens of this process that are not on disk, by record.
#[derive(Default)]
pub(crate) struct UnsavedTokens(Mutex<HashMap<RecordId, Unsaved>>);

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
                    tracing::warn!(account = %self.guard.id(), %error, "the note of a refresh could not be put back");
                }
            }
        }
        written
    }
}

impl Broker {
    /// Writes new tokens; if the disk refuses them, they are kept and tried again.
    pub(crate) async fn persist(
        self: &Arc<Self>,
        vault: &Arc<Vault>,
        unsaved: Unsaved,
    ) -> Result<Landing, BrokerError> {
        let id = unsaved.guard.id();
        let (broker, disk) = (self.clone(), vault.clone());
        let saved = blocking(move || {
            broker.unsaved.0.lock().insert(id, unsaved);
            broker.save(&disk, &id).map(drop)
        })
        .await;
        if let Err(error) = saved {
            tracing::error!(account = %id, %error, "new tokens could not be written; they are tried again every second");
            self.save_later(vault, id);
            return Err(error.into());
        }
        // The lock is free by now: what the others must know is in the record.
        self.save_state(vault).await;
        Ok(Landing::Renewed)
    }

    /// The lock of a record. Tokens of it that are not saved yet are written first, since the lock is with them.
    pub(crate) fn lock_record(
        &self,
        vault: &Vault,
        id: &RecordId,
    ) -> Result<RecordGuard, VaultError> {
        match self.save(vault, id)? {
            Some(guard) => Ok(guard),
            None => vault.lock_within(id, limits::LOCK_PATIENCE),
        }
    }

    /// Like [`lock_record`](Self::lock_record); `None` when somebody else has the lock.
    pub(crate) fn try_lock_record(
        &self,
        vault: &Vault,
        id: &RecordId,
    ) -> Result<Option<RecordGuard>, VaultError> {
        match self.save(vault, id)? {
            Some(guard) => Ok(Some(guard)),
            None => vault.try_lock(id),
        }
    }

    /// Tries once more to write every token that is not on disk; the process is about to end.
    pub(crate) fn save_all(&self, vault: &Vault) {
        let ids: Vec<RecordId> = self.unsaved.0.lock().keys().copied().collect();
        for id in ids {
            if let Err(error) = self.save(vault, &id) {
                tracing::error!(account = %id, %error, "new tokens could not be written before the end of the process");
            }
        }
    }

    /// Writes the record's new tokens, if there are unsaved ones, and returns its lock.
    fn save(&self, vault: &Vault, id: &RecordId) -> Result<Option<RecordGuard>, VaultError> {
        // Held during the write: whoever else wants the lock of this record must not wait for it in vain.
        let mut waiting = self.unsaved.0.lock();
        let Some(unsaved) = waiting.get(id) else {
            return Ok(None);
        };
        let generation = unsaved.write(vault)?;
        let saved = waiting.remove(id);
        drop(waiting);
        self.published(vault, id, generation);
        Ok(saved.map(|saved| saved.guard))
    }

    /// Makes known that a record has new tokens. The state is written with its next change, or by the caller.
    fn published(&self, vault: &Vault, id: &RecordId, generation: u64) {
        let id = AccountId::from(id.to_string());
        // The record is read before its generation is known, so that it never looks like an old copy.
        if let Err(error) = self.reread_now(vault) {
            tracing::warn!(account = %id, %error, "the renewed record cannot be read again yet");
        }
        self.ledger
            .note(&provider_auth_policy::refreshed(&id, generation));
        self.changed.notify_waiters();
        self.report_refresh(&id, EventKind::Refreshed, None);
    }

    fn save_later(self: &Arc<Self>, vault: &Arc<Vault>, id: RecordId) {
        let (broker, vault) = (self.clone(), vault.clone());
        // Owned by the tokens that wait: it ends with them, and `close` does not depend on it.
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(limits::SAVE_AGAIN).await;
                let (again, disk) = (broker.clone(), vault.clone());
                if blocking(move || again.save(&disk, &id).map(drop))
                    .await
                    .is_ok()
                {
                    return broker.save_state(&vault).await;
                }
            }
        });
    }
}
