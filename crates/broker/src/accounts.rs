//! The accounts of the vault as this process last read them, and what a user does with them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Weak};

use provider_auth_oauth::Identity;
use provider_auth_policy::{
    AccountId, AccountKind, AccountView, Block, Roster, Scope, SharedState, Timestamp,
};
use provider_auth_vault::{Record, RecordGuard, RecordId, Stamp, Vault, VaultError};
use secrecy::SecretString;

use crate::broker::{About, Broker, blocking};
use crate::config::{Origin, Provider, Settings};
use crate::credential::{Belongs, Credential, Secret};
use crate::error::BrokerError;
use crate::events::EventKind;
use crate::headers::HeaderSet;
use crate::limits;

/// The namespace of accounts that name none.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";

/// What one reading of the vault found.
#[derive(Default)]
pub(crate) struct Accounts {
    stamp: Option<Stamp>,
    // Few keys, looked up by every request: comparing them costs less than hashing one.
    by_id: BTreeMap<AccountId, Arc<Entry>>,
    pools: BTreeMap<String, BTreeMap<String, Members>>,
    unreadable: Vec<AccountId>,
}

/// The accounts of one pool.
#[derive(Default)]
struct Members {
    roster: Roster,
    /// Those that may not go everywhere where the provider's credentials go.
    strays: Vec<Arc<Entry>>,
}

/// One account: what the policy sees, what is sealed, and the headers made of it.
pub(crate) struct Entry {
    pub(crate) view: AccountView,
    pub(crate) credential: Credential,
    pub(crate) headers: HeaderSet,
    /// The record that this was made of: as long as the vault hands out the same one, nothing changed.
    record: Weak<Record>,
}

impl Accounts {
    /// Reads the vault; what did not change since `known` is taken from there.
    pub(crate) fn read(
        vault: &Vault,
        known: &Self,
        settings: &Settings,
    ) -> Result<Self, VaultError> {
        // Taken before the folder is read: a change in between shows at the next look.
        let mut accounts = Self {
            stamp: Some(vault.stamp()),
            ..Self::default()
        };
        let mut pools: HashMap<(String, String), Vec<Arc<Entry>>> = HashMap::new();
        for record_id in vault.ids()? {
            let id = AccountId::from(record_id.to_string());
            match vault.read(&record_id) {
                Ok(Some(record)) => {
                    let entry = match known.by_id.get(&id) {
                        Some(entry)
                            if std::ptr::eq(entry.record.as_ptr(), Arc::as_ptr(&record)) =>
                        {
                            Some(entry.clone())
                        }
                        _ => Entry::open(&id, &record, settings),
                    };
                    let Some(entry) = entry else {
                        accounts.unreadable.push(id);
                        continue;
                    };
                    let pool = (
                        entry.credential.provider.clone(),
                        entry.credential.namespace.clone(),
                    );
                    pools.entry(pool).or_default().push(entry.clone());
                    accounts.by_id.insert(id, entry);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(account = %id, %error, "an account cannot be read; the others serve");
                    accounts.unreadable.push(id);
                }
            }
        }
        for ((provider, namespace), entries) in pools {
            let settled = settings.providers.get(provider.as_str());
            let roster = Roster::new(entries.iter().map(|entry| entry.view.clone()).collect());
            let goes_everywhere = |entry: &Arc<Entry>| {
                settled.is_some_and(|settled| {
                    settled
                        .origins
                        .iter()
                        .all(|origin| entry.may_go(settled, origin))
                })
            };
            let strays = entries
                .into_iter()
                .filter(|entry| !goes_everywhere(entry))
                .collect();
            accounts
                .pools
                .entry(provider)
                .or_default()
                .insert(namespace, Members { roster, strays });
        }
        Ok(accounts)
    }

    /// Whether no record was added, replaced or removed since; costs one stat.
    pub(crate) fn is_current(&self, vault: &Vault) -> bool {
        self.stamp.as_ref() == Some(&vault.stamp())
    }

    pub(crate) fn get(&self, id: &AccountId) -> Option<&Arc<Entry>> {
        self.by_id.get(id)
    }

    /// The accounts of one pool, and those of them that may not go everywhere; empty when there are none.
    pub(crate) fn pool(&self, provider: &str, namespace: &str) -> (&Roster, &[Arc<Entry>]) {
        static NOBODY: LazyLock<Roster> = LazyLock::new(Roster::default);
        let members = self
            .pools
            .get(provider)
            .and_then(|pools| pools.get(namespace));
        members.map_or((&NOBODY, &[]), |members| (&members.roster, &members.strays))
    }

    /// Every pool that has an account, in order.
    pub(crate) fn pools(&self) -> Vec<(&str, &str, &Roster)> {
        let mut pools: Vec<_> = self
            .pools
            .iter()
            .flat_map(|(provider, by_namespace)| {
                by_namespace.iter().map(move |(namespace, members)| {
                    (provider.as_str(), namespace.as_str(), &members.roster)
                })
            })
            .collect();
        pools.sort_unstable_by_key(|&(provider, namespace, _)| (provider, namespace));
        pools
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len() + self.unreadable.len()
    }
}

impl Entry {
    fn open(id: &AccountId, record: &Arc<Record>, settings: &Settings) -> Option<Arc<Self>> {
        let credential = Credential::open(record)?;
        let headers = settings
            .providers
            .get(credential.provider.as_str())
            .map_or_else(HeaderSet::default, |provider| {
                HeaderSet::new(provider, &credential)
            });
        Some(Arc::new(Self {
            view: credential.view(id.clone(), record.generation),
            credential,
            headers,
            record: Arc::downgrade(record),
        }))
    }
}

impl Entry {
    /// Whether the credential may go to `origin` under this configuration: it is sealed with where it was made for.
    pub(crate) fn may_go(&self, provider: &Provider, origin: &Origin) -> bool {
        self.credential.belongs.fits(provider) && self.credential.belongs.origins.contains(origin)
    }
}

/// An account as users see it.
#[derive(Clone, Debug)]
pub struct Account {
    /// ULID.
    pub id: String,
    /// Provider id.
    pub provider: String,
    /// Pool within the provider.
    pub namespace: String,
    /// The user's name for it.
    pub label: String,
    /// Kind of credential.
    pub kind: AccountKind,
    /// Who it is.
    pub identity: Option<Identity>,
    /// State of the whole account.
    pub state: &'static str,
    /// Whether the user lets it serve.
    pub enabled: bool,
    /// Lower serves first.
    pub priority: i64,
    /// When it was added.
    pub created_at: Timestamp,
    /// When the record last changed.
    pub updated_at: Timestamp,
    /// When the access token ends.
    pub expires_at: Option<Timestamp>,
    /// Whether the access token can be renewed without a person.
    pub refreshable: bool,
    /// Live blocks.
    pub cooldowns: Vec<(Scope, Block)>,
    /// Status of the last response.
    pub last_status: Option<u16>,
    /// Responses with 2xx.
    pub successes: u64,
    /// Responses that were held against the account.
    pub failures: u64,
}

impl Account {
    pub(crate) fn of(entry: &Entry, state: &SharedState, now: Timestamp) -> Self {
        let counters = state.counters(&entry.view.id);
        let Credential {
            provider,
            namespace,
            label,
            enabled,
            priority,
            created_at,
            updated_at,
            identity,
            ..
        } = &entry.credential;
        Self {
            id: entry.view.id.to_string(),
            provider: provider.clone(),
            namespace: namespace.clone(),
            label: label.clone(),
            kind: entry.view.kind,
            identity: (*identity != Identity::default()).then(|| identity.clone()),
            state: provider_auth_policy::account_state(&entry.view, state, now).as_str(),
            enabled: *enabled,
            priority: *priority,
            created_at: *created_at,
            updated_at: *updated_at,
            expires_at: entry.view.expires_at,
            refreshable: entry.view.refreshable,
            cooldowns: state.cooldowns(&entry.view, now),
            last_status: counters.last_status,
            successes: counters.successes,
            failures: counters.failures,
        }
    }

    fn unreadable(id: &AccountId) -> Self {
        Self {
            id: id.to_string(),
            provider: String::new(),
            namespace: String::new(),
            label: String::new(),
            kind: AccountKind::Api,
            identity: None,
            state: "unreadable",
            enabled: false,
            priority: 0,
            created_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(0),
            expires_at: None,
            refreshable: false,
            cooldowns: Vec::new(),
            last_status: None,
            successes: 0,
            failures: 0,
        }
    }
}

/// Which accounts a call is about; everything when empty.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this provider.
    pub provider: Option<String>,
    /// Of this namespace.
    pub namespace: Option<String>,
    /// With this id or label.
    pub account: Option<String>,
}

impl Filter {
    pub(crate) fn admits_pool(&self, provider: &str, namespace: &str) -> bool {
        self.provider
            .as_deref()
            .is_none_or(|wanted| wanted == provider)
            && self
                .namespace
                .as_deref()
                .is_none_or(|wanted| wanted == namespace)
    }

    fn admits(&self, entry: &Entry) -> bool {
        self.admits_pool(&entry.credential.provider, &entry.credential.namespace)
            && self
                .account
                .as_deref()
                .is_none_or(|wanted| wanted == entry.view.id.as_str() || wanted == entry.view.label)
    }
}

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
    ) -> Result<Account, BrokerError> {
        let provider = self.provider(provider)?.clone();
        HeaderSet::check_key(&key)?;
        if provider.origins.is_empty() {
            return Err(BrokerError::InvalidArgument(format!(
                "{} has no origins, so a key of it could be sent nowhere: set providers.{0}.origins",
                provider.id
            )));
        }
        let now = self.now();
        let namespace =
            checked_name("namespace", namespace)?.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        self.store(Credential {
            provider: provider.id.to_string(),
            namespace,
            label: checked_name("label", label)?.unwrap_or_default(),
            enabled: true,
            priority: 0,
            created_at: now,
            updated_at: now,
            identity: Identity::default(),
            belongs: Belongs::key(&provider),
            secret: Secret::Api { key },
            other: serde_json::Map::new(),
        })
        .await
    }

    /// Stores a credential: over the record of the same account where there is one, else in a new record.
    pub(crate) async fn store(
        self: &Arc<Self>,
        credential: Credential,
    ) -> Result<Account, BrokerError> {
        let vault = self.opened().await?;
        let broker = self.clone();
        let (id, generation) = blocking({
            let vault = vault.clone();
            move || broker.store_now(&vault, credential)
        })
        .await?;
        self.reread(&vault).await?;
        self.note(&vault, &provider_auth_policy::refreshed(&id, generation))
            .await;
        let accounts = self.accounts();
        let entry = accounts
            .get(&id)
            .ok_or_else(|| BrokerError::UnknownAccount(id.to_string()))?;
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
            let guard = vault.lock_within(&id, limits::LOCK_PATIENCE)?;
            if let Ok((current, _)) = read_locked(vault, &guard) {
                credential.created_at = current.created_at;
                credential.priority = current.priority;
                if credential.label.is_empty() {
                    credential.label = current.label;
                }
                credential.other = current.other;
                // Signing in is what a restored copy asks for: its record becomes the newest again.
                let seen = self
                    .ledger
                    .read(|state| state.counters(&entry.view.id).generation);
                let generation = vault.replace_above(&guard, &credential.plaintext(), seen)?;
                // A note of a refresh under way speaks of a token that is history now.
                vault.clear_pending(&guard)?;
                return Ok((entry.view.id.clone(), generation));
            }
        }
        if credential.label.is_empty() {
            credential.label = free_label(&accounts, &credential);
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
        let entry = self.entry(id)?;
        let (broker, record) = (self.clone(), record_id(&entry.view.id)?);
        let generation = blocking({
            let vault = vault.clone();
            move || -> Result<u64, BrokerError> {
                let guard = vault.lock_within(&record, limits::LOCK_PATIENCE)?;
                let (mut credential, _) = read_locked(&vault, &guard)?;
                if let Some(label) = label {
                    credential.label = label;
                }
                if let Some(namespace) = namespace {
                    credential.namespace = namespace;
                }
                credential.enabled = changes.enabled.unwrap_or(credential.enabled);
                credential.priority = changes.priority.unwrap_or(credential.priority);
                credential.updated_at = broker.now();
                Ok(vault.replace(&guard, &credential.plaintext())?)
            }
        })
        .await?;
        self.reread(&vault).await?;
        let change = self
            .ledger
            .read(|state| provider_auth_policy::rewritten(state, &entry.view.id, generation));
        self.note(&vault, &change).await;
        self.account(&entry.view.id)
    }

    /// Removes an account; with `revoke`, first at the provider. `false` when there was none.
    pub async fn remove_account(
        self: &Arc<Self>,
        id: &str,
        revoke: Revoke,
    ) -> Result<bool, BrokerError> {
        let vault = self.opened().await?;
        let Ok(entry) = self.entry(id) else {
            return Ok(false);
        };
        if revoke == Revoke::AtProvider {
            self.revoke(&entry).await?;
        }
        let record = record_id(&entry.view.id)?;
        let removed = blocking({
            let vault = vault.clone();
            move || -> Result<bool, VaultError> {
                let guard = vault.lock_within(&record, limits::LOCK_PATIENCE)?;
                vault.remove(guard)
            }
        })
        .await?;
        self.reread(&vault).await?;
        if removed {
            self.changed.notify_waiters();
            self.tell(
                EventKind::AccountRemoved,
                (&entry.view.provider, &entry.view.namespace),
                Some(&entry.view.id),
                About::default(),
            );
        }
        Ok(removed)
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
            return Err(BrokerError::UnknownAccount(wanted.clone()));
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

    /// The entry of an account by its id.
    pub(crate) fn entry(&self, id: &str) -> Result<Arc<Entry>, BrokerError> {
        let accounts = self.accounts();
        let unknown = || BrokerError::UnknownAccount(id.to_owned());
        accounts
            .by_id
            .get(&AccountId::from(id))
            .cloned()
            .ok_or_else(unknown)
    }

    pub(crate) fn account(&self, id: &AccountId) -> Result<Account, BrokerError> {
        let entry = self.entry(id.as_str())?;
        Ok(self
            .ledger
            .read(|state| Account::of(&entry, state, self.now())))
    }
}

/// Whether removing an account ends it at the provider too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoke {
    /// Tell the provider (RFC 7009), then remove.
    AtProvider,
    /// Remove here only.
    Locally,
}

/// The credential under its lock: what the disk says now.
pub(crate) fn read_locked(
    vault: &Vault,
    guard: &RecordGuard,
) -> Result<(Credential, u64), BrokerError> {
    let id = guard.id();
    let record = vault
        .reread(guard)?
        .ok_or_else(|| BrokerError::UnknownAccount(id.to_string()))?;
    let credential = Credential::open(&record).ok_or(VaultError::Corrupt { id })?;
    Ok((credential, record.generation))
}

pub(crate) fn record_id(id: &AccountId) -> Result<RecordId, BrokerError> {
    id.as_str()
        .parse()
        .map_err(|_| BrokerError::UnknownAccount(id.to_string()))
}

fn record_kind(kind: AccountKind) -> u8 {
    match kind {
        AccountKind::Oauth => 1,
        AccountKind::Api => 2,
        AccountKind::Wellknown => 3,
        AccountKind::Mcp => 4,
    }
}

/// `provider`, `provider 2`, …: the first that no account of the pool has.
fn free_label(accounts: &Accounts, credential: &Credential) -> String {
    let wanted = credential
        .identity
        .email
        .as_deref()
        .unwrap_or(&credential.provider);
    let taken = |label: &str| {
        accounts
            .pool(&credential.provider, &credential.namespace)
            .0
            .iter()
            .any(|view| view.label == label)
    };
    let mut label = wanted.to_owned();
    let mut number = 1;
    while taken(&label) {
        number += 1;
        label = format!("{wanted} {number}");
    }
    label
}

/// Names are shown in terminals and matched by equality: short, and without control characters.
pub(crate) fn checked_name(
    what: &str,
    name: Option<String>,
) -> Result<Option<String>, BrokerError> {
    match name {
        Some(name)
            if name.trim().is_empty()
                || name.chars().count() > 200
                || name.chars().any(char::is_control) =>
        {
            Err(BrokerError::InvalidArgument(format!(
                "{what}: expected 1 to 200 characters, none of them a control character"
            )))
        }
        name => Ok(name),
    }
}
