//! How pools, vault and providers stand.

use std::collections::BTreeSet;
use std::sync::Arc;

use provider_auth_policy::{
    Gather as _, Pool, Request, Selection, Timestamp, select, serving_order,
};
use provider_auth_vault::{KeySlot, Quarantined, StoreStatus, Vault, VaultState};
use url::Url;

use crate::config::Provider;
use crate::error::BrokerError;
use crate::host::blocking;
use crate::notifier::PoolFigures;
use crate::providers::built_in;
use crate::request::RequestService;
use crate::stats::{Stats, StatsFilter};
use crate::store::{Account, Filter, MovedTo, Store, moved_bundle};

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
    /// How its store stands; `None` where the folder is all there is.
    pub store: Option<StoreStatus>,
    /// The vault that its logins moved to, while one of them needs a login here.
    pub moved_to: Option<MovedTo>,
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
    /// Whether the configuration names it.
    pub configured: bool,
    /// Variables that hold its API key, as far as they are known.
    pub key_variables: &'static [&'static str],
    /// How to get a client, where a login lacks one and the provider lets users register one.
    pub registration: Option<ClientRegistration>,
    /// What its terms say about a login, with a link, where that is known.
    pub terms: Option<&'static str>,
}

/// How a user registers a client for a login.
#[derive(Clone, Debug)]
pub struct ClientRegistration {
    /// The page that says how, or the login server.
    pub url: String,
    /// What to do there, and after it.
    pub steps: Vec<String>,
    /// The keys to set in the configuration, each with a text that says what stands there.
    pub settings: Vec<(&'static str, &'static str)>,
}

impl ClientRegistration {
    fn of(provider: &Provider) -> Option<Self> {
        let known = provider.registration?;
        let server = provider.server.as_ref();
        let issuer = server.and_then(|server| server.issuer.as_ref());
        let page = server.and_then(|server| server.authorization_endpoint.as_ref());
        let url = match known.url {
            Some(url) => url.to_owned(),
            None => issuer.or(page)?.to_string(),
        };
        if provider.client_id.is_some() || provider.resource.is_some() {
            return None;
        }
        let mut steps: Vec<String> = known.steps.iter().map(|step| (*step).to_owned()).collect();
        if page.is_some() || provider.discovers {
            steps.push(match provider.redirect_uris().next() {
                Some(uri) => format!("Redirect URI: {uri}"),
                None => "Redirect URI: http://127.0.0.1/callback with any port (RFC 8252 §7.3); where the server wants one \
                         port, register that and set it as redirectUri"
                    .to_owned(),
            });
        }
        if !provider.scopes.is_empty() {
            steps.push(format!("Scopes: {}", provider.scopes.join(" ")));
        }
        Some(Self {
            url,
            steps,
            settings: known.settings.to_vec(),
        })
    }
}

/// Says how pools, vault and providers stand.
pub(crate) struct StatusService {
    store: Arc<Store>,
    requests: Arc<RequestService>,
}

impl StatusService {
    pub(crate) fn new(store: Arc<Store>, requests: Arc<RequestService>) -> Arc<Self> {
        Arc::new(Self { store, requests })
    }

    /// How each pool stands that has an account or has been asked.
    pub(crate) async fn pool_status(
        self: &Arc<Self>,
        filter: &Filter,
    ) -> Result<Vec<PoolStatus>, BrokerError> {
        self.store.opened().await?;
        // Copies, so that no request waits until a large pool is in order. The state first, as in
        // `RequestService::decide`.
        let (state, traffic) = self.requests.known();
        let (accounts, now) = (self.store.accounts(), self.store.now());
        let mut statuses = Vec::new();
        for (provider_id, namespace, roster) in accounts.pools() {
            let Ok(provider) = self.store.provider(provider_id) else {
                continue;
            };
            if !filter.admits_pool(provider_id, namespace) {
                continue;
            }
            let figures = self.store.notifier.figures(provider_id, namespace);
            let pool = Pool {
                roster,
                state: &state,
                traffic: &traffic,
                rotation: &provider.rotation,
                now,
                news: None,
            };
            let ordered = serving_order(&pool)
                .iter()
                .filter_map(|id| accounts.get(id))
                .map(|entry| Account::of(entry, &state, now))
                .collect();
            let anyone = Request::new(provider_id, namespace, None, None, None);
            let retry_at = match select(&pool, &anyone) {
                Selection::Exhausted { retry_at, .. } => retry_at,
                Selection::Wait { until, .. } => Some(until),
                _ => None,
            };
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

    /// What happened in the last weeks, as all processes have counted it.
    pub(crate) async fn stats(&self, filter: StatsFilter) -> Result<Stats, BrokerError> {
        let vault = self.store.opened().await?;
        let store = self.store.clone();
        blocking(move || store.stats(&vault, &filter)).await
    }

    /// Whether there is a vault, without its key.
    pub(crate) async fn has_vault(&self) -> Result<bool, BrokerError> {
        if self.store.open_vault().is_some() {
            return Ok(true);
        }
        let (options, engine) = (self.store.vault_options(), self.store.engine()?);
        Ok(blocking(move || Vault::exists(&options, engine)).await?)
    }

    /// How the vault stands. It is not created, and no prompt is shown.
    pub(crate) async fn vault_status(self: &Arc<Self>) -> Result<VaultStatus, BrokerError> {
        let (options, open) = (self.store.vault_options(), self.store.open_vault());
        let engine = self.store.engine()?;
        let mut status = blocking(move || match open {
            Some(vault) => vault.status_now(),
            None => Vault::status(&options, engine),
        })
        .await?;
        // How many there are is known of an open vault only; one that opens is opened, and nothing
        // is created.
        let (mut accounts, mut moved) = (0, None);
        if status.state == VaultState::Open {
            let vault = self.store.opened().await?;
            accounts = self.store.accounts().len();
            status.store = vault.store_status();
            (status.quarantined, moved) = blocking(move || {
                // Reading may have found damage.
                Ok::<_, BrokerError>((vault.quarantine(), moved_bundle::moved_to(&vault)?))
            })
            .await?;
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
            store: status.store,
            moved_to: moved,
        })
    }

    /// Every provider that can be used under this configuration.
    pub(crate) fn providers(&self) -> Vec<ProviderSummary> {
        let settings = self.store.settings();
        let ids = settings.providers.keys().map(String::as_str);
        let ids: BTreeSet<&str> = ids.chain(settings.project.defined()).gather();
        ids.into_iter()
            .filter_map(|id| self.store.configured_provider(id)?.ok())
            .map(|provider| ProviderSummary {
                id: provider.id.to_string(),
                resource: provider.resource.as_ref().map(Url::to_string),
                origins: provider.origins.iter().map(ToString::to_string).collect(),
                methods: provider
                    .methods()
                    .into_iter()
                    .map(|method| method.as_str())
                    .collect(),
                configured: settings.named.contains(&*provider.id),
                key_variables: built_in(&provider.id).map_or(&[], |known| known.key_variables),
                registration: ClientRegistration::of(&provider),
                terms: provider.terms,
            })
            .collect()
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
