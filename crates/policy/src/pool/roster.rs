//! The accounts of one pool.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::account::{AccountId, AccountView};
use crate::pool::changes::Changes;

/// The accounts of one pool (provider and namespace), by id.
///
/// Built once and shared; a copy of it follows each change of the vault.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    accounts: BTreeMap<AccountId, Arc<AccountView>>,
    /// Tells this list from every other: of other accounts, or in another order.
    identity: Arc<()>,
    /// The accounts that changed in their places.
    replaced: Changes,
}

impl Roster {
    /// Takes the accounts of one pool.
    pub fn new(accounts: Vec<AccountView>) -> Self {
        Self::of(accounts.into_iter().map(Arc::new))
    }

    /// Takes the accounts of one pool, which others hold as well.
    pub fn of(accounts: impl IntoIterator<Item = Arc<AccountView>>) -> Self {
        Self {
            accounts: accounts
                .into_iter()
                .map(|account| (account.id.clone(), account))
                .collect(),
            ..Self::default()
        }
    }

    /// Adds an account, or puts it in the place of the one with its id.
    pub fn put(&mut self, account: Arc<AccountView>) {
        let (id, seniority) = (account.id.clone(), account.seniority());
        let old = self.accounts.insert(id.clone(), account);
        if old.is_some_and(|old| old.seniority() == seniority) {
            self.replaced.note(&id);
        } else {
            self.identity = Arc::default();
        }
    }

    /// Takes out the account with this id.
    pub fn remove(&mut self, id: &AccountId) {
        if self.accounts.remove(id).is_some() {
            self.identity = Arc::default();
        }
    }

    /// Returns what is the same as long as the same accounts are in it, in the same order of
    /// seniority.
    pub(crate) const fn identity(&self) -> &Arc<()> {
        &self.identity
    }

    /// Returns the accounts that changed in their places.
    pub(crate) const fn replaced(&self) -> &Changes {
        &self.replaced
    }

    /// Returns the account with this id.
    pub fn get(&self, id: &AccountId) -> Option<&AccountView> {
        self.accounts.get(id).map(|account| &**account)
    }

    /// Returns the accounts in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &AccountView> {
        self.accounts.values().map(|account| &**account)
    }

    /// Returns the account that a pin names: by id, else by label; of equal labels the oldest.
    pub fn find(&self, pin: &str) -> Option<&AccountView> {
        self.get(&AccountId::from(pin)).or_else(|| {
            self.iter()
                .filter(|account| account.label == pin)
                .min_by_key(|account| (account.created_at, &account.id))
        })
    }

    /// Tells whether the pool has no account at all.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// Returns how many accounts the pool has.
    pub fn len(&self) -> usize {
        self.accounts.len()
    }
}
