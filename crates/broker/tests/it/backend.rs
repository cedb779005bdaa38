//! A backend that tells of each call before it is made, and may take its time over it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use provider_auth_vault::{
    Backend, Brought, Changes, Claimed, Document, Engine, Held, Holder, Lock, Look, Mark, Need,
    Opens, Options, Outcome, Pulse, Purpose, Quarantined, RecordGuard, RecordId, SealMark, SendBy,
    Stamp, StateRows, Store, StoreStatus, VaultError,
};

use crate::machines::{Machine, Replica};

/// What is about to be asked, and of which record.
pub(crate) type Call = (&'static str, Option<RecordId>);

/// What a backend may say of a claim, or of a record that is brought, instead of doing it.
pub(crate) enum Answer {
    /// What is claimed is granted, and may not be sent any more.
    Late,
    Moved,
    Rekeyed,
    Held(Holder),
}

type Say = dyn Fn(Call) -> Option<Answer> + Send + Sync;

/// An engine whose backends tell of each call before they make it, and may be answered for.
pub(crate) struct Observed {
    inner: Arc<dyn Engine>,
    say: Arc<Mutex<Arc<Say>>>,
    machine: Option<Arc<Machine>>,
    status: Arc<Mutex<Option<StoreStatus>>>,
}

impl Observed {
    pub(crate) fn new(
        inner: Arc<dyn Engine>,
        before: impl Fn(Call) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let say = move |call| {
            before(call);
            None
        };
        Arc::new(Self {
            inner,
            say: Arc::new(Mutex::new(Arc::new(say))),
            status: Arc::default(),
            machine: None,
        })
    }

    /// An engine of a machine that shares the rows of the state with others.
    pub(crate) fn on_machine(inner: Arc<dyn Engine>, machine: Arc<Machine>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            say: Arc::new(Mutex::new(Arc::new(|_| None))),
            status: Arc::default(),
            machine: Some(machine),
        })
    }

    /// Has its backends stand like those of a store.
    pub(crate) fn stands(&self, status: StoreStatus) {
        *self.status.lock() = Some(status);
    }

    /// Has `say` answer from here on.
    pub(crate) fn answer(&self, say: impl Fn(Call) -> Option<Answer> + Send + Sync + 'static) {
        *self.say.lock() = Arc::new(say);
    }

    fn observe(&self, inner: Arc<dyn Backend>) -> Arc<dyn Backend> {
        Arc::new(ObservedBackend {
            inner,
            say: self.say.clone(),
            rows: self.machine.clone().map(Replica::of),
            status: self.status.clone(),
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
    say: Arc<Mutex<Arc<Say>>>,
    rows: Option<Replica>,
    status: Arc<Mutex<Option<StoreStatus>>>,
}

impl ObservedBackend {
    fn say(&self, call: Call) -> Option<Answer> {
        // What is said may make calls of its own.
        let say = self.say.lock().clone();
        say(call)
    }
}

/// Passes calls on, each after it was told of.
macro_rules! observed {
    ($(fn $name:ident($($argument:ident: $of:ty),*) -> $result:ty, $record:expr;)*) => {
        $(fn $name(&self, $($argument: $of),*) -> $result {
            let answer = self.say((stringify!($name), $record));
            assert!(answer.is_none(), "only claims and what is brought can be answered for");
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

    fn pulse(&self) -> Pulse {
        let answer = self.say(("pulse", None));
        assert!(answer.is_none());
        let pulse = self.inner.pulse();
        match &self.rows {
            Some(rows) => Pulse {
                state: rows.pulse(),
                news: 0,
                ..pulse
            },
            None => pulse,
        }
    }

    fn state_rows(&self) -> Option<&dyn StateRows> {
        self.rows.as_ref().map(|rows| rows as _)
    }

    fn store_status(&self) -> Option<StoreStatus> {
        self.status.lock().clone()
    }

    fn claim(
        &self,
        guard: &RecordGuard,
        known: u64,
        need: Need,
        note: &[u8],
    ) -> Result<Claimed, VaultError> {
        match self.say(("claim", Some(guard.id()))) {
            None => self.inner.claim(guard, known, need, note),
            Some(Answer::Late) => Ok(Claimed::Yes(SendBy::within(Duration::ZERO))),
            Some(Answer::Moved | Answer::Rekeyed) => Ok(Claimed::Moved),
            Some(Answer::Held(holder)) => Ok(Claimed::Held(holder)),
        }
    }

    fn bring(
        &self,
        guard: &RecordGuard,
        from: u64,
        purpose: Purpose,
        sealed: &[u8],
    ) -> Result<Brought, VaultError> {
        match self.say(("bring", Some(guard.id()))) {
            None => self.inner.bring(guard, from, purpose, sealed),
            Some(Answer::Rekeyed) => Ok(Brought::Rekeyed),
            Some(_) => Ok(Brought::Moved),
        }
    }

    observed! {
        fn sweep() -> (), None;
        fn lock(lock: Lock, timeout: Duration) -> Result<Held, VaultError>, None;
        fn try_lock(lock: Lock) -> Result<Option<Held>, VaultError>, None;
        fn ids() -> Result<Vec<RecordId>, VaultError>, None;
        fn has_records() -> Result<bool, VaultError>, None;
        fn changes(since: Option<Mark>) -> Result<Changes, VaultError>, None;
        fn records_stamp() -> Result<Stamp, VaultError>, None;
        fn look(id: RecordId, known: Option<Stamp>) -> Result<Look, VaultError>, Some(id);
        fn create_record(id: RecordId, sealed: &[u8]) -> Result<Brought, VaultError>, Some(id);
        fn release(guard: &RecordGuard, outcome: Outcome) -> Result<(), VaultError>, Some(guard.id());
        fn left(guard: &RecordGuard) -> Result<Option<Vec<u8>>, VaultError>, Some(guard.id());
        fn remove_record(guard: &RecordGuard, mark: &mut SealMark<'_>) -> Result<bool, VaultError>, Some(guard.id());
        fn set_record_aside(guard: &RecordGuard, generation: u64, opens: &Opens<'_>) -> Result<(), VaultError>, Some(guard.id());
        fn quarantined() -> Result<Vec<Quarantined>, VaultError>, None;
        fn read_note(id: RecordId) -> Result<Option<Vec<u8>>, VaultError>, Some(id);
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
