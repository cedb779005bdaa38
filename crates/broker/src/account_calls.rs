//! What a user does with accounts: list, add and change them, lift their cooldowns.

use std::sync::Arc;
use std::time::Duration;

use provider_auth_oauth::Identity;
use provider_auth_policy::{AccountId, AccountKind, AccountView};
use provider_auth_vault::Vault;
use secrecy::SecretString;

use crate::accounts::{Account, Filter, checked_name, read_locked, record_id};
use crate::broker::{About, Broker, blocking};
use crate::credential::{Belongs, Credential, Secret, Unknown};
use crate::error::BrokerError;
use crate::events::EventKind;
use crate::headers::HeaderSet;
use crate::labels::label_in_pool;
use crate::moved;

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

impl Broker {
    /// Lists the accounts, oldest first.
    pub async fn list_accounts(
        self: &Arc<Self>,
        filter: &Filter,
    ) -> Result<Vec<Account>, BrokerError> {
        self.opened().await?;
        let (accounts, now) = (self.accounts(), self.now());
        let mut entries: Vec<_> = accounts
            .by_id
            .values()
            .filter(|entry| filter.admits(entry))
            .collect();
        entries.sort_unstable_by(|a, b| a.view.id.cmp(&b.view.id));
        let mut listed: Vec<_> = self.ledger.read(|state| {
            entries
                .iter()
                .map(|entry| Account::of(entry, state, now))
                .collect()
        });
        if filter.provider.is_none() && filter.namespace.is_none() && filter.account.is_none() {
            listed.extend(accounts.unreadable.iter().map(Account::unreadable));
        }
        Ok(listed)
    }

    /// Stores an API key. The same key of the same pool updates its record.
    pub async fn add_api_key(
        self: &Arc<Self>,
        provider: &str,
        key: SecretString,
        namespace: Option<String>,
        label: Option<String>,
        priority: Option<i64>,
    ) -> Result<Account, BrokerError> {
        HeaderSet::check_key(&key)?;
        // Which accounts there are has a say in what a provider is.
        self.opened().await?;
        let provider = self.provider(provider)?;
        if provider.origins.is_empty() {
            return Err(BrokerError::InvalidArgument(format!(
                "{} has no origins, so a key of it could be sent nowhere: set providers.{0}.origins",
                provider.id
            )));
        }
        let now = self.now();
        let namespace = checked_name("namespace", namespace)?;
        let namespace = provider.pool(namespace.as_deref()).to_owned();
        let credential = Credential {
            provider: provider.id.to_string(),
            namespace,
            label: checked_name("label", label)?.unwrap_or_default(),
            enabled: true,
            priority: priority.unwrap_or_default(),
            created_at: now,
            updated_at: now,
            identity: Identity::default(),
            belongs: Belongs::key(&provider),
            secret: Secret::Api {
                key,
                other: Unknown::default(),
            },
            moved_at: None,
            taken_from: None,
            other: Unknown::default(),
        };
        self.store(credential, priority).await
    }

    /// Stores a credential: over the record of the same account where there is one, else in a new record. The account that is
    /// there keeps its priority unless another one was asked for.
    pub(crate) async fn store(
        self: &Arc<Self>,
        credential: Credential,
        priority: Option<i64>,
    ) -> Result<Account, BrokerError> {
        let vault = self.opened().await?;
        let broker = self.clone();
        let (id, generation) = blocking({
            let vault = vault.clone();
            move || {
                let stored = broker.store_now(&vault, credential, priority)?;
                moved::settle(&vault);
                Ok::<_, BrokerError>(stored)
            }
        })
        .await?;
        self.reread(&vault).await?;
        self.note(&vault, &provider_auth_policy::refreshed(&id, generation))
            .await;
        let accounts = self.accounts();
        let entry = accounts
            .get(&id)
            .ok_or_else(|| BrokerError::unknown_account(&id.to_string()))?;
        let account = self
            .ledger
            .read(|state| Account::of(entry, state, self.now()));
        self.changed.notify_waiters();
        self.tell(
            EventKind::AccountAdded,
            (&entry.view.provider, &entry.view.namespace),
            Some(&id),
            About::default(),
        );
        Ok(account)
    }

    fn store_now(
        &self,
        vault: &Arc<Vault>,
        mut credential: Credential,
        priority: Option<i64>,
    ) -> Result<(AccountId, u64), BrokerError> {
        // Two logins of one identity at the same time, here or in another process, must end in one record.
        let _one_at_a_time = vault.lock_records()?;
        self.reread_now(vault)?;
        let accounts = self.accounts();
        let mut same: Vec<_> = accounts
            .by_id
            .values()
            .filter(|entry| entry.credential.is_same_account(&credential))
            .collect();
        same.sort_unstable_by(|a, b| a.view.id.cmp(&b.view.id));
        if let Some(entry) = same.first() {
            let id = record_id(&entry.view.id)?;
            let guard = self.lock_record(vault, &id)?;
            if let Ok((current, _)) = read_locked(vault, &guard) {
                credential.created_at = current.created_at;
                credential.priority = priority.unwrap_or(current.priority);
                if credential.label.is_empty() {
                    credential.label = current.label;
                } else {
                    credential.label = label_in_pool(&accounts, &credential, Some(&entry.view.id));
                }
                credential.taken_from = credential.taken_from.or(current.taken_from);
                credential.other = current.other;
                // Signing in is what a restored copy asks for: its record becomes the newest again.
                let seen = self
                    .ledger
                    .read(|state| state.stats(&entry.view.id).generation);
                let generation = vault.replace_above(&guard, &credential.plaintext(), seen)?;
                // A note of a refresh under way speaks of a token that is history now.
                vault.clear_pending(&guard)?;
                return Ok((entry.view.id.clone(), generation));
            }
        }
        credential.label = label_in_pool(&accounts, &credential, None);
        let (roster, _) = accounts.pool(&credential.provider, &credential.namespace);
        // Which of two was added first shows in their times alone.
        while roster
            .iter()
            .any(|view| view.created_at == credential.created_at)
        {
            credential.created_at = credential.created_at + Duration::from_millis(1);
        }
        let kind = record_kind(credential.kind());
        let (id, generation) = vault.create(kind, &credential.plaintext())?;
        Ok((AccountId::from(id.to_string()), generation))
    }

    /// Changes what a user may change of an account.
    pub async fn update_account(
        self: &Arc<Self>,
        id: &str,
        changes: AccountChanges,
    ) -> Result<Account, BrokerError> {
        let label = checked_name("label", changes.label)?;
        let namespace = checked_name("namespace", changes.namespace)?;
        let vault = self.opened().await?;
        let entry = self.named_entry(id)?;
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
                    broker.reread_now(&vault)?;
                }
                let guard = broker.lock_record(&vault, &record)?;
                let (mut credential, _) = read_locked(&vault, &guard)?;
                if let Some(label) = label {
                    credential.label = label;
                }
                if let Some(namespace) = namespace {
                    credential.namespace = namespace;
                }
                if renames {
                    credential.label = label_in_pool(&broker.accounts(), &credential, Some(&own));
                }
                let was_enabled = credential.enabled;
                credential.enabled = changes.enabled.unwrap_or(was_enabled);
                credential.priority = changes.priority.unwrap_or(credential.priority);
                credential.updated_at = broker.now();
                let generation = vault.replace(&guard, &credential.plaintext())?;
                Ok((generation, credential.enabled && !was_enabled))
            }
        })
        .await?;
        self.reread(&vault).await?;
        let change = self.ledger.read(|state| {
            let mut change = provider_auth_policy::rewritten(state, &entry.view.id, generation);
            if is_back {
                // A person who switches an account on again wants it tried.
                let mut known = state.clone();
                known.merge(&change);
                let view = AccountView {
                    generation,
                    ..entry.view.clone()
                };
                change.merge(&provider_auth_policy::clear(&known, [&view], self.now()).0);
            }
            change
        });
        self.note(&vault, &change).await;
        self.account(&entry.view.id)
    }

    /// Lets accounts serve again at once; returns how many blocks were lifted.
    pub async fn clear_cooldowns(self: &Arc<Self>, filter: &Filter) -> Result<usize, BrokerError> {
        let vault = self.opened().await?;
        let accounts = self.accounts();
        let views: Vec<&AccountView> = accounts
            .by_id
            .values()
            .filter(|entry| filter.admits(entry))
            .map(|entry| &entry.view)
            .collect();
        if let Some(wanted) = &filter.account
            && views.is_empty()
        {
            return Err(BrokerError::unknown_account(wanted));
        }
        let now = self.now();
        let (change, count) = self
            .ledger
            .read(|state| provider_auth_policy::clear(state, views.iter().copied(), now));
        self.ledger.note(&change);
        self.changed.notify_waiters();
        self.flush(&vault).await?;
        Ok(count)
    }
}

pub(crate) fn record_kind(kind: AccountKind) -> u8 {
    match kind {
        AccountKind::Oauth => 1,
        AccountKind::Api => 2,
        AccountKind::Wellknown => 3,
        AccountKind::Mcp => 4,
    }
}

/// The kind of a record that is no account: a file of another program as it was before a migration.
pub(crate) const KEPT_FILE: u8 = 5;
