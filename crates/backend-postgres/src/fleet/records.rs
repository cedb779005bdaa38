//! Reading, adding and replacing records: the store decides, and what it says is taken in.

use std::{collections::BTreeSet, sync::Arc};

use provider_auth_vault::{
    Brought, Look, Opens, Purpose, RecordGuard, RecordId, SealedFacts, Stamp, VaultError,
};
use tokio::task::spawn_blocking;

use super::{
    error::vault_error,
    limits,
    process::Fleet,
    record_row::{Row, WAITS},
    sync::{is_lower, sealed, unreadable},
};
use crate::{BackendError, Change, Sealed};

/// Whether bytes are what their row says. What stands beside them is for SQL only.
pub(super) fn facts_fit(row: &Row, bytes: &[u8]) -> bool {
    SealedFacts::read(bytes).is_some_and(|facts| {
        (facts.generation, facts.epoch, facts.is_gone) == (row.generation, row.epoch, row.gone)
    })
}

impl Fleet {
    pub(super) fn look_at(
        self: &Arc<Self>,
        id: RecordId,
        known: Option<Stamp>,
    ) -> Result<Look, VaultError> {
        let Some(row) = self.mirror.row(id) else {
            return Ok(Look::Absent);
        };
        if known == Some(row.stamp()) {
            return Ok(Look::AsKnown);
        }
        let known = match row.waits() {
            true => {
                let waiting = self.files.read_outbox(id, row.generation);
                waiting.map_err(unreadable).map_err(vault_error)?
            }
            false => {
                if let Some(coming) = self.ahead.take(id) {
                    self.fetch_after(&coming.ids);
                    coming.wait();
                }
                let kept = || self.files.read_seen(id, row.writing());
                self.mirror.bytes(id).or_else(kept)
            }
        };
        if let Some(bytes) = known {
            let fits = facts_fit(&row, &bytes);
            // They may be of a later row, which came meanwhile.
            if !fits && self.mirror.row(id) != Some(row) {
                return self.look_at(id, None);
            }
            // Bytes that are not what their row says are damaged, and open as such.
            return Ok(Look::Found(
                row.stamp(),
                if fits { bytes } else { Vec::new() },
            ));
        }
        let asked_at = self.mirror.changes();
        let mut wanted = self.unread_after(id);
        wanted.truncate(limits::FETCHED_AT_ONCE - 1);
        wanted.insert(0, id);
        if !self.fetch(&wanted).map_err(vault_error)?.contains(&id) {
            self.mirror.drop_row(id, asked_at);
        }
        self.fetch_after(&wanted);
        self.look_at(id, None)
    }

    /// Has the records after these fetched behind the reader. Where these were few there are no more.
    fn fetch_after(self: &Arc<Self>, ids: &[RecordId]) {
        let last = ids.last().filter(|_| ids.len() == limits::FETCHED_AT_ONCE);
        let next = last.map_or_else(Vec::new, |last| self.unread_after(*last));
        if next.is_empty() {
            return;
        }
        let coming = self.ahead.put(next.clone());
        let fleet = Arc::clone(self);
        self.remote.runtime().spawn(async move {
            // Who needs one that could not be had asks for it, and is told why.
            let _ = spawn_blocking(move || fleet.fetch(&next)).await;
            drop(coming);
        });
    }

    /// The next records after one whose bytes are not here.
    fn unread_after(&self, id: RecordId) -> Vec<RecordId> {
        let is_kept = |id, writing| self.files.seen(id) == Some(writing);
        self.mirror
            .unread_after(id, limits::FETCHED_AT_ONCE, is_kept)
    }

    /// Fetches records, which are in order, and returns those that are there.
    fn fetch(&self, ids: &[RecordId]) -> Result<Vec<RecordId>, BackendError> {
        let asked_at = self.mirror.changes();
        let mut stored = Vec::new();
        let limit = 2 * ids.len();
        if let [first, .., last] = ids
            && self.mirror.has_between(*first, *last, limit)
        {
            stored = self.remote.records_between((*first, *last), limit)?;
            stored.retain(|one| ids.binary_search(&one.id).is_ok());
        }
        let found: BTreeSet<RecordId> = stored.iter().map(|one| one.id).collect();
        let missing = ids.iter().filter(|id| !found.contains(id));
        let missing: Vec<RecordId> = missing.copied().collect();
        if !missing.is_empty() {
            stored.extend(self.remote.records(&missing)?);
        }
        let found = stored.iter().map(|one| one.id).collect();
        for one in stored {
            self.take_in(one, asked_at);
        }
        Ok(found)
    }

    /// Notes whose turn it is to add a record, and learns of what was added before.
    pub(super) fn take_turn(&self) -> Result<(), VaultError> {
        let turn = self.remote.turn();
        *self.turn.lock() = turn.as_ref().ok().copied();
        match turn {
            Ok(_) => self.synchronize(),
            // Who only looks goes on with what is here.
            Err(BackendError::Unavailable { .. }) => Ok(()),
            Err(error) => Err(vault_error(error)),
        }
    }

    pub(super) fn add(&self, id: RecordId, bytes: &[u8]) -> Result<Brought, VaultError> {
        let (sealed, begun_at) = (whole(bytes)?, self.mirror.changes());
        let turn = *self.turn.lock();
        let turn = match turn {
            Some(turn) => turn,
            None => self.remote.turn().map_err(vault_error)?,
        };
        match self
            .remote
            .add_in_turn(turn, id, &sealed)
            .map_err(vault_error)?
        {
            crate::Brought::Stored => {
                *self.turn.lock() = Some(turn + 1);
                self.wrote(id, &sealed, begun_at);
                Ok(Brought::Yes)
            }
            crate::Brought::Moved(_) => {
                self.take_turn()?;
                Ok(Brought::Moved)
            }
            crate::Brought::Rekeyed { .. } => self.rekeyed(),
        }
    }

    pub(super) fn bring_record(
        &self,
        guard: &RecordGuard,
        from: u64,
        purpose: Purpose,
        bytes: &[u8],
    ) -> Result<Brought, VaultError> {
        let (id, sealed) = (guard.id(), whole(bytes)?);
        let begun_at = self.mirror.changes();
        // A change of what waits here comes after it.
        if purpose == Purpose::Other && self.mirror.row(id).is_some_and(|row| row.waits()) {
            self.flush_all(guard).map_err(vault_error)?;
        }
        // Taken over from another vault: under the id that it had there.
        if from == 0 {
            return self.settle(id, self.remote.put_back(id, &sealed), &sealed, begun_at);
        }
        let change = match purpose {
            _ if sealed.generation == from => Change::Reseal,
            Purpose::Tokens => Change::Tokens,
            Purpose::Other => Change::Edit,
        };
        let is_kept =
            change == Change::Tokens && self.files.put_in_outbox(id, sealed.generation, bytes);
        let mut brought = self.remote.bring(id, from, &sealed, change);
        if let Ok(moved) = &brought
            && is_lower(moved, from)
        {
            brought = match change {
                Change::Tokens => self.remote.put_back(id, &sealed),
                Change::Edit | Change::Reseal => {
                    let kept = self
                        .files
                        .seen(id)
                        .and_then(|kept| self.files.read_seen(id, kept));
                    if let Some(kept) = kept {
                        self.put_back(id, &kept).map_err(vault_error)?;
                    }
                    self.remote.bring(id, from, &sealed, change)
                }
            };
        }
        match brought {
            // The store is away, and these must not be lost: from here on this host uses them.
            Err(BackendError::Unavailable { .. }) if is_kept => {
                self.mirror.put(id, Row::of(&sealed, WAITS), sealed.bytes);
                Ok(Brought::Yes)
            }
            brought => self.settle(id, brought, &sealed, begun_at),
        }
    }

    /// What it means for this host that a record was brought.
    fn settle(
        &self,
        id: RecordId,
        brought: Result<crate::Brought, BackendError>,
        sealed: &Sealed,
        begun_at: u64,
    ) -> Result<Brought, VaultError> {
        match brought.map_err(vault_error)? {
            crate::Brought::Stored => {
                self.wrote(id, sealed, begun_at);
                self.files.empty_outbox(id);
                Ok(Brought::Yes)
            }
            crate::Brought::Moved(stored) => {
                match stored {
                    Some(stored) => self.take_in(stored, begun_at),
                    None => self.mirror.drop_row(id, begun_at),
                }
                Ok(Brought::Moved)
            }
            crate::Brought::Rekeyed { .. } => self.rekeyed(),
        }
    }

    fn rekeyed(&self) -> Result<Brought, VaultError> {
        self.fetch_header()?;
        Ok(Brought::Rekeyed)
    }

    /// Keeps a damaged record aside, and puts back what this host knows to be good.
    pub(super) fn set_aside(&self, id: RecordId, opens: &Opens<'_>) -> Result<(), BackendError> {
        let begun_at = self.mirror.changes();
        let Some(row) = self.mirror.row(id) else {
            return Ok(());
        };
        let kept = self.files.seen(id);
        let good = kept.and_then(|kept| self.files.read_seen(id, kept));
        let there = match self.mirror.bytes(id) {
            Some(there) => there,
            // This host's copy was read.
            None => {
                let Some(stored) = self.remote.records(&[id])?.pop() else {
                    self.mirror.drop_row(id, begun_at);
                    return Ok(());
                };
                if good.as_ref() != Some(&stored.sealed.bytes) {
                    // The store's may be good.
                    kept.into_iter()
                        .for_each(|kept| self.files.forget_seen(id, kept));
                    self.take_in(stored, begun_at);
                    return Ok(());
                }
                stored.sealed.bytes
            }
        };
        let better = match !facts_fit(&row, &there) && opens(&there) {
            // What stands beside the bytes is wrong. Bytes that are damaged are not asked of which generation they are: one
            // that is too high would keep everybody's good copy out.
            true => sealed(&there),
            false => {
                self.remote.set_aside(id, row.generation, &there)?;
                good.filter(|good| *good != there)
                    .as_deref()
                    .and_then(sealed)
            }
        };
        if let Some(better) = better {
            match self.remote.put_back(id, &better)? {
                crate::Brought::Stored => {
                    self.wrote(id, &better, begun_at);
                    return Ok(());
                }
                // Another was faster.
                crate::Brought::Moved(Some(stored)) if stored.sealed.bytes != there => {
                    self.take_in(stored, begun_at);
                    return Ok(());
                }
                _ => (),
            }
        }
        // Another machine may have mended it meanwhile.
        match self.remote.records(&[id])?.pop() {
            Some(stored) if stored.sealed.bytes != there => self.take_in(stored, begun_at),
            _ => self.mirror.drop_row(id, begun_at),
        }
        Ok(())
    }
}

fn whole(bytes: &[u8]) -> Result<Sealed, VaultError> {
    sealed(bytes).ok_or_else(|| VaultError::StoreRefused {
        why: "that is no record of a vault".into(),
    })
}
