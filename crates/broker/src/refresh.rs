//! Renews access tokens: one exchange for all callers, in this process and in all others.
//!
//! A refresh token is good for one use, so the order is strict: lock the record, read it again, note the intent,
//! ask, and persist the whole answer before anyone uses it. Nobody cancels that: it runs in a task of its own, and the
//! end of the process waits for it. The record's kernel lock is free the moment a process dies, and whoever finds its
//! note tries again at once, which saves the login within a server's reuse grace.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use provider_auth_oauth::{Client, OauthError, Server, Tokens};
use provider_auth_policy::{
    AccountId, AccountView, Freshness, Response, Signals, Standing, Timestamp, freshness,
    stated_wait,
};
use provider_auth_vault::{Pending, RecordGuard, RecordId, Vault, VaultError};
use secrecy::SecretString;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::accounts::{Account, Entry, read_locked, record_id};
use crate::broker::{About, Broker, blocking};
use crate::config::resolve_secret;
use crate::credential::{Credential, Secret, fingerprint};
use crate::error::BrokerError;
use crate::events::EventKind;
use crate::limits;

/// Why a token is to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// It ends soon and still serves: only if nobody else is at it.
    Soon,
    /// It has ended, or is about to.
    Stale,
    /// The provider refused this token.
    TokenRefused {
        /// Hash of the access token.
        token: [u8; 32],
    },
    /// The user asks for another token than this one.
    Asked {
        /// Hash of the access token.
        token: [u8; 32],
    },
}

/// Why there is no new token.
pub(crate) enum RefreshError {
    /// The login has ended; it is marked so.
    NeedsLogin,
    /// For a reason that leaves the login as it is.
    Failed(BrokerError),
}

/// What a flight came to; shared by all who waited for it.
#[derive(Clone)]
enum Landing {
    /// There is a newer token, ours or another process's, or nothing was to be done.
    Renewed,
    NeedsLogin,
    Postponed {
        why: String,
        retry_at: Option<Timestamp>,
    },
    Broken(Arc<BrokerError>),
}

/// The exchanges under way in this process, one per account.
#[derive(Default)]
pub(crate) struct Flights {
    under_way: Mutex<HashMap<AccountId, Flight>>,
    idle: Condvar,
    /// Answers that could not be written yet.
    unsaved: Mutex<HashMap<AccountId, Unsaved>>,
    /// When a background refresh of an account was last begun.
    begun: Mutex<HashMap<AccountId, Timestamp>>,
}

struct Flight {
    landing: watch::Receiver<Option<Landing>>,
}

/// What a server sent for a refresh token that is spent now.
struct Unsaved {
    spent: Option<[u8; 32]>,
    tokens: Tokens,
    asked_at: Timestamp,
}

impl Flights {
    /// Waits until no exchange is under way, at most this long.
    pub(crate) fn wait_idle(&self, patience: Duration) {
        let mut under_way = self.under_way.lock();
        self.idle
            .wait_while_for(&mut under_way, |under_way| !under_way.is_empty(), patience);
    }
}

impl Broker {
    /// Makes sure of a newer token than the one that `due` speaks of: joins the exchange under way, or starts one.
    pub(crate) async fn refresh(
        self: &Arc<Self>,
        id: &AccountId,
        due: Due,
    ) -> Result<(), RefreshError> {
        let mut landing = self.take_off(id, due, &Handle::current());
        let landed = landing
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|landed| landed.clone());
        let provider = || {
            self.entry(id.as_str())
                .map_or_else(|_| String::new(), |entry| entry.credential.provider.clone())
        };
        let failed = |why: String, retry_at| BrokerError::RefreshFailed {
            provider: provider(),
            account: id.clone(),
            why,
            retry_at,
        };
        match landed {
            Some(Landing::Renewed) => Ok(()),
            Some(Landing::NeedsLogin) => Err(RefreshError::NeedsLogin),
            Some(Landing::Postponed { why, retry_at }) => {
                Err(RefreshError::Failed(failed(why, retry_at)))
            }
            Some(Landing::Broken(error)) => Err(RefreshError::Failed(BrokerError::Shared(error))),
            // The task ended without landing: it panicked, which its own thread has reported.
            None => Err(RefreshError::Failed(failed(
                "the exchange broke off".to_owned(),
                None,
            ))),
        }
    }

    /// Renews a token that still serves, behind the request that noticed.
    pub(crate) fn refresh_behind(self: &Arc<Self>, entry: &Entry, runtime: &Handle) {
        let (id, now) = (&entry.view.id, self.now());
        {
            let mut begun = self.flights.begun.lock();
            if begun
                .get(id)
                .is_some_and(|at| at.until(now) < limits::BACKGROUND_PAUSE && *at <= now)
            {
                return;
            }
            begun.insert(id.clone(), now);
        }
        drop(self.take_off(id, Due::Soon, runtime));
    }

    /// Retries at once what a process that died left unfinished.
    pub(crate) fn recover(self: &Arc<Self>, vault: &Vault) {
        for id in vault.abandoned() {
            tracing::info!(account = %id, "a refresh was cut short; trying again");
            drop(self.take_off(
                &AccountId::from(id.to_string()),
                Due::Stale,
                &Handle::current(),
            ));
        }
    }

    /// Renews the token of one account for the user.
    pub async fn refresh_account(
        self: &Arc<Self>,
        id: &str,
        force: Force,
    ) -> Result<Account, BrokerError> {
        let vault = self.opened().await?;
        let entry = self.entry(id)?;
        if !entry.view.refreshable {
            return Err(BrokerError::InvalidArgument(format!(
                "account {id} has nothing to refresh: it is an API key, or a login without a refresh token"
            )));
        }
        let due = match force {
            Force::EvenIfGood => Due::Asked {
                token: fingerprint(entry.credential.bearer()),
            },
            Force::IfNeeded => Due::Stale,
        };
        let outcome = loop {
            let outcome = self.refresh(&entry.view.id, due).await;
            self.reread(&vault).await?;
            // An exchange that was begun for less may have found nothing to do.
            let unchanged = self.entry(id)?.view.generation == entry.view.generation;
            if outcome.is_err() || force == Force::IfNeeded || !unchanged {
                break outcome;
            }
        };
        match outcome {
            Ok(()) => self.account(&entry.view.id),
            Err(RefreshError::NeedsLogin) => Err(BrokerError::NeedsLogin {
                provider: entry.credential.provider.clone(),
                account: Some(entry.view.id.clone()),
                standing: Standing::NeedsLogin,
            }),
            Err(RefreshError::Failed(error)) => Err(error),
        }
    }

    /// Ends a login at its provider (RFC 7009).
    pub(crate) async fn revoke(self: &Arc<Self>, entry: &Entry) -> Result<(), BrokerError> {
        let (
            Some(endpoint),
            Secret::Oauth {
                access, refresh, ..
            },
        ) = (
            &entry.credential.belongs.revocation_endpoint,
            &entry.credential.secret,
        )
        else {
            return Err(BrokerError::InvalidArgument(format!(
                "{} has no revocation endpoint for this account; remove it without `revoke` and end it on the provider's page",
                entry.credential.provider
            )));
        };
        let server = Server {
            revocation_endpoint: Some(endpoint.clone()),
            ..self.server_of(&entry.credential)?
        };
        let client = self.client_of(&entry.credential)?;
        let (token, hint) = match refresh {
            Some(refresh) => (refresh, provider_auth_oauth::TokenHint::Refresh),
            None => (access, provider_auth_oauth::TokenHint::Access),
        };
        provider_auth_oauth::revoke(&*self.host.http, &server, &client, token, hint)
            .await
            .map_err(|error| {
                BrokerError::Network(format!("the login was not revoked, and is kept: {error}"))
            })
    }

    fn take_off(
        self: &Arc<Self>,
        id: &AccountId,
        due: Due,
        runtime: &Handle,
    ) -> watch::Receiver<Option<Landing>> {
        let mut under_way = self.flights.under_way.lock();
        if let Some(flight) = under_way.get(id) {
            return flight.landing.clone();
        }
        let (land, landing) = watch::channel(None);
        under_way.insert(
            id.clone(),
            Flight {
                landing: landing.clone(),
            },
        );
        let (broker, id) = (self.clone(), id.clone());
        // Owned by `flights`: `wait_idle` waits for it at the end of the process.
        runtime.spawn(async move {
            let gone = Landed {
                broker: &broker,
                id: &id,
            };
            let landed = broker.exchange(&id, due).await;
            drop(gone);
            let _ = land.send(Some(landed));
        });
        landing
    }

    /// One exchange, from the lock to the new record.
    async fn exchange(self: &Arc<Self>, id: &AccountId, due: Due) -> Landing {
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
        let vault = self.vault().clone();
        let record = record_id(id)?;
        let Some(locked) = self.lock_for(&vault, &record, due).await? else {
            return Ok(Landing::Renewed);
        };
        let now = self.now();
        let unsaved = self.flights.unsaved.lock().remove(id);
        if let Some(unsaved) = unsaved
            && unsaved.spent == locked.credential.refresh_token().map(fingerprint)
        {
            let Unsaved {
                tokens, asked_at, ..
            } = unsaved;
            let Locked {
                guard, credential, ..
            } = locked;
            return self
                .persist(id, &vault, guard, credential, tokens, asked_at)
                .await;
        }
        if let Some(landing) = self.known_landing(id, due, &locked, now) {
            return Ok(landing);
        }
        let Locked {
            guard,
            credential,
            generation,
            ..
        } = locked;
        let Some(refresh_token) = credential.refresh_token().cloned() else {
            return self.login_ended(id, generation, &vault).await;
        };
        let (server, client) = (self.server_of(&credential)?, self.client_of(&credential)?);
        let guard = blocking({
            let (vault, refresh_hash, pending_at) =
                (vault.clone(), fingerprint(&refresh_token), now.as_millis());
            move || {
                let note = Pending {
                    generation,
                    refresh_hash,
                    started_at: pending_at,
                    pid: std::process::id(),
                    boot_id: boot_id(),
                };
                vault.set_pending(&guard, &note).map(|()| guard)
            }
        })
        .await?;
        let answer =
            provider_auth_oauth::refresh(&*self.host.http, &server, &client, &refresh_token, None)
                .await;
        match answer {
            Ok(tokens) => {
                self.persist(id, &vault, guard, credential, tokens, now)
                    .await
            }
            Err(OauthError::InvalidGrant { .. }) => {
                self.refused(id, &vault, guard, generation).await
            }
            Err(error) => self.postpone(id, &vault, guard, &error).await,
        }
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
        let freshness = freshness(credential.expires_at(), obtained_at(credential), now);
        // Whoever held the lock before may have done it.
        let newer = match due {
            Due::Soon => freshness == Freshness::Fresh,
            Due::Stale => !matches!(freshness, Freshness::Stale { .. }),
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
            let failed_at = state.counters(id).refresh_rest.map(|rest| rest.observed_at);
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
            if let Some(earliest) = earliest_refresh_at(credential)
                && now < earliest
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
                Err(rest_until) => postponed("the last try failed a moment ago", Some(rest_until)),
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
                Due::Soon => vault.try_lock(&record)?,
                _ => Some(vault.lock_within(&record, limits::LOCK_PATIENCE)?),
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

    async fn persist(
        self: &Arc<Self>,
        id: &AccountId,
        vault: &Arc<Vault>,
        guard: RecordGuard,
        mut credential: Credential,
        tokens: Tokens,
        asked_at: Timestamp,
    ) -> Result<Landing, BrokerError> {
        let spent = credential.refresh_token().map(fingerprint);
        credential.renew(tokens.clone(), asked_at);
        let written = blocking({
            let vault = vault.clone();
            move || {
                let plaintext = credential.plaintext();
                let written = vault.replace(&guard, &plaintext).or_else(|_| {
                    // On a full disk the note's own space may be what is missing.
                    vault.clear_pending(&guard)?;
                    vault.replace(&guard, &plaintext)
                });
                if written.is_ok() {
                    clear_note(&vault, &guard);
                }
                written
            }
        })
        .await;
        let generation = match written {
            Ok(generation) => generation,
            Err(error) => {
                // The server has replaced the old token: what it sent must not be lost, and is written as soon as
                // the disk takes it. Until then nobody uses it.
                let unsaved = Unsaved {
                    spent,
                    tokens,
                    asked_at,
                };
                self.flights.unsaved.lock().insert(id.clone(), unsaved);
                return Err(error.into());
            }
        };
        self.reread(vault).await?;
        self.note(vault, &provider_auth_policy::refreshed(id, generation))
            .await;
        self.report_refresh(id, EventKind::Refreshed, None);
        Ok(Landing::Renewed)
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
    ) -> Result<Landing, BrokerError> {
        let now = self.now();
        let wait = match error {
            OauthError::Transient {
                status,
                retry_after: Some(wait),
            } => {
                let headers = |name: &str| (name == "retry-after").then_some(wait.as_str());
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
        let change = self
            .ledger
            .read(|state| provider_auth_policy::refresh_postponed(state, id, wait, now, jitter));
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

    fn report_refresh(&self, id: &AccountId, kind: EventKind, until: Option<Timestamp>) {
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

    /// The server that a credential was made at. It is not looked up again: a refresh token goes where it came from.
    fn server_of(&self, credential: &Credential) -> Result<Server, BrokerError> {
        let provider = self.provider(&credential.provider)?;
        if !credential.belongs.fits(provider) {
            return Err(BrokerError::OriginNotAllowed(format!(
                "the configuration of {} names another token endpoint or client than at the login of this account; if you changed \
                 that yourself, sign in again",
                provider.id
            )));
        }
        let dialect = provider
            .server
            .as_ref()
            .map(|server| server.dialect.clone())
            .unwrap_or_default();
        Ok(Server {
            issuer: credential.belongs.issuer.clone(),
            token_endpoint: credential.belongs.token_endpoint.clone(),
            dialect,
            ..Server::default()
        })
    }

    /// The client that a credential was made with.
    fn client_of(&self, credential: &Credential) -> Result<Client, BrokerError> {
        let provider = self.provider(&credential.provider)?;
        let sealed: Option<SecretString> = match &credential.secret {
            Secret::Oauth { client_secret, .. } => client_secret.clone(),
            Secret::Api { .. } => None,
        };
        let secret = match sealed {
            Some(secret) => Some(secret),
            None => provider
                .client_secret
                .as_ref()
                .map(|secret| resolve_secret(secret, &*self.host.env))
                .transpose()?,
        };
        let id =
            credential
                .belongs
                .client_id
                .clone()
                .ok_or_else(|| BrokerError::ClientIdRequired {
                    provider: provider.id.to_string(),
                    terms: provider.terms,
                })?;
        Ok(Client {
            id,
            secret,
            auth: credential.belongs.client_auth,
        })
    }
}

/// Whether a token that is still good is renewed too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// Renew it all the same.
    EvenIfGood,
    /// Only when it is about to end.
    IfNeeded,
}

/// A record under its lock.
struct Locked {
    guard: RecordGuard,
    credential: Credential,
    generation: u64,
    /// When somebody began to use this very refresh token and did not finish.
    pending: Option<Timestamp>,
}

/// Takes a flight off the list when it lands, even by a panic.
struct Landed<'a> {
    broker: &'a Broker,
    id: &'a AccountId,
}

impl Drop for Landed<'_> {
    fn drop(&mut self) {
        let mut under_way = self.broker.flights.under_way.lock();
        under_way.remove(self.id);
        if under_way.is_empty() {
            self.broker.flights.idle.notify_all();
        }
    }
}

fn obtained_at(credential: &Credential) -> Option<Timestamp> {
    match credential.secret {
        Secret::Oauth { obtained_at, .. } => Some(obtained_at),
        Secret::Api { .. } => None,
    }
}

fn earliest_refresh_at(credential: &Credential) -> Option<Timestamp> {
    match credential.secret {
        Secret::Oauth {
            earliest_refresh_at,
            ..
        } => earliest_refresh_at,
        Secret::Api { .. } => None,
    }
}

/// Removes the note of a refresh that has an outcome. One that stays behind is known by its generation to be old.
fn clear_note(vault: &Vault, guard: &RecordGuard) {
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
