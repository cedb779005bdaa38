//! Headers for one request, after a refresh or a wait where need be.

use std::sync::Arc;

use provider_auth_policy::Timestamp;
use tokio::runtime::Handle;

use super::lend::{Pace, Step};
use super::pending::{AuthRequest, Lease, PendingRequest};
use super::{RequestService, address};
use crate::error::BrokerError;

impl RequestService {
    /// Headers at once, if nothing must be read, refreshed or waited for; `None` sends the caller
    /// to [`RequestService::headers`].
    pub(crate) fn headers_now(
        self: &Arc<Self>,
        asked: &AuthRequest,
        runtime: &Handle,
    ) -> Option<Result<Lease, BrokerError>> {
        let now = self.store.now();
        let lag = self.store.history_lag(now)?;
        // Taken before the configuration is looked at, which changes before they do.
        let under = self.store.accounts();
        let mut pending = match self.pending(asked) {
            Ok(pending) => pending,
            Err(error) => return Some(Err(error)),
        };
        if !self.store.remembers(&pending.request, (lag, now), runtime) {
            return None;
        }
        let is_kept =
            asked.is_plain() && !address::has_key(&pending.url, pending.provider.key_parameters);
        let again = is_kept.then(|| self.asked.lock().keep(pending.asked(), &under));
        let lease = self.lend_now(&mut pending, now, runtime)?;
        Some(Ok(Lease { again, ..lease }))
    }

    /// The same for a request that was asked for before, by the number that its lease has; `None`
    /// also when it is forgotten, or may mean something else by now.
    pub(crate) fn headers_again(self: &Arc<Self>, number: u64, runtime: &Handle) -> Option<Lease> {
        let now = self.store.now();
        let lag = self.store.history_lag(now)?;
        let asked = self.asked.lock().get(number, &self.store.accounts())?;
        if !self.store.remembers(&asked.request, (lag, now), runtime) {
            return None;
        }
        let mut pending = PendingRequest::new(self.store.number('q'), asked);
        self.lend_now(&mut pending, now, runtime)
    }

    fn lend_now(
        self: &Arc<Self>,
        pending: &mut PendingRequest,
        now: Timestamp,
        runtime: &Handle,
    ) -> Option<Lease> {
        match self.step(pending, now, Pace::AtOnce, runtime) {
            Step::Lend(lease) => {
                self.count_request(pending);
                Some(lease)
            }
            Step::Fail(_) | Step::Refresh(..) | Step::Read(_) | Step::Wait { .. } => None,
        }
    }

    /// Picks an account and returns its headers, after a refresh or a wait where need be.
    ///
    /// Dropping the future ends the wait, and nothing else: a token exchange under way goes on.
    pub(crate) async fn headers(
        self: &Arc<Self>,
        asked: &AuthRequest,
    ) -> Result<Lease, BrokerError> {
        let vault = self.store.opened().await?;
        let mut pending = self.pending(asked)?;
        self.count_request(&pending);
        loop {
            let now = self.store.now();
            match self.step(&mut pending, now, Pace::MayWait, &Handle::current()) {
                Step::Lend(lease) if pending.probes => {
                    // One probe in the whole fleet: the others should see the claim before it is
                    // sent.
                    self.store.save_state(&vault).await;
                    return Ok(lease);
                }
                Step::Lend(lease) => return Ok(lease),
                Step::Fail(error) => match pending.refresh_failure.take() {
                    Some((failure, before)) => {
                        self.wait_for_refresh(&mut pending, failure, before).await?
                    }
                    None if matches!(error, BrokerError::Exhausted { .. })
                        && self.recovered_for(&pending).await => {}
                    None => return Err(self.refuse(&pending, error)),
                },
                Step::Refresh(entry, due) => {
                    let began = self.store.uptime();
                    match self
                        .refresher
                        .refresh(&entry.view.id, due, Some(pending.number))
                        .await
                    {
                        Ok(()) => pending.renewed.push(entry.view.id.clone()),
                        Err(error) => {
                            // A server that did not answer has used up the caller's time already.
                            let waited = self.store.uptime().saturating_sub(began);
                            Arc::make_mut(&mut pending.request).add_wait(waited);
                            self.refresh_failed(&mut pending, &entry, error);
                        }
                    }
                }
                Step::Read(account) => self.store.read_record(&vault, &account).await?,
                Step::Wait { until, account } => self.wait(&mut pending, until, account).await,
            }
            self.store.reread(&vault).await?;
        }
    }

    /// What the account of an attempt is lent with now; `None` for an attempt or an account that is
    /// not known.
    pub(crate) fn lent(&self, attempt: &str) -> Option<Lease> {
        let (provider, account) = {
            let mut attempts = self.attempts.lock();
            let (_, known) = attempts.look(attempt)?;
            (known.provider.clone(), known.account.clone())
        };
        let entry = self.store.accounts().get(&account)?.clone();
        // One that is gone and came back since is not lent again before it was asked for.
        if entry.is_unread {
            return None;
        }
        Some(Lease {
            attempt: attempt.to_owned(),
            trace: None,
            url: None,
            again: None,
            provider,
            entry,
        })
    }

    fn count_request(&self, pending: &PendingRequest) {
        if pending.retried.is_none() {
            let request = &pending.request;
            let pool = (&request.provider, &request.namespace);
            self.store.notifier.count_request(pool);
        }
    }
}
