//! Accounts whose records are read only when their secrets are needed, since the index says all else
//! of them; and the index, for the next process.
//!
//! A record always wins: when it is read, its account is what the record says, whatever the index said.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use provider_auth_policy::AccountId;
use provider_auth_vault::{RecordId, Stamp, Vault, VaultError, line};

use super::Store;
use super::accounts::{Accounts, record_id};
use super::change_detector::Part;
use super::index;
use crate::config::Settings;
use crate::error::BrokerError;
use crate::host::blocking;
use crate::limits;

impl Accounts {
    /// Whether so many records had to be read for these that the next process shall not have to.
    pub(super) fn are_worth_an_index(&self) -> bool {
        let read = self.by_id.len() - self.unread.len();
        self.len() >= limits::INDEXED_FROM && read > self.len() / limits::INDEX_MAY_LACK
    }

    /// The accounts as the index has them, none of them read; none without an index.
    pub(super) fn of_index(vault: &Vault, settings: &Settings) -> Self {
        let folder = vault.stamp();
        let content = vault.read_index();
        let said = content.and_then(|content| index::decode(content.plaintext(), settings));
        let mut known = Self::default();
        if let Some(said) = said {
            known.by_id = said.accounts;
            known.others = (said.folder == folder).then_some(said.others);
        }
        known
    }
}

impl Store {
    /// Reads the record of an account, if that was not done yet.
    pub(crate) async fn read_record(
        self: &Arc<Self>,
        vault: &Arc<Vault>,
        id: &AccountId,
    ) -> Result<(), BrokerError> {
        let (store, vault, id) = (self.clone(), vault.clone(), id.clone());
        let wanted = move |unread: &BTreeSet<_>| unread.get(&id).cloned().into_iter().collect();
        Ok(blocking(move || store.read_unread(&vault, wanted)).await?)
    }

    /// The accounts with their secrets: reads every record that was not read yet.
    pub(crate) fn whole_accounts(&self, vault: &Vault) -> Result<Arc<Accounts>, VaultError> {
        self.read_unread(vault, |unread| unread.iter().cloned().collect())?;
        Ok(self.accounts())
    }

    fn read_unread(
        &self,
        vault: &Vault,
        wanted: impl FnOnce(&BTreeSet<AccountId>) -> Vec<AccountId>,
    ) -> Result<(), VaultError> {
        if self.accounts().unread.is_empty() {
            return Ok(());
        }
        let _one_at_a_time = self.state.reading();
        let ids = wanted(&self.accounts().unread);
        let ids: Vec<RecordId> = ids.iter().filter_map(|id| record_id(id).ok()).collect();
        if !ids.is_empty() {
            let before = self.read_records(vault, &ids)?;
            self.marks.notice(&before, &self.accounts(), &self.state);
        }
        Ok(())
    }

    /// Writes the index a little later, where it is due.
    pub(super) fn index_soon(self: &Arc<Self>, vault: &Arc<Vault>) {
        let is_due = self.index_due.load(Ordering::Acquire);
        if !is_due || self.index_waits.swap(true, Ordering::AcqRel) {
            return;
        }
        let (store, vault) = (self.clone(), vault.clone());
        tokio::spawn(async move {
            tokio::time::sleep(limits::INDEX_AFTER).await;
            store.index_waits.store(false, Ordering::Release);
            blocking(move || store.index_now(&vault)).await;
        });
    }

    /// Writes the index, where it is due: also a process that ends before it was written has read all
    /// records.
    pub(super) fn index_now(&self, vault: &Vault) {
        if !self.index_due.swap(false, Ordering::AcqRel) {
            return;
        }
        let (folder, accounts) = {
            let _one_at_a_time = self.state.reading();
            let folder = vault.stamp();
            let is_current = self.changes.is_current(vault, &[Part::Records]);
            let folder = if is_current { folder } else { Stamp::Unsettled };
            (folder, self.accounts())
        };
        let (content, count) = index::encode(&accounts, folder);
        // Records that were written a moment ago may change again: the next process does better.
        if count < limits::INDEXED_FROM {
            return;
        }
        if let Err(error) = vault.write_index(&content) {
            line!(
                DEBUG,
                error = error,
                "the index of accounts could not be written"
            );
        }
    }
}
