//! Stores a credential: in a new record, or in the place of the same account's.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use provider_auth_policy::{AccountId, Gather as _};
use provider_auth_vault::{Vault, VaultError};

use super::account::Account;
use super::accounts::record_id;
use super::credential::Credential;
use super::labels::label_in_pool;
use super::locks::read_locked;
use super::record_kind::record_kind;
use super::{Store, moved_bundle};
use crate::error::BrokerError;
use crate::host::blocking;
use crate::notifier::EventKind;

impl Store {
    /// Stores a credential: over the record of the same account where there is one, else in a new
    /// record. The account that is there keeps its priority unless another one was asked for.
    pub(crate) async fn store_account(
        self: &Arc<Self>,
        credential: Credential,
        priority: Option<i64>,
    ) -> Result<Account, BrokerError> {
        let vault = self.opened().await?;
        let is_key = credential.lasting().is_some();
        let store = self.clone();
        let (id, generation) = blocking({
            let vault = vault.clone();
            move || {
                let stored = store.store_now(&vault, &credential, priority)?;
                moved_bundle::settle(&vault);
                Ok::<_, BrokerError>(stored)
            }
        })
        .await?;
        self.reread(&vault).await?;
        // A key is as good in an old copy, so the state need not grow with each one that is added.
        if generation > 1 || !is_key {
            self.note(&vault, &provider_auth_policy::refreshed(&id, generation))
                .await;
        }
        let accounts = self.accounts();
        let entry = accounts
            .get(&id)
            .ok_or_else(|| BrokerError::unknown_account(&id.to_string()))?;
        let account = self
            .state
            .read(|state| Account::of(entry, state, self.now()));
        self.notifier.wake_waiting();
        self.tell_account(EventKind::AccountAdded, &id, None);
        Ok(account)
    }

    /// The highest generation that any process has noted of an account.
    pub(crate) fn seen_generation(&self, id: &AccountId) -> u64 {
        self.state.read(|state| state.stats(id).generation)
    }

    fn store_now(
        &self,
        vault: &Arc<Vault>,
        credential: &Credential,
        priority: Option<i64>,
    ) -> Result<(AccountId, u64), BrokerError> {
        // Two logins of one identity at the same time, here or in another process, must end in one
        // record.
        let _one_at_a_time = vault.lock_records()?;
        self.decide(vault, || self.put(vault, credential.clone(), priority))
    }

    /// Reads what is there and decides on it, once more where another machine was faster. The caller
    /// keeps others on this one from adding records.
    pub(crate) fn decide<T>(
        &self,
        vault: &Vault,
        mut decision: impl FnMut() -> Result<T, BrokerError>,
    ) -> Result<T, BrokerError> {
        loop {
            self.reread_now(vault)?;
            match decision() {
                Err(BrokerError::Vault(VaultError::Overtaken)) => {}
                decided => return decided,
            }
        }
    }

    fn put(
        &self,
        vault: &Arc<Vault>,
        mut credential: Credential,
        priority: Option<i64>,
    ) -> Result<(AccountId, u64), BrokerError> {
        // Whether a key is here already, its secret tells.
        let accounts = match credential.lasting() {
            Some(_) => self.whole_accounts(vault)?,
            None => self.accounts(),
        };
        if let Some(entry) = accounts.same_as(&credential).first() {
            let id = record_id(&entry.view.id)?;
            let guard = self.lock_record(vault, &id)?;
            if let Ok((current, _)) = read_locked(vault, &guard) {
                let label = std::mem::take(&mut credential.label);
                let mut credential = credential.in_place_of(current);
                // Signing in, and adding a key, is asking for the account to serve.
                credential.enabled = true;
                credential.priority = priority.unwrap_or(credential.priority);
                if !label.is_empty() {
                    credential.label = label;
                    credential.label = label_in_pool(&accounts, &credential, Some(&entry.view.id));
                }
                // It is what a restored copy asks for: its record becomes the newest again.
                let seen = self.seen_generation(&entry.view.id);
                let generation = vault.overwrite(&guard, &credential.plaintext(), seen)?;
                return Ok((entry.view.id.clone(), generation));
            }
        }
        credential.label = label_in_pool(&accounts, &credential, None);
        let (roster, _) = accounts.pool(&credential.provider, &credential.namespace);
        // Which of two was added first shows in their times alone.
        let later = roster.iter().map(|view| view.created_at);
        let later: HashSet<_> = later.filter(|at| *at >= credential.created_at).gather();
        while later.contains(&credential.created_at) {
            credential.created_at = credential.created_at + Duration::from_millis(1);
        }
        let kind = record_kind(credential.kind());
        let (id, generation) = vault.create(kind, &credential.plaintext())?;
        Ok((AccountId::from(id.to_string()), generation))
    }
}
