//! The exchanges under way in this process: one per account, whose outcome all callers share.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use provider_auth_policy::{AccountId, Timestamp};
use tokio::sync::watch;

use crate::error::BrokerError;
use crate::limits;
use crate::log::Number;

/// Why a token is to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// It ends soon and still serves: only if no other process is at it.
    Soon,
    /// It has ended, or is about to.
    Stale,
    /// A process that died has left a note: its token may be spent, and an early second try may
    /// save the login.
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

impl Due {
    /// What the log calls it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Soon => "ends_soon",
            Self::Stale => "stale",
            Self::CutShort => "cut_short",
            Self::TokenRefused { .. } => "token_refused",
            Self::Asked { .. } => "asked_for",
        }
    }
}

/// How an exchange ended.
#[derive(Clone, Debug)]
pub(crate) enum RefreshOutcome {
    /// There is a newer token, ours or another process's, or the one at hand is good.
    Renewed,
    NeedsLogin,
    Postponed {
        why: String,
        retry_at: Option<Timestamp>,
    },
    Broken(Arc<BrokerError>),
}

/// The outcome, once there is one.
pub(crate) type Outcome = watch::Receiver<Option<RefreshOutcome>>;

/// One exchange under way.
#[derive(Clone)]
struct Exchange {
    number: Number,
    due: Due,
    outcome: Outcome,
}

/// The exchanges under way, by account.
#[derive(Default)]
pub(crate) struct InFlight {
    under_way: Mutex<HashMap<AccountId, Exchange>>,
    idle: Condvar,
    /// When a background refresh of an account was last begun.
    begun: Mutex<HashMap<AccountId, Timestamp>>,
}

impl InFlight {
    /// Joins the exchange of this account that is under way, or has `start` run a new one of this
    /// number; returns the number of the one that is joined. What `start` is given ends the exchange
    /// when it is dropped, also by a panic.
    pub(crate) fn join_or_start(
        self: &Arc<Self>,
        id: &AccountId,
        (number, due): (Number, Due),
        start: impl FnOnce(UnderWay),
    ) -> (Number, Outcome) {
        let mut under_way = self.under_way.lock();
        if let Some(exchange) = under_way.get(id) {
            return (exchange.number, exchange.outcome.clone());
        }
        let (tell, outcome) = watch::channel(None);
        under_way.insert(
            id.clone(),
            Exchange {
                number,
                due,
                outcome: outcome.clone(),
            },
        );
        start(UnderWay {
            ended: Ended {
                in_flight: self.clone(),
                id: id.clone(),
            },
            tell,
        });
        (number, outcome)
    }

    /// Whether a background refresh may begin now; it may once in [`limits::BACKGROUND_PAUSE`].
    pub(crate) fn may_begin(&self, id: &AccountId, now: Timestamp) -> bool {
        let mut begun = self.begun.lock();
        let was_begun = begun
            .get(id)
            .is_some_and(|at| at.until(now) < limits::BACKGROUND_PAUSE && *at <= now);
        if !was_begun {
            begun.insert(id.clone(), now);
        }
        !was_begun
    }

    /// The second try of an exchange that was cut short, for an account that `concerns` the caller.
    pub(crate) fn second_try(&self, concerns: impl Fn(&AccountId) -> bool) -> Option<Outcome> {
        let under_way = self.under_way.lock();
        let mut tries = under_way
            .iter()
            .filter(|(id, exchange)| exchange.due == Due::CutShort && concerns(id));
        tries.next().map(|(_, exchange)| exchange.outcome.clone())
    }

    /// Waits until no exchange is under way, at most this long.
    pub(crate) fn wait_idle(&self, timeout: Duration) {
        let mut under_way = self.under_way.lock();
        self.idle
            .wait_while_for(&mut under_way, |under_way| !under_way.is_empty(), timeout);
    }
}

/// An exchange that was started, and how its outcome is told.
pub(crate) struct UnderWay {
    // Before `tell`, which lets callers go on: none of them may join an exchange that has ended.
    ended: Ended,
    tell: watch::Sender<Option<RefreshOutcome>>,
}

impl UnderWay {
    /// Ends the exchange: from here on another one may start.
    pub(crate) fn end(self, outcome: RefreshOutcome) {
        drop(self.ended);
        let _ = self.tell.send(Some(outcome));
    }
}

/// Takes an exchange off the list when it ends.
struct Ended {
    in_flight: Arc<InFlight>,
    id: AccountId,
}

impl Drop for Ended {
    fn drop(&mut self) {
        let mut under_way = self.in_flight.under_way.lock();
        under_way.remove(&self.id);
        if under_way.is_empty() {
            self.in_flight.idle.notify_all();
        }
    }
}
