//! One exchange of a refresh token, from the lock to the new record.
//!
//! The order is strict, since a refresh token is good for one use: lock the record, read it again,
//! claim it with a note of the intent, ask, and write the whole answer before anyone uses it. What
//! can be known without asking is not asked.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use provider_auth_oauth::{HttpError, OauthError};
use provider_auth_policy::{AccountId, AccountView, Response, Signals, Timestamp, stated_wait};
use provider_auth_vault::{
    Claimed, Holder, Outcome, Pending, Purpose, RecordGuard, SendBy, Vault, VaultError, line,
};

use super::Refresher;
use super::grant::TokenRequest;
use super::in_flight::{Due, RefreshOutcome};
use super::locked::Locked;
use super::refusal::{has_ended, is_refusal};
use crate::error::BrokerError;
use crate::host::{blocking, boot_id};
use crate::limits;
use crate::log::{Number, Shown};
use crate::notifier::EventKind;
use crate::store::accounts::record_id;
use crate::store::credential::Credential;
use crate::store::secret::fingerprint;
use crate::store::unsaved::{Unsaved, release};

impl Refresher {
    /// One exchange, from the lock to the new record.
    pub(super) async fn exchange(
        self: &Arc<Self>,
        number: Number,
        id: &AccountId,
        due: Due,
    ) -> RefreshOutcome {
        let began = self.store.uptime();
        let before = self.generation(id);
        let outcome = match self.try_exchange(number, id, due).await {
            Ok(outcome) => outcome,
            // Another process takes long over it; nothing is wrong with the vault.
            Err(BrokerError::Vault(error @ VaultError::Busy { .. })) => RefreshOutcome::Postponed {
                why: error.to_string(),
                retry_at: None,
            },
            Err(error) => {
                line!(
                    ERROR,
                    refresh = number,
                    account = id,
                    error = error,
                    "a token could not be renewed"
                );
                RefreshOutcome::Broken(Arc::new(error))
            }
        };
        let took = self.store.uptime().saturating_sub(began);
        self.log((number, id), due, before, &outcome, took);
        outcome
    }

    /// The generation of an account as last read.
    fn generation(&self, id: &AccountId) -> Option<u64> {
        let entry = self.store.entry(id.as_str());
        entry.ok().map(|entry| entry.view.generation)
    }

    /// Writes down who was refreshed, why, how it ended and how long it took. `before` is the
    /// account's generation at the beginning.
    fn log(
        &self,
        (number, id): (Number, &AccountId),
        due: Due,
        before: Option<u64>,
        outcome: &RefreshOutcome,
        took: Duration,
    ) {
        let entry = self.store.entry(id.as_str()).ok();
        let generation = entry.as_ref().map(|entry| entry.view.generation);
        let (ended, why, retry_at) = match outcome {
            // The token at hand is good, or another process is at it.
            RefreshOutcome::Renewed if generation == before => ("not_needed", None, None),
            RefreshOutcome::Renewed => ("renewed", None, None),
            RefreshOutcome::NeedsLogin => ("needs_login", None, None),
            RefreshOutcome::Postponed { why, retry_at } => {
                ("postponed", Some(why.as_str()), *retry_at)
            }
            RefreshOutcome::Broken(_) => ("failed", None, None),
        };
        line!(
            INFO,
            refresh = number,
            provider = entry
                .as_ref()
                .map(|entry| Shown(&entry.credential.provider)),
            account = id,
            due = due.as_str(),
            outcome = ended,
            why = why.map(Shown),
            retry_at = retry_at,
            generation = generation,
            expires_at = entry.as_ref().and_then(|entry| entry.view.expires_at),
            took_ms = took,
            "a refresh ended"
        );
    }

    async fn try_exchange(
        self: &Arc<Self>,
        number: Number,
        id: &AccountId,
        due: Due,
    ) -> Result<RefreshOutcome, BrokerError> {
        let vault = self.store.vault();
        let record = record_id(id)?;
        let Some(mut locked) = self.lock_for(&vault, &record, due).await? else {
            return Ok(RefreshOutcome::Renewed);
        };
        let began = self.store.uptime();
        let patience = match due {
            Due::Soon => Duration::ZERO,
            _ => limits::LOCK_TIMEOUT,
        };
        let is_over = || self.store.uptime() - began >= patience;
        loop {
            let now = self.store.now();
            if let Some(outcome) = self.known_outcome((number, id), due, &locked, now) {
                return Ok(outcome);
            }
            let Locked {
                guard,
                credential,
                generation,
                ..
            } = locked;
            let credential = match self.endpoints.resolve_token_endpoint(credential).await {
                Ok(credential) => credential,
                // The server that renews the login was not asked.
                Err(error) => return self.postpone(id, &vault, guard, &error, false).await,
            };
            let Some(request) = self.token_request(&credential)? else {
                return self.login_ended(id, generation, &vault).await;
            };
            let note = Pending {
                generation,
                refresh_hash: fingerprint(request.presented()),
                started_at: now.as_millis(),
                pid: std::process::id(),
                boot_id: boot_id(),
            };
            let guard = match self.claim(&vault, guard, (due, note)).await? {
                (Claimed::Yes(by), guard, note) => {
                    let claim = Claim {
                        vault: &vault,
                        guard,
                        note,
                        by,
                    };
                    match self
                        .spend((id, due, now), claim, credential, request)
                        .await?
                    {
                        ControlFlow::Break(outcome) => return Ok(outcome),
                        ControlFlow::Continue(guard) if is_over() => {
                            return self.postpone(id, &vault, guard, &TOO_LATE, false).await;
                        }
                        ControlFlow::Continue(guard) => guard,
                    }
                }
                (Claimed::Moved, guard, _) => guard,
                (Claimed::Held(holder), guard, _) => {
                    if is_over() {
                        return Ok(held(holder, now));
                    }
                    tokio::time::sleep(limits::CLAIM_AGAIN).await;
                    guard
                }
            };
            locked = self.read_again(&vault, guard).await?;
        }
    }

    /// Sends what was claimed, and brings what comes. Where it was too late to be sent, the claim is
    /// given back and the lock returned.
    async fn spend(
        self: &Arc<Self>,
        (id, due, now): (&AccountId, Due, Timestamp),
        Claim {
            vault,
            guard,
            note,
            by,
        }: Claim<'_>,
        mut credential: Credential,
        request: TokenRequest,
    ) -> Result<ControlFlow<RefreshOutcome, RecordGuard>, BrokerError> {
        let generation = note.generation;
        let sent = self.send(&request, by).await;
        let outcome = match sent.map_err(|error| error.without(&credential.held())) {
            Err(TOO_LATE) => {
                let vault = vault.clone();
                let guard = blocking(move || {
                    release(&vault, &guard, Outcome::Unsent);
                    guard
                });
                return Ok(ControlFlow::Continue(guard.await));
            }
            Ok(tokens) => {
                self.endpoints.follow_api(&mut credential, &tokens);
                credential.renew(tokens, now);
                self.store
                    .persist(vault, Unsaved::new(guard, note, credential))
                    .await?;
                Ok(RefreshOutcome::Renewed)
            }
            Err(OauthError::InvalidGrant { .. }) if request.ends_with_refusal() => {
                self.refused(id, vault, guard, generation).await
            }
            Err(error) if self.forgets_client(&credential, &error) => {
                self.client_gone(id, vault, guard, (credential, generation))
                    .await
            }
            Err(error)
                if request.ends_with_refusal()
                    && is_refusal(&error)
                    && has_ended(&credential, due, now)
                    && self.is_refused_for_good(id) =>
            {
                self.refused(id, vault, guard, generation).await
            }
            Err(error) => {
                self.postpone(id, vault, guard, &error, is_refusal(&error))
                    .await
            }
        };
        Ok(ControlFlow::Break(outcome?))
    }

    /// Forgets the client too, so that the next login registers another.
    async fn client_gone(
        self: &Arc<Self>,
        id: &AccountId,
        vault: &Arc<Vault>,
        guard: RecordGuard,
        (mut credential, from): (Credential, u64),
    ) -> Result<RefreshOutcome, BrokerError> {
        Arc::make_mut(&mut credential.audience).registration = None;
        let (generation, guard) = blocking({
            let vault = vault.clone();
            move || {
                let brought = vault.bring(&guard, from, Purpose::Other, &credential.plaintext())?;
                // One that has moved on is seen to have below.
                Ok::<_, BrokerError>((brought.unwrap_or(from), guard))
            }
        })
        .await?;
        self.refused(id, vault, guard, generation).await
    }

    /// The server says that the refresh token is no good. Unless the record has moved on meanwhile,
    /// the login is over.
    async fn refused(
        self: &Arc<Self>,
        id: &AccountId,
        vault: &Arc<Vault>,
        guard: RecordGuard,
        generation: u64,
    ) -> Result<RefreshOutcome, BrokerError> {
        let (moved_on, guard) = blocking({
            let vault = vault.clone();
            move || {
                let moved_on = vault
                    .reread(&guard)?
                    .is_some_and(|record| record.generation > generation);
                Ok::<_, BrokerError>((moved_on, guard))
            }
        })
        .await?;
        let outcome = match moved_on {
            true => Ok(RefreshOutcome::Renewed),
            false => self.login_ended(id, generation, vault).await,
        };
        // Only now: the next holder of the claim, or of the lock, must not spend the dead token again.
        let vault = vault.clone();
        blocking(move || release(&vault, &guard, Outcome::Known)).await;
        outcome
    }

    async fn login_ended(
        self: &Arc<Self>,
        id: &AccountId,
        generation: u64,
        vault: &Arc<Vault>,
    ) -> Result<RefreshOutcome, BrokerError> {
        let entry = self.store.entry(id.as_str())?;
        let view = AccountView {
            generation,
            ..(*entry.view).clone()
        };
        self.store
            .note(
                vault,
                &provider_auth_policy::refresh_rejected(&view, self.store.now()),
            )
            .await;
        let pool = (&entry.view.provider, &entry.view.namespace);
        self.store.notifier.count_refresh_failure(pool, id);
        self.store.tell_account(EventKind::NeedsLogin, id, None);
        Ok(RefreshOutcome::NeedsLogin)
    }

    async fn postpone(
        self: &Arc<Self>,
        id: &AccountId,
        vault: &Arc<Vault>,
        guard: RecordGuard,
        error: &OauthError,
        is_refusal: bool,
    ) -> Result<RefreshOutcome, BrokerError> {
        let now = self.store.now();
        let wait = match error {
            OauthError::Transient {
                status,
                retry_after,
                date,
            } => {
                let headers = |name: &str| match name {
                    "retry-after" => retry_after.as_deref(),
                    "date" => date.as_deref(),
                    _ => None,
                };
                let response = Response {
                    status: Some(*status),
                    headers: &headers,
                    body: None,
                    failure: None,
                };
                stated_wait(&Signals::GENERIC, &response, now)
            }
            _ => None,
        };
        let jitter = self.store.jitter();
        let is_unsent = matches!(error, OauthError::Http(error) if error.is_unsent());
        let change = self
            .store
            .state
            .read(|state| match (is_refusal, is_unsent) {
                (true, _) => provider_auth_policy::refresh_refused(state, id, now, jitter),
                (_, true) => provider_auth_policy::refresh_not_sent(state, id, now, jitter),
                _ => provider_auth_policy::refresh_postponed(state, id, wait, now, jitter),
            });
        let until = provider_auth_policy::refresh_allowed(&change, id, now).err();
        // Before the lock is free, so that its next holder rests too.
        self.store.note(vault, &change).await;
        // Without an answer the server may have used the token up: the note stays, for an early
        // second try.
        let outcome = match error {
            _ if is_unsent => Outcome::Unsent,
            OauthError::Http(_) => Outcome::Unknown,
            _ => Outcome::Known,
        };
        let vault = vault.clone();
        blocking(move || release(&vault, &guard, outcome)).await;
        self.store.tell_account(EventKind::RefreshFailed, id, until);
        Ok(RefreshOutcome::Postponed {
            why: error.to_string(),
            retry_at: until,
        })
    }
}

const TOO_LATE: OauthError = OauthError::Http(HttpError::TooLate);

/// The right to spend the token of one generation.
struct Claim<'a> {
    vault: &'a Arc<Vault>,
    guard: RecordGuard,
    note: Pending,
    by: SendBy,
}

/// Another host has the claim for longer than is waited for it.
fn held(holder: Holder, now: Timestamp) -> RefreshOutcome {
    let since = Timestamp::from_millis(holder.since).until(now).as_secs();
    RefreshOutcome::Postponed {
        why: format!("{} has been renewing it for {since} s", holder.by),
        retry_at: Some(Timestamp::from_millis(holder.until)),
    }
}
