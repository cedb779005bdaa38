//! Finds one account by what a call names it with.

use std::sync::Arc;

use provider_auth_policy::{AccountId, Timestamp};

use super::Store;
use super::account::Account;
use super::entry::Entry;
use super::labels::ambiguous;
use crate::error::BrokerError;
use crate::notifier::{About, EventKind};

impl Store {
    /// The entry of an account by its id.
    pub(crate) fn entry(&self, id: &str) -> Result<Arc<Entry>, BrokerError> {
        let accounts = self.accounts();
        let unknown = || BrokerError::unknown_account(id);
        accounts
            .by_id
            .get(&AccountId::from(id))
            .cloned()
            .ok_or_else(unknown)
    }

    pub(crate) fn account(&self, id: &AccountId) -> Result<Account, BrokerError> {
        let entry = self.entry(id.as_str())?;
        Ok(self
            .state
            .read(|state| Account::of(&entry, state, self.now())))
    }

    /// The entry of the account that a call names by its id, else by its label.
    pub(crate) fn named_entry(&self, name: &str) -> Result<Arc<Entry>, BrokerError> {
        let accounts = self.accounts();
        if let Some(entry) = accounts.by_id.get(&AccountId::from(name)) {
            return Ok(entry.clone());
        }
        let labelled = accounts
            .by_id
            .values()
            .filter(|entry| entry.view.label == name);
        let labelled: Vec<_> = labelled.collect();
        match labelled.as_slice() {
            [] => Err(BrokerError::unknown_account(name)),
            [entry] => Ok((*entry).clone()),
            several => Err(ambiguous(several.iter().map(|entry| &*entry.view))),
        }
    }

    /// Tells of a change of one account, if it is still there.
    pub(crate) fn tell_account(&self, kind: EventKind, id: &AccountId, until: Option<Timestamp>) {
        if let Ok(entry) = self.entry(id.as_str()) {
            let about = About {
                until,
                ..About::default()
            };
            let pool = (&entry.view.provider, &entry.view.namespace);
            self.notifier.tell(kind, pool, Some(id), about);
        }
    }
}
