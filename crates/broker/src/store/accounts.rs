//! The accounts of the vault as this process last read them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Weak};

use provider_auth_policy::{AccountId, AccountKind, AccountView, Gather as _, Roster};
use provider_auth_vault::{Record, RecordId, Vault, VaultError, line};

use super::credential::Credential;
use super::headers::HeaderSet;
use crate::config::{Origin, Provider, Settings};
use crate::error::BrokerError;
use crate::store::record_kind::KEPT_FILE;

static LAST_VERSION: AtomicU64 = AtomicU64::new(0);

/// What one reading of the vault found.
#[derive(Default)]
pub(crate) struct Accounts {
    // Few keys, looked up by every request: comparing them costs less than hashing one.
    pub(crate) by_id: BTreeMap<AccountId, Arc<Entry>>,
    pools: BTreeMap<String, BTreeMap<String, Members>>,
    /// Providers that no configuration knows, as their accounts say where they belong.
    defined: BTreeMap<String, Arc<Provider>>,
    /// Providers that a trusted file of the project defines, and that have accounts made without
    /// it: they stay what they were.
    taken: BTreeSet<String>,
    pub(crate) unreadable: Vec<AccountId>,
    /// Records that hold files of other programs, as they were before a migration.
    pub(crate) kept_files: Vec<RecordId>,
}

/// The accounts of one pool.
#[derive(Default)]
struct Members {
    roster: Roster,
    /// Those that may not go everywhere where the provider's credentials go.
    origin_restricted: Vec<Arc<Entry>>,
}

/// One account: what the policy sees, what is sealed, and the headers made of it.
pub(crate) struct Entry {
    pub(crate) view: AccountView,
    /// Without refresh token and client secret: `locks::read_locked` has them.
    pub(crate) credential: Credential,
    pub(crate) headers: HeaderSet,
    /// Tells these headers from all others of the process, earlier ones of the account included.
    pub(crate) version: u64,
    /// The record that this was made of: as long as the vault hands out the same one, nothing
    /// changed.
    record: Weak<Record>,
}

impl Accounts {
    /// Reads the vault; what did not change since `known` is taken from there.
    pub(crate) fn read(
        vault: &Vault,
        known: &Self,
        settings: &Settings,
    ) -> Result<Self, VaultError> {
        let mut accounts = Self {
            taken: known.taken.clone(),
            ..Self::default()
        };
        let mut pools: HashMap<(String, String), Vec<Arc<Entry>>> = HashMap::new();
        for record_id in vault.ids()? {
            let id = AccountId::from(record_id.to_string());
            match vault.read(&record_id) {
                Ok(Some(record)) if record.kind == KEPT_FILE => accounts.kept_files.push(record_id),
                Ok(Some(record)) => {
                    let entry = match known.by_id.get(&id) {
                        Some(entry)
                            if std::ptr::eq(entry.record.as_ptr(), Arc::as_ptr(&record)) =>
                        {
                            Some(entry.clone())
                        }
                        _ => Entry::open(&id, &record, settings, &accounts.taken),
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
                // One record alone is the matter; anything else is the vault's.
                Err(
                    error @ (VaultError::Corrupt { .. }
                    | VaultError::NewerFormat { .. }
                    | VaultError::Io { .. }
                    | VaultError::Unsafe { .. }),
                ) => {
                    line!(
                        WARN,
                        account = id,
                        error = error,
                        "an account cannot be read; the others serve"
                    );
                    accounts.unreadable.push(id);
                }
                Err(error) => return Err(error),
            }
        }
        let taken = taken(&accounts, settings);
        if taken != accounts.taken {
            // Rare: the first account of a provider that a project defines too, or its last one.
            let known = Self {
                taken,
                ..Self::default()
            };
            return Self::read(vault, &known, settings);
        }
        accounts.defined = defined(&pools, settings, &accounts.taken);
        for ((provider, namespace), entries) in pools {
            let settled = settings
                .provider(&provider, || accounts.taken.contains(&provider))
                .and_then(Result::ok)
                .or_else(|| accounts.defined.get(&provider).cloned());
            let settled = settled.as_deref();
            let roster = Roster::new(entries.iter().map(|entry| entry.view.clone()).collect());
            let goes_everywhere = |entry: &Arc<Entry>| {
                settled.is_some_and(|settled| {
                    settled
                        .origins
                        .iter()
                        .all(|origin| entry.may_go(settled, origin))
                })
            };
            let origin_restricted = entries
                .into_iter()
                .filter(|entry| !goes_everywhere(entry))
                .collect();
            accounts.pools.entry(provider).or_default().insert(
                namespace,
                Members {
                    roster,
                    origin_restricted,
                },
            );
        }
        Ok(accounts)
    }

    pub(crate) fn get(&self, id: &AccountId) -> Option<&Arc<Entry>> {
        self.by_id.get(id)
    }

    /// Whether a provider that the project's file defines has accounts that were made without it.
    pub(crate) fn are_taken(&self, provider: &str) -> bool {
        self.taken.contains(provider)
    }

    /// Whether a provider has accounts that were made without any project's file. Those of another
    /// project do not count: each is served under its own file only.
    pub(crate) fn has_own(&self, provider: &str) -> bool {
        self.entries()
            .map(|entry| &entry.credential)
            .any(|credential| {
                credential.provider == provider && credential.audience.project.is_none()
            })
    }

    /// A provider that its accounts define.
    pub(crate) fn defined(&self, provider: &str) -> Option<Arc<Provider>> {
        self.defined.get(provider).cloned()
    }

    /// The accounts of one pool, and those of them that may not go everywhere; empty when there are
    /// none.
    pub(crate) fn pool(&self, provider: &str, namespace: &str) -> (&Roster, &[Arc<Entry>]) {
        static NOBODY: LazyLock<Roster> = LazyLock::new(Roster::default);
        let members = self
            .pools
            .get(provider)
            .and_then(|pools| pools.get(namespace));
        members.map_or((&NOBODY, &[]), |members| {
            (&members.roster, &members.origin_restricted)
        })
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

    /// Every account that can be read, oldest first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.by_id.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len() + self.unreadable.len()
    }
}

impl Entry {
    fn open(
        id: &AccountId,
        record: &Arc<Record>,
        settings: &Settings,
        taken: &BTreeSet<String>,
    ) -> Option<Arc<Self>> {
        let mut credential = Credential::open(record)?;
        let mut view = credential.view(id.clone(), record.generation);
        credential.forget_grant();
        let settled = settings
            .provider(&credential.provider, || {
                taken.contains(&credential.provider)
            })
            .and_then(Result::ok);
        let provider = settled.or_else(|| {
            let origins = credential.audience.origins.clone();
            defines_provider(&credential)
                .then(|| {
                    Provider::of_accounts(&credential.provider, origins, &settings.selections)
                })?
                .map(Arc::new)
        });
        let renewal = provider
            .as_ref()
            .and_then(|provider| Some(provider.server.as_ref()?.dialect.renewal));
        view.refreshable &= credential.may_be_renewed(renewal);
        let headers = provider.map_or_else(HeaderSet::default, |provider| {
            HeaderSet::new(&provider, &credential)
        });
        Some(Arc::new(Self {
            view,
            credential,
            headers,
            version: LAST_VERSION.fetch_add(1, Ordering::Relaxed),
            record: Arc::downgrade(record),
        }))
    }
}

impl Entry {
    /// Whether the credential may go to `origin` under this configuration: it is sealed with where
    /// it was made for.
    pub(crate) fn may_go(&self, provider: &Provider, origin: &Origin) -> bool {
        self.credential.audience.fits(provider) && self.credential.audience.origins.contains(origin)
    }
}

/// The providers which a trusted file of the project defines, and of which an account was made
/// without it.
fn taken(accounts: &Accounts, settings: &Settings) -> BTreeSet<String> {
    let defined = settings.project.defined();
    defined
        .filter(|id| accounts.has_own(id))
        .map(str::to_owned)
        .gather()
}

/// The providers of accounts that say themselves where they belong, where no configuration does.
fn defined(
    pools: &HashMap<(String, String), Vec<Arc<Entry>>>,
    settings: &Settings,
    taken: &BTreeSet<String>,
) -> BTreeMap<String, Arc<Provider>> {
    let mut origins: BTreeMap<&str, BTreeSet<Origin>> = BTreeMap::new();
    for entry in pools.values().flatten() {
        let credential = &entry.credential;
        let is_configured = settings
            .provider(&credential.provider, || {
                taken.contains(&credential.provider)
            })
            .is_some();
        if defines_provider(credential) && credential.audience.project.is_none() && !is_configured {
            let known = origins.entry(&credential.provider).or_default();
            known.extend(credential.audience.origins.iter().cloned());
        }
    }
    origins
        .into_iter()
        .filter_map(|(id, origins)| {
            let provider = Provider::of_accounts(id, origins, &settings.selections)?;
            Some((id.to_owned(), Arc::new(provider)))
        })
        .gather()
}

/// Whether a provider is what its accounts say: the login of an MCP server and the token of a host
/// name one place.
fn defines_provider(credential: &Credential) -> bool {
    matches!(credential.kind(), AccountKind::Mcp | AccountKind::Wellknown)
}

pub(crate) fn record_id(id: &AccountId) -> Result<RecordId, BrokerError> {
    id.as_str()
        .parse()
        .map_err(|_| BrokerError::unknown_account(&id.to_string()))
}

/// Names are shown in terminals and matched by equality: short, and without control characters.
pub(crate) fn checked_name(
    what: &str,
    name: Option<String>,
) -> Result<Option<String>, BrokerError> {
    match name {
        Some(name) if !crate::config::is_name(&name) => {
            let rule = crate::config::NAME_RULE;
            Err(BrokerError::InvalidArgument(format!("{what}: {rule}")))
        }
        name => Ok(name),
    }
}
