//! A record under its lock, and what is clear about its refresh without asking the server.

use std::sync::Arc;

use provider_auth_policy::{
    AccountId, Freshness, Standing, Timestamp, clock_was_set_back, freshness,
};
use provider_auth_vault::{Claimed, Need, Pending, RecordGuard, RecordId, Vault, VaultError, line};

use super::Refresher;
use super::in_flight::{Due, RefreshOutcome};
use crate::error::BrokerError;
use crate::host::blocking;
use crate::log::Number;
use crate::store::Store;
use crate::store::credential::Credential;
use crate::store::locks::read_locked;
use crate::store::secret::{Secret, fingerprint};
use crate::store::unsaved::bring_left;

/// A record under its lock.
pub(super) struct Locked {
    pub(super) guard: RecordGuard,
    pub(super) credential: Credential,
    pub(super) generation: u64,
    /// When a process began to use this very refresh token and did not finish.
    pub(super) pending: Option<Timestamp>,
}

impl Locked {
    fn read(store: &Store, vault: &Vault, guard: RecordGuard) -> Result<Self, BrokerError> {
        // The last holder of the lock noted the outcome before it let go.
        let guard = bring_left(vault, guard)?;
        store.reread_now(vault)?;
        let (credential, generation) = read_locked(vault, &guard)?;
        // A note that cannot be read is as good as one that was just written: an early try is what
        // it asks for.
        let pending = match vault.pending(&guard.id()) {
            Ok(note) => note
                .filter(|note| note.generation == generation)
                .map(|note| Timestamp::from_millis(note.started_at)),
            Err(_) => Some(Timestamp::from_millis(u64::MAX)),
        };
        Ok(Self {
            guard,
            credential,
            generation,
            pending,
        })
    }
}

impl Refresher {
    /// The lock, and what the disk says under it. `None` when a refresh that can wait found another
    /// one under way.
    pub(super) async fn lock_for(
        self: &Arc<Self>,
        vault: &Arc<Vault>,
        record: &RecordId,
        due: Due,
    ) -> Result<Option<Locked>, BrokerError> {
        let (store, vault, record) = (self.store.clone(), vault.clone(), *record);
        blocking(move || {
            let guard = match due {
                Due::Soon => store.try_lock_record(&vault, &record)?,
                _ => Some(store.lock_record(&vault, &record)?),
            };
            guard
                .map(|guard| Locked::read(&store, &vault, guard))
                .transpose()
        })
        .await
    }

    /// The claim to the refresh that this note is of, and the lock back.
    pub(super) async fn claim(
        &self,
        vault: &Arc<Vault>,
        guard: RecordGuard,
        (due, note): (Due, Pending),
    ) -> Result<(Claimed, RecordGuard, Pending), BrokerError> {
        let need = match due {
            Due::Soon => Need::Soon,
            _ => Need::Now,
        };
        let vault = vault.clone();
        let claimed = blocking(move || {
            let claimed = vault.claim(&guard, need, &note)?;
            Ok::<_, VaultError>((claimed, guard, note))
        });
        Ok(claimed.await?)
    }

    /// What the record says now that somebody else was faster.
    pub(super) async fn read_again(
        &self,
        vault: &Arc<Vault>,
        guard: RecordGuard,
    ) -> Result<Locked, BrokerError> {
        let (store, vault) = (self.store.clone(), vault.clone());
        blocking(move || Locked::read(&store, &vault, guard)).await
    }

    /// What is clear without asking the server.
    pub(super) fn known_outcome(
        &self,
        (number, id): (Number, &AccountId),
        due: Due,
        locked: &Locked,
        now: Timestamp,
    ) -> Option<RefreshOutcome> {
        let Locked {
            credential,
            generation,
            pending,
            ..
        } = locked;
        let freshness = freshness(credential.expires_at(), credential.obtained_at(), now);
        // The last holder of the lock may have renewed it.
        let newer = match due {
            Due::Soon => freshness == Freshness::Fresh,
            Due::Stale | Due::CutShort => !matches!(freshness, Freshness::Stale { .. }),
            Due::TokenRefused { token } | Due::Asked { token } => {
                fingerprint(credential.bearer()) != token
            }
        };
        let asked = matches!(due, Due::Asked { .. }) && !newer;
        line!(
            DEBUG,
            refresh = number,
            account = id,
            due = due.as_str(),
            generation = generation,
            freshness = freshness,
            newer = newer,
            cut_short = pending.is_some(),
            "a refresh has the lock of its record"
        );
        line!(
            TRACE,
            refresh = number,
            account = id,
            obtained_at = credential.obtained_at(),
            expires_at = credential.expires_at(),
            earliest_refresh_at = earliest_refresh_at(credential),
            standing = self
                .store
                .state
                .read(|state| state.standing(id, *generation)),
            began_at = pending,
            "what a refresh was decided by"
        );
        let postponed = |why: &str, retry_at| {
            Some(RefreshOutcome::Postponed {
                why: why.to_owned(),
                retry_at,
            })
        };
        self.store.state.read(|state| {
            let failed_at = state.stats(id).refresh_rest.map(|rest| rest.observed_at);
            // A note without an outcome: its process died, and an early second try may save the
            // login.
            let cut_short = pending
                .is_some_and(|began_at| failed_at.is_none_or(|failed_at| failed_at < began_at));
            if newer && !cut_short {
                return Some(RefreshOutcome::Renewed);
            }
            match state.standing(id, *generation) {
                Standing::NeedsLogin if !asked => return Some(RefreshOutcome::NeedsLogin),
                Standing::RollbackSuspected if !asked => {
                    return postponed(
                        "its login seems to come from a restored copy of the vault, and using it could end the true one; refresh \
                         it yourself, or sign in again",
                        None,
                    );
                }
                _ => {}
            }
            // By a clock that was set back, the time never comes; but a token that has ended is
            // past it.
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
