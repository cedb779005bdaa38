//! What follows an answer: hear how an attempt ended, note what it says about the account, say what
//! is next.
//!
//! `policy` judges. The report of a 2xx settles on the calling thread.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use provider_auth_policy::{
    AccountId, Action, Failure, KeptAnswer, OBSERVED_HEADERS, Reaction, Reason, Request, Response,
    SharedState, Timestamp,
};
use provider_auth_vault::line;
use secrecy::ExposeSecret as _;
use tokio::runtime::Handle;
use tracing::Level;

use super::RequestService;
use crate::error::BrokerError;
use crate::limits;
use crate::log::{Handle as Attempt, Number, Shown};
use crate::notifier::{About, EventKind};
use crate::store::entry::Entry;

/// How an attempt ended.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Handle of the attempt.
    pub attempt: String,
    /// HTTP status; absent when no response came.
    pub status: Option<u16>,
    /// Response headers, lower-case names.
    pub headers: BTreeMap<String, String>,
    /// The error body, or the error that came in place of a good answer.
    pub body: Option<String>,
    /// Why no response came, or which stream broke.
    pub failure: Option<Failure>,
}

impl Report {
    /// Whether there is nothing to judge: a 2xx and no word of an error.
    fn is_success(&self) -> bool {
        let good = self
            .status
            .is_some_and(|status| (200..300).contains(&status));
        good && self.failure.is_none() && self.body.is_none()
    }

    pub(super) fn response<'a>(
        &'a self,
        headers: &'a dyn Fn(&str) -> Option<&'a str>,
    ) -> Response<'a> {
        let body = self.body.as_deref();
        Response {
            status: self.status,
            headers,
            body: body.map(|body| head(body, limits::BODY_LIMIT)),
            failure: self.failure,
        }
    }
}

/// What to do next.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Hand the response over, or try again.
    pub action: Action,
    /// How long to wait before.
    pub delay: Duration,
    /// Why.
    pub reason: Reason,
    /// When this account, or account and model, may serve again.
    pub cooldown_until: Option<Timestamp>,
    /// Whether sending it again was tried, or would not help, although the request is not at fault.
    pub is_final: bool,
    /// When the soonest account can serve.
    pub retry_at: Option<Timestamp>,
}

impl RequestService {
    /// The verdict on a 2xx at once; `None` sends the caller to [`RequestService::report`].
    pub(crate) fn report_now(
        self: &Arc<Self>,
        report: &Report,
        runtime: &Handle,
    ) -> Option<Result<Verdict, BrokerError>> {
        if !report.is_success() {
            return None;
        }
        if let Some(due) = self.credit(report) {
            self.store.flush_when(due, runtime);
            return Some(Ok(Verdict::DELIVERED));
        }
        Some(self.judge(report).map(|(verdict, _)| {
            self.store.flush_soon(runtime);
            verdict
        }))
    }

    /// Judges a response; a new block is on disk before this returns.
    pub(crate) async fn report(self: &Arc<Self>, report: &Report) -> Result<Verdict, BrokerError> {
        // The attempt's account may have a newer token by now, which the verdict depends on.
        let vault = self.store.opened().await?;
        let (verdict, urgent) = self.judge(report)?;
        if urgent {
            // The verdict stands whether or not the disk takes the block.
            self.store.save_state(&vault).await;
        }
        self.store.flush_soon(&Handle::current());
        Ok(verdict)
    }

    fn judge(self: &Arc<Self>, report: &Report) -> Result<(Verdict, bool), BrokerError> {
        let now = self.store.now();
        let mut attempts = self.attempts.lock();
        let (place, attempt) = attempts
            .get(&report.attempt)
            .ok_or_else(|| BrokerError::unknown_attempt(&report.attempt))?;
        let first = !std::mem::replace(&mut attempt.answered, true);
        let (account, provider) = (attempt.account.clone(), attempt.provider.clone());
        if first {
            self.traffic.lock().end(&account, now);
        }
        let header = |name: &str| report.headers.get(name).map(String::as_str);
        let response = report.response(&header);
        // Chance is for rests, which a success does not need.
        let jitter = if report.is_success() {
            0.0
        } else {
            self.store.jitter()
        };
        let request = Arc::make_mut(&mut attempt.request);
        let namespace = request.namespace.clone();
        let (reaction, lost) = self.decide(&provider, &namespace, now, |looked| {
            let state = looked.pool.state;
            let mut reaction = looked.indexes.react(
                looked.pool,
                request,
                &account,
                &provider.signals,
                &response,
                jitter,
            );
            let mut change = std::mem::take(&mut reaction.delta);
            forget_echoes(&mut change, looked.accounts.get(&account));
            let lost = rest(&reaction, state, now);
            ((reaction, lost), Some(change))
        });
        attempt.failed_for = (reaction.reason != Reason::Ok).then_some(reaction.reason);
        let (number, request) = (attempt.number, attempt.request.clone());
        if reaction.action == Action::Deliver {
            attempts.settle(place);
        }
        drop(attempts);
        log(number, &request, &account, report, &reaction);
        self.tell_of((number, &request), &account, report, (&reaction, lost));
        let verdict = Verdict {
            action: reaction.action,
            delay: reaction.delay,
            reason: reaction.reason,
            cooldown_until: reaction.cooldown_until,
            is_final: reaction.action == Action::Deliver
                && !matches!(reaction.reason, Reason::Ok | Reason::ClientError),
            retry_at: reaction.retry_at,
        };
        Ok((
            verdict,
            reaction.durable || !reaction.late_charges.is_empty(),
        ))
    }

    fn tell_of(
        &self,
        (number, request): (Number, &Request),
        account: &AccountId,
        report: &Report,
        (reaction, lost): (&Reaction, Duration),
    ) {
        let pool = (&request.provider, &request.namespace);
        let about = About {
            request: Some(number),
            model: request.model.as_deref(),
            reason: Some(reaction.reason),
            until: reaction.cooldown_until,
            attempt: Some(&report.attempt),
            ..About::default()
        };
        if reaction.reason == Reason::Ok {
            self.store
                .notifier
                .tell(EventKind::Served, pool, Some(account), about);
        } else {
            let about = About {
                action: Some(reaction.action),
                ..about
            };
            self.store
                .notifier
                .tell(EventKind::Failed, pool, Some(account), about);
        }
        if let Some((_, block)) = &reaction.cooldown {
            self.store.notifier.wake_waiting();
            let about = About {
                reason: Some(block.reason),
                lost,
                ..about
            };
            self.store
                .notifier
                .tell(EventKind::Cooldown, pool, Some(account), about);
        }
        if reaction.freed {
            self.store.notifier.wake_waiting();
        }
        for late in &reaction.late_charges {
            let about = |until, reason| About {
                request: Some(number),
                model: request.model.as_deref(),
                reason: Some(reason),
                until,
                ..About::default()
            };
            if let Some((_, block)) = &late.cooldown {
                self.store.notifier.wake_waiting();
                let about = about(Some(block.until), block.reason);
                self.store
                    .notifier
                    .tell(EventKind::Cooldown, pool, Some(&late.account), about);
            }
            if late.standing.is_some() {
                let about = about(None, Reason::NeedsLogin);
                self.store
                    .notifier
                    .tell(EventKind::NeedsLogin, pool, Some(&late.account), about);
            }
        }
        if matches!(
            reaction.reason,
            Reason::NeedsLogin | Reason::NeedsVerification | Reason::BlockedByProvider
        ) {
            self.store
                .notifier
                .tell(EventKind::NeedsLogin, pool, Some(account), about);
        }
        if reaction.waits {
            let about = About {
                lost: reaction.delay,
                ..about
            };
            self.store
                .notifier
                .tell(EventKind::Waiting, pool, Some(account), about);
        }
        // An answer that was handed out in part was not refused.
        let is_refused = report.failure != Some(Failure::Stream);
        let is_over = reaction.reason.is_limit() || reaction.reason == Reason::AccountBound;
        if is_refused && reaction.action == Action::Deliver && is_over {
            self.store.notifier.tell(
                EventKind::Exhausted,
                pool,
                request.affinity(),
                About {
                    until: reaction.retry_at,
                    ..about
                },
            );
        }
    }
}

/// Writes down why an attempt failed, and what is charged to whom; at level `trace` also by what it
/// was judged.
fn log(
    number: Number,
    request: &Request,
    account: &AccountId,
    report: &Report,
    reaction: &Reaction,
) {
    let provider = &request.provider;
    let rests = reaction.cooldown.as_ref();
    if reaction.reason != Reason::Ok {
        line!(
            INFO,
            request = number,
            provider = Shown(provider),
            account = account,
            attempt = Attempt(&report.attempt),
            status = report.status,
            reason = reaction.reason,
            charged = rests
                .map(|(scope, _)| scope.to_string())
                .as_deref()
                .map(Shown),
            until = rests.map(|(_, block)| block.until),
            retries = reaction.action == Action::Retry,
            "an attempt failed"
        );
    }
    line!(
        DEBUG,
        request = number,
        provider = Shown(provider),
        account = account,
        attempt = Attempt(&report.attempt),
        model = request.model.as_deref().map(Shown),
        status = report.status,
        failure = report.failure,
        attempts = request.attempts(),
        waited_ms = request.time_waited(),
        delay_ms = reaction.delay,
        reason = reaction.reason,
        action = reaction.action,
        retry_at = reaction.retry_at,
        "an answer was judged"
    );
    if tracing::enabled!(Level::TRACE) {
        let headers = OBSERVED_HEADERS
            .iter()
            .filter_map(|name| Some((*name, report.headers.get(*name)?)));
        line!(
            TRACE,
            request = number,
            attempt = Attempt(&report.attempt),
            headers = Shown(&format!("{:?}", headers.collect::<Vec<_>>())),
            body_bytes = report.body.as_ref().map(String::len),
            source = rests.map(|(_, block)| block.source),
            "what an answer was judged by"
        );
    }
    for late in &reaction.late_charges {
        let rests = late.cooldown.as_ref();
        line!(
            INFO,
            request = number,
            provider = Shown(provider),
            account = late.account,
            reason = rests.map(|(_, block)| block.reason),
            charged = rests
                .map(|(scope, _)| scope.to_string())
                .as_deref()
                .map(Shown),
            until = rests.map(|(_, block)| block.until),
            "an account is charged: another one has served what it refused"
        );
    }
}

/// How much longer than before an account rests from a limit.
fn rest(reaction: &Reaction, state: &SharedState, now: Timestamp) -> Duration {
    let limit = reaction.cooldown.as_ref();
    let limit = limit.filter(|(_, block)| block.reason.is_limit());
    limit.map_or(Duration::ZERO, |(scope, block)| {
        let known = state.blocks.get(scope);
        let known = known.and_then(|known| known.live_until(now));
        known.unwrap_or(now).until(block.until)
    })
}

/// Keeps no answer that repeats the credential it was sent: the shared state holds no secret.
fn forget_echoes(change: &mut SharedState, entry: Option<&Arc<Entry>>) {
    for block in change.blocks.values_mut() {
        let echoes = |answer: &KeptAnswer| {
            let secret = entry.and_then(|entry| entry.bearer());
            secret.is_none_or(|secret| answer.body.contains(secret.expose_secret()))
        };
        block.answer.take_if(|answer| echoes(answer));
    }
}

/// The first `limit` bytes of a text, cut between characters.
fn head(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}
