//! A backend that tells of each call before it is made, and may take its time over it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use provider_auth_vault::{
    Backend, Changes, Document, Engine, Held, Lock, Look, Mark, Options, Pulse, Quarantined,
    RecordGuard, RecordId, Stamp, Store, VaultError,
};

/// What is about to be asked, and of which record.
pub(crate) type Call = (&'static str, Option<RecordId>);

/// An engine that lets `before` have its say before each call of its backends.
pub(crate) struct Observed {
    inner: Arc<dyn Engine>,
    before: Arc<dyn Fn(Call) + Send + Sync>,
}

impl Observed {
    pub(crate) fn new(
        inner: Arc<dyn Engine>,
        before: impl Fn(Call) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            inner,
            before: Arc::new(before),
        })
    }

    fn observe(&self, inner: Arc<dyn Backend>) -> Arc<dyn Backend> {
        Arc::new(ObservedBackend {
            inner,
            before: self.before.clone(),
        })
    }
}

impl Engine for Observed {
    fn find(self: Arc<Self>, options: &Options) -> Result<Option<Arc<dyn Backend>>, VaultError> {
        let found = self.inner.clone().find(options)?;
        Ok(found.map(|found| self.observe(found)))
    }

    fn prepare(self: Arc<Self>, options: &Options) -> Result<Arc<dyn Backend>, VaultError> {
        let prepared = self.inner.clone().prepare(options)?;
        Ok(self.observe(prepared))
    }
}

struct ObservedBackend {
    inner: Arc<dyn Backend>,
    before: Arc<dyn Fn(Call) + Send + Sync>,
}

/// Passes calls on, each after it was told of.
macro_rules! observed {
    ($(fn $name:ident($($argument:ident: $of:ty),*) -> $result:ty, $record:expr;)*) => {
        $(fn $name(&self, $($argument: $of),*) -> $result {
            (self.before)((stringify!($name), $record));
            self.inner.$name($($argument),*)
        })*
    };
}

impl Backend for ObservedBackend {
    // What is known without asking.
    fn dir(&self) -> &Path {
        self.inner.dir()
    }

    fn host_disk(&self) -> &dyn Store {
        self.inner.host_disk()
    }

    fn record_name(&self, id: RecordId) -> String {
        self.inner.record_name(id)
    }

    fn document_name(&self, document: Document) -> String {
        self.inner.document_name(document)
    }

    fn now(&self) -> u64 {
        self.inner.now()
    }

    observed! {
        fn sweep() -> (), None;
        fn lock(lock: Lock, timeout: Duration) -> Result<Held, VaultError>, None;
        fn try_lock(lock: Lock) -> Result<Option<Held>, VaultError>, None;
        fn ids() -> Result<Vec<RecordId>, VaultError>, None;
        fn has_records() -> Result<bool, VaultError>, None;
        fn pulse() -> Pulse, None;
        fn changes(since: Option<Mark>) -> Result<Changes, VaultError>, None;
        fn look(id: RecordId, known: Option<Stamp>) -> Result<Look, VaultError>, Some(id);
        fn create_record(id: RecordId, sealed: &[u8]) -> Result<(), VaultError>, Some(id);
        fn replace_record(guard: &RecordGuard, from: u64, sealed: &[u8]) -> Result<(), VaultError>, Some(guard.id());
        fn remove_record(guard: &RecordGuard) -> Result<bool, VaultError>, Some(guard.id());
        fn set_record_aside(guard: &RecordGuard, generation: u64) -> Result<(), VaultError>, Some(guard.id());
        fn quarantined() -> Result<Vec<Quarantined>, VaultError>, None;
        fn read_note(id: RecordId) -> Result<Option<Vec<u8>>, VaultError>, Some(id);
        fn write_note(guard: &RecordGuard, note: &[u8]) -> Result<(), VaultError>, Some(guard.id());
        fn clear_note(guard: &RecordGuard) -> Result<(), VaultError>, Some(guard.id());
        fn abandoned() -> Result<Vec<RecordId>, VaultError>, None;
        fn read_document(document: Document) -> Result<Option<Vec<u8>>, VaultError>, None;
        fn write_document(document: Document, content: &[u8]) -> Result<(), VaultError>, None;
        fn remove_document(document: Document) -> Result<bool, VaultError>, None;
        fn set_header_aside(header: &[u8]) -> Result<(), VaultError>, None;
        fn remove_headers_aside() -> Result<(), VaultError>, None;
    }
}

/// Where calls wait until somebody opens, or until half a minute has passed: a test that fails ends.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<GateState>,
    moved: Condvar,
}

#[derive(Default)]
struct GateState {
    is_closed: bool,
    waiting: usize,
}

impl Gate {
    pub(crate) fn close(&self) {
        self.state.lock().is_closed = true;
    }

    pub(crate) fn open(&self) {
        self.state.lock().is_closed = false;
        self.moved.notify_all();
    }

    /// How many wait here now.
    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().waiting
    }

    /// To be called by who has to pass.
    pub(crate) fn pass(&self) {
        let mut state = self.state.lock();
        state.waiting += 1;
        let is_closed = |state: &mut GateState| state.is_closed;
        self.moved
            .wait_while_for(&mut state, is_closed, Duration::from_secs(30));
        state.waiting -= 1;
    }
}
