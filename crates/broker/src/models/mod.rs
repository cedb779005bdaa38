//! Which models a pool may use: the provider's own list, kept on disk for each account, and served
//! on when the provider is out of reach.
//!
//! The one thing for which this product speaks to a provider's API itself. `fetch.rs` asks,
//! `shape.rs` reads the answer, `cache.rs` keeps the lists.

mod cache;
mod check;
mod fetch;
#[cfg(test)]
mod fuzz;
mod shape;

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use provider_auth_policy::{Chance, Rule, Selection, Timestamp, explain};
use provider_auth_vault::{Vault, line};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::config::Provider;
use crate::error::BrokerError;
use crate::host::blocking;
use crate::limits;
use crate::log::Shown;
use crate::request::AuthRequest;
use crate::request::RequestService;
use crate::store::Store;
use crate::store::entry::Entry;
use cache::{Kept, Lists};

pub use check::KeyCheck;
pub use shape::Model;

/// Which list a caller asks for.
#[derive(Clone, Debug, Default)]
pub struct ModelsRequest {
    /// Provider id.
    pub provider: String,
    /// Pool within the provider.
    pub namespace: Option<String>,
    /// The account to ask with, by id or label; else the one that would serve.
    pub account: Option<String>,
    /// Whether a list that is kept serves.
    pub refresh: RefreshModels,
}

/// Whether a list that is kept serves without a question to the provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefreshModels {
    /// While it is not old.
    #[default]
    WhenOld,
    /// Only when the provider is out of reach.
    Always,
}

/// The models of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelList {
    /// In the provider's order.
    pub models: Vec<Model>,
    /// When the provider said so.
    pub fetched_at: Timestamp,
    /// Whether the provider could not be asked, though it should have been.
    pub stale: bool,
}

/// Requests for lists under way in this process: all who come meanwhile
/// share what one brings.
#[derive(Default)]
struct ModelRequests(Mutex<BTreeMap<Asked, Weak<Shared>>>);

/// Provider, namespace and pin.
type Asked = (String, String, Option<String>);

type Shared = OnceCell<Result<Kept, Arc<BrokerError>>>;

/// Whose lists may be served, as the pool stands.
struct Entitled {
    /// That of the account that would serve at once, if one would.
    next: Option<Arc<Entry>>,
    /// Those of all that serve now or later.
    all: Vec<Arc<Entry>>,
}

/// Lists the models of the pools of one store.
pub(crate) struct ModelService {
    store: Arc<Store>,
    requests: Arc<RequestService>,
    under_way: ModelRequests,
}

impl ModelService {
    pub(crate) fn new(store: Arc<Store>, requests: Arc<RequestService>) -> Arc<Self> {
        Arc::new(Self {
            store,
            requests,
            under_way: ModelRequests::default(),
        })
    }

    /// Lists the models that the pool may use, as the account sees them that would serve now.
    ///
    /// Dropping the future ends the wait; those who wait for the same list go on.
    pub(crate) async fn discover_models(
        self: &Arc<Self>,
        wanted: &ModelsRequest,
    ) -> Result<ModelList, BrokerError> {
        let vault = self.store.opened().await?;
        let provider = self.store.provider(&wanted.provider)?;
        let namespace = provider.pool(wanted.namespace.as_deref());
        let Some(address) = provider.models_urls.first() else {
            return Err(no_known_list(&provider));
        };
        let request = AuthRequest {
            provider: provider.id.to_string(),
            namespace: Some(namespace.to_owned()),
            url: Some(address.to_string()),
            account: wanted.account.clone(),
            ..AuthRequest::default()
        };
        let entitled = self.entitled(&request)?;
        let pool = cache::pool_key(&vault, &provider.id, namespace);
        let lists = blocking({
            let vault = vault.clone();
            move || Lists::read(&vault, &pool)
        })
        .await;
        if let Some(kept) = lists.newest(&provider, entitled.nearest()) {
            if wanted.refresh == RefreshModels::WhenOld && kept.is_fresh(self.store.now()) {
                return Ok(listed(kept.clone(), Staleness::Fresh));
            }
            // No account can ask at once: a list at hand is worth more than a wait.
            if entitled.next.is_none() {
                return Ok(listed(kept.clone(), Staleness::Stale));
            }
        }
        let shared = self.under_way.join(&request);
        let outcome = shared
            .get_or_init(|| async {
                let fetched = self.fetch_and_keep(&vault, &provider, &request, pool);
                fetched.await.map_err(Arc::new)
            })
            .await;
        match outcome {
            Ok(kept) => Ok(listed(kept.clone(), Staleness::Fresh)),
            Err(error) => match lists.newest(&provider, &entitled.all) {
                Some(kept) if is_out_of_reach(error) => {
                    line!(
                        INFO,
                        provider = Shown(&provider.id),
                        error = error,
                        "a list of models that was kept is served"
                    );
                    Ok(listed(kept.clone(), Staleness::Stale))
                }
                _ => Err(BrokerError::Shared(error.clone())),
            },
        }
    }

    async fn fetch_and_keep(
        self: &Arc<Self>,
        vault: &Arc<Vault>,
        provider: &Provider,
        request: &AuthRequest,
        pool: [u8; 16],
    ) -> Result<Kept, BrokerError> {
        let fetched = timeout(limits::MODELS_TIMEOUT, self.fetch_models(provider, request));
        let (entry, models) = fetched.await.map_err(|_| {
            BrokerError::Network(format!(
                "the models of {} could not be listed within {} s",
                provider.id,
                limits::MODELS_TIMEOUT.as_secs()
            ))
        })??;
        let kept = Kept {
            fetched_at: self.store.now(),
            models,
        };
        let entitlement = cache::entitlement(provider, &entry);
        let (vault, added) = (vault.clone(), kept.clone());
        blocking(move || Lists::add(&vault, &pool, entitlement, &added)).await;
        Ok(kept)
    }

    /// Whose lists may be served, as the pool stands now. Nothing is lent or counted.
    fn entitled(&self, request: &AuthRequest) -> Result<Entitled, BrokerError> {
        let mut pending = self.requests.pending(request)?;
        let now = self.store.now();
        let look = self
            .requests
            .choose(&mut pending, now, |looked, pending, selection| {
                let trace = explain(looked.pool, &pending.request, &selection);
                ((trace, looked.accounts.clone()), None)
            });
        let (trace, accounts) = look;
        Ok(Entitled {
            next: match &trace.selection {
                // A list says nothing about a limit, so it is no test of one.
                Selection::Serve { account, rule } if *rule != Rule::Probe => {
                    accounts.get(account).cloned()
                }
                _ => None,
            },
            all: trace
                .accounts
                .iter()
                .filter(|traced| may_serve(traced.chance))
                .filter_map(|traced| accounts.get(&traced.account).cloned())
                .collect(),
        })
    }
}

impl ModelRequests {
    /// The request under way for this pool, or a new one.
    fn join(&self, request: &AuthRequest) -> Arc<Shared> {
        let pool = (
            request.provider.clone(),
            request.namespace.clone().unwrap_or_default(),
            request.account.clone(),
        );
        let mut under_way = self.0.lock();
        under_way.retain(|_, shared| shared.strong_count() > 0);
        if let Some(shared) = under_way.get(&pool).and_then(Weak::upgrade) {
            return shared;
        }
        let shared = Arc::default();
        under_way.insert(pool, Arc::downgrade(&shared));
        shared
    }
}

impl Entitled {
    /// Whose list serves in place of a question: that of the account that would be asked with, else
    /// any.
    fn nearest(&self) -> &[Arc<Entry>] {
        match &self.next {
            Some(next) => std::slice::from_ref(next),
            None => &self.all,
        }
    }
}

/// Whether the account serves the pool, now or when its rest is over.
fn may_serve(chance: Chance) -> bool {
    matches!(
        chance,
        Chance::Eligible | Chance::LowQuota | Chance::Resting { .. } | Chance::Stands(_)
    )
}

/// Whether the provider, and not the call or the vault, is why there is no list.
fn is_out_of_reach(error: &BrokerError) -> bool {
    match error {
        BrokerError::Network(_)
        | BrokerError::Exhausted { .. }
        | BrokerError::NeedsLogin { .. }
        | BrokerError::RefreshFailed { .. } => true,
        BrokerError::Shared(inner) => is_out_of_reach(inner),
        _ => false,
    }
}

/// Says that the user has named neither origins nor a list for a provider that comes without.
fn no_known_list(provider: &Provider) -> BrokerError {
    BrokerError::InvalidArgument(format!(
        "no list of the models of {} is known: set providers.{0}.origins, or modelsUrl where it has one of its own",
        provider.id
    ))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Staleness {
    Fresh,
    Stale,
}

fn listed(Kept { models, fetched_at }: Kept, staleness: Staleness) -> ModelList {
    ModelList {
        models,
        fetched_at,
        stale: staleness == Staleness::Stale,
    }
}
