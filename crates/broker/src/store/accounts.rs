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
        let mut accounts = Self::known(BTreeMap::new(), known.taken.clone());
        let mut pools = Pools::new();
        // In order, and thousands: collected, which is faster than one by one.
        let mut by_id = Vec::new();
        let mut add = |entry: Arc<Entry>| {
            let pool = (entry.view.provider.clone(), entry.view.namespace.clone());
            pools.entry(pool).or_default().push(entry.clone());
            by_id.push((entry.view.id.clone(), entry));
        };
        let ids = match &known.others {
            Some(others) => {
                known.entries().cloned().for_each(&mut add);
                others.clone()
            }
            None => vault.ids()?,
        };
        let found = side_by_side(&ids, |record_id| {
            let id = AccountId::from(record_id.to_string());
            let before = known.by_id.get(&id);
            let found = Found::look(vault, *record_id, before, settings, &accounts.taken)?;
            Ok((id, found))
        });
        for (record_id, found) in ids.iter().copied().zip(found) {
            let (id, found) = found?;
            match found {
                Found::Account(entry) => add(entry),
                Found::KeptFile => accounts.kept_files.push(record_id),
                Found::Unreadable => accounts.unreadable.push(id),
                Found::Nothing => {}
            }
        }
        let unread = by_id.iter().filter(|(_, entry)| entry.is_unread);
        accounts.unread = unread.map(|(id, _)| id.clone()).collect();
        let by_secret = by_id.iter().filter_map(|(_, entry)| secret_key(entry));
        accounts.by_secret = by_secret.collect();
        accounts.by_id = by_id.into_iter().collect();
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

/// Does the same with each of many records, on several threads where that pays.
fn side_by_side<T: Send>(ids: &[RecordId], look: impl Fn(&RecordId) -> T + Sync) -> Vec<T> {
    if ids.len() < limits::READ_SIDE_BY_SIDE {
        return ids.iter().map(look).collect();
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let each = ids.len().div_ceil(threads.min(limits::READERS));
    let look = &look;
    std::thread::scope(|scope| {
        let parts = ids.chunks(each);
        let parts = parts.map(|ids| scope.spawn(move || ids.iter().map(look).collect::<Vec<T>>()));
        let parts: Vec<_> = parts.collect();
        let done = parts.into_iter().map(|part| part.join());
        done.flat_map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
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
            assert_eq!(side_by_side(&ids, |id| *id), ids);
        }
    }
}
