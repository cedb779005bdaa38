//! Brings what this process knows up to date, behind its readers: the pulse moves once the rows are
//! here.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::{Arc, Weak},
};

use provider_auth_vault::{
    Document, Lock, Outcome, RecordGuard, RecordId, SealedFacts, VaultError, line,
};
use tokio::{
    runtime::Handle,
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};

use super::{
    error::vault_error,
    limits,
    process::Fleet,
    record_row::{OURS, Row},
};
use crate::{BackendError, Brought, Change, Changed, Changes, Sealed, hearing::Mark, row::Stored};

/// Follows the store for as long as the backend lives.
pub(super) fn follow(fleet: &Arc<Fleet>, runtime: &Handle) {
    let fleet = Arc::downgrade(fleet);
    runtime.spawn(async move {
        let mut seen = Some(0);
        while let Some(news) = wait_for_news(&fleet, seen).await {
            let Some(fleet) = fleet.upgrade() else {
                return;
            };
            let asked = spawn_blocking(move || fleet.synchronize()).await;
            // What could not be asked is asked again.
            seen = matches!(asked, Ok(Ok(()))).then_some(news);
        }
    });
}

/// Waits until there is something to ask the store; `None` when its last user is gone. What was
/// heard when it was last asked is `seen`, unless that failed.
async fn wait_for_news(fleet: &Weak<Fleet>, seen: Option<u64>) -> Option<u64> {
    let again = Instant::now() + limits::TRY_AGAIN;
    loop {
        let hearing = fleet.upgrade()?.remote.keeper.hearing.clone();
        let bell = hearing.bell.notified();
        let heard = hearing.pulse().heard;
        if seen.is_some_and(|seen| seen != heard) {
            // Many heard the same at the same time.
            sleep(limits::jitter()).await;
            return Some(hearing.pulse().heard);
        }
        let is_due = seen.is_none() || fleet.upgrade()?.has_something_to_bring();
        if is_due && Instant::now() >= again {
            return Some(heard);
        }
        let look_after = if is_due {
            limits::TRY_AGAIN
        } else {
            limits::LOOK_AFTER
        };
        let _ = timeout(look_after, bell).await;
    }
}

impl Fleet {
    /// Learns what changed, brings what waits here, and puts back what the store has lost. One at a
    /// time; a caller that waited asks again, since what it needs may be newer.
    pub(super) fn synchronize(&self) -> Result<(), VaultError> {
        let mut progress = self.progress.lock();
        let since = progress.mark;
        let hearing = self.remote.keeper.hearing.clone();
        let names = hearing.take_named();
        let changes = self.remote.changes_with(since, &names);
        let mut changes = changes.map_err(vault_error)?;
        let mark = changes.mark;
        if progress.header != changes.header {
            progress.header = self.fetch_header()?;
        }
        let asked_at = self.rows.changes();
        let entries = mem::take(&mut changes.entries);
        let (rows, is_later) = self.fetch_rows(&changes.state, entries)?;
        if is_later {
            // Later than the rows: they speak of no record that is not shown.
            changes.go_on(self.remote.changes(mark).map_err(vault_error)?);
        }
        let lost = self.follow_records(since, &mut changes)?;
        self.rows.take_in(rows, asked_at);
        for (id, bytes) in lost {
            self.put_back(id, &bytes).map_err(vault_error)?;
        }
        // What could not be put back is told of again.
        progress.mark = mark;
        hearing.reach(mark);
        drop(progress);
        self.flush_outbox().map_err(vault_error)
    }

    /// Takes in which records changed. Returns those that the store has lost.
    fn follow_records(
        &self,
        since: Mark,
        changes: &mut Changes,
    ) -> Result<Vec<(RecordId, Vec<u8>)>, VaultError> {
        let lost = self.lost(changes);
        let told = &mut changes.records;
        let mut unknown = self.mirror.unknown(told);
        // With what changed came the bytes of what was heard of. What is known is proven already.
        let mut fetched = mem::take(&mut changes.bytes);
        fetched.retain(|(id, _)| unknown.contains(id));
        unknown.retain(|id| !fetched.iter().any(|(there, _)| there == id));
        // At the first look bytes are fetched when they are read.
        if since != Mark::START && !unknown.is_empty() && unknown.len() <= limits::FETCHED_AT_ONCE {
            for one in self.remote.records(&unknown).map_err(vault_error)? {
                if let Some(place) = told.iter_mut().find(|told| told.id == one.id) {
                    place.generation = one.sealed.generation;
                    place.epoch = one.sealed.epoch;
                    place.changed = one.changed;
                    place.gone = one.sealed.gone;
                }
                fetched.push((one.id, one.sealed.bytes));
            }
        }
        if !fetched.is_empty() {
            let epochs = told.iter().map(|one| one.epoch);
            self.know_key(epochs.max().unwrap_or(0));
        }
        // What is about to be put back stays as this host knows it: an older generation that comes for a
        // moment would look like a restored copy.
        for (id, bytes) in &lost {
            told.retain(|one| one.id != *id);
            fetched.retain(|(there, _)| there != id);
            told.extend(sealed(bytes).map(|known| Changed {
                id: *id,
                generation: known.generation,
                epoch: known.epoch,
                changed: OURS,
                gone: known.gone,
            }));
        }
        self.mirror.follow(told, fetched, changes.is_all);
        Ok(lost)
    }

    /// Whether new tokens wait here, and there is a connection.
    fn has_something_to_bring(&self) -> bool {
        self.mirror.waiting() > 0 && self.remote.is_direct().is_some()
    }

    /// Records of which this host has seen a later generation than the store shows, or a good writing of
    /// one that is damaged there.
    fn lost(&self, changes: &Changes) -> Vec<(RecordId, Vec<u8>)> {
        let mut behind: BTreeMap<RecordId, u64> = BTreeMap::new();
        for (id, generation) in &changes.damaged {
            let seen = self.files.seen(*id).map(|(seen, _)| seen);
            let is_better = |seen: &u64| seen >= generation;
            behind.extend(seen.filter(is_better).map(|seen| (*id, seen)));
        }
        let told = &changes.records;
        for one in told {
            let known = self.mirror.row(one.id).filter(|row| !row.waits());
            let seen = self.files.seen(one.id).map(|(generation, _)| generation);
            let highest = known.map(|row| row.generation).max(seen);
            if let Some(highest) = highest.filter(|highest| *highest > one.generation) {
                behind.insert(one.id, highest);
            }
        }
        if changes.is_all {
            let named: BTreeSet<RecordId> = told.iter().map(|one| one.id).collect();
            let seen = self.files.all_seen().into_iter();
            let missing = seen.filter(|(id, _)| !named.contains(id));
            behind.extend(missing.map(|(id, (generation, _))| (id, generation)));
        }
        let newest = |(id, highest): (RecordId, u64)| {
            let kept = self
                .files
                .seen(id)
                .filter(|(generation, _)| *generation == highest)?;
            Some((id, self.files.read_seen(id, kept)?))
        };
        behind.into_iter().filter_map(newest).collect()
    }

    /// Puts back what this host knows and the store does not.
    pub(super) fn put_back(&self, id: RecordId, bytes: &[u8]) -> Result<(), BackendError> {
        let Some(sealed) = sealed(bytes) else {
            return Ok(());
        };
        let begun_at = self.mirror.changes();
        match self.remote.put_back(id, &sealed)? {
            Brought::Stored => {
                line!(
                    WARN,
                    account = id,
                    generation = sealed.generation,
                    "the store had lost a record, and it was put back"
                );
                self.wrote(id, &sealed, begun_at);
                Ok(())
            }
            Brought::Moved(Some(stored)) => {
                self.take_in(stored, begun_at);
                Ok(())
            }
            // Sealed under a key that is gone: the store cannot take it back.
            Brought::Moved(None) | Brought::Rekeyed { .. } => Ok(()),
        }
    }

    /// Brings the new tokens that wait on this host. What the record has moved on from stays for who
    /// has the key.
    fn flush_outbox(&self) -> Result<(), BackendError> {
        for (id, generation) in self.files.outbox().map_err(unreadable)? {
            // The process that holds the record is at it.
            let Ok(Some(lock)) = self.local.try_lock(Lock::Record(id)) else {
                continue;
            };
            self.flush(&RecordGuard::new(id, lock), generation)?;
        }
        Ok(())
    }

    /// Brings whatever waits for a record; false where nothing did.
    pub(super) fn flush_all(&self, guard: &RecordGuard) -> Result<bool, BackendError> {
        let waiting = self.files.outbox_of(guard.id()).map_err(unreadable)?;
        for generation in &waiting {
            self.flush(guard, *generation)?;
        }
        Ok(!waiting.is_empty())
    }

    /// Brings one record that waits.
    pub(super) fn flush(&self, guard: &RecordGuard, generation: u64) -> Result<(), BackendError> {
        let id = guard.id();
        let Some(waiting) = self.files.read_outbox(id, generation).map_err(unreadable)? else {
            return Ok(());
        };
        let Some(sealed) = sealed(&waiting) else {
            // It was cut short or damaged: nothing in it can be used.
            self.files.drop_from_outbox(id, generation);
            return Ok(());
        };
        let begun_at = self.mirror.changes();
        let mut brought = self
            .remote
            .bring(id, generation - 1, &sealed, Change::Tokens)?;
        if is_lower(&brought, generation - 1) {
            brought = self.remote.put_back(id, &sealed)?;
        }
        match brought {
            Brought::Stored => {
                self.files.empty_outbox(id);
                self.files.forget_cookies(id);
                self.claims.lock().remove(&id);
                // A note that stays is known by its generation to be old.
                let _ = self.local.release(guard, Outcome::Known);
                self.wrote(id, &sealed, begun_at);
                Ok(())
            }
            Brought::Moved(Some(stored)) => {
                self.take_in(stored, begun_at);
                Ok(())
            }
            // Sealed under a key that is gone: who has the key finds it left here, and seals it anew.
            Brought::Moved(None) | Brought::Rekeyed { .. } => {
                match self.remote.records(&[id])?.pop() {
                    Some(stored) => self.take_in(stored, begun_at),
                    None => self.mirror.drop_row(id, begun_at),
                }
                Ok(())
            }
        }
    }

    /// Takes in what this process has stored.
    pub(super) fn wrote(&self, id: RecordId, sealed: &Sealed, begun_at: u64) {
        let row = Row::of(sealed, OURS);
        self.mirror.wrote(id, row, sealed.bytes.clone(), begun_at);
    }

    /// Takes in a record as the store had it when it was asked, at `asked_at`.
    pub(super) fn take_in(&self, stored: Stored, asked_at: u64) {
        self.know_key(stored.sealed.epoch);
        let row = Row::of(&stored.sealed, stored.changed);
        let bytes = stored.sealed.bytes;
        self.mirror.answered(stored.id, row, bytes, asked_at);
    }

    /// Fetches the header where a record is under a later key than it has: it was written before the
    /// record was.
    fn know_key(&self, epoch: u32) {
        let is_later = self
            .header
            .lock()
            .as_ref()
            .is_some_and(|header| header.epoch < epoch);
        // Where it cannot be had now, reading the record says so.
        if is_later {
            let _ = self.fetch_header();
        }
    }

    /// Fetches the header, and keeps a copy for when the store is away. Returns its version.
    pub(super) fn fetch_header(&self) -> Result<u64, VaultError> {
        let header = self.remote.header().map_err(vault_error)?;
        let version = header.version;
        let is_kept = self
            .local
            .read_document(Document::Header)
            .ok()
            .flatten()
            .as_ref()
            == Some(&header.bytes);
        if !is_kept {
            // Without the copy this host cannot begin while the store is away.
            let _ = self.local.write_document(Document::Header, &header.bytes);
        }
        *self.header.lock() = Some(header);
        Ok(version)
    }
}

/// This host's own folder cannot be read now: nothing is claimed or brought on top of what may be there.
pub(super) fn unreadable(error: std::io::Error) -> BackendError {
    BackendError::Refused {
        why: format!("this machine's folder of the store cannot be read: {error}"),
    }
}

/// What the database keeps beside the bytes of a record.
pub(super) fn sealed(bytes: &[u8]) -> Option<Sealed> {
    let facts = SealedFacts::read(bytes)?;
    Some(Sealed {
        generation: facts.generation,
        epoch: facts.epoch,
        gone: facts.is_gone,
        bytes: bytes.to_vec(),
    })
}

/// Whether the store is behind this generation: a failover lost it.
pub(super) fn is_lower(brought: &Brought, from: u64) -> bool {
    match brought {
        Brought::Moved(None) => true,
        Brought::Moved(Some(stored)) => stored.sealed.generation < from,
        _ => false,
    }
}
