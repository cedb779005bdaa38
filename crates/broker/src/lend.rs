//! The way of one request to its headers: choose an account, renew its token where need be, lend.
//!
//! `policy` decides; this file brings it what it needs to know and carries out what it says. Headers of a fresh token
//! settle on the calling thread. What follows an answer is in `report.rs`, what a request waits for in `patience.rs`.

use std::sync::Arc;

use provider_auth_policy::{
    AccountId, Freshness, Mode, Pool, Reason, Request, Rule, Selection, SharedState, Timestamp,
    Trace, cache_life, claim_probe, explain, freshness, pin_to_owner,
};
use tokio::runtime::Handle;

use crate::accounts::{Accounts, Entry};
use crate::address;
use crate::attempts::Attempt;
use crate::broker::{About, Broker};
use crate::config::{Origin, Provider};
use crate::credential::fingerprint;
use crate::error::BrokerError;
use crate::events::EventKind;
use crate::headers::HeaderSet;
use crate::labels::check_pin;
use crate::named;
use crate::providers::{BoundItems, StreamShape};
use crate::refresh::Due;
use crate::refusal::LocalRefusal;
use crate::status::Moved;

/// What a caller asks headers for.
#[derive(Clone, Debug, Default)]
pub struct AuthRequest {
    /// Provider id.
    pub provider: String,
    /// Pool within the provider.
    pub namespace: Option<String>,
    /// The URL about to be called.
    pub url: String,
    /// Model asked for.
    pub model: Option<String>,
    /// Name of the conversation.
    pub session: Option<String>,
    /// Life of the prompt cache that the request asks for, as its body says it.
    pub cache_ttl: Option<String>,
    /// Pin: an account's id or label.
    pub account: Option<String>,
    /// The attempt that this one retries.
    pub retry_of: Option<String>,
    /// Names what the request holds and only the account that made it can serve.
    pub bound_by: Option<String>,
    /// Whether the choice is explained.
    pub explain: Explain,
}

/// Whether a choice is explained to the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Explain {
    /// No.
    #[default]
    No,
    /// With a [`Trace`].
    Trace,
}

/// Headers that authenticate one request, and the handle of the attempt.
pub struct Lease {
    /// Handle, for the report.
    pub attempt: String,
    /// Why this account serves, for who asked.
    pub trace: Option<Trace>,
    /// Where the request goes instead, if the provider serves this account elsewhere.
    pub url: Option<String>,
    provider: Arc<Provider>,
    entry: Arc<Entry>,
}

impl Lease {
    /// The account that serves.
    pub fn account_id(&self) -> &str {
        self.entry.view.id.as_str()
    }

    pub(crate) fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// Tells its headers from all others of the process; the attempt's handle ends with it.
    pub fn version(&self) -> String {
        format!("{:x}", self.entry.version)
    }

    /// The headers to set.
    pub fn headers(&self) -> &HeaderSet {
        &self.entry.headers
    }

    /// The headers to delete first.
    pub fn strip(&self) -> &[String] {
        &self.provider.strip
    }
}

/// A request on its way through the pool.
pub(crate) struct Asked {
    pub(crate) request: Arc<Request>,
    pub(crate) provider: Arc<Provider>,
    pub(crate) origin: Origin,
    url: String,
    is_retry: bool,
    explain: Explain,
    /// The last choice, explained.
    trace: Option<Trace>,
    /// A refresh failed for a passing reason: a token that still lives may serve.
    pub(crate) spare_token: Option<AccountId>,
    /// The last refresh that failed and left nothing to serve with, and the request as it was before.
    pub(crate) refresh_failure: Option<(BrokerError, Arc<Request>)>,
    /// Accounts whose token was renewed for this request.
    renewed: Vec<AccountId>,
    /// It tests whether an account serves again.
    probes: bool,
    /// What listeners were last told that it waits for.
    pub(crate) waits_until: Option<Timestamp>,
}

/// What the next step of a request is.
enum Step {
    Lend(Lease),
    Refresh(Arc<Entry>, Due),
    Wait {
        until: Timestamp,
        account: Option<AccountId>,
    },
    Fail(BrokerError),
}

/// Whether a caller can be made to wait for the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    AtOnce,
    MayWait,
}

impl Broker {
    /// Headers at once, if nothing must be read, refreshed or waited for; `None` sends the caller to [`Broker::headers`].
    pub fn headers_now(
        self: &Arc<Self>,
        asked: &AuthRequest,
        runtime: &Handle,
    ) -> Option<Result<Lease, BrokerError>> {
        if !self.is_current() {
            return None;
        }
        let mut asked = match self.asked(asked) {
            Ok(asked) => asked,
            Err(error) => return Some(Err(error)),
        };
        match self.step(&mut asked, Pace::AtOnce, runtime) {
            Step::Lend(lease) => {
                self.count_request(&asked);
                Some(Ok(lease))
            }
            Step::Fail(_) | Step::Refresh(..) | Step::Wait { .. } => None,
        }
    }

    /// What in a provider's requests only the account that made it can serve.
    pub fn bound_items(&self, provider: &str) -> Result<&'static BoundItems, BrokerError> {
        self.provider(provider).map(|provider| provider.bound_items)
    }

    /// How a provider's event streams look.
    pub fn stream_shapes(&self, provider: &str) -> Result<&'static [StreamShape], BrokerError> {
        self.provider(provider).map(|provider| provider.streams)
    }

    /// What the account of an attempt is lent with now; `None` for an attempt or an account that is not known.
    pub fn lent(&self, attempt: &str) -> Option<Lease> {
        let (provider, account) = {
            let attempts = self.attempts.lock();
            let known = attempts.get(attempt)?;
            (known.provider.clone(), known.account.clone())
        };
        Some(Lease {
            attempt: attempt.to_owned(),
            trace: None,
            url: None,
            provider,
            entry: self.accounts().get(&account)?.clone(),
        })
    }

    /// Picks an account and returns its headers, after a refresh or a wait where need be.
    ///
    /// Dropping the future ends the wait, and nothing else: a token exchange under way goes on.
    pub async fn headers(self: &Arc<Self>, asked: &AuthRequest) -> Result<Lease, BrokerError> {
        let vault = self.opened().await?;
        let mut asked = self.asked(asked)?;
        self.count_request(&asked);
        loop {
            match self.step(&mut asked, Pace::MayWait, &Handle::current()) {
                Step::Lend(lease) if asked.probes => {
                    // One probe in the whole fleet: the others should see the claim before it is sent.
                    self.save_state(&vault).await;
                    return Ok(lease);
                }
                Step::Lend(lease) => return Ok(lease),
                Step::Fail(error) => match asked.refresh_failure.take() {
                    Some((failure, before)) => {
                        self.wait_for_refresh(&mut asked, failure, before).await?
                    }
                    None if matches!(error, BrokerError::Exhausted { .. })
                        && self.recovered_for(&asked).await => {}
                    None => return Err(self.refuse(&asked, error)),
                },
                Step::Refresh(entry, due) => {
                    let began = self.uptime();
                    match self.refresh(&entry.view.id, due).await {
                        Ok(()) => asked.renewed.push(entry.view.id.clone()),
                        Err(error) => {
                            // A server that did not answer has used up the caller's patience already.
                            let waited = self.uptime().saturating_sub(began);
                            Arc::make_mut(&mut asked.request).add_wait(waited);
                            self.refresh_failed(&mut asked, &entry, error);
                        }
                    }
                }
                Step::Wait { until, account } => self.wait(&mut asked, until, account).await,
            }
            self.reread(&vault).await?;
        }
    }

    /// The request that is asked for, or retried, and its provider.
    pub(crate) fn begun(
        &self,
        asked: &AuthRequest,
    ) -> Result<(Arc<Request>, Arc<Provider>), BrokerError> {
        let begun = match &asked.retry_of {
            Some(handle) => {
                let attempts = self.attempts.lock();
                let attempt = attempts
                    .get(handle)
                    .ok_or_else(|| BrokerError::unknown_attempt(handle))?;
                (attempt.request.clone(), attempt.provider.clone())
            }
            None => {
                let provider = self.provider(&asked.provider)?;
                let namespace = provider.pool(asked.namespace.as_deref());
                let configured = provider
                    .account
                    .as_ref()
                    .filter(|_| asked.namespace.is_none());
                let pin = asked.account.as_ref().or(configured);
                if let Some(pin) = pin {
                    check_pin(&self.accounts(), &provider.id, namespace, pin)?;
                }
                let mut request = Request::new(
                    provider.id.clone(),
                    namespace,
                    asked.model.clone(),
                    asked.session.clone(),
                    pin.cloned(),
                )
                .with_item(asked.bound_by.clone())
                .with_path(path_of(&asked.url));
                request.cache_life = asked.cache_ttl.as_deref().and_then(cache_life);
                (Arc::new(request), provider)
            }
        };
        Ok(begun)
    }

    pub(crate) fn asked(&self, asked: &AuthRequest) -> Result<Asked, BrokerError> {
        let (request, provider) = self.begun(asked)?;
        let origin = self.allowed_origin(&provider, &asked.url)?;
        Ok(Asked {
            request,
            provider,
            origin,
            url: asked.url.clone(),
            is_retry: asked.retry_of.is_some(),
            explain: asked.explain,
            trace: None,
            spare_token: None,
            refresh_failure: None,
            renewed: Vec::new(),
            probes: false,
            waits_until: None,
        })
    }

    /// Chooses from the pool as it is now; what `then` makes of it is noted before anything else can change.
    pub(crate) fn choose<R>(
        &self,
        asked: &mut Asked,
        now: Timestamp,
        then: impl FnOnce(&Pool<'_>, &mut Asked, &Arc<Accounts>, Selection) -> (R, SharedState),
    ) -> R {
        let provider = asked.provider.clone();
        self.ledger.decide(now, |state, indexes| {
            // Accounts are taken under the state's lock: see `reread_now`.
            let accounts = self.accounts();
            let (roster, origin_restricted) = accounts.pool(&provider.id, &asked.request.namespace);
            asked.refuse(origin_restricted);
            let traffic = self.traffic.lock();
            let pool = Pool {
                roster,
                state,
                traffic: &traffic,
                rotation: &provider.rotation,
                now,
            };
            if asked.request.attempts() == 0 {
                pin_to_owner(&pool, Arc::make_mut(&mut asked.request));
            }
            let selection = indexes.select(&pool, &asked.request);
            then(&pool, asked, &accounts, selection)
        })
    }

    /// Looks at the pool once and says what to do.
    fn step(self: &Arc<Self>, asked: &mut Asked, pace: Pace, runtime: &Handle) -> Step {
        let now = self.now();
        let (accounts, selection, refusal) =
            self.choose(asked, now, |pool, asked, accounts, selection| {
                if asked.explain == Explain::Trace {
                    asked.trace = Some(explain(pool, &asked.request, &selection));
                }
                let claim = match &selection {
                    Selection::Serve {
                        account,
                        rule: Rule::Probe,
                    } if pace == Pace::MayWait
                        && accounts
                            .get(account)
                            .is_some_and(|entry| asked.refresh_first(entry, now).is_none()) =>
                    {
                        claim_probe(pool, &asked.request, account)
                    }
                    _ => SharedState::default(),
                };
                let refusal = match &selection {
                    Selection::Exhausted { retry_at, reason } if pace == Pace::MayWait => Some(
                        LocalRefusal::of(pool, &asked.request, &selection, *reason, *retry_at),
                    ),
                    _ => None,
                };
                ((accounts.clone(), selection, refusal), claim)
            });
        match selection {
            Selection::Serve { account, rule } => {
                asked.probes = rule == Rule::Probe;
                if asked.probes && pace == Pace::AtOnce {
                    return Step::Wait {
                        until: now,
                        account: Some(account),
                    };
                }
                let Some(entry) = accounts.get(&account) else {
                    return Step::Fail(BrokerError::unknown_account(account.as_str()));
                };
                self.lend_or_refresh(asked, entry, rule, now, runtime)
            }
            Selection::Wait { until, account } => Step::Wait { until, account },
            // Who cannot wait comes again, and is told then.
            Selection::Exhausted { retry_at, .. } => match refusal {
                Some(refusal) => Step::Fail(BrokerError::Exhausted {
                    provider: asked.provider.id.to_string(),
                    account: asked.request.affinity().cloned(),
                    retry_at,
                    refusal: Box::new(refusal),
                }),
                None => Step::Wait {
                    until: now,
                    account: None,
                },
            },
            Selection::NeedsLogin {
                accounts: those,
                reason,
            } => {
                let account = those.into_iter().next();
                let entry = account.as_ref().and_then(|id| accounts.get(id));
                Step::Fail(BrokerError::NeedsLogin {
                    provider: asked.provider.id.to_string(),
                    moved_at: entry.and_then(|entry| entry.credential.moved_at),
                    account,
                    standing: reason,
                })
            }
            Selection::OriginRefused => Step::Fail(BrokerError::OriginNotAllowed(
                self.made_for_elsewhere(&accounts, asked),
            )),
            Selection::NoAccount => Step::Fail(BrokerError::NoAccount {
                provider: asked.provider.id.to_string(),
                namespace: named::name(&asked.request.namespace),
                kind: wanted(asked.provider.rotation.mode),
            }),
            Selection::UnknownAccount => Step::Fail(BrokerError::unknown_account(
                asked.request.pin.as_deref().unwrap_or_default(),
            )),
        }
    }

    fn lend_or_refresh(
        self: &Arc<Self>,
        asked: &mut Asked,
        entry: &Arc<Entry>,
        rule: Rule,
        now: Timestamp,
        runtime: &Handle,
    ) -> Step {
        let view = &entry.view;
        if let Some(due) = asked.refresh_first(entry, now) {
            return Step::Refresh(entry.clone(), due);
        }
        if view.refreshable && freshness(view.expires_at, view.obtained_at, now) == Freshness::Due {
            self.refresh_behind(entry, runtime);
        }
        Step::Lend(self.lend(asked, entry, rule, now))
    }

    fn lend(&self, asked: &mut Asked, entry: &Arc<Entry>, rule: Rule, now: Timestamp) -> Lease {
        let account = &entry.view.id;
        Arc::make_mut(&mut asked.request).begin_attempt(account, entry.view.generation, now);
        let moved = if rule == Rule::Switched {
            Moved::ToAnother
        } else {
            Moved::No
        };
        {
            let mut traffic = self.traffic.lock();
            if moved == Moved::ToAnother {
                traffic.note_switch(account, now);
            }
            traffic.begin(account, now);
        }
        let kept = Attempt {
            request: asked.request.clone(),
            provider: asked.provider.clone(),
            account: account.clone(),
            handed_out_at: self.uptime(),
            answered: false,
        };
        let (attempt, abandoned) = self.attempts.lock().keep(kept, entry.version);
        if !abandoned.is_empty() {
            let mut traffic = self.traffic.lock();
            abandoned.iter().for_each(|account| traffic.forget(account));
        }
        let pool = (&asked.request.provider, &asked.request.namespace);
        self.figures.lock().lent(pool, moved);
        let about = About {
            model: asked.request.model.as_deref(),
            attempt: Some(&attempt),
            rule: Some(rule),
            ..About::default()
        };
        self.tell(EventKind::Chosen, pool, Some(account), about);
        if moved == Moved::ToAnother {
            self.tell(EventKind::Rotated, pool, Some(account), about);
        }
        Lease {
            attempt,
            trace: asked.trace.take(),
            url: address::of(entry, &asked.provider, &asked.origin, &asked.url),
            provider: asked.provider.clone(),
            entry: entry.clone(),
        }
    }

    fn count_request(&self, asked: &Asked) {
        if !asked.is_retry {
            self.figures
                .lock()
                .asked((&asked.request.provider, &asked.request.namespace));
        }
    }

    /// Tells listeners that a request is refused, and why.
    fn refuse(&self, asked: &Asked, error: BrokerError) -> BrokerError {
        let pool = (&asked.request.provider, &asked.request.namespace);
        if let BrokerError::Exhausted {
            retry_at,
            account,
            refusal,
            ..
        } = &error
        {
            self.figures.lock().exhausted(pool);
            tracing::info!(
                provider = %pool.0, reason = refusal.reason.as_str(), cause = %refusal.message,
                "a request was refused here"
            );
            self.tell(
                EventKind::Exhausted,
                pool,
                account.as_ref(),
                About {
                    model: asked.request.model.as_deref(),
                    reason: Some(match account {
                        Some(_) if refusal.reason.passes() => Reason::AccountBound,
                        _ => refusal.reason,
                    }),
                    until: *retry_at,
                    ..About::default()
                },
            );
        }
        error
    }
}

impl Asked {
    /// Keeps the request from those accounts that were made for other origins.
    fn refuse(&mut self, origin_restricted: &[Arc<Entry>]) {
        if origin_restricted.is_empty() && self.request.origin_refused.is_empty() {
            return;
        }
        Arc::make_mut(&mut self.request).origin_refused = origin_restricted
            .iter()
            .filter(|entry| !entry.may_go(&self.provider, &self.origin))
            .map(|entry| entry.view.id.clone())
            .collect();
    }

    /// Why the token must be renewed before it can serve, if it must.
    fn refresh_first(&self, entry: &Entry, now: Timestamp) -> Option<Due> {
        let view = &entry.view;
        if let Some((account, refused)) = self.request.resend_after_refresh()
            && *account == view.id
            && view.generation <= refused
        {
            return Some(Due::TokenRefused {
                token: fingerprint(entry.credential.bearer()),
            });
        }
        let Freshness::Stale { expired } = freshness(view.expires_at, view.obtained_at, now) else {
            return None;
        };
        let is_spare = !expired && self.spare_token.as_ref() == Some(&view.id);
        // A token that is stale however often it is renewed is one that the provider issues so.
        let stays_stale = self.renewed.iter().filter(|id| **id == view.id).count() > 1;
        (view.refreshable && !is_spare && !stays_stale).then_some(Due::Stale)
    }
}

/// The path of an absolute URL and what follows it.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("", |at| &rest[at..])
}

/// The kind of account that a mode asks for, as part of a sentence.
fn wanted(mode: Mode) -> &'static str {
    match mode {
        Mode::Auto => "",
        Mode::Subscription => "subscription ",
        Mode::Api => "API key ",
    }
}
