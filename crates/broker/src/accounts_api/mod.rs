//! What a user does with accounts: list, add and change them, lift their cooldowns.

mod refresh;
mod removal;

use std::sync::Arc;

use provider_auth_policy::AccountView;
use secrecy::SecretString;

use crate::config::Method;
use crate::error::BrokerError;
use crate::host::blocking;
use crate::limits;
use crate::migrate::MigrationService;
use crate::oauth_endpoints::OauthEndpoints;
use crate::refresh::Refresher;
use crate::store::Store;
use crate::store::accounts::{checked_name, record_id};
use crate::store::audience::Audience;
use crate::store::credential::Credential;
use crate::store::labels::label_in_pool;
use crate::store::locks::change_locked;
use crate::store::secret::{Secret, Unknown};
use crate::store::{Account, Filter, HeaderSet};

pub use refresh::Force;
pub use removal::Revoke;

/// What a user changes about an account.
#[derive(Clone, Debug, Default)]
pub struct AccountChanges {
    /// The user's name for it.
    pub label: Option<String>,
    /// Whether it may serve.
    pub enabled: Option<bool>,
    /// Lower serves first.
    pub priority: Option<i64>,
    /// The pool it belongs to.
    pub namespace: Option<String>,
}

/// What a user does with the accounts of one store.
pub(crate) struct AccountService {
    store: Arc<Store>,
    refresher: Arc<Refresher>,
    endpoints: Arc<OauthEndpoints>,
    migration: Arc<MigrationService>,
}

impl AccountService {
    pub(crate) fn new(
        store: Arc<Store>,
        refresher: Arc<Refresher>,
        endpoints: Arc<OauthEndpoints>,
        migration: Arc<MigrationService>,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            refresher,
            endpoints,
            migration,
        })
    }

    /// Lists the accounts, oldest first.
    pub(crate) async fn list_accounts(
        self: &Arc<Self>,
        filter: &Filter,
    ) -> Result<Vec<Account>, BrokerError> {
        self.store.opened().await?;
        let (accounts, now) = (self.store.accounts(), self.store.now());
        // In the order of their ids, which is that of their age.
        let entries = accounts.entries().filter(|entry| filter.admits(entry));
        let entries: Vec<_> = entries.collect();
        let mut listed = Vec::with_capacity(entries.len());
        // Requests look at the state as well: none waits for all of a long list.
        for some in entries.chunks(limits::ACCOUNTS_AT_ONCE) {
            self.store.state.read(|state| {
                listed.extend(some.iter().map(|entry| Account::of(entry, state, now)));
            });
        }
        if filter.provider.is_none() && filter.namespace.is_none() && filter.account.is_none() {
            listed.extend(accounts.unreadable.iter().map(Account::unreadable));
        }
        Ok(listed)
    }

    /// Stores an API key. The same key of the same pool updates its record.
    pub(crate) async fn add_api_key(
        self: &Arc<Self>,
        provider: &str,
        key: SecretString,
        namespace: Option<String>,
        label: Option<String>,
        priority: Option<i64>,
    ) -> Result<Account, BrokerError> {
        HeaderSet::check_key(&key)?;
        // Which accounts there are has a say in what a provider is.
        self.store.opened().await?;
        let provider = self.store.provider(provider)?;
        if provider.origins.is_empty() {
            return Err(BrokerError::InvalidArgument(format!(
                "{} has no origins, so a key of it could be sent nowhere: set providers.{0}.origins",
                provider.id
            )));
        }
        let now = self.store.now();
        let namespace = checked_name("namespace", namespace)?;
        let namespace = provider.pool(namespace.as_deref()).to_owned();
        let secret = Secret::Api {
            key,
            other: Unknown::default(),
        };
        let credential = Credential {
            namespace,
            label: checked_name("label", label)?.unwrap_or_default(),
            priority: priority.unwrap_or_default(),
            method: Some(Method::ApiKey.as_str().to_owned()),
            ..Credential::new(&provider.id, Audience::key(&provider), secret, now)
        };
        self.store.store_account(credential, priority).await
    }

    /// Changes what a user may change of an account.
    pub(crate) async fn update_account(
        self: &Arc<Self>,
        id: &str,
        changes: AccountChanges,
    ) -> Result<Account, BrokerError> {
        let label = checked_name("label", changes.label)?;
        let namespace = checked_name("namespace", changes.namespace)?;
        let vault = self.store.opened().await?;
        let entry = self.store.named_entry(id)?;
        let (broker, own) = (self.clone(), entry.view.id.clone());
        let record = record_id(&own)?;
        let (generation, is_back) = blocking({
            let vault = vault.clone();
            move || -> Result<(u64, bool), BrokerError> {
                let renames = label.is_some() || namespace.is_some();
                // A label is chosen among those that are there, so no other may be added meanwhile.
                let _one_at_a_time = match renames {
                    true => Some(vault.lock_records()?),
                    false => None,
                };
                if renames {
                    broker.store.reread_now(&vault)?;
                }
                let guard = broker.store.lock_record(&vault, &record)?;
                let changed = change_locked(&vault, &guard, |credential| {
                    if let Some(label) = &label {
                        credential.label.clone_from(label);
                    }
                    if let Some(namespace) = &namespace {
                        credential.namespace.clone_from(namespace);
                    }
                    if renames {
                        credential.label =
                            label_in_pool(&broker.store.accounts(), credential, Some(&own));
                    }
                    let was_enabled = credential.enabled;
                    credential.enabled = changes.enabled.unwrap_or(was_enabled);
                    credential.priority = changes.priority.unwrap_or(credential.priority);
                    credential.updated_at = broker.store.now();
                    credential.enabled && !was_enabled
                })?;
                Ok(changed)
            }
        })
        .await?;
        self.store.reread(&vault).await?;
        let change = self.store.state.read(|state| {
            let mut change = provider_auth_policy::rewritten(state, &entry.view.id, generation);
            if is_back {
                // A person who switches an account on again wants it tried.
                let mut known = state.clone();
                known.merge(&change);
                let view = AccountView {
                    generation,
                    ..(*entry.view).clone()
                };
                change.merge(&provider_auth_policy::clear(&known, [&view], self.store.now()).0);
            }
            change
        });
        self.store.note(&vault, &change).await;
        self.store.account(&entry.view.id)
    }

    /// Lets accounts serve again at once; returns how many blocks were lifted.
    pub(crate) async fn clear_cooldowns(
        self: &Arc<Self>,
        filter: &Filter,
    ) -> Result<usize, BrokerError> {
        let vault = self.store.opened().await?;
        let accounts = self.store.accounts();
        let views: Vec<&AccountView> = accounts
            .by_id
            .values()
            .filter(|entry| filter.admits(entry))
            .map(|entry| &*entry.view)
            .collect();
        if let Some(wanted) = &filter.account
            && views.is_empty()
        {
            return Err(BrokerError::unknown_account(wanted));
        }
        let now = self.store.now();
        let (change, count) = self
            .store
            .state
            .read(|state| provider_auth_policy::clear(state, views.iter().copied(), now));
        self.store.state.note(&change);
        self.store.notifier.wake_waiting();
        self.store.flush(&vault).await?;
        Ok(count)
    }
}
