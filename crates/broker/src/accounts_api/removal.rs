//! Removing an account, with every copy of its secrets that the vault has.

use std::sync::Arc;

use provider_auth_policy::AccountId;
use provider_auth_vault::{RecordGuard, RecordId, Vault, VaultError};

use crate::accounts_api::AccountService;
use crate::error::BrokerError;
use crate::host::blocking;
use crate::notifier::{About, EventKind};
use crate::store::accounts::record_id;
use crate::store::credential::Credential;
use crate::store::entry::Entry;
use crate::store::moved_bundle;
use crate::store::record_kind::KEPT_FILE;

/// Whether removing an account ends it at the provider too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoke {
    /// Tell the provider (RFC 7009), then remove.
    AtProvider,
    /// Remove here only.
    Locally,
}

impl AccountService {
    /// Removes an account, named by id or label; with `revoke`, first at the provider.
    ///
    /// The copies go first: killed in between, the account is still there and can be removed again.
    pub(crate) async fn remove_account(
        self: &Arc<Self>,
        id: &str,
        revoke: Revoke,
    ) -> Result<bool, BrokerError> {
        let vault = self.store.opened().await?;
        let (own, known) = match self.store.named_entry(id) {
            Ok(entry) => (entry.view.id.clone(), Some(entry)),
            // What is left of it may lie aside.
            Err(BrokerError::UnknownAccount(_)) => (AccountId::from(id), None),
            Err(error) => return Err(error),
        };
        let record = record_id(&own)?;
        let locked = {
            let (broker, disk, known) = (self.clone(), vault.clone(), known.clone());
            blocking(move || broker.locked_for_removal(&disk, record, known.as_deref(), revoke))
        };
        // Held to the end: a refresh in between would bring tokens that this call does not revoke.
        let (guard, credential) = locked.await?;
        if let Some(credential) = credential.as_ref().filter(|_| revoke == Revoke::AtProvider) {
            self.endpoints.revoke(credential).await?;
        }
        let removed = {
            let (broker, disk) = (self.clone(), vault.clone());
            blocking(move || -> Result<bool, BrokerError> {
                if let Some(credential) = &credential {
                    broker.migration.erase_kept(&disk, &[(&own, credential)])?;
                    moved_bundle::forget_with(&disk, &own, credential)?;
                }
                Ok(disk.remove(guard)?)
            })
        };
        let removed = removed.await?;
        self.store.reread(&vault).await?;
        if let Some(entry) = known.filter(|_| removed) {
            self.store.notifier.wake_waiting();
            self.store.notifier.tell(
                EventKind::AccountRemoved,
                (&entry.view.provider, &entry.view.namespace),
                Some(&entry.view.id),
                About::default(),
            );
        }
        let store = self.store.clone();
        blocking(move || store.save_counts(&vault)).await;
        match removed {
            true => Ok(true),
            // Another process was faster.
            false => Err(BrokerError::unknown_account(id)),
        }
    }

    /// The lock of an account, and its secrets as the disk has them. Of a damaged record, which
    /// cannot be revoked, what is known: where nothing is, its copies that were set aside are all
    /// that there is to remove.
    fn locked_for_removal(
        &self,
        vault: &Vault,
        id: RecordId,
        known: Option<&Entry>,
        revoke: Revoke,
    ) -> Result<(RecordGuard, Option<Credential>), BrokerError> {
        let unknown = || BrokerError::UnknownAccount(id.to_string());
        let is_aside = || vault.quarantine().iter().any(|aside| aside.id == id);
        if known.is_none() && !vault.ids()?.contains(&id) && !is_aside() {
            return Err(unknown());
        }
        let guard = self.store.lock_record(vault, &id)?;
        match vault.reread(&guard) {
            Ok(Some(record)) if record.kind == KEPT_FILE => Err(unknown()),
            Ok(Some(record)) => match Credential::open(&record) {
                Some(credential) => Ok((guard, Some(credential))),
                None => Err(VaultError::Corrupt { id }.into()),
            },
            Ok(None) if is_aside() => Ok((guard, None)),
            Ok(None) => Err(unknown()),
            Err(VaultError::Corrupt { .. }) if revoke == Revoke::Locally => {
                Ok((guard, known.map(|known| known.known_credential())))
            }
            Err(error) => Err(error.into()),
        }
    }
}
