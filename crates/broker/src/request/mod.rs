//! One request on its way: an account is chosen, lent, and charged with what came of it.
//!
//! | what the pool says | what the request does | file |
//! |---|---|---|
//! | an account serves, its token is fresh | lends the headers, on the calling thread | `lend.rs` |
//! | … its token ends soon | lends them, and has the token renewed behind | `lend.rs` |
//! | … its token has ended, or was refused | waits for the one exchange, then chooses again | `headers.rs` |
//! | … that exchange failed for now | serves with a token that still lives, else with another account, else waits | `wait.rs` |
//! | … it tests a limit | first writes down that it does, so that one request of all processes tests | `headers.rs` |
//! | … it has no end, and the vault's store is away for long | is refused, with when to ask again | `cut_off.rs` |
//! | all rest, the soonest within `maxWaitMs` | waits, and looks again whenever an account changes | `wait.rs` |
//! | all rest longer, or need a person | is refused, with the cause and what helps | `lend.rs` |
//! | there is none, or all are switched off | is refused, and told how there is one | `no_account.rs` |
//! | no account may go to its origin | is refused, with what to sign in to again | `destination.rs` |
//!
//! | what the answer says | what follows | file |
//! |---|---|---|
//! | 2xx, and nothing is to be judged | the account is credited, on the calling thread | `credit.rs` |
//! | another 2xx | the same, and what it ends is noted | `report.rs` |
//! | anything else | `policy` judges whom to charge; a new block is on disk before the caller goes on | `report.rs` |
//!
//! `policy` decides; these files bring it what it needs to know and carry out what it says.

mod address;
mod asked;
mod attempts;
mod credit;
mod cut_off;
mod destination;
mod headers;
mod lend;
mod lines;
mod no_account;
mod pending;
mod report;
mod wait;

use std::sync::Arc;

use parking_lot::Mutex;
use provider_auth_policy::{Indexes, Pool, SharedState, Standings, Timestamp, Traffic};

use crate::config::Provider;
use crate::error::BrokerError;
use crate::providers::{BoundItems, StreamShape};
use crate::refresh::Refresher;
use crate::refusal::LocalRefusal;
use crate::store::accounts::Accounts;
use crate::store::entry::Entry;
use crate::store::{HeaderRules, Store};
use asked::AskedRequests;
use attempts::Attempts;
use cut_off::CutOff;

pub use destination::Explained;
pub use pending::{AuthRequest, Lease, LentCredential};
pub use report::{Report, Verdict};

/// Lends the credentials of one store to requests.
pub(crate) struct RequestService {
    pub(crate) store: Arc<Store>,
    refresher: Arc<Refresher>,
    traffic: Mutex<Traffic>,
    attempts: Mutex<Attempts>,
    asked: Mutex<AskedRequests>,
    cut_off: CutOff,
    /// What the last one was told that no account could serve.
    refused: Mutex<Option<Refused>>,
}

/// How the accounts stand for a refused request, and what it is told. What is remembered of an
/// exhausted pool comes as the same standings each time, and then it is told the same.
type Refused = (Arc<Standings>, Arc<LocalRefusal>);

/// The pool of a provider and namespace at one moment, as a decision sees it.
pub(crate) struct PoolNow<'a> {
    pub(crate) pool: &'a Pool<'a>,
    pub(crate) accounts: &'a Arc<Accounts>,
    /// Those of the pool that may not go everywhere where the provider's credentials go.
    pub(crate) restricted: &'a [Arc<Entry>],
    pub(crate) indexes: &'a mut Indexes,
}

impl RequestService {
    pub(crate) fn new(store: Arc<Store>, refresher: Arc<Refresher>) -> Arc<Self> {
        Arc::new(Self {
            refresher,
            traffic: Mutex::default(),
            attempts: Mutex::new(Attempts::new(store.process())),
            asked: Mutex::default(),
            cut_off: CutOff::default(),
            refused: Mutex::default(),
            store,
        })
    }

    /// Decides on the pool as it is now, and notes what the decision changes before anything else
    /// can change.
    pub(crate) fn decide<R>(
        &self,
        provider: &Provider,
        namespace: &str,
        now: Timestamp,
        decide: impl FnOnce(PoolNow<'_>) -> (R, Option<SharedState>),
    ) -> R {
        self.store.state.decide(now, |state, indexes| {
            // Accounts are taken under the state's lock: see `Store::reread_now`.
            let accounts = self.store.accounts();
            let (roster, restricted) = accounts.pool(&provider.id, namespace);
            let traffic = self.traffic.lock();
            let pool = Pool {
                roster,
                state,
                traffic: &traffic,
                rotation: &provider.rotation,
                now,
                news: None,
            };
            decide(PoolNow {
                pool: &pool,
                accounts: &accounts,
                restricted,
                indexes,
            })
        })
    }

    /// Copies of what decisions are made from, without what binds conversations.
    pub(crate) fn known(&self) -> (SharedState, Traffic) {
        let state = self.store.state.read(SharedState::of_accounts);
        (state, self.traffic.lock().clone())
    }

    /// What in a provider's requests only the account that made it can serve.
    pub(crate) fn bound_items(&self, provider: &str) -> Result<&'static BoundItems, BrokerError> {
        self.store
            .provider(provider)
            .map(|provider| provider.bound_items)
    }

    /// What becomes of a provider's further headers where a caller sets them too.
    pub(crate) fn header_rules(&self, provider: &str) -> Result<HeaderRules, BrokerError> {
        let provider = self.store.provider(provider)?;
        Ok(HeaderRules::of(&provider))
    }

    /// How a provider's event streams look.
    pub(crate) fn stream_shapes(
        &self,
        provider: &str,
    ) -> Result<&'static [StreamShape], BrokerError> {
        self.store
            .provider(provider)
            .map(|provider| provider.streams)
    }
}
