//! Makes known what happened: to listeners of this process, to the counts of its pools, to its log,
//! and to the calls that wait for an account.
//!
//! A log line of level `warn` is something that a person must act on, one of level `info` something
//! that a person may ask about later (a login, a refresh, a switch, a limit, an exhausted pool), one
//! of level `debug` a decision about one request.

mod events;
mod figures;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use provider_auth_policy::{AccountId, Action, Reason, Rule, Timestamp};
use provider_auth_vault::line;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::config::Counting;
use crate::host::Clock;
use crate::log::{Handle, Number, Shown};
use crate::stats::{Tallied, Tally};
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
    /// Whether the request asks for the first time.
    pub(crate) is_first: bool,
    /// The account that a request leaves, and why.
    pub(crate) left: Option<(&'a AccountId, Option<Reason>)>,
    /// How long a limit lets the account rest that it would have served, or a request waits.
    pub(crate) lost: Duration,
}

/// Listeners, counts, log and wake-ups of one process.
pub(crate) struct Notifier {
    events: Arc<Events>,
    clock: Arc<dyn Clock>,
    counted: Mutex<Counted>,
    changed: Notify,
}

/// The counts of this process: since it began, and those that the file of counts does not have yet.
#[derive(Default)]
struct Counted {
    figures: Figures,
    /// `None` where nothing is counted for the file.
    tally: Option<Tally>,
}

impl Counted {
    fn count(
        &mut self,
        kind: EventKind,
        pool: PoolName<'_>,
        account: Option<&AccountId>,
        about: About<'_>,
    ) {
        self.figures.count(kind, pool);
        let Some(tally) = &mut self.tally else {
            return;
        };
        let name = about.reason.map_or("unknown", Reason::as_str);
        let millis = || u64::try_from(about.lost.as_millis()).unwrap_or(u64::MAX);
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        match kind {
            EventKind::Chosen => {
                let counts = tally.of(pool, account, about.model);
                counts.attempts += 1;
                counts.requests += u64::from(about.is_first);
            }
            EventKind::Served => tally.of(pool, account, about.model).served += 1,
            EventKind::Failed => {
                let counts = tally.of(pool, account, about.model);
                *counts.failed.entry(name.to_owned()).or_default() += 1;
            }
            EventKind::Rotated => {
                let from = about.left.map(|(account, _)| account).or(account);
                // Without one, its conversation was an account's that rested before it came.
                let why = about.left.map_or("resting", |(_, reason)| {
                    reason.map_or("unknown", Reason::as_str)
                });
                let counts = tally.of(pool, from, about.model);
                *counts.switched.entry(why.to_owned()).or_default() += 1;
            }
            EventKind::Exhausted => tally.of(pool, account, about.model).refused += 1,
            EventKind::Refreshed => tally.of(pool, account, None).refreshed += 1,
            EventKind::RefreshFailed => tally.of(pool, account, None).refresh_failed += 1,
            EventKind::Cooldown if !about.lost.is_zero() => {
                let counts = tally.of(pool, account, about.model);
                add(&mut counts.rested_ms, millis());
            }
            EventKind::Waiting if !about.lost.is_zero() => {
                let counts = tally.of(pool, account, about.model);
                add(&mut counts.waited_ms, millis());
            }
            _ => {}
        }
    }
}

impl Notifier {
    pub(crate) fn new(events: Arc<Events>, clock: Arc<dyn Clock>, counting: Counting) -> Self {
        Self {
            events,
            clock,
            counted: Mutex::new(Counted {
                tally: (counting == Counting::On).then(Tally::default),
                ..Counted::default()
            }),
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
        self.counted.lock().count(kind, pool, account, about);
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
        self.counted.lock().figures.request(pool);
    }

    /// Counts a refresh that ended the login.
    pub(crate) fn count_refresh_failure(&self, pool: PoolName<'_>, account: &AccountId) {
        let (kind, about) = (EventKind::RefreshFailed, About::default());
        self.counted.lock().count(kind, pool, Some(account), about);
    }

    /// Counts how long a request has waited, for an account if it was for one.
    pub(crate) fn count_wait(
        &self,
        pool: PoolName<'_>,
        account: Option<&AccountId>,
        model: Option<&str>,
        lost: Duration,
    ) {
        let about = About {
            model,
            lost,
            ..About::default()
        };
        self.counted
            .lock()
            .count(EventKind::Waiting, pool, account, about);
    }

    /// Whether something was counted that the file of counts does not have yet.
    pub(crate) fn has_tally(&self) -> bool {
        let counted = self.counted.lock();
        counted
            .tally
            .as_ref()
            .is_some_and(|tally| !tally.is_empty())
    }

    /// Takes what was counted for the file of counts.
    pub(crate) fn take_tally(&self) -> Tallied {
        let mut counted = self.counted.lock();
        counted.tally.as_mut().map(Tally::take).unwrap_or_default()
    }

    /// Keeps for later what could not be written.
    pub(crate) fn put_back_tally(&self, tallied: &Tallied) {
        if let Some(tally) = &mut self.counted.lock().tally {
            tally.put_back(tallied);
        }
    }

    /// What the pool did since the process began.
    pub(crate) fn figures(&self, provider: &str, namespace: &str) -> PoolFigures {
        self.counted.lock().figures.get(provider, namespace)
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
