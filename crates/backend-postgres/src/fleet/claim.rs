//! Claims, and what becomes of them: between processes of this host the record's lock decides, between
//! hosts the store.

use provider_auth_vault::{
    Claimed, Holder, Lock, Need, Outcome, RecordGuard, RecordId, SendBy, VaultError,
};

use super::{
    error::vault_error,
    limits,
    process::Fleet,
    sync::{sealed, unreadable},
};
use crate::{BackendError, Brought, Note};

impl Fleet {
    pub(super) fn claim_record(
        &self,
        guard: &RecordGuard,
        known: u64,
        need: Need,
        note: &[u8],
    ) -> Result<Claimed, VaultError> {
        let id = guard.id();
        // What waits on this host comes first: its token is newer.
        if self.flush_all(guard).map_err(vault_error)? {
            return Ok(Claimed::Moved);
        }
        let row = self.mirror.row(id);
        if row.is_none_or(|row| row.generation != known || row.waits()) {
            self.synchronize()?;
            if self
                .mirror
                .row(id)
                .is_none_or(|row| row.generation != known)
            {
                return Ok(Claimed::Moved);
            }
        }
        // Never below what this host has seen: a failover lost it, and the token is spent.
        if self.files.seen(id).is_some_and(|(seen, _)| seen > known) {
            return match self.put_back_known(id, known + 1).map_err(vault_error)? {
                true => Ok(Claimed::Moved),
                false => Err(VaultError::StoreRefused {
                    why: format!(
                        "it shows an older record {id} than this machine has seen, whose token may be spent: sign in again"
                    ),
                }),
            };
        }
        let mut cookie = [0; 16];
        getrandom::fill(&mut cookie).map_err(|_| VaultError::StoreRefused {
            why: "this machine has no entropy".into(),
        })?;
        let asked = Note {
            holder: self.holder.clone(),
            cookie: cookie.to_vec(),
            dead: self.files.swap_cookie(id, &cookie),
            is_stale: need == Need::Now,
        };
        // Before the store is asked: a claim that it grants after our death names a note.
        let _ = self.local.claim(guard, known, need, note)?;
        let claimed = self.try_claim(guard, known, need, &asked);
        if !matches!(claimed, Ok(Claimed::Yes(_))) {
            let _ = self.local.release(guard, Outcome::Unsent);
        }
        claimed
    }

    fn try_claim(
        &self,
        guard: &RecordGuard,
        known: u64,
        need: Need,
        note: &Note,
    ) -> Result<Claimed, VaultError> {
        let id = guard.id();
        let patience = match need {
            Need::Soon => std::time::Duration::ZERO,
            Need::Now => limits::CLAIM_PATIENCE,
        };
        let mut has_waited = false;
        loop {
            let by = SendBy::within(self.remote.keeper.options.times.send_by);
            let asked_at = self.mirror.changes();
            let longest = match has_waited {
                true => patience,
                false => std::time::Duration::ZERO,
            };
            let claimed = self.remote.claim(id, known, note, longest);
            match claimed.map_err(vault_error)? {
                crate::Claimed::Held(_) if !has_waited && !patience.is_zero() => has_waited = true,
                // The one who had it brought no new token: it may have learned that the login is over.
                crate::Claimed::Ours(claim, stored) if has_waited => {
                    self.take_in(stored, asked_at);
                    let released = self.remote.release(claim, crate::Outcome::Unsent);
                    released.map_err(vault_error)?;
                    self.synchronize()?;
                    return Ok(Claimed::Moved);
                }
                crate::Claimed::Ours(claim, stored)
                    if self.mirror.is_proven(id, &stored.sealed.bytes) =>
                {
                    self.claims.lock().insert(id, claim);
                    return Ok(Claimed::Yes(by));
                }
                // The same generation, and not what was read: a failover lost one of two.
                crate::Claimed::Ours(claim, stored) => {
                    self.take_in(stored, asked_at);
                    let released = self.remote.release(claim, crate::Outcome::Unsent);
                    released.map_err(vault_error)?;
                    return Ok(Claimed::Moved);
                }
                crate::Claimed::Moved(stored) => {
                    self.take_in(stored, asked_at);
                    return Ok(Claimed::Moved);
                }
                crate::Claimed::Behind(stored) => {
                    let is_back = self.put_back_known(id, known).map_err(vault_error)?;
                    match stored {
                        _ if is_back => {}
                        Some(stored) => {
                            self.take_in(stored, asked_at);
                            return Ok(Claimed::Moved);
                        }
                        None => {
                            self.mirror.drop_row(id, asked_at);
                            return Ok(Claimed::Moved);
                        }
                    }
                }
                crate::Claimed::Held(held) => {
                    return Ok(Claimed::Held(Holder {
                        by: held.holder,
                        since: held.since,
                        until: held.until,
                    }));
                }
            }
        }
    }

    /// Makes sure that the store is no further back than this generation; false where this host has
    /// nothing to put back.
    fn put_back_known(&self, id: RecordId, known: u64) -> Result<bool, BackendError> {
        let writing = self
            .files
            .seen(id)
            .filter(|(generation, _)| *generation >= known);
        let kept = writing.and_then(|writing| self.files.read_seen(id, writing));
        let Some(sealed) = kept.as_deref().and_then(sealed) else {
            return Ok(false);
        };
        let asked_at = self.mirror.changes();
        match self.remote.put_back(id, &sealed)? {
            Brought::Stored => self.wrote(id, &sealed, asked_at),
            Brought::Moved(Some(stored)) if stored.sealed.generation >= known => {
                self.take_in(stored, asked_at);
            }
            Brought::Moved(_) | Brought::Rekeyed { .. } => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn release_record(
        &self,
        guard: &RecordGuard,
        outcome: Outcome,
    ) -> Result<(), VaultError> {
        let id = guard.id();
        // New tokens wait here: until the store has them no other host may claim what they came from.
        if self.mirror.row(id).is_some_and(|row| row.waits()) {
            return Ok(());
        }
        if outcome == Outcome::Known {
            self.files.empty_outbox(id);
        }
        if outcome != Outcome::Unknown {
            self.files.forget_cookies(id);
        }
        self.local.release(guard, outcome)?;
        let Some(claim) = self.claims.lock().remove(&id) else {
            return Ok(());
        };
        let outcome = match outcome {
            Outcome::Unsent => crate::Outcome::Unsent,
            Outcome::Known => crate::Outcome::Answered,
            Outcome::Unknown => crate::Outcome::NoAnswer,
        };
        // Where it cannot be given back now, the connection does so when it is back.
        match self.remote.release(claim, outcome) {
            Ok(()) | Err(BackendError::Unavailable { .. }) => Ok(()),
            Err(error) => Err(vault_error(error)),
        }
    }

    /// New tokens that were left here and that the store did not take.
    pub(super) fn left_of(&self, guard: &RecordGuard) -> Result<Option<Vec<u8>>, BackendError> {
        let id = guard.id();
        let waiting = self.files.outbox_of(id).map_err(unreadable)?;
        let Some(generation) = waiting.last() else {
            return Ok(None);
        };
        if self.mirror.row(id).is_none_or(|row| row.waits()) {
            return Ok(None);
        }
        let bytes = self
            .files
            .read_outbox(id, *generation)
            .map_err(unreadable)?;
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        // The store has it: only the file was left.
        if self.mirror.is_proven(id, &bytes) {
            self.files.empty_outbox(id);
            return Ok(None);
        }
        Ok(Some(bytes))
    }

    /// Records whose refresh was cut short, or whose new tokens were left here.
    pub(super) fn abandoned_records(&self) -> Result<Vec<RecordId>, VaultError> {
        let mut abandoned = self.local.abandoned()?;
        for (id, _) in self
            .files
            .outbox()
            .map_err(unreadable)
            .map_err(vault_error)?
        {
            let is_left = self.mirror.row(id).is_some_and(|row| !row.waits());
            let is_free = || matches!(self.local.try_lock(Lock::Record(id)), Ok(Some(_)));
            if is_left && is_free() {
                abandoned.push(id);
            }
        }
        abandoned.sort_unstable();
        abandoned.dedup();
        Ok(abandoned)
    }
}
