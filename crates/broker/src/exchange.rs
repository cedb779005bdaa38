//! One exchange of a refresh token, from the lock to the new record.
//!
//! The order is strict, since a refresh token is good for one use: lock the record, read it again, note the intent,
//! ask, and write the whole answer before anyone uses it. What can be known without asking is not asked.

use std::sync::Arc;

use provider_auth_oauth::OauthError;
use provider_auth_policy::{
    AccountId, AccountView, Freshness, Response, Signals, Standing, Timestamp, clock_was_set_back,
    freshness, stated_wait,
};
use provider_auth_vault::{Pending, RecordGuard, RecordId, Vault, VaultError};

use crate::accounts::{read_locked, record_id};
use crate::broker::{About, Broker, blocking};
use crate::credential::{Credential, Secret, fingerprint};
use crate::error::BrokerError;
use crate::events::EventKind;
use crate::refresh::{Due, Landing};
use crate::renewal_refusal::{Refresher, has_ended, is_refusal};
use crate::unsaved::Unsaved;

impl Broker {
    /// One exchange, from the lock to the new record.
    pub(crate) async fn exchange(self: &Arc<Self>, id: &AccountId, due: Due) -> Landing {
        match self.try_exchange(id, due).await {
            Ok(landing) => landing,
            // Another process takes long over it; nothing is wrong with the vault.
            Err(BrokerError::Vault(error @ VaultError::Busy { .. })) => Landing::Postponed {
                why: error.to_string(),
                retry_at: None,
            },
            Err(error) => {
                tracing::error!(account = %id, %error, "a token could not be renewed");
                Landing::Broken(Arc::new(error))
            }
        }
    }

    async fn try_exchange(
        self: &Arc<Self>,
        id: &AccountId,
        due: Due,
    ) -> Result<Landing, BrokerError> {
        let vault = self.vault();
        let record = record_id(id)?;
        let Some(locked) = self.lock_for(&vault, &record, due).await? else {
            return Ok(Landing::Renewed);
        };
        let now = self.now();
        if let Some(landing) = self.known_landing(id, due, &locked, now) {
            return Ok(landing);
        }
        let Locked {
            guard,
            credential,
            generation,
            ..
        } = locked;
        let credential = match self.with_home(credential).await {
            Ok(credential) => credential,
            Err(error) => {
                return self
                    .postpone(id, &vault, guard, &error, Refresher::NotAsked)
                    .await;
            }
        };
        let Some(ask) = self.ask_for(&credential)? else {
            return self.login_ended(id, generation, &vault).await;
        };
        let note = Pending {
            generation,
            refresh_hash: fingerprint(ask.presented()),
            started_at: now.as_millis(),
            pid: std::process::id(),
            boot_id: boot_id(),
        };
        let (guard, note) = blocking({
            let vault = vault.clone();
            move || vault.set_pending(&guard, &note).map(|()| (guard, note))
        })
        .await?;
        let asked = self.send(&ask).await;
        match asked.map_err(|error| error.without(&credential.held())) {
            Ok(tokens) => {
                let mut credential = credential;
                self.follow_api(&mut credential, &tokens);
                credential.renew(tokens, now);
                self.persist(&vault, Unsaved::new(guard, note, credential))
                    .await
            }
            Err(OauthError::InvalidGrant { .. }) if ask.ends_with_refusal() => {
                self.refused(id, &vault, guard, generation).await
            }
            Err(error) if self.forgets_client(&credential, &error) => {
                self.client_gone(id, &vault, guard, credential).await
            }
            Err(error)
                if ask.ends_with_refusal()
                    && is_refusal(&error)
                    && has_ended(&credential, due, now)
                    && self.is_refused_for_good(id) =>
            {
                self.refused(id, &vault, guard, generation).await
            }
            Err(error) => {
                self.postpone(id, &vault, guard, &error, Refresher::Asked)
                    .await
            }
        }
    }

    /// Forgets the client too, so that the next login registers another.
    async fn client_gone(
        self: &Arc<Self>,
        id: &AccountId,
        vault: &Arc<Vault>,
        guard: RecordGuard,
        mut credential: Credential,
    ) -> Result<Landing, BrokerError> {
        credential.belongs.registration = None;
        let (generation, guard) = blocking({
            let vault = vault.clone();
            move || {
                let generation = vault.replace(&guard, &credential.plaintext())?;
                Ok::<_, BrokerError>((generation, guard))
            }
        })
        .await?;
        self.refused(id, vault, guard, generation).await
    }

    /// What is clear without asking the server.
    fn known_landing(
        &self,
        id: &AccountId,
        due: Due,
        locked: &Locked,
        now: Timestamp,
    ) -> Option<Landing> {
        let Locked {
            credential,
            generation,
            pending,
            ..
        } = locked;
        let freshness = freshness(credential.expires_at(), credential.obtained_at(), now);
        // Whoever held the lock before may have done it.
        let newer = match due {
            Due::Soon => freshness == Freshness::Fresh,
            Due::Stale | Due::CutShort => !matches!(freshness, Freshness::Stale { .. }),
            Due::TokenRefused { token } | Due::Asked { token } => {
                fingerprint(credential.bearer()) != token
            }
        };
        let asked = matches!(due, Due::Asked { .. }) && !newer;
        let postponed = |why: &str, retry_at| {
            Some(Landing::Postponed {
                why: why.to_owned(),
                retry_at,
            })
        };
        self.ledger.read(|state| {
            let failed_at = state.stats(id).refresh_rest.map(|rest| rest.observed_at);
            // A note without an outcome: its process died, and an early second try may save the login.
            let cut_short = pending
                .is_some_and(|began_at| failed_at.is_none_or(|failed_at| failed_at < began_at));
            if newer && !cut_short {
                return Some(Landing::Renewed);
            }
            match state.standing(id, *generation) {
                Standing::NeedsLogin if !asked => return Some(Landing::NeedsLogin),
                Standing::RollbackSuspected if !asked => {
                    return postponed(
                        "its login seems to come from a restored copy of the vault, and using it could end the true one; refresh \
                         it yourself, or sign in again",
                        None,
                    );
                }
                _ => {}
            }
            // By a clock that was set back, the time never comes; but a token that has ended is past it.
            let has_ended = matches!(due, Due::TokenRefused { .. })
                && clock_was_set_back(credential.obtained_at(), now);
            if let Some(earliest) = earliest_refresh_at(credential)
                && now < earliest
                && !has_ended
            {
                return postponed(
                    "the provider allows no refresh before the token is about to end",
                    Some(earliest),
                );
            }
            if asked || cut_short {
                return None;
            }
            match provider_auth_policy::refresh_allowed(state, id, now) {
                Ok(()) => None,
                Err(rest_until) => {
                    let why = match provider_auth_policy::refused_since(state, id) {
                        Some(_) => {
                            "the login server refused to renew this login a moment ago; if it still does in a minute, sign in again"
                        }
                        None => "the last try failed a moment ago",
                    };
                    postponed(why, Some(rest_until))
                }
            }
        })
    }

    /// The lock, and what the disk says under it. `None` when a refresh that can wait found somebody else at it.
    async fn lock_for(
        self: &Arc<Self>,
        vault: &Arc<Vault>,
        record: &RecordId,
        due: Due,
    ) -> Result<Option<Locked>, BrokerError> {
        let (broker, vault, record) = (self.clone(), vault.clone(), *record);
        blocking(move || {
            let guard = match due {
                Due::Soon => broker.try_lock_record(&vault, &record)?,
                _ => Some(broker.lock_record(&vault, &record)?),
            };
            let Some(guard) = guard else { return Ok(None) };
            // Whoever held the lock has noted what came of it before letting go.
            broker.reread_now(&vault)?;
            let (credential, generation) = read_locked(&vault, &guard)?;
            // A note that cannot be read is as good as one that was just written: an early try is what it asks for.
            let pending = match vault.pending(&record) {
                Ok(note) => note
                    .filter(|note| note.generation == generation)
                    .map(|note| Timestamp::from_millis(note.started_at)),
                Err(_) => Some(Timestamp::from_millis(u64::MAX)),
            };
            Ok(Some(Locked {
                guard,
                credential,
                generation,
                pending,
            }))
        })
        .await
    }

    /// The server says that the refresh token is no good. Unless the record has moved on meanwhile, the login is over.
    async fn refused(
        self: &Arc<Self>,
        id: &AccountId,
        vault: &Arc<Vault>,
        guard: RecordGuard,
        generation: u64,
    ) -> Result<Landing, BrokerError> {
        let (moved_on, guard) = blocking({
            let vault = vault.clone();
            move || {
                let moved_on = vault
                    .reread(&guard)?
                    .is_some_and(|record| record.generation > generation);
                clear_note(&vault, &guard);
                Ok::<_, BrokerError>((moved_on, guard))
            }
        })
        .await?;
        if moved_on {
            return Ok(Landing::Renewed);
        }
        let landing = self.login_ended(id, generation, vault).await;
        // Only now: whoever gets the lock next must not spend the dead token again.
        drop(guard);
        landing
    }

    async fn login_ended(
        self: &Arc<Self>,
        id: &AccountId,
        generation: u64,
        vault: &Arc<Vault>,
    ) -> Result<Landing, BrokerError> {
        let entry = self.entry(id.as_str())?;
        let view = AccountView {
            generation,
            ..entry.view.clone()
        };
        self.note(
            vault,
            &provider_auth_policy::refresh_rejected(&view, self.now()),
        )
        .await;
        self.report_refresh(id, EventKind::NeedsLogin, None);
        Ok(Landing::NeedsLogin)
    }

    async fn postpone(
        self: &Arc<Self>,
        id: &AccountId,
        vault: &Arc<Vault>,
        guard: RecordGuard,
        error: &OauthError,
        refresher: Refresher,
    ) -> Result<Landing, BrokerError> {
        let now = self.now();
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
        let jitter = self.jitter();
        let change =
            self.ledger.read(
                |state| match refresher == Refresher::Asked && is_refusal(error) {
                    true => provider_auth_policy::refresh_refused(state, id, now, jitter),
                    false => provider_auth_policy::refresh_postponed(state, id, wait, now, jitter),
                },
            );
        let until = provider_auth_policy::refresh_allowed(&change, id, now).err();
        // Before the lock is free, so that whoever gets it next rests too.
        self.note(vault, &change).await;
        // Without an answer the server may have used the token up: the note stays, for an early second try.
        if !matches!(error, OauthError::Http(_)) {
            let vault = vault.clone();
            blocking(move || clear_note(&vault, &guard)).await;
        }
        self.report_refresh(id, EventKind::RefreshFailed, until);
        Ok(Landing::Postponed {
            why: error.to_string(),
            retry_at: until,
        })
    }

    pub(crate) fn report_refresh(&self, id: &AccountId, kind: EventKind, until: Option<Timestamp>) {
        let Ok(entry) = self.entry(id.as_str()) else {
            return;
        };
        let pool = (&entry.view.provider, &entry.view.namespace);
        self.figures.lock().refreshed(pool, kind);
        self.tell(
            kind,
            pool,
            Some(id),
            About {
                until,
                ..About::default()
            },
        );
    }
}

/// A record under its lock.
struct Locked {
    guard: RecordGuard,
    credential: Credential,
    generation: u64,
    /// When somebody began to use this very refresh token and did not finish.
    pending: Option<Timestamp>,
}

fn earliest_refresh_at(credential: &Credential) -> Option<Timestamp> {
    match credential.secret {
        Secret::Oauth {
            earliest_refresh_at,
            ..
        } => earliest_refresh_at,
        _ => None,
    }
}

/// Removes the note of a refresh that has an outcome. One that stays behind is known by its generation to be old.
pub(crate) fn clear_note(vault: &Vault, guard: &RecordGuard) {
    if let Err(error) = vault.clear_pending(guard) {
        tracing::warn!(account = %guard.id(), %error, "the note of a finished refresh could not be removed");
    }
}

/// Names the boot of this machine: process numbers start again with each.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}
