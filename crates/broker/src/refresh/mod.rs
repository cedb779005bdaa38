//! Renews access tokens: one exchange for all callers, in this process and in all others.
//!
//! No caller cancels an exchange: it runs in a task of its own, and the end of the process waits
//! for it. The record's kernel lock is free the moment a process dies, and the next one that finds
//! its note tries again at once, which saves the login within a server's reuse grace.

mod exchange;
mod grant;
mod in_flight;
mod locked;
mod refusal;

use std::sync::Arc;

use provider_auth_policy::AccountId;
use provider_auth_vault::{RecordId, line};
use tokio::runtime::Handle;

use crate::error::BrokerError;
use crate::limits;
use crate::log::Number;
use crate::oauth_endpoints::OauthEndpoints;
use crate::store::Store;
use crate::store::entry::Entry;
use in_flight::{InFlight, Outcome, RefreshOutcome};

pub(crate) use in_flight::Due;

/// Why there is no new token.
pub(crate) enum RefreshError {
    /// The login has ended; it is marked so.
    NeedsLogin,
    /// For a reason that leaves the login as it is.
    Failed(BrokerError),
}

/// Renews the tokens of the accounts in one store.
pub(crate) struct Refresher {
    store: Arc<Store>,
    endpoints: Arc<OauthEndpoints>,
    in_flight: Arc<InFlight>,
}

impl Refresher {
    /// The refresher of this store; it takes over what processes that died left unfinished.
    pub(crate) fn new(store: Arc<Store>, endpoints: Arc<OauthEndpoints>) -> Arc<Self> {
        let refresher = Arc::new(Self {
            store,
            endpoints,
            in_flight: Arc::default(),
        });
        let recovering = Arc::downgrade(&refresher);
        refresher.store.when_cut_short(move |ids| {
            if let Some(refresher) = recovering.upgrade() {
                refresher.recover(ids);
            }
        });
        refresher
    }

    /// Waits, at most `limits::EXIT_TIMEOUT`, for the exchanges under way; the process is about to
    /// end.
    pub(crate) fn close(&self) {
        self.in_flight.wait_idle(limits::EXIT_TIMEOUT);
    }

    /// Makes sure of a newer token than the one that `due` speaks of: joins the exchange under way,
    /// or starts one. `request` is the one that waits for it.
    pub(crate) async fn refresh(
        self: &Arc<Self>,
        id: &AccountId,
        due: Due,
        request: Option<Number>,
    ) -> Result<(), RefreshError> {
        let mut outcome = self.join_or_start(id, due, request, &Handle::current());
        let outcome = outcome
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|outcome| outcome.clone());
        let provider = || {
            let entry = self.store.entry(id.as_str());
            entry.map_or_else(|_| String::new(), |entry| entry.credential.provider.clone())
        };
        let failed = |why: String, retry_at| BrokerError::RefreshFailed {
            provider: provider(),
            account: id.clone(),
            why,
            retry_at,
        };
        match outcome {
            Some(RefreshOutcome::Renewed) => Ok(()),
            Some(RefreshOutcome::NeedsLogin) => Err(RefreshError::NeedsLogin),
            Some(RefreshOutcome::Postponed { why, retry_at }) => {
                Err(RefreshError::Failed(failed(why, retry_at)))
            }
            Some(RefreshOutcome::Broken(error)) => {
                Err(RefreshError::Failed(BrokerError::Shared(error)))
            }
            // The task ended without an outcome: it panicked, which its own thread has reported.
            None => Err(RefreshError::Failed(failed(
                "the exchange broke off".to_owned(),
                None,
            ))),
        }
    }

    /// Renews a token that still serves, behind the request that noticed.
    pub(crate) fn refresh_behind(
        self: &Arc<Self>,
        entry: &Entry,
        request: Number,
        runtime: &Handle,
    ) {
        let id = &entry.view.id;
        if self.in_flight.may_begin(id, self.store.now()) {
            drop(self.join_or_start(id, Due::Soon, Some(request), runtime));
        }
    }

    /// Retries at once what processes that died left unfinished.
    fn recover(self: &Arc<Self>, cut_short: &[RecordId]) {
        for id in cut_short {
            line!(INFO, account = id, "a refresh was cut short; trying again");
            let id = AccountId::from(id.to_string());
            drop(self.join_or_start(&id, Due::CutShort, None, &Handle::current()));
        }
    }

    /// Waits for such a second try, as long as one exchange takes at most; `false` when none is
    /// under way for an account that `concerns` the caller.
    pub(crate) async fn recovered(&self, concerns: impl Fn(&AccountId) -> bool) -> bool {
        let Some(mut outcome) = self.in_flight.second_try(concerns) else {
            return false;
        };
        let ended = outcome.wait_for(Option::is_some);
        tokio::time::timeout(limits::REQUEST_TIMEOUT, ended)
            .await
            .is_ok()
    }

    fn join_or_start(
        self: &Arc<Self>,
        id: &AccountId,
        due: Due,
        request: Option<Number>,
        runtime: &Handle,
    ) -> Outcome {
        let number = self.store.number('f');
        let (joined, outcome) = self
            .in_flight
            .join_or_start(id, (number, due), |under_way| {
                let (refresher, id) = (self.clone(), id.clone());
                // `close` waits for it at the end of the process.
                runtime.spawn(async move {
                    let outcome = refresher.exchange(number, &id, due).await;
                    under_way.end(outcome);
                });
            });
        line!(
            DEBUG,
            refresh = joined,
            request = request,
            account = id,
            due = due.as_str(),
            joined = joined != number,
            "a refresh is asked for"
        );
        outcome
    }
}
