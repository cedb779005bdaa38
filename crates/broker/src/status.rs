//! What the pools did in this process, and how they and the vault stand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use provider_auth_policy::{Pool, Request, Selection, Timestamp, select, serving_order};
use provider_auth_vault::{Disk, KeySecrets, KeySlot, Options, Quarantined, Vault, VaultState};

use url::Url;

use crate::accounts::{Account, Filter};
use crate::broker::{Broker, blocking};
use crate::error::BrokerError;
use crate::events::EventKind;

/// Counts of one pool since the process began.
#[derive(Clone, Copy, Debug, Default)]
pub struct PoolFigures {
    /// Requests that asked for headers.
    pub requests: u64,
    /// Headers handed out.
    pub attempts: u64,
    /// Requests that moved to another account.
    pub rotations: u64,
    /// Tokens renewed.
    pub refreshes: u64,
    /// Renewals that failed.
    pub refresh_failures: u64,
    /// Requests that nobody could serve.
    pub exhausted: u64,
}

/// The counts of all pools.
#[derive(Default)]
pub(crate) struct Figures {
    pools: BTreeMap<Arc<str>, BTreeMap<Arc<str>, PoolFigures>>,
}

type PoolName<'a> = (&'a Arc<str>, &'a Arc<str>);

impl Figures {
    pub(crate) fn asked(&mut self, pool: PoolName<'_>) {
        self.of(pool).requests += 1;
    }

    pub(crate) fn lent(&mut self, pool: PoolName<'_>, moved: Moved) {
        let figures = self.of(pool);
        figures.attempts += 1;
        figures.rotations += u64::from(moved == Moved::ToAnother);
    }

    pub(crate) fn exhausted(&mut self, pool: PoolName<'_>) {
        self.of(pool).exhausted += 1;
    }

    pub(crate) fn refreshed(&mut self, pool: PoolName<'_>, how: EventKind) {
        let figures = self.of(pool);
        match how {
            EventKind::Refreshed => figures.refreshes += 1,
            _ => figures.refresh_failures += 1,
        }
    }

    fn get(&self, provider: &str, namespace: &str) -> PoolFigures {
        self.pools
            .get(provider)
            .and_then(|pools| pools.get(namespace))
            .copied()
            .unwrap_or_default()
    }

    fn of(&mut self, (provider, namespace): PoolName<'_>) -> &mut PoolFigures {
        // Look-ups before insertion, since `entry` would need owned names each time.
        if self
            .pools
            .get(provider)
            .is_none_or(|pools| !pools.contains_key(namespace))
        {
            self.pools
                .entry(provider.clone())
                .or_default()
                .insert(namespace.clone(), PoolFigures::default());
        }
        self.pools
            .get_mut(provider)
            .and_then(|pools| pools.get_mut(namespace))
            .expect("the pool was just inserted")
    }
}

/// Whether a request went on with the account it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    No,
    ToAnother,
}

/// How one pool stands.
#[derive(Clone, Debug)]
pub struct PoolStatus {
    /// Provider id.
    pub provider: String,
    /// Pool within the provider.
    pub namespace: String,
    /// In the order in which they would serve.
    pub accounts: Vec<Account>,
    /// Counts of this process.
    pub figures: PoolFigures,
    /// When the soonest account may serve, if none can now.
    pub retry_at: Option<Timestamp>,
}

/// How the vault stands.
#[derive(Clone, Debug)]
pub struct VaultStatus {
    /// Its folder.
    pub dir: String,
    /// Where its key lives.
    pub key_source: &'static str,
    /// Tells two keys apart, reveals neither.
    pub key_id: String,
    /// `open`, `empty`, `locked`, `timeout`, `unavailable`, `key_missing` or `key_mismatch`.
    pub state: &'static str,
    /// Records that can be read.
    pub accounts: usize,
    /// The ways to its key, in the order in which they are tried.
    pub slots: Vec<KeySlot>,
    /// How many records were set aside.
    pub quarantined: usize,
    /// Which those are, oldest first.
    pub quarantine: Vec<Quarantined>,
}

/// What a plugin needs to know of a provider.
#[derive(Clone, Debug)]
pub struct ProviderSummary {
    /// Provider id.
    pub id: String,
    /// The MCP server that its logins are for, where it is one.
    pub resource: Option<String>,
    /// Where its credentials may go.
    pub origins: Vec<String>,
    /// Ways to log in, as `login` takes them.
    pub methods: Vec<&'static str>,
}

impl Broker {
    /// How each pool stands that has an account or has been asked.
    pub async fn pool_status(
        self: &Arc<Self>,
        filter: &Filter,
    ) -> Result<Vec<PoolStatus>, BrokerError> {
        self.opened().await?;
        let (accounts, now) = (self.accounts(), self.now());
        let mut statuses = Vec::new();
        for (provider_id, namespace, roster) in accounts.pools() {
            let Ok(provider) = self.provider(provider_id) else {
                continue;
            };
            if !filter.admits_pool(provider_id, namespace) {
                continue;
            }
            let figures = self.figures.lock().get(provider_id, namespace);
            let (ordered, retry_at) = self.ledger.read(|state| {
                let traffic = self.traffic.lock();
                let pool = Pool {
                    roster,
                    state,
                    traffic: &traffic,
                    rotation: &provider.rotation,
                    now,
                };
                let ordered = serving_order(&pool)
                    .iter()
                    .filter_map(|id| accounts.get(id))
                    .map(|entry| Account::of(entry, state, now))
                    .collect();
                let anyone = Request::new(provider_id, namespace, None, None, None);
                let retry_at = match select(&pool, &anyone) {
                    Selection::Exhausted { retry_at, .. } => retry_at,
                    Selection::Wait { until, .. } => Some(until),
                    _ => None,
                };
                (ordered, retry_at)
            });
            statuses.push(PoolStatus {
                provider: provider_id.to_owned(),
                namespace: namespace.to_owned(),
                accounts: ordered,
                figures,
                retry_at,
            });
        }
        Ok(statuses)
    }

    /// How the vault stands. Neither creates it nor asks anybody.
    pub async fn vault_status(self: &Arc<Self>) -> Result<VaultStatus, BrokerError> {
        let (options, open) = (self.vault_options(), self.open_vault());
        let mut status = blocking(move || match open {
            Some(vault) => vault.status_now(),
            None => Vault::status(&options, &Disk),
        })
        .await?;
        // How many there are is known of an open vault only; one that opens is opened, and nothing is created.
        let mut accounts = 0;
        if status.state == VaultState::Open {
            let vault = self.opened().await?;
            accounts = self.accounts().len();
            // Reading may have found damage.
            status.quarantined = vault.quarantine();
        }
        Ok(VaultStatus {
            dir: status.dir.display().to_string(),
            key_source: status.key_source.name(),
            key_id: status.key_id,
            state: state_name(status.state),
            accounts,
            slots: status.slots,
            quarantined: status.quarantined.len(),
            quarantine: status.quarantined,
        })
    }

    /// Every provider that can be used under this configuration.
    pub fn providers(&self) -> Vec<ProviderSummary> {
        let settings = self.settings();
        let ids = settings.providers.keys().map(String::as_str);
        let ids: BTreeSet<&str> = ids.chain(settings.project.defined()).collect();
        ids.into_iter()
            .filter_map(|id| self.configured_provider(id)?.ok())
            .map(|provider| ProviderSummary {
                id: provider.id.to_string(),
                resource: provider.resource.as_ref().map(Url::to_string),
                origins: provider.origins.iter().map(ToString::to_string).collect(),
                methods: provider
                    .methods()
                    .into_iter()
                    .map(|method| method.as_str())
                    .collect(),
            })
            .collect()
    }

    pub(crate) fn vault_options(&self) -> Options {
        let settings = self.settings();
        let key = &settings.key;
        Options {
            key: settings.key_source,
            secrets: KeySecrets {
                key: key.key.clone(),
                passphrase: key.passphrase.clone(),
                passphrase_file: key.passphrase_file.clone(),
                credentials_directory: key.credentials_directory.clone(),
            },
            allow_network_fs: settings.allow_network_fs,
            ..Options::new(&settings.dir)
        }
    }
}

fn state_name(state: VaultState) -> &'static str {
    match state {
        VaultState::Open => "open",
        VaultState::Empty => "empty",
        VaultState::Locked => "locked",
        VaultState::Timeout => "timeout",
        VaultState::Unavailable => "unavailable",
        VaultState::KeyMissing => "key_missing",
        VaultState::KeyMismatch => "key_mismatch",
    }
}
