//! What a request waits for when nobody can serve it at once, all within one budget (`maxWaitMs`).

use std::sync::Arc;

use provider_auth_policy::{AccountId, Request, Timestamp, refused_since};

use crate::accounts::Entry;
use crate::broker::{About, Broker};
use crate::error::BrokerError;
use crate::events::EventKind;
use crate::lend::Asked;
use crate::limits;
use crate::refresh::RefreshError;

impl Broker {
    /// Goes on without a new token: with the one at hand, else with the other accounts.
    pub(crate) fn refresh_failed(
        self: &Arc<Self>,
        asked: &mut Asked,
        entry: &Arc<Entry>,
        error: RefreshError,
    ) {
        match error {
            RefreshError::NeedsLogin => {
                Arc::make_mut(&mut asked.request).refresh_failed(&entry.view.id)
            }
            RefreshError::Failed(error) => {
                let refused = asked.request.resend_after_refresh().is_some();
                let lives = entry.view.expires_at.is_none_or(|at| at > self.now());
                if lives && !refused {
                    asked.spare_token = Some(entry.view.id.clone());
                } else {
                    asked.refresh_failure = Some((error, asked.request.clone()));
                    Arc::make_mut(&mut asked.request).refresh_failed(&entry.view.id);
                }
            }
        }
    }

    /// Nobody can serve since a token could not be renewed: waits until that may be tried again, if it is soon enough.
    pub(crate) async fn wait_for_refresh(
        self: &Arc<Self>,
        asked: &mut Asked,
        failure: BrokerError,
        before: Arc<Request>,
    ) -> Result<(), BrokerError> {
        let Some(until) = failure.retry_at() else {
            return Err(failure);
        };
        // What a server refuses by name it refuses in ten seconds, too.
        let refuses = |id: &str| {
            let id = AccountId::from(id);
            self.ledger
                .read(|state| refused_since(state, &id).is_some())
        };
        if failure.account().is_some_and(refuses) {
            return Err(failure);
        }
        let span = self.now().until(until);
        let spent = asked.request.time_waited();
        if spent + span > asked.provider.rotation.max_wait {
            return Err(failure);
        }
        let since = spent.saturating_sub(before.time_waited());
        asked.request = before;
        Arc::make_mut(&mut asked.request).add_wait(since);
        self.wait(asked, until, failure.account().map(AccountId::from))
            .await;
        Ok(())
    }

    pub(crate) async fn wait(
        self: &Arc<Self>,
        asked: &mut Asked,
        until: Timestamp,
        account: Option<AccountId>,
    ) {
        let pool = (&asked.request.provider, &asked.request.namespace);
        let about = About {
            model: asked.request.model.as_deref(),
            until: Some(until),
            ..About::default()
        };
        // Once per wait, however often it is looked at again.
        if asked.waits_until.replace(until) != Some(until) {
            self.tell(EventKind::Waiting, pool, account.as_ref(), about);
        }
        let (began, span) = (self.uptime(), self.now().until(until));
        let waited = || self.uptime().saturating_sub(began);
        // Another account may be added meanwhile, or this one's cooldown lifted: here, or by another process. A clock
        // that is set forward ends the wait, one that is set back does not lengthen it.
        while self.now() < until && waited() < span {
            let left = self.now().until(until).min(span.saturating_sub(waited()));
            tokio::select! {
                () = tokio::time::sleep(left.min(limits::LOOK_AGAIN)) => {}
                () = self.changed.notified() => break,
            }
            if !self.is_current() {
                break;
            }
        }
        Arc::make_mut(&mut asked.request).add_wait(waited());
    }

    /// Waits for the second try of an exchange that was cut short, for an account of this pool; `false` when there is
    /// none. Whoever has just opened the vault finds the account without a token, but not for long.
    pub(crate) async fn recovered_for(&self, asked: &Asked) -> bool {
        let accounts = self.accounts();
        let (roster, _) = accounts.pool(&asked.request.provider, &asked.request.namespace);
        self.recovered(|id| roster.get(id).is_some()).await
    }
}
