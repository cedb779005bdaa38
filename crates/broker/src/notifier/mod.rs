//! Makes known what happened: to listeners of this process, to the counts of its pools, to its log,
//! and to the calls that wait for an account.
//!
//! A log line of level `warn` is something that a person must act on, one of level `info` something
//! that a person may ask about later (a login, a refresh, a switch, a limit, an exhausted pool), one
//! of level `debug` a decision about one request.

mod events;
mod figures;

use std::sync::Arc;

use parking_lot::Mutex;
use provider_auth_policy::{AccountId, Action, Reason, Rule, Timestamp};
use provider_auth_vault::line;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::host::Clock;
use crate::log::{Handle, Number, Shown};
use figures::{Figures, PoolName};

pub use events::{Event, EventKind, Events};
pub use figures::PoolFigures;

/// What an event says besides who.
#[derive(Clone, Copy, Default)]
pub(crate) struct About<'a> {
    /// The request that it is about, for the log.
    pub(crate) request: Option<Number>,
    pub(crate) model: Option<&'a str>,
    pub(crate) reason: Option<Reason>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) attempt: Option<&'a str>,
    pub(crate) rule: Option<Rule>,
    pub(crate) action: Option<Action>,
}

/// Listeners, counts, log and wake-ups of one process.
pub(crate) struct Notifier {
    events: Arc<Events>,
    clock: Arc<dyn Clock>,
    figures: Mutex<Figures>,
    changed: Notify,
}

impl Notifier {
    pub(crate) fn new(events: Arc<Events>, clock: Arc<dyn Clock>) -> Self {
        Self {
            events,
            clock,
            figures: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Tells of a decision about one account of a pool, and counts it.
    pub(crate) fn tell(
        &self,
        kind: EventKind,
        pool: PoolName<'_>,
        account: Option<&AccountId>,
        about: About<'_>,
    ) {
        self.figures.lock().count(kind, pool);
        log(kind, pool, account, about);
        self.events.emit(|| Event {
            kind,
            at: self.clock.now(),
            provider: pool.0.clone(),
            namespace: pool.1.clone(),
            account: account.cloned(),
            model: about.model.map(str::to_owned),
            reason: about.reason,
            until: about.until,
            attempt: about.attempt.map(str::to_owned),
            rule: about.rule,
            action: about.action,
        });
    }

    /// Counts a request that asks for headers for the first time.
    pub(crate) fn count_request(&self, pool: PoolName<'_>) {
        self.figures.lock().request(pool);
    }

    /// Counts a refresh that ended the login.
    pub(crate) fn count_refresh_failure(&self, pool: PoolName<'_>) {
        self.figures.lock().count(EventKind::RefreshFailed, pool);
    }

    /// What the pool did since the process began.
    pub(crate) fn figures(&self, provider: &str, namespace: &str) -> PoolFigures {
        self.figures.lock().get(provider, namespace)
    }

    /// Wakes the calls that wait for an account: one was added, changed, or may serve again.
    pub(crate) fn wake_waiting(&self) {
        self.changed.notify_waiters();
    }

    /// Resolves at the next wake-up.
    pub(crate) fn woken(&self) -> Notified<'_> {
        self.changed.notified()
    }
}

/// Writes the line of an event. An account is named by its id, which says nothing about its owner.
fn log(
    kind: EventKind,
    (provider, namespace): PoolName<'_>,
    account: Option<&AccountId>,
    about: About<'_>,
) {
    macro_rules! event {
        ($level:ident, $text:literal) => {
            line!(
                $level,
                request = about.request,
                provider = Shown(provider),
                namespace = Shown(namespace),
                account = account,
                model = about.model.map(Shown),
                reason = about.reason,
                rule = about.rule,
                action = about.action,
                until = about.until,
                attempt = about.attempt.map(Handle),
                $text
            )
        };
    }
    match kind {
        EventKind::AccountAdded => event!(INFO, "an account was stored"),
        EventKind::AccountRemoved => event!(INFO, "an account was removed"),
        EventKind::Exhausted => event!(INFO, "a request was refused: no account can serve it"),
        EventKind::NeedsLogin => event!(WARN, "an account cannot serve until a person acts"),
        EventKind::Chosen => event!(DEBUG, "an account was chosen"),
        EventKind::Waiting => event!(DEBUG, "a request waits"),
        // Where these are decided, a line says more: from whom a request switches, whom an answer
        // is charged to, how an exchange ended.
        EventKind::Cooldown
        | EventKind::Failed
        | EventKind::Refreshed
        | EventKind::RefreshFailed
        | EventKind::Rotated
        | EventKind::Served => {}
    }
}
