//! The accounts of the vault as this process last read them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

use provider_auth_policy::{AccountId, Gather as _, Roster};
use provider_auth_vault::{RecordId, Vault, VaultError};

use super::credential::Credential;
use super::entry::{Entry, Found, defines_provider, secret_hash};
use crate::config::{Origin, Provider, Settings};
use crate::error::BrokerError;
use crate::limits;

/// What one reading of the vault found.
#[derive(Clone, Default)]
pub(crate) struct Accounts {
    // Few keys, looked up by every request: comparing them costs less than hashing one.
    pub(crate) by_id: BTreeMap<AccountId, Arc<Entry>>,
    /// Those with a lasting secret, by its hash.
    pub(super) by_secret: BTreeSet<(u64, AccountId)>,
    pub(super) pools: BTreeMap<String, BTreeMap<String, Members>>,
    /// Providers that no configuration knows, as their accounts say where they belong.
    defined: BTreeMap<String, Arc<Provider>>,
    /// Providers that a trusted file of the project defines, and that have accounts made without
    /// it: they stay what they were.
    pub(super) taken: BTreeSet<String>,
    /// Those of which the index says all that is known: their records were not read yet.
    pub(super) unread: BTreeSet<AccountId>,
    /// All other records, as long as it is known that no record changed.
    pub(super) others: Option<Vec<RecordId>>,
    pub(crate) unreadable: Vec<AccountId>,
    /// Records that hold files of other programs, as they were before a migration.
    pub(crate) kept_files: Vec<RecordId>,
}

/// The accounts by provider and namespace, as they are found.
type Pools = HashMap<(Arc<str>, Arc<str>), Vec<Arc<Entry>>>;

/// What was found. In order, and thousands: collected, which is faster than one by one.
#[derive(Default)]
struct Gathered {
    pools: Pools,
    by_id: Vec<(AccountId, Arc<Entry>)>,
    by_secret: Vec<(u64, AccountId)>,
    unread: Vec<AccountId>,
    unreadable: Vec<AccountId>,
    kept_files: Vec<RecordId>,
}

impl Gathered {
    fn add(&mut self, entry: Arc<Entry>) {
        let (view, id) = (&entry.view, &entry.view.id);
        let pool = (view.provider.clone(), view.namespace.clone());
        self.pools.entry(pool).or_default().push(entry.clone());
        self.unread.extend(entry.is_unread.then(|| id.clone()));
        self.by_secret.extend(secret_key(&entry));
        self.by_id.push((id.clone(), entry));
    }

    /// Adds what was found after this.
    fn append(&mut self, later: Self) {
        for (pool, entries) in later.pools {
            self.pools.entry(pool).or_default().extend(entries);
        }
        self.by_id.extend(later.by_id);
        self.by_secret.extend(later.by_secret);
        self.unread.extend(later.unread);
        self.unreadable.extend(later.unreadable);
        self.kept_files.extend(later.kept_files);
    }
}

/// The accounts of one pool.
#[derive(Clone, Default)]
pub(super) struct Members {
    pub(super) roster: Roster,
    /// Those that may not go everywhere where the provider's credentials go.
    pub(super) origin_restricted: Vec<Arc<Entry>>,
}

impl Accounts {
    /// Reads the vault; what did not change since `known` is taken from there.
    pub(crate) fn read(
        vault: &Vault,
        known: &Self,
        settings: &Settings,
    ) -> Result<Self, VaultError> {
        let mut all = Gathered::default();
        let ids = match &known.others {
            Some(others) => {
                known.entries().cloned().for_each(|entry| all.add(entry));
                others.clone()
            }
            None => vault.ids()?,
        };
        let parts = side_by_side(&ids, |ids| {
            let mut part = Gathered::default();
            for record_id in ids {
                let id = AccountId::from(record_id.to_string());
                let before = known.by_id.get(&id);
                match Found::look(vault, *record_id, before, settings, &known.taken)? {
                    Found::Account(entry) => part.add(entry),
                    Found::KeptFile => part.kept_files.push(*record_id),
                    Found::Unreadable => part.unreadable.push(id),
                    Found::Nothing => {}
                }
            }
            Ok(part)
        });
        for part in parts {
            all.append(part?);
        }
        let pools = all.pools;
        let mut accounts = Self {
            by_id: all.by_id.into_iter().collect(),
            by_secret: all.by_secret.into_iter().collect(),
            unread: all.unread.into_iter().collect(),
            unreadable: all.unreadable,
            kept_files: all.kept_files,
            ..Self::known(BTreeMap::new(), known.taken.clone())
        };
        let taken = taken(&accounts, settings);
        if taken != accounts.taken {
            // Rare: the first account of a provider that a project defines too, or its last one.
            let known = Self::known(BTreeMap::new(), taken);
            return Self::read(vault, &known, settings);
        }
        accounts.defined = defined(&pools, settings, &accounts.taken);
        for ((provider, namespace), entries) in pools {
            let settled = accounts.settled(&provider, settings);
            let roster = Roster::of(entries.iter().map(|entry| entry.view.clone()));
            let origin_restricted = entries
                .into_iter()
                .filter(|entry| !entry.goes_everywhere(settled.as_deref()))
                .collect();
            let pools = accounts.pools.entry(provider.to_string()).or_default();
            pools.insert(
                namespace.to_string(),
                Members {
                    roster,
                    origin_restricted,
                },
            );
        }
        Ok(accounts)
    }

    /// These as far as they are known without these records.
    pub(super) fn without(&self, ids: &[RecordId]) -> Self {
        let mut by_id = self.by_id.clone();
        for id in ids {
            by_id.remove(&id.to_string().into());
        }
        Self::known(by_id, self.taken.clone())
    }

    /// What [`Accounts::read`] need not read again.
    pub(super) fn known(by_id: BTreeMap<AccountId, Arc<Entry>>, taken: BTreeSet<String>) -> Self {
        Self {
            by_id,
            taken,
            ..Self::default()
        }
    }

    /// A provider as it counts beside these accounts.
    pub(super) fn settled(&self, provider: &str, settings: &Settings) -> Option<Arc<Provider>> {
        settings
            .provider(provider, || self.taken.contains(provider))
            .and_then(Result::ok)
            .or_else(|| self.defined.get(provider).cloned())
    }

    pub(crate) fn get(&self, id: &AccountId) -> Option<&Arc<Entry>> {
        self.by_id.get(id)
    }

    /// The accounts that are the same as this one, oldest first.
    pub(crate) fn same_as(&self, credential: &Credential) -> Vec<&Arc<Entry>> {
        let is_same = |entry: &&Arc<Entry>| entry.credential.is_same_account(credential);
        let Some(secret) = credential.lasting() else {
            return self.entries().filter(is_same).collect();
        };
        let hash = secret_hash(secret);
        let from = (hash, AccountId::from(""));
        let alike = self.by_secret.range(from..);
        let alike = alike.take_while(|(known, _)| *known == hash);
        let alike = alike.filter_map(|(_, id)| self.by_id.get(id));
        alike.filter(is_same).collect()
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
    pools: &Pools,
    settings: &Settings,
    taken: &BTreeSet<String>,
) -> BTreeMap<String, Arc<Provider>> {
    let mut origins: BTreeMap<&str, BTreeSet<Origin>> = BTreeMap::new();
    let is_configured = |id: &str| settings.provider(id, || taken.contains(id)).is_some();
    let unknown = pools.iter().filter(|((id, _), _)| !is_configured(id));
    for credential in unknown.flat_map(|(_, entries)| entries.iter().map(|one| &one.credential)) {
        if defines_provider(credential) && credential.audience.project.is_none() {
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

/// Does the same with all parts of a list of records, each on a thread of its own where there are many.
fn side_by_side<T: Send>(ids: &[RecordId], read: impl Fn(&[RecordId]) -> T + Sync) -> Vec<T> {
    if ids.len() < limits::READ_SIDE_BY_SIDE {
        return vec![read(ids)];
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let each = ids.len().div_ceil(threads.min(limits::READERS));
    let read = &read;
    std::thread::scope(|scope| {
        let parts = ids.chunks(each).map(|ids| scope.spawn(move || read(ids)));
        let parts: Vec<_> = parts.collect();
        let done = parts.into_iter().map(|part| part.join());
        done.map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

pub(super) fn secret_key(entry: &Entry) -> Option<(u64, AccountId)> {
    Some((entry.secret_hash?, entry.view.id.clone()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_records_are_looked_at_once_each_and_keep_their_order() {
        let id = |number: usize| format!("01J{number:023}").parse().unwrap();
        for count in [0, 1, limits::READ_SIDE_BY_SIDE, 1_001] {
            let ids: Vec<RecordId> = (0..count).map(id).collect();
            assert_eq!(side_by_side(&ids, <[_]>::to_vec).concat(), ids);
        }
    }
}
