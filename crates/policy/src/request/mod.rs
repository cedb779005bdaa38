//! One caller's request across its attempts: what was tried, what was spent, what comes next.

pub(crate) mod doubt;
pub(crate) mod endpoint;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::account::AccountId;
use crate::keys::{conversation_key, hash, push_hex};
use crate::request::doubt::Doubt;
use crate::state::scope::Target;
use crate::time::Timestamp;

/// One caller's request across its attempts; cheap to clone, which is done for each attempt.
///
/// [`react`](crate::react()) writes down what comes next, [`select`](crate::select()) obeys it.
#[derive(Clone)]
pub struct Request {
    /// The provider it goes to.
    pub provider: Arc<str>,
    /// The pool within the provider.
    pub namespace: Arc<str>,
    /// The model it asks for.
    pub model: Option<Arc<str>>,
    /// The conversation it belongs to.
    pub session: Option<Arc<str>>,
    /// The one account that may serve it: an id or a label.
    pub pin: Option<Arc<str>>,
    /// How long the prompt cache lives that the request asks for, where it asks for one.
    pub cache_life: Option<Duration>,
    /// Accounts whose credential must not go where this request goes.
    pub origin_refused: Vec<AccountId>,
    /// The endpoint that it goes to, as refusals of it are charged.
    path: Option<Arc<str>>,
    binding_key: Arc<str>,
    served_key: Option<Arc<str>>,
    /// Names what only the account that made it can serve.
    item: Option<Arc<str>>,
    /// The account that the item holds the request to.
    affinity: Option<AccountId>,
    attempts: u32,
    switches: u32,
    overload_switches: u32,
    waited: Duration,
    tries: Vec<Try>,
    /// Index of the account that has the request now.
    current: Option<usize>,
    next: Option<Next>,
    /// Refusals that may be the request's own fault, until another account has said what it makes
    /// of it.
    doubts: Vec<Doubt>,
}

/// What one account did with the request.
#[derive(Debug, Clone)]
pub(crate) struct Try {
    account: AccountId,
    /// Generation of the record whose token was last sent.
    pub(crate) generation: u64,
    /// When that was.
    pub(crate) served_at: Timestamp,
    /// Attempts that it was handed.
    pub(crate) attempts: u32,
    /// Short waits for it.
    pub(crate) waits: u32,
    /// A refresh was asked for and the token was sent again.
    pub(crate) refreshed: bool,
    /// It cannot serve this request any more.
    excluded: bool,
}

/// The account that the next attempt must go to.
#[derive(Debug, Clone)]
pub(crate) struct Next {
    pub(crate) account: AccountId,
    /// When that was decided: blocks known by then do not count.
    pub(crate) decided_at: Timestamp,
    /// Generation of the token that was refused, if a newer one must be had first.
    pub(crate) after_refresh: Option<u64>,
}

/// Conversation and item are left out: their names are the user's, and both may be long.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("provider", &self.provider)
            .field("namespace", &self.namespace)
            .field("model", &self.model)
            .field("path", &self.path)
            .field("pin", &self.pin)
            .field("affinity", &self.affinity)
            .field("binding", &self.binding_key)
            .field("attempts", &self.attempts)
            .field("switches", &self.switches)
            .field("waited", &self.waited)
            .field("tries", &self.tries)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// Begins a request to a pool.
    pub fn new(
        provider: impl Into<Arc<str>>,
        namespace: impl Into<Arc<str>>,
        model: Option<String>,
        session: Option<String>,
        pin: Option<String>,
    ) -> Self {
        let (provider, namespace) = (provider.into(), namespace.into());
        let binding_key = conversation_key(
            &provider,
            &namespace,
            session.as_deref().unwrap_or_default(),
            model.as_deref().unwrap_or_default(),
        );
        let served_key = model.as_deref().map(|model| served_key(&provider, model));
        Self {
            provider,
            namespace,
            model: model.map(Into::into),
            session: session.map(Into::into),
            pin: pin.map(Into::into),
            cache_life: None,
            origin_refused: Vec::new(),
            path: None,
            binding_key: binding_key.into(),
            served_key,
            item: None,
            affinity: None,
            attempts: 0,
            switches: 0,
            overload_switches: 0,
            waited: Duration::ZERO,
            tries: Vec::new(),
            current: None,
            next: None,
            doubts: Vec::new(),
        }
    }

    /// Says where the request goes: the path of its URL. What a provider refuses at one path alone
    /// is charged to that.
    #[must_use]
    pub fn with_path(self, path: &str) -> Self {
        let path = Some(endpoint::of(path).into());
        Self { path, ..self }
    }

    /// Says that the request holds this item, which only the account that made it can serve: the
    /// request keeps the account that [`pin_to_owner`](crate::pin_to_owner()) finds, else the one
    /// that serves it first.
    #[must_use]
    pub fn with_item(self, item: Option<String>) -> Self {
        let item = item.map(Into::into);
        Self { item, ..self }
    }

    /// Counts an attempt: headers with this account's token of this generation are handed out.
    pub fn begin_attempt(&mut self, account: &AccountId, generation: u64, now: Timestamp) {
        let index = self.try_index(account);
        if self.current.is_some_and(|current| current != index) {
            self.switches += 1;
        }
        let attempt = &mut self.tries[index];
        attempt.attempts += 1;
        attempt.generation = generation;
        attempt.served_at = now;
        if self.item.is_some() {
            self.affinity.get_or_insert_with(|| account.clone());
        }
        self.attempts += 1;
        self.current = Some(index);
        self.next = None;
    }

    /// Counts time spent on a [`Selection::Wait`](crate::Selection::Wait). The delays of reactions
    /// are counted already.
    pub fn add_wait(&mut self, span: Duration) {
        self.waited = self.waited.saturating_add(span);
    }

    /// Gives up on an account for this request: its token could not be refreshed.
    pub fn refresh_failed(&mut self, account: &AccountId) {
        let index = self.try_index(account);
        self.tries[index].excluded = true;
        self.next = None;
    }

    /// Tells whether it has tried no account, and spent no time.
    pub(crate) fn is_untried(&self) -> bool {
        self.tries.is_empty() && self.next.is_none() && self.waited.is_zero()
    }

    /// Returns how many attempts were made.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns the account that the request must be sent to again with a newer token, and the
    /// generation of the token that was refused.
    pub fn resend_after_refresh(&self) -> Option<(&AccountId, u64)> {
        let next = self.next.as_ref()?;
        Some((&next.account, next.after_refresh?))
    }

    /// Returns the key of the request's binding.
    pub fn binding_key(&self) -> &str {
        &self.binding_key
    }

    pub(crate) fn session_hash(&self) -> u64 {
        hash(&[self.session.as_deref().unwrap_or_default()])
    }

    /// Returns the account that the request keeps whatever happens.
    pub fn affinity(&self) -> Option<&AccountId> {
        self.affinity.as_ref()
    }

    /// Tells whether it holds an item that only the account that made it can serve.
    pub fn holds_item(&self) -> bool {
        self.item.is_some()
    }

    pub(crate) fn item(&self) -> Option<&str> {
        self.item.as_deref()
    }

    /// The same request without the item that holds it.
    pub(crate) fn without_item(self) -> Self {
        Self {
            item: None,
            affinity: None,
            ..self
        }
    }

    pub(crate) fn set_affinity(&mut self, account: AccountId) {
        self.affinity = Some(account);
    }

    /// Returns the accounts that were handed the request, or gave up on it.
    pub(crate) fn tried_accounts(&self) -> impl Iterator<Item = &AccountId> {
        self.tries.iter().map(|tried| &tried.account)
    }

    /// Returns the time spent waiting, of whatever kind.
    pub fn time_waited(&self) -> Duration {
        self.waited
    }

    /// Returns the key under which it is known that a model was served; nothing for a request that
    /// names none.
    pub(crate) fn served_key(&self) -> Option<&str> {
        self.served_key.as_deref()
    }

    /// Returns what of the request a block may be about.
    pub(crate) fn target(&self) -> Target<'_> {
        Target {
            model: self.model.as_deref(),
            path: self.path.as_deref(),
        }
    }

    pub(crate) fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    pub(crate) fn doubts(&self) -> &[Doubt] {
        &self.doubts
    }

    pub(crate) fn doubts_mut(&mut self) -> &mut Vec<Doubt> {
        &mut self.doubts
    }

    pub(crate) fn switches(&self) -> u32 {
        self.switches
    }

    pub(crate) fn overload_switches(&self) -> u32 {
        self.overload_switches
    }

    pub(crate) fn next(&self) -> Option<&Next> {
        self.next.as_ref()
    }

    pub(crate) fn set_next(&mut self, next: Next) {
        self.next = Some(next);
    }

    pub(crate) fn count_overload_switch(&mut self) {
        self.overload_switches += 1;
    }

    pub(crate) fn tried(&self, account: &AccountId) -> Option<&Try> {
        self.tries.iter().find(|tried| tried.account == *account)
    }

    /// Tells whether the account was handed the request already.
    pub(crate) fn has_served(&self, account: &AccountId) -> bool {
        self.tried(account).is_some_and(|tried| tried.attempts > 0)
    }

    /// Tells whether the account can serve this request at all, now or after a wait.
    pub(crate) fn admits(&self, account: &AccountId) -> bool {
        !self.tried(account).is_some_and(|tried| tried.excluded)
            && !self.origin_refused.contains(account)
    }

    pub(crate) fn try_mut(&mut self, account: &AccountId) -> &mut Try {
        let index = self.try_index(account);
        &mut self.tries[index]
    }

    fn try_index(&mut self, account: &AccountId) -> usize {
        if let Some(index) = self.tries.iter().position(|t| t.account == *account) {
            return index;
        }
        // Most requests are answered by the first account, and are kept for a while.
        self.tries.reserve_exact(1);
        self.tries.push(Try {
            account: account.clone(),
            generation: 0,
            served_at: Timestamp::default(),
            attempts: 0,
            waits: 0,
            refreshed: false,
            excluded: false,
        });
        self.tries.len() - 1
    }
}

fn served_key(provider: &str, model: &str) -> Arc<str> {
    let mut key = String::with_capacity(provider.len() + 17);
    key.push_str(provider);
    key.push(':');
    push_hex(&mut key, hash(&[model]));
    key.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{hash, pool_key};

    #[test]
    fn a_binding_key_is_the_pool_and_sixteen_digits() {
        for session in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            let request = Request::new("acme", "work", None, Some(session.to_owned()), None);
            let key = format!("{}:{:016x}", pool_key("acme", "work"), hash(&[session, ""]));
            assert_eq!(request.binding_key(), key);
        }
    }
}
