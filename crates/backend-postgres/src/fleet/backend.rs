//! What a vault asks of what keeps its bytes: records and header of the store, everything else of this
//! host's folder.

use std::{path::Path, sync::Arc, time::Duration};

use provider_auth_vault::{
    Backend, Brought, Changes, Claimed, Document, Held, Lock, Look, Mark, Need, Outcome, Pulse,
    Purpose, Quarantined, RecordGuard, RecordId, SealMark, SealedFacts, Stamp, StateRows,
    StoreState, StoreStatus, VaultError, header_facts,
};
use uuid::Uuid;

use super::{
    Fleet,
    error::vault_error,
    limits,
    mirror::{Row, WAITS},
    sync::{is_lower, sealed},
};
use crate::{BackendError, Change, Sealed, Swapped, error::SCHEMA_VERSION};

/// A handle that a vault holds; what follows the store ends with the last one.
pub(super) struct FleetBackend(pub(super) Arc<Fleet>);

impl Backend for FleetBackend {
    fn dir(&self) -> &Path {
        self.0.local.dir()
    }

    fn host_disk(&self) -> &dyn provider_auth_vault::Store {
        self.0.local.host_disk()
    }

    fn record_name(&self, id: RecordId) -> String {
        format!("record {id} of {}", self.0.engine.name)
    }

    fn document_name(&self, document: Document) -> String {
        match document {
            Document::Header | Document::HeaderBackup => {
                format!("the header of {}", self.0.engine.name)
            }
            _ => self.0.local.document_name(document),
        }
    }

    fn now(&self) -> u64 {
        self.0.remote.now()
    }

    fn sweep(&self) {
        self.0.local.sweep();
    }

    fn store_status(&self) -> Option<StoreStatus> {
        Some(self.0.status())
    }

    fn lock(&self, lock: Lock, timeout: Duration) -> Result<Held, VaultError> {
        let held = self.0.local.lock(lock, timeout)?;
        if lock == Lock::Records {
            self.0.take_turn()?;
        }
        Ok(held)
    }

    fn try_lock(&self, lock: Lock) -> Result<Option<Held>, VaultError> {
        self.0.local.try_lock(lock)
    }

    fn pulse(&self) -> Pulse {
        Pulse {
            records: self.0.mirror.changes(),
            state: self.0.rows.changes(),
            news: 0,
            history: self.0.local.pulse().history,
        }
    }

    fn state_rows(&self) -> Option<&dyn StateRows> {
        Some(&*self.0)
    }

    fn changes(&self, since: Option<Mark>) -> Result<Changes, VaultError> {
        let (records, mark) = self.0.mirror.since(since);
        Ok(Changes { records, mark })
    }

    fn ids(&self) -> Result<Vec<RecordId>, VaultError> {
        Ok(self.0.mirror.ids())
    }

    fn has_records(&self) -> Result<bool, VaultError> {
        Ok(self.0.mirror.has_any())
    }

    fn records_stamp(&self) -> Result<Stamp, VaultError> {
        Ok(self.0.mirror.stamp())
    }

    fn look(&self, id: RecordId, known: Option<Stamp>) -> Result<Look, VaultError> {
        self.0.look_at(id, known)
    }

    fn proven(&self, id: RecordId, sealed: &[u8]) {
        if let Some(row) = self.0.mirror.proven(id, sealed)
            && !row.waits()
            && facts_fit(&row, sealed)
        {
            self.0.files.keep_seen(id, row.writing(), sealed);
        }
    }

    fn create_record(&self, id: RecordId, bytes: &[u8]) -> Result<Brought, VaultError> {
        self.0.add(id, bytes)
    }

    fn claim(
        &self,
        guard: &RecordGuard,
        known: u64,
        need: Need,
        note: &[u8],
    ) -> Result<Claimed, VaultError> {
        self.0.claim_record(guard, known, need, note)
    }

    fn bring(
        &self,
        guard: &RecordGuard,
        from: u64,
        purpose: Purpose,
        bytes: &[u8],
    ) -> Result<Brought, VaultError> {
        self.0.bring_record(guard.id(), from, purpose, bytes)
    }

    fn left(&self, guard: &RecordGuard) -> Result<Option<Vec<u8>>, VaultError> {
        Ok(self.0.left_of(guard))
    }

    fn release(&self, guard: &RecordGuard, outcome: Outcome) -> Result<(), VaultError> {
        self.0.release_record(guard, outcome)
    }

    fn remove_record(
        &self,
        guard: &RecordGuard,
        mark: &mut SealMark<'_>,
    ) -> Result<bool, VaultError> {
        let id = guard.id();
        loop {
            let Some(row) = self.0.mirror.row(id).filter(|row| !row.gone) else {
                return Ok(false);
            };
            let bytes = mark(row.generation + 1)?;
            let brought = self
                .0
                .bring_record(id, row.generation, Purpose::Other, &bytes)?;
            if brought == Brought::Yes {
                self.release(guard, Outcome::Known)?;
                return Ok(true);
            }
        }
    }

    fn set_record_aside(&self, guard: &RecordGuard, _generation: u64) -> Result<(), VaultError> {
        self.0.set_aside(guard.id()).map_err(vault_error)
    }

    fn quarantined(&self) -> Result<Vec<Quarantined>, VaultError> {
        let aside = self.0.remote.aside().map_err(vault_error)?;
        let quarantined = aside.into_iter().map(|one| Quarantined {
            id: one.id,
            generation: one.generation,
            at: one.at,
        });
        Ok(quarantined.collect())
    }

    fn read_note(&self, id: RecordId) -> Result<Option<Vec<u8>>, VaultError> {
        self.0.local.read_note(id)
    }

    fn abandoned(&self) -> Result<Vec<RecordId>, VaultError> {
        self.0.abandoned_records()
    }

    fn read_document(&self, document: Document) -> Result<Option<Vec<u8>>, VaultError> {
        match document {
            Document::Header => {
                let header = self
                    .0
                    .header
                    .lock()
                    .as_ref()
                    .map(|header| header.bytes.clone());
                Ok(header)
            }
            // The store keeps the header as it keeps the records.
            Document::HeaderBackup => Ok(None),
            _ => self.0.local.read_document(document),
        }
    }

    fn write_document(&self, document: Document, content: &[u8]) -> Result<(), VaultError> {
        match document {
            Document::Header => self.0.write_header(content),
            Document::HeaderBackup => Ok(()),
            _ => self.0.local.write_document(document, content),
        }
    }

    fn remove_document(&self, document: Document) -> Result<bool, VaultError> {
        match document {
            Document::Header | Document::HeaderBackup => Ok(false),
            _ => self.0.local.remove_document(document),
        }
    }

    fn set_header_aside(&self, header: &[u8]) -> Result<(), VaultError> {
        self.0.local.set_header_aside(header)
    }

    fn remove_headers_aside(&self) -> Result<(), VaultError> {
        self.0.local.remove_headers_aside()
    }
}

/// Whether bytes are what their row says. What stands beside them is for SQL only.
fn facts_fit(row: &Row, bytes: &[u8]) -> bool {
    SealedFacts::read(bytes).is_some_and(|facts| {
        (facts.generation, facts.epoch, facts.is_gone) == (row.generation, row.epoch, row.gone)
    })
}

impl Fleet {
    fn look_at(&self, id: RecordId, known: Option<Stamp>) -> Result<Look, VaultError> {
        let Some(row) = self.mirror.row(id) else {
            return Ok(Look::Absent);
        };
        if known == Some(row.stamp()) {
            return Ok(Look::AsKnown);
        }
        let kept = || match row.waits() {
            true => self.files.read_outbox(id, row.generation),
            false => self.files.read_seen(id, row.writing()),
        };
        if let Some(bytes) = self.mirror.bytes(id).or_else(kept) {
            // Bytes that are not what their row says are damaged, and open as such.
            let fits = facts_fit(&row, &bytes);
            return Ok(Look::Found(
                row.stamp(),
                if fits { bytes } else { Vec::new() },
            ));
        }
        let is_kept = |id, writing| self.files.seen(id) == Some(writing);
        let wanted = self
            .mirror
            .unread_from(id, limits::FETCHED_AT_ONCE, is_kept);
        let stored = self.remote.records(&wanted).map_err(vault_error)?;
        if !stored.iter().any(|one| one.id == id) {
            self.mirror.drop_row(id);
        }
        stored.into_iter().for_each(|one| self.take_in(one));
        self.look_at(id, None)
    }

    /// Notes whose turn it is to add a record, and learns of what was added before.
    fn take_turn(&self) -> Result<(), VaultError> {
        let turn = self.remote.turn();
        *self.turn.lock() = turn.as_ref().ok().copied();
        match turn {
            Ok(_) => self.synchronize(),
            // Who only looks goes on with what is here.
            Err(BackendError::Unavailable { .. }) => Ok(()),
            Err(error) => Err(vault_error(error)),
        }
    }

    fn add(&self, id: RecordId, bytes: &[u8]) -> Result<Brought, VaultError> {
        let sealed = whole(bytes)?;
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
                self.wrote(id, &sealed);
                Ok(Brought::Yes)
            }
            crate::Brought::Moved(_) => {
                self.take_turn()?;
                Ok(Brought::Moved)
            }
            crate::Brought::Rekeyed { .. } => self.rekeyed(),
        }
    }

    fn bring_record(
        &self,
        id: RecordId,
        from: u64,
        purpose: Purpose,
        bytes: &[u8],
    ) -> Result<Brought, VaultError> {
        let sealed = whole(bytes)?;
        // Taken over from another vault: under the id that it had there.
        if from == 0 {
            return self.settle(id, self.remote.put_back(id, &sealed), &sealed);
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
            // The store is away, and nobody may lose these: from here on this host uses them.
            Err(BackendError::Unavailable { .. }) if is_kept => {
                self.mirror.put(id, Row::of(&sealed, WAITS), sealed.bytes);
                Ok(Brought::Yes)
            }
            brought => self.settle(id, brought, &sealed),
        }
    }

    /// What it means for this host that a record was brought.
    fn settle(
        &self,
        id: RecordId,
        brought: Result<crate::Brought, BackendError>,
        sealed: &Sealed,
    ) -> Result<Brought, VaultError> {
        match brought.map_err(vault_error)? {
            crate::Brought::Stored => {
                self.wrote(id, sealed);
                self.files.empty_outbox(id);
                Ok(Brought::Yes)
            }
            crate::Brought::Moved(stored) => {
                match stored {
                    Some(stored) => self.take_in(stored),
                    None => self.mirror.drop_row(id),
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
    fn set_aside(&self, id: RecordId) -> Result<(), BackendError> {
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
                    self.mirror.drop_row(id);
                    return Ok(());
                };
                if good.as_ref() != Some(&stored.sealed.bytes) {
                    // The store's may be good.
                    kept.into_iter()
                        .for_each(|kept| self.files.forget_seen(id, kept));
                    self.take_in(stored);
                    return Ok(());
                }
                stored.sealed.bytes
            }
        };
        self.remote.set_aside(id, row.generation)?;
        // What stands beside good bytes may be what is wrong.
        let is_other = good.as_ref() != Some(&there) || !facts_fit(&row, &there);
        if let Some(good) = good.as_deref().filter(|_| is_other).and_then(sealed)
            && self.remote.put_back(id, &good)? == crate::Brought::Stored
        {
            self.wrote(id, &good);
            return Ok(());
        }
        self.mirror.drop_row(id);
        Ok(())
    }

    fn write_header(&self, content: &[u8]) -> Result<(), VaultError> {
        let Some((vault, epoch)) = header_facts(content) else {
            return Err(VaultError::StoreRefused {
                why: "that is no header of a vault".into(),
            });
        };
        let version = self.header.lock().as_ref().map(|header| header.version);
        let Some(version) = version else {
            let options = &self.remote.keeper.options;
            let vault = Uuid::from_bytes(vault);
            let runtime = self.remote.runtime();
            let made = crate::create_vault(options, runtime, vault, epoch, content);
            return match made.map_err(vault_error)? {
                true => self.wait_for_vault(),
                false => Err(VaultError::Overtaken),
            };
        };
        let swapped = self.remote.swap_header(version, epoch, content);
        match swapped.map_err(vault_error)? {
            Swapped::Stored => self.fetch_header().map(drop),
            Swapped::Moved(there) => {
                *self.header.lock() = Some(there);
                Err(VaultError::Overtaken)
            }
        }
    }

    /// Waits until the connection finds the vault that was just made.
    fn wait_for_vault(&self) -> Result<(), VaultError> {
        let tries = limits::TRIES_FOR_A_NEW_VAULT;
        for _ in 0..tries {
            match self.remote.header() {
                Err(BackendError::Absent) => std::thread::park_timeout(limits::TRY_AGAIN),
                Err(error) => return Err(vault_error(error)),
                Ok(_) => return self.synchronize(),
            }
        }
        Err(vault_error(BackendError::Absent))
    }

    fn status(&self) -> StoreStatus {
        let (hosts, since) = self.remote.keeper.standing_facts();
        StoreStatus {
            kind: "postgres",
            place: self.engine.name.clone(),
            state: match self.remote.is_listening() {
                Some(true) => StoreState::Listening,
                Some(false) => StoreState::Polling,
                None => StoreState::Offline,
            },
            since,
            direct: self.remote.is_direct(),
            schema: SCHEMA_VERSION,
            hosts,
            outbox: u32::try_from(self.mirror.waiting()).unwrap_or(u32::MAX),
            clock_offset: self.remote.clock_offset(),
        }
    }
}

fn whole(bytes: &[u8]) -> Result<Sealed, VaultError> {
    sealed(bytes).ok_or_else(|| VaultError::StoreRefused {
        why: "that is no record of a vault".into(),
    })
}
