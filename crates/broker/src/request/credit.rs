//! The report of a plain 2xx, of which nothing is learned but counts, and times that slide: nearly
//! all reports are such.

use std::time::Duration;

use provider_auth_policy::{Action, Pool, Reason, credit};
use tracing::Level;

use super::RequestService;
use super::report::{Report, Verdict};
use crate::notifier::{About, EventKind};
use crate::store::Due;

impl Verdict {
    /// On an answer to which there is nothing to say.
    pub(super) const DELIVERED: Self = Self {
        action: Action::Deliver,
        delay: Duration::ZERO,
        reason: Reason::Ok,
        cooldown_until: None,
        is_final: false,
        retry_at: None,
    };
}

impl RequestService {
    /// Credits the account of a plain answer, and returns how soon that is to be written; `None`
    /// where there is more to do, or to write down. What comes of it is what `judge` does.
    pub(super) fn credit(&self, report: &Report) -> Option<Due> {
        if tracing::enabled!(Level::DEBUG) {
            return None;
        }
        let now = self.store.now();
        let mut attempts = self.attempts.lock();
        let (place, attempt) = attempts.look(&report.attempt)?;
        if attempt.answered {
            return None;
        }
        let header = |name: &str| report.headers.get(name).map(String::as_str);
        let response = report.response(&header);
        let (number, request) = (attempt.number, attempt.request.clone());
        let (account, provider) = (attempt.account.clone(), &attempt.provider);
        let due = self.store.state.credit(now, |state| {
            let accounts = self.store.accounts();
            let (roster, _) = accounts.pool(&provider.id, &request.namespace);
            let mut traffic = self.traffic.lock();
            let pool = Pool {
                roster,
                state,
                traffic: &traffic,
                rotation: &provider.rotation,
                now,
                news: None,
            };
            let credit = credit(&pool, &request, &account, &provider.signals, &response)?;
            traffic.end(&account, now);
            Some(credit)
        })?;
        attempt.answered = true;
        attempt.failed_for = None;
        attempts.settle(place);
        drop(attempts);
        let about = About {
            request: Some(number),
            model: request.model.as_deref(),
            reason: Some(Reason::Ok),
            attempt: Some(&report.attempt),
            ..About::default()
        };
        let pool = (&request.provider, &request.namespace);
        self.store
            .notifier
            .tell(EventKind::Served, pool, Some(&account), about);
        Some(due)
    }
}
