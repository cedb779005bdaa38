//! The right to change a record. Its lock is a kernel lock that all processes share, and is free
//! the moment its holder dies.

use std::sync::Arc;
use std::time::Duration;

use provider_auth_policy::AccountId;
use provider_auth_vault::{Purpose, RecordGuard, RecordId, Vault, VaultError, line};

use super::Store;
use super::credential::Credential;
use super::unsaved::Unsaved;
use crate::error::BrokerError;
use crate::host::blocking;
use crate::limits;
use crate::notifier::EventKind;

impl Store {
    /// The lock of a record. Tokens of it that are not saved yet are written first, since the lock
    /// is with them.
    pub(crate) fn lock_record(
        &self,
        vault: &Vault,
        id: &RecordId,
    ) -> Result<RecordGuard, VaultError> {
        match self.save(vault, id, limits::LOCK_TIMEOUT)? {
            Some(guard) => Ok(guard),
            None => vault.lock_within(id, limits::LOCK_TIMEOUT),
        }
    }

    /// Like [`Store::lock_record`]; `None` when the lock is taken.
    pub(crate) fn try_lock_record(
        &self,
        vault: &Vault,
        id: &RecordId,
    ) -> Result<Option<RecordGuard>, VaultError> {
        match self.save(vault, id, Duration::ZERO) {
            Ok(Some(guard)) => Ok(Some(guard)),
            Ok(None) => vault.try_lock(id),
            Err(VaultError::Busy { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes new tokens; if the disk refuses them, they are kept and tried again.
    pub(crate) async fn persist(
        self: &Arc<Self>,
        vault: &Arc<Vault>,
        unsaved: Unsaved,
    ) -> Result<(), BrokerError> {
        let id = unsaved.id();
        let (store, disk) = (self.clone(), vault.clone());
        let saved = blocking(move || {
            store.unsaved.insert(id, unsaved);
            store.save(&disk, &id, limits::LOCK_TIMEOUT).map(drop)
        })
        .await;
        if let Err(error) = saved {
            line!(
                ERROR,
                account = id,
                error = error,
                "new tokens could not be written; they are tried again every second"
            );
            self.save_later(vault, id);
            return Err(error.into());
        }
        // The lock is free by now: what the others must know is in the record.
        self.save_state(vault).await;
        Ok(())
    }

    /// The records of which this process has new tokens that are not on the disk.
    pub(crate) fn unsaved_ids(&self) -> Vec<RecordId> {
        self.unsaved.ids()
    }

    /// Tries once more to write tokens that are not on disk; the process is about to end.
    pub(super) fn save_last(&self, vault: &Vault, id: &RecordId) {
        if let Err(error) = self.save(vault, id, limits::EXIT_TIMEOUT) {
            line!(
                ERROR,
                account = id,
                error = error,
                "new tokens could not be written before the end of the process"
            );
        }
    }

    /// Writes the record's new tokens, if there are unsaved ones, makes them known, and returns its
    /// lock. Who writes them already is waited for with this much patience.
    fn save(
        &self,
        vault: &Vault,
        id: &RecordId,
        patience: Duration,
    ) -> Result<Option<RecordGuard>, VaultError> {
        let saved = self.unsaved.write(vault, id, patience)?;
        Ok(saved.map(|(guard, generation)| {
            self.published(vault, id, generation);
            guard
        }))
    }

    /// Makes known that a record has new tokens. The state is written with its next change, or by
    /// the caller.
    fn published(&self, vault: &Vault, id: &RecordId, generation: u64) {
        let id = AccountId::from(id.to_string());
        // The record is read before its generation is known, so that it never looks like an old
        // copy.
        if let Err(error) = self.reread_now(vault) {
            line!(
                WARN,
                account = id,
                error = error,
                "the renewed record cannot be read again yet"
            );
        }
        self.state
            .note(&provider_auth_policy::refreshed(&id, generation));
        self.notifier.wake_waiting();
        self.tell_account(EventKind::Refreshed, &id, None);
    }

    fn save_later(self: &Arc<Self>, vault: &Arc<Vault>, id: RecordId) {
        let (store, vault) = (self.clone(), vault.clone());
        // Owned by the tokens that wait: it ends with them, and `close` does not depend on it.
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(limits::SAVE_AGAIN).await;
                let (again, disk) = (store.clone(), vault.clone());
                if blocking(move || again.save(&disk, &id, limits::LOCK_TIMEOUT).map(drop))
                    .await
                    .is_ok()
                {
                    return store.save_state(&vault).await;
                }
            }
        });
    }
}

/// The credential under its lock: what the disk says now.
pub(crate) fn read_locked(
    vault: &Vault,
    guard: &RecordGuard,
) -> Result<(Credential, u64), BrokerError> {
    let id = guard.id();
    let record = vault
        .reread(guard)?
        .ok_or_else(|| BrokerError::unknown_account(&id.to_string()))?;
    let credential = Credential::open(&record).ok_or(VaultError::Corrupt { id })?;
    Ok((credential, record.generation))
}

/// Changes the credential under its lock: once more on what the record says then, where it has moved
/// on meanwhile. Returns its new generation, and what `change` said of it.
pub(crate) fn change_locked<R>(
    vault: &Vault,
    guard: &RecordGuard,
    mut change: impl FnMut(&mut Credential) -> R,
) -> Result<(u64, R), BrokerError> {
    loop {
        let (mut credential, from) = read_locked(vault, guard)?;
        let said = change(&mut credential);
        if let Some(generation) =
            vault.bring(guard, from, Purpose::Other, &credential.plaintext())?
        {
            return Ok((generation, said));
        }
    }
}
