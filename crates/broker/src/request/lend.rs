//! One look at the pool: choose an account and lend its headers, or say what must come first.

use std::sync::Arc;

use provider_auth_policy::{
    AccountId, Freshness, Reason, Request, Rule, Selection, SharedState, Standings, Timestamp,
    cache_life, claim_probe, explain, freshness, pin_to_owner,
};
use provider_auth_vault::line;
use tokio::runtime::Handle;

use super::asked::Asked;
use super::attempts::{Attempt, Uncounted};
use super::no_account::no_account;
use super::pending::{AuthRequest, Lease, PendingRequest};
use super::{PoolNow, RequestService, address, lines};
use crate::config::Provider;
use crate::error::BrokerError;
use crate::log::{Number, Shown};
use crate::notifier::{About, EventKind};
use crate::refresh::Due;
use crate::refusal::LocalRefusal;
use crate::store::accounts::Accounts;
use crate::store::entry::Entry;
use crate::store::labels::check_pin;

/// What the next step of a request is.
pub(super) enum Step {
    Lend(Lease),
    Refresh(Arc<Entry>, Due),
    /// Read the record of this account: its secret is not known yet.
    Read(AccountId),
    Wait {
        until: Timestamp,
        account: Option<AccountId>,
    },
    Fail(BrokerError),
}

/// A request that is asked for, or retried.
pub(super) struct Begun {
    pub(super) number: Number,
    pub(super) request: Arc<Request>,
    pub(super) provider: Arc<Provider>,
    pub(super) retried: Option<(AccountId, Option<Reason>)>,
}

/// Whether a caller can be made to wait for the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    AtOnce,
    MayWait,
}

impl RequestService {
    /// The request that is asked for, or retried, on its way to where its URL says.
    pub(crate) fn pending(&self, asked: &AuthRequest) -> Result<PendingRequest, BrokerError> {
        let begun = self.begun(asked)?;
        let origin = self.destination(&begun.provider, asked.url.as_deref())?;
        let begins = Asked {
            request: begun.request,
            provider: begun.provider,
            origin,
            url: asked.url.as_deref().unwrap_or_default().into(),
        };
        Ok(PendingRequest {
            retried: begun.retried,
            explain: asked.explain,
            ..PendingRequest::new(begun.number, begins)
        })
    }

    /// The same, wherever it goes.
    pub(super) fn begun(&self, asked: &AuthRequest) -> Result<Begun, BrokerError> {
        if let Some(handle) = &asked.retry_of {
            let mut attempts = self.attempts.lock();
            let (_, attempt) = attempts
                .get(handle)
                .ok_or_else(|| BrokerError::unknown_attempt(handle))?;
            return Ok(Begun {
                number: attempt.number,
                request: attempt.request.clone(),
                provider: attempt.provider.clone(),
                retried: Some((attempt.account.clone(), attempt.failed_for)),
            });
        }
        let mut provider = self.store.provider(&asked.provider)?;
        if let Some(rotation) = &asked.rotation {
            provider = rotation.over(&provider);
        }
        let namespace = provider.pool(asked.namespace.as_deref());
        let configured = provider
            .account
            .as_ref()
            .filter(|_| asked.namespace.is_none());
        let pin = asked.account.as_ref().or(configured);
        if let Some(pin) = pin {
            check_pin(&self.store.accounts(), &provider.id, namespace, pin)?;
        }
        let mut request = Request::new(
            provider.id.clone(),
            namespace,
            asked.model.clone(),
            asked.session.clone(),
            pin.cloned(),
        )
        .with_item(asked.bound_by.clone())
        .with_path(asked.url.as_deref().map(path_of).unwrap_or_default());
        request.cache_life = asked.cache_ttl.as_deref().and_then(cache_life);
        Ok(Begun {
            number: self.store.number('q'),
            request: Arc::new(request),
            provider,
            retried: None,
        })
    }

    /// Chooses from the pool as it is now; what `then` makes of it is noted before anything else
    /// can change.
    pub(crate) fn choose<R>(
        &self,
        pending: &mut PendingRequest,
        now: Timestamp,
        then: impl FnOnce(&mut PoolNow<'_>, &mut PendingRequest, Selection) -> (R, Option<SharedState>),
    ) -> R {
        let provider = pending.provider.clone();
        let namespace = pending.request.namespace.clone();
        self.decide(&provider, &namespace, now, |mut looked| {
            pending.refuse_origin(looked.restricted);
            if pending.request.attempts() == 0 && pending.request.holds_item() {
                pin_to_owner(looked.pool, Arc::make_mut(&mut pending.request));
            }
            let selection = looked.indexes.select(looked.pool, &pending.request);
            lines::chosen(looked.pool, pending, &selection);
            then(&mut looked, pending, selection)
        })
    }

    /// Looks at the pool once and says what to do.
    pub(super) fn step(
        self: &Arc<Self>,
        pending: &mut PendingRequest,
        now: Timestamp,
        pace: Pace,
        runtime: &Handle,
    ) -> Step {
        let (accounts, selection, standings) =
            self.choose(pending, now, |looked, pending, selection| {
                let (pool, accounts) = (looked.pool, looked.accounts);
                if pending.explain {
                    pending.trace = Some(explain(pool, &pending.request, &selection));
                }
                let claim = match &selection {
                    Selection::Serve {
                        account,
                        rule: Rule::Probe,
                    } if pace == Pace::MayWait
                        && accounts.get(account).is_some_and(|entry| {
                            !entry.is_unread && pending.refresh_first(entry, now).is_none()
                        }) =>
                    {
                        Some(claim_probe(pool, &pending.request, account))
                    }
                    _ => None,
                };
                let is_refused = matches!(selection, Selection::Exhausted { .. });
                let standings = (is_refused && pace == Pace::MayWait).then(|| {
                    let indexes = &mut looked.indexes;
                    indexes.standings(pool, &pending.request, &selection)
                });
                ((accounts.clone(), selection, standings), claim)
            });
        let wait = |until, account| Step::Wait { until, account };
        match selection {
            Selection::Serve { account, rule } => {
                pending.probes = rule == Rule::Probe;
                if pending.probes && pace == Pace::AtOnce {
                    return wait(now, Some(account));
                }
                match accounts.get(&account) {
                    Some(entry) => self.lend_or_refresh(pending, entry, rule, now, runtime),
                    None => Step::Fail(BrokerError::unknown_account(account.as_str())),
                }
            }
            Selection::Wait { until, account } => wait(until, account),
            // A caller that cannot wait comes again, and is told then.
            Selection::Exhausted { .. } if standings.is_none() => wait(now, None),
            selection => match self.until_put_back(pending, &selection) {
                Some(until) => wait(until, None),
                None => Step::Fail(self.failure(pending, &accounts, selection, standings)),
            },
        }
    }

    /// Why no account serves the request.
    fn failure(
        &self,
        pending: &PendingRequest,
        accounts: &Accounts,
        selection: Selection,
        standings: Option<Arc<Standings>>,
    ) -> BrokerError {
        let provider = pending.provider.id.to_string();
        match (selection, standings) {
            (Selection::Exhausted { retry_at, reason }, Some(standings)) => {
                BrokerError::Exhausted {
                    provider,
                    account: pending.request.affinity().cloned(),
                    retry_at,
                    refusal: self.refusal(pending, standings, reason, retry_at),
                }
            }
            (
                Selection::NeedsLogin {
                    accounts: those,
                    reason,
                },
                _,
            ) => {
                let account = those.into_iter().next();
                let entry = account.as_ref().and_then(|id| accounts.get(id));
                BrokerError::NeedsLogin {
                    provider,
                    moved_at: entry.and_then(|entry| entry.credential.moved_at),
                    account,
                    standing: reason,
                }
            }
            (Selection::OriginRefused, _) => {
                BrokerError::OriginNotAllowed(self.made_for_elsewhere(accounts, pending))
            }
            (Selection::UnknownAccount, _) => {
                BrokerError::unknown_account(pending.request.pin.as_deref().unwrap_or_default())
            }
            _ => no_account(pending, accounts),
        }
    }

    /// What the request is told. With the very standings of the last refusal it is the same again:
    /// to write out how dozens of accounts stand takes longer than all else of a call.
    fn refusal(
        &self,
        pending: &PendingRequest,
        standings: Arc<Standings>,
        reason: Reason,
        retry_at: Option<Timestamp>,
    ) -> Arc<LocalRefusal> {
        let mut refused = self.refused.lock();
        if let Some((known, refusal)) = &*refused
            && Arc::ptr_eq(known, &standings)
        {
            return refusal.clone();
        }
        let refusal = LocalRefusal::of(&pending.request, &standings, reason, retry_at);
        let (_, refusal) = refused.insert((standings, Arc::new(refusal)));
        refusal.clone()
    }

    fn lend_or_refresh(
        self: &Arc<Self>,
        pending: &mut PendingRequest,
        entry: &Arc<Entry>,
        rule: Rule,
        now: Timestamp,
        runtime: &Handle,
    ) -> Step {
        let view = &entry.view;
        if entry.is_unread {
            return Step::Read(view.id.clone());
        }
        if let Some(due) = pending.refresh_first(entry, now) {
            return Step::Refresh(entry.clone(), due);
        }
        if view.refreshable && freshness(view.expires_at, view.obtained_at, now) == Freshness::Due {
            self.refresher
                .refresh_behind(entry, pending.number, runtime);
        }
        match self.cut_off.refusal(&self.store, entry, now) {
            Some(away) => Step::Fail(away),
            None => Step::Lend(self.lend(pending, entry, rule, now)),
        }
    }

    fn lend(
        &self,
        pending: &mut PendingRequest,
        entry: &Arc<Entry>,
        rule: Rule,
        now: Timestamp,
    ) -> Lease {
        let account = &entry.view.id;
        let is_switch = rule == Rule::Switched;
        {
            let mut traffic = self.traffic.lock();
            if is_switch {
                traffic.note_switch(account, now);
            }
            traffic.begin(account, now);
        }
        let kept = Attempt {
            number: pending.number,
            request: pending.request.clone(),
            provider: pending.provider.clone(),
            account: account.clone(),
            uncounted: Some(Uncounted {
                generation: entry.view.generation,
                at: now,
            }),
            handed_out_at: self.store.uptime(),
            answered: false,
            failed_for: None,
        };
        let (attempt, abandoned) = self.attempts.lock().keep(kept, entry.version);
        if !abandoned.is_empty() {
            let mut traffic = self.traffic.lock();
            abandoned.iter().for_each(|account| traffic.forget(account));
        }
        let pool = (&pending.request.provider, &pending.request.namespace);
        let about = About {
            request: Some(pending.number),
            model: pending.request.model.as_deref(),
            attempt: Some(&attempt),
            rule: Some(rule),
            is_first: pending.retried.is_none(),
            left: pending
                .retried
                .as_ref()
                .map(|(account, reason)| (account, *reason)),
            ..About::default()
        };
        self.store
            .notifier
            .tell(EventKind::Chosen, pool, Some(account), about);
        if is_switch {
            lines::switched(pending, account);
            self.store
                .notifier
                .tell(EventKind::Rotated, pool, Some(account), about);
        }
        Lease {
            attempt,
            trace: pending.trace.take(),
            url: pending
                .origin
                .as_ref()
                .and_then(|origin| address::of(entry, &pending.provider, origin, &pending.url)),
            again: None,
            provider: pending.provider.clone(),
            entry: entry.clone(),
        }
    }

    /// Tells listeners that a request is refused, and why.
    pub(super) fn refuse(&self, pending: &PendingRequest, error: BrokerError) -> BrokerError {
        let pool = (&pending.request.provider, &pending.request.namespace);
        if let BrokerError::Exhausted {
            retry_at,
            account,
            refusal,
            ..
        } = &error
        {
            line!(
                INFO,
                request = pending.number,
                provider = Shown(pool.0),
                reason = refusal.reason,
                cause = Shown(&refusal.message),
                "a request was refused here"
            );
            self.store.notifier.tell(
                EventKind::Exhausted,
                pool,
                account.as_ref(),
                About {
                    request: Some(pending.number),
                    model: pending.request.model.as_deref(),
                    reason: Some(match account {
                        Some(_) if refusal.reason.passes() => Reason::AccountBound,
                        _ => refusal.reason,
                    }),
                    until: *retry_at,
                    ..About::default()
                },
            );
            self.store.count_soon(&Handle::current());
        }
        error
    }
}

/// The path of an absolute URL and what follows it.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("", |at| &rest[at..])
}
