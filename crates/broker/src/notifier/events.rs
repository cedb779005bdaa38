//! Tells listeners of each decision. Events carry ids, never secrets or mail addresses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use provider_auth_policy::{AccountId, Action, Reason, Rule, Timestamp};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// An account was stored or came back by a second login.
    AccountAdded,
    /// Headers with this account's credential were handed out.
    Chosen,
    /// A request was answered with anything but 2xx, or not at all.
    Failed,
    /// An account was removed.
    AccountRemoved,
    /// A limit was met: the account, or the account and model, rests until `until`.
    Cooldown,
    /// Nothing can serve until `until`.
    Exhausted,
    /// An account cannot serve until a person acts.
    NeedsLogin,
    /// The access token was renewed.
    Refreshed,
    /// The access token could not be renewed; the login is kept.
    RefreshFailed,
    /// A request moves on to another account.
    Rotated,
    /// A request was answered with 2xx.
    Served,
    /// A request waits until `until`.
    Waiting,
}

impl EventKind {
    /// The name in JavaScript.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccountAdded => "account_added",
            Self::AccountRemoved => "account_removed",
            Self::Chosen => "chosen",
            Self::Cooldown => "cooldown",
            Self::Exhausted => "exhausted",
            Self::Failed => "failed",
            Self::NeedsLogin => "needs_login",
            Self::Refreshed => "refreshed",
            Self::RefreshFailed => "refresh_failed",
            Self::Rotated => "rotated",
            Self::Served => "served",
            Self::Waiting => "waiting",
        }
    }
}

/// One decision.
#[derive(Clone, Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// When, by the wall clock.
    pub at: Timestamp,
    /// The provider of the pool.
    pub provider: Arc<str>,
    /// The namespace of the pool.
    pub namespace: Arc<str>,
    /// The account it is about.
    pub account: Option<AccountId>,
    /// The model it is about.
    pub model: Option<String>,
    /// Why.
    pub reason: Option<Reason>,
    /// Until when.
    pub until: Option<Timestamp>,
    /// The attempt that it is about.
    pub attempt: Option<String>,
    /// Why this account was chosen.
    pub rule: Option<Rule>,
    /// What happens with a failure.
    pub action: Option<Action>,
}

type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// The listeners of this process.
#[derive(Default)]
pub struct Events {
    listeners: Mutex<Vec<(u64, Listener)>>,
    count: AtomicUsize,
    next: AtomicU64,
}

impl Events {
    /// Adds a listener and returns its number.
    pub fn subscribe(&self, listener: Listener) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut listeners = self.listeners.lock();
        listeners.push((id, listener));
        self.count.store(listeners.len(), Ordering::Release);
        id
    }

    /// Forgets a listener.
    pub fn unsubscribe(&self, id: u64) {
        let mut listeners = self.listeners.lock();
        listeners.retain(|(other, _)| *other != id);
        self.count.store(listeners.len(), Ordering::Release);
    }

    /// Tells everyone; builds the event only when there is a listener.
    pub(crate) fn emit(&self, event: impl FnOnce() -> Event) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let event = event();
        let listeners: Vec<Listener> = self
            .listeners
            .lock()
            .iter()
            .map(|(_, listener)| listener.clone())
            .collect();
        for listener in listeners {
            listener(&event);
        }
    }
}
