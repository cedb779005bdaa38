//! What a vault asks of what keeps its bytes: records and header of the store, everything else of this
//! host's folder.

use std::{path::Path, sync::Arc, time::Duration};

use provider_auth_vault::{
    Backend, Brought, Changes, Claimed, Document, Held, Lock, Look, Mark, Need, Opens, Outcome,
    Pulse, Purpose, Quarantined, RecordGuard, RecordId, SealMark, Stamp, StateRows, StoreState,
    StoreStatus, VaultError,
};

use tokio::task::spawn_blocking;

use super::{error::vault_error, process::Fleet, records::facts_fit};
use crate::error::{BackendError, SCHEMA_VERSION};

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
        format!("record {id} of {}", self.0.place.name)
    }

    fn document_name(&self, document: Document) -> String {
        match document {
            Document::Header | Document::HeaderBackup => {
                format!("the header of {}", self.0.place.name)
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
            history: self.0.late.history(&*self.0.local),
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
            && self.0.files.keep_seen(id, row.writing(), sealed)
        {
            let fleet = Arc::clone(&self.0);
            self.0.remote.runtime().spawn(async move {
                fleet.files.reading_ends().await;
                // What is not written is read once more by the next process.
                let _ = spawn_blocking(move || fleet.files.write_behind()).await;
            });
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
        self.0.bring_record(guard, from, purpose, bytes)
    }

    fn left(&self, guard: &RecordGuard) -> Result<Option<Vec<u8>>, VaultError> {
        self.0.left_of(guard).map_err(vault_error)
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
                .bring_record(guard, row.generation, Purpose::Other, &bytes)?;
            if brought == Brought::Yes {
                self.release(guard, Outcome::Known)?;
                return Ok(true);
            }
        }
    }

    fn set_record_aside(
        &self,
        guard: &RecordGuard,
        _generation: u64,
        opens: &Opens<'_>,
    ) -> Result<(), VaultError> {
        self.0.set_aside(guard.id(), opens).map_err(vault_error)
    }

    fn quarantined(&self) -> Result<Vec<Quarantined>, VaultError> {
        let aside = match self.0.remote.aside() {
            // What is known is shown all the same.
            Err(BackendError::Unavailable { .. }) => Vec::new(),
            aside => aside.map_err(vault_error)?,
        };
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
            _ => {
                self.0.local.write_document(document, content)?;
                self.0.late.wrote();
                Ok(())
            }
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

impl Fleet {
    fn status(&self) -> StoreStatus {
        let (hosts, since) = self.remote.keeper.standing_facts();
        StoreStatus {
            kind: "postgres",
            place: self.place.name.clone(),
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
            settles_in: self.remote.keeper.settles_in(),
            clock_offset: self.remote.clock_offset(),
        }
    }
}
