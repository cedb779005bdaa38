//! A folder that says it is a store for many machines, with a clock that a test moves.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use provider_auth_vault::{
    Backend, Brought, Changes, Claimed, Disk, Document, Engine, Held, Lock, Look, Mark, Need,
    Opens, Options, Outcome, Pulse, Purpose, Quarantined, RecordGuard, RecordId, SealMark, Stamp,
    Store, StoreState, StoreStatus, VaultError,
};

#[derive(Clone, Default)]
pub(crate) struct SharedStore {
    /// By how many ms its clock is ahead.
    pub(crate) ahead: Arc<AtomicU64>,
}

impl SharedStore {
    fn over(&self, folder: Arc<dyn Backend>) -> Arc<dyn Backend> {
        let ahead = self.ahead.clone();
        Arc::new(Place { folder, ahead })
    }
}

impl Engine for SharedStore {
    fn find(self: Arc<Self>, options: &Options) -> Result<Option<Arc<dyn Backend>>, VaultError> {
        let found = Arc::new(Disk).find(options)?;
        Ok(found.map(|folder| self.over(folder)))
    }

    fn prepare(self: Arc<Self>, options: &Options) -> Result<Arc<dyn Backend>, VaultError> {
        Ok(self.over(Arc::new(Disk).prepare(options)?))
    }
}

struct Place {
    folder: Arc<dyn Backend>,
    ahead: Arc<AtomicU64>,
}

macro_rules! as_the_folder {
    ($(fn $name:ident($($argument:ident: $of:ty),*) -> $result:ty;)*) => {
        $(fn $name(&self, $($argument: $of),*) -> $result {
            self.folder.$name($($argument),*)
        })*
    };
}

impl Backend for Place {
    fn now(&self) -> u64 {
        self.folder.now() + self.ahead.load(Ordering::Relaxed)
    }

    fn store_status(&self) -> Option<StoreStatus> {
        Some(StoreStatus {
            kind: "test",
            place: String::new(),
            state: StoreState::Listening,
            since: 0,
            direct: None,
            schema: 1,
            hosts: None,
            outbox: 0,
            settles_in: None,
            clock_offset: 0,
        })
    }

    as_the_folder! {
        fn dir() -> &Path;
        fn host_disk() -> &dyn Store;
        fn record_name(id: RecordId) -> String;
        fn document_name(document: Document) -> String;
        fn sweep() -> ();
        fn lock(lock: Lock, timeout: Duration) -> Result<Held, VaultError>;
        fn try_lock(lock: Lock) -> Result<Option<Held>, VaultError>;
        fn pulse() -> Pulse;
        fn changes(since: Option<Mark>) -> Result<Changes, VaultError>;
        fn ids() -> Result<Vec<RecordId>, VaultError>;
        fn has_records() -> Result<bool, VaultError>;
        fn records_stamp() -> Result<Stamp, VaultError>;
        fn look(id: RecordId, known: Option<Stamp>) -> Result<Look, VaultError>;
        fn create_record(id: RecordId, sealed: &[u8]) -> Result<Brought, VaultError>;
        fn claim(guard: &RecordGuard, known: u64, need: Need, note: &[u8]) -> Result<Claimed, VaultError>;
        fn bring(guard: &RecordGuard, from: u64, purpose: Purpose, sealed: &[u8]) -> Result<Brought, VaultError>;
        fn release(guard: &RecordGuard, outcome: Outcome) -> Result<(), VaultError>;
        fn remove_record(guard: &RecordGuard, mark: &mut SealMark<'_>) -> Result<bool, VaultError>;
        fn set_record_aside(guard: &RecordGuard, generation: u64, opens: &Opens<'_>) -> Result<(), VaultError>;
        fn quarantined() -> Result<Vec<Quarantined>, VaultError>;
        fn read_note(id: RecordId) -> Result<Option<Vec<u8>>, VaultError>;
        fn abandoned() -> Result<Vec<RecordId>, VaultError>;
        fn read_document(document: Document) -> Result<Option<Vec<u8>>, VaultError>;
        fn write_document(document: Document, content: &[u8]) -> Result<(), VaultError>;
        fn remove_document(document: Document) -> Result<bool, VaultError>;
        fn set_header_aside(header: &[u8]) -> Result<(), VaultError>;
        fn remove_headers_aside() -> Result<(), VaultError>;
    }
}
