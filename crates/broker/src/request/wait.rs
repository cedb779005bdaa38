//! What a request waits for when no account can serve it at once, all within one budget
//! (`maxWaitMs`).

use std::sync::Arc;

use provider_auth_policy::{AccountId, Request, Selection, Standing, Timestamp, refused_since};

use super::RequestService;
use super::pending::PendingRequest;
use crate::error::BrokerError;
use crate::limits;
use crate::notifier::{About, EventKind};
use crate::refresh::RefreshError;
use crate::store::entry::Entry;

impl RequestService {
    /// Goes on without a new token: with the one at hand, else with the other accounts.
    pub(super) fn refresh_failed(
        self: &Arc<Self>,
        pending: &mut PendingRequest,
        entry: &Arc<Entry>,
        error: RefreshError,
    ) {
        match error {
            RefreshError::NeedsLogin => {
                Arc::make_mut(&mut pending.request).refresh_failed(&entry.view.id)
            }
            RefreshError::Failed(error) => {
                let refused = pending.request.resend_after_refresh().is_some();
                let lives = entry.view.expires_at.is_none_or(|at| at > self.store.now());
                if lives && !refused {
                    pending.spare_token = Some(entry.view.id.clone());
                } else {
                    pending.refresh_failure = Some((error, pending.request.clone()));
                    Arc::make_mut(&mut pending.request).refresh_failed(&entry.view.id);
                }
            }
        }
    }

    /// No account can serve since a token could not be renewed: waits until that may be tried
    /// again, if it is soon enough.
    pub(super) async fn wait_for_refresh(
        self: &Arc<Self>,
        pending: &mut PendingRequest,
        failure: BrokerError,
        before: Arc<Request>,
    ) -> Result<(), BrokerError> {
        let Some(until) = failure.retry_at() else {
            return Err(failure);
        };
        // What a server refuses by name it refuses in ten seconds, too.
        let refuses = |id: &str| {
            let id = AccountId::from(id);
            self.store
                .state
                .read(|state| refused_since(state, &id).is_some())
        };
        if failure.account().is_some_and(refuses) {
            return Err(failure);
        }
        let span = self.store.now().until(until);
        let spent = pending.request.time_waited();
        if spent + span > pending.provider.rotation.max_wait {
            return Err(failure);
        }
        let since = spent.saturating_sub(before.time_waited());
        pending.request = before;
        Arc::make_mut(&mut pending.request).add_wait(since);
        self.wait(pending, until, failure.account().map(AccountId::from))
            .await;
        Ok(())
    }

    /// Until when to wait for a login that is older in the store than it was: where the store has just come
    /// back, hosts put back what it lost.
    pub(super) fn until_put_back(
        &self,
        pending: &PendingRequest,
        selection: &Selection,
    ) -> Option<Timestamp> {
        let Selection::NeedsLogin {
            reason: Standing::RollbackSuspected,
            ..
        } = selection
        else {
            return None;
        };
        let settles_in = self.store.open_vault()?.store_status()?.settles_in?;
        let max_wait = pending.provider.rotation.max_wait;
        let left = max_wait.saturating_sub(pending.request.time_waited());
        let wait = settles_in.min(left);
        (!wait.is_zero()).then(|| self.store.now() + wait)
    }

    pub(super) async fn wait(
        self: &Arc<Self>,
        pending: &mut PendingRequest,
        until: Timestamp,
        account: Option<AccountId>,
    ) {
        let pool = (&pending.request.provider, &pending.request.namespace);
        let about = About {
            request: Some(pending.number),
            model: pending.request.model.as_deref(),
            until: Some(until),
            ..About::default()
        };
        // Once per wait, however often it is looked at again.
        if pending.waits_until.replace(until) != Some(until) {
            self.store
                .notifier
                .tell(EventKind::Waiting, pool, account.as_ref(), about);
        }
        let (began, span) = (self.store.uptime(), self.store.now().until(until));
        let waited = || self.store.uptime().saturating_sub(began);
        // Another account may be added meanwhile, or this one's cooldown lifted: here, or by
        // another process. A clock that is set forward ends the wait, one that is set back does not
        // lengthen it.
        while self.store.now() < until && waited() < span {
            let left = self
                .store
                .now()
                .until(until)
                .min(span.saturating_sub(waited()));
            tokio::select! {
                () = tokio::time::sleep(left.min(limits::LOOK_AGAIN)) => {}
                () = self.store.notifier.woken() => break,
            }
            if !self.store.is_current() {
                break;
            }
        }
        let waited = waited();
        let model = pending.request.model.as_deref();
        self.store
            .notifier
            .count_wait(pool, account.as_ref(), model, waited);
        Arc::make_mut(&mut pending.request).add_wait(waited);
    }

    /// Waits for the second try of an exchange that was cut short, for an account of this pool;
    /// `false` when there is none. A process that has just opened the vault finds the account
    /// without a token, but not for long.
    pub(super) async fn recovered_for(&self, pending: &PendingRequest) -> bool {
        let accounts = self.store.accounts();
        let (roster, _) = accounts.pool(&pending.request.provider, &pending.request.namespace);
        self.refresher
            .recovered(|id| roster.get(id).is_some())
            .await
    }
}
