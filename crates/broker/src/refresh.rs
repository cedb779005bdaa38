//! Renews access tokens: one exchange for all callers, in this process and in all others.
//!
//! Nobody cancels an exchange: it runs in a task of its own, and the end of the process waits for it. The record's
//! kernel lock is free the moment a process dies, and whoever finds its note tries again at once, which saves the login
//! within a server's reuse grace.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use provider_auth_policy::{AccountId, Standing, Timestamp};
use provider_auth_vault::RecordId;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::accounts::{Account, Entry};
use crate::broker::Broker;
use crate::credential::fingerprint;
use crate::error::BrokerError;
use crate::limits;

/// Why a token is to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// It ends soon and still serves: only if nobody else is at it.
    Soon,
    /// It has ended, or is about to.
    Stale,
    /// A process that died has left a note: its token may be spent, and an early second try may save the login.
    CutShort,
    /// The provider refused this token.
    TokenRefused {
        /// Hash of the access token.
        token: [u8; 32],
    },
    /// The user asks for another token than this one.
    Asked {
        /// Hash of the access token.
        token: [u8; 32],
    },
}

/// Why there is no new token.
pub(crate) enum RefreshError {
    /// The login has ended; it is marked so.
    NeedsLogin,
    /// For a reason that leaves the login as it is.
    Failed(BrokerError),
}

/// What a flight came to; shared by all who waited for it.
#[derive(Clone)]
pub(crate) enum Landing {
    /// There is a newer token, ours or another process's, or nothing was to be done.
    Renewed,
    NeedsLogin,
    Postponed {
        why: String,
        retry_at: Option<Timestamp>,
    },
    Broken(Arc<BrokerError>),
}

/// The exchanges under way in this process, one per account.
#[derive(Default)]
pub(crate) struct Flights {
    under_way: Mutex<HashMap<AccountId, Flight>>,
    idle: Condvar,
    /// When a background refresh of an account was last begun.
    begun: Mutex<HashMap<AccountId, Timestamp>>,
}

#[derive(Clone)]
struct Flight {
    due: Due,
    landing: watch::Receiver<Option<Landing>>,
}

impl Flights {
    /// Waits until no exchange is under way, at most this long.
    pub(crate) fn wait_idle(&self, patience: Duration) {
        let mut under_way = self.under_way.lock();
        self.idle
            .wait_while_for(&mut under_way, |under_way| !under_way.is_empty(), patience);
    }

    /// The second try of an exchange that was cut short, for an account that `concerns` the caller.
    fn second_try(&self, concerns: impl Fn(&AccountId) -> bool) -> Option<Flight> {
        let under_way = self.under_way.lock();
        let mut tries = under_way
            .iter()
            .filter(|(id, flight)| flight.due == Due::CutShort && concerns(id));
        tries.next().map(|(_, flight)| flight.clone())
    }
}

impl Broker {
    /// Makes sure of a newer token than the one that `due` speaks of: joins the exchange under way, or starts one.
    pub(crate) async fn refresh(
        self: &Arc<Self>,
        id: &AccountId,
        due: Due,
    ) -> Result<(), RefreshError> {
        let mut landing = self.take_off(id, due, &Handle::current());
        let landed = landing
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|landed| landed.clone());
        let provider = || {
            self.entry(id.as_str())
                .map_or_else(|_| String::new(), |entry| entry.credential.provider.clone())
        };
        let failed = |why: String, retry_at| BrokerError::RefreshFailed {
            provider: provider(),
            account: id.clone(),
            why,
            retry_at,
        };
        match landed {
            Some(Landing::Renewed) => Ok(()),
            Some(Landing::NeedsLogin) => Err(RefreshError::NeedsLogin),
            Some(Landing::Postponed { why, retry_at }) => {
                Err(RefreshError::Failed(failed(why, retry_at)))
            }
            Some(Landing::Broken(error)) => Err(RefreshError::Failed(BrokerError::Shared(error))),
            // The task ended without landing: it panicked, which its own thread has reported.
            None => Err(RefreshError::Failed(failed(
                "the exchange broke off".to_owned(),
                None,
            ))),
        }
    }

    /// Renews a token that still serves, behind the request that noticed.
    pub(crate) fn refresh_behind(self: &Arc<Self>, entry: &Entry, runtime: &Handle) {
        let (id, now) = (&entry.view.id, self.now());
        {
            let mut begun = self.flights.begun.lock();
            if begun
                .get(id)
                .is_some_and(|at| at.until(now) < limits::BACKGROUND_PAUSE && *at <= now)
            {
                return;
            }
            begun.insert(id.clone(), now);
        }
        drop(self.take_off(id, Due::Soon, runtime));
    }

    /// Retries at once what processes that died left unfinished.
    pub(crate) fn recover(self: &Arc<Self>, cut_short: &[RecordId]) {
        for id in cut_short {
            tracing::info!(account = %id, "a refresh was cut short; trying again");
            let id = AccountId::from(id.to_string());
            drop(self.take_off(&id, Due::CutShort, &Handle::current()));
        }
    }

    /// Waits for such a second try, as long as one exchange takes at most; `false` when none is under way for an
    /// account that `concerns` the caller.
    pub(crate) async fn recovered(&self, concerns: impl Fn(&AccountId) -> bool) -> bool {
        let Some(mut flight) = self.flights.second_try(concerns) else {
            return false;
        };
        let landed = flight.landing.wait_for(Option::is_some);
        tokio::time::timeout(limits::REQUEST_PATIENCE, landed)
            .await
            .is_ok()
    }

    /// Renews the token of one account for the user.
    pub async fn refresh_account(
        self: &Arc<Self>,
        id: &str,
        force: Force,
    ) -> Result<Account, BrokerError> {
        let vault = self.opened().await?;
        let entry = self.named_entry(id)?;
        let id = entry.view.id.as_str();
        if let Some(moved_at) = entry.credential.moved_at {
            return Err(BrokerError::moved(&entry.view, moved_at));
        }
        if !entry.view.refreshable {
            return Err(BrokerError::InvalidArgument(format!(
                "account {id} has nothing to refresh: it is an API key, a login without a refresh token, or one that another \
                 program made with a client of its own"
            )));
        }
        let due = match force {
            Force::EvenIfGood => Due::Asked {
                token: fingerprint(entry.credential.bearer()),
            },
            Force::IfNeeded => Due::Stale,
        };
        let outcome = loop {
            let outcome = self.refresh(&entry.view.id, due).await;
            self.reread(&vault).await?;
            if outcome.is_err() || force == Force::IfNeeded {
                break outcome;
            }
            // An exchange that was begun for less may have found nothing to do.
            if self.entry(id)?.view.generation != entry.view.generation {
                break outcome;
            }
        };
        match outcome {
            Ok(()) => self.account(&entry.view.id),
            Err(RefreshError::NeedsLogin) => Err(BrokerError::NeedsLogin {
                provider: entry.credential.provider.clone(),
                account: Some(entry.view.id.clone()),
                standing: Standing::NeedsLogin,
                moved_at: None,
            }),
            Err(RefreshError::Failed(error)) => Err(error),
        }
    }

    fn take_off(
        self: &Arc<Self>,
        id: &AccountId,
        due: Due,
        runtime: &Handle,
    ) -> watch::Receiver<Option<Landing>> {
        let mut under_way = self.flights.under_way.lock();
        if let Some(flight) = under_way.get(id) {
            return flight.landing.clone();
        }
        let (land, landing) = watch::channel(None);
        under_way.insert(
            id.clone(),
            Flight {
                due,
                landing: landing.clone(),
            },
        );
        let (broker, id) = (self.clone(), id.clone());
        // Owned by `flights`: `wait_idle` waits for it at the end of the process.
        runtime.spawn(async move {
            let gone = Landed {
                broker: &broker,
                id: &id,
            };
            let landed = broker.exchange(&id, due).await;
            drop(gone);
            let _ = land.send(Some(landed));
        });
        landing
    }
}

/// Whether a token that is still good is renewed too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// Renew it all the same.
    EvenIfGood,
    /// Only when it is about to end.
    IfNeeded,
}

/// Takes a flight off the list when it lands, even by a panic.
struct Landed<'a> {
    broker: &'a Broker,
    id: &'a AccountId,
}

impl Drop for Landed<'_> {
    fn drop(&mut self) {
        let mut under_way = self.broker.flights.under_way.lock();
        under_way.remove(self.id);
        if under_way.is_empty() {
            self.broker.flights.idle.notify_all();
        }
    }
}
