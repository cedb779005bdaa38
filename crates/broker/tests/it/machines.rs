//! Machines that share the rows of a state: a server in memory, and a line to it from each of them that
//! can be cut or hang. A machine hears at once of what others have written, unless it is cut off.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use provider_auth_vault::{
    Engine, Mark, Row, RowChanges, RowMerge, StateRows, Telling, VaultError, default_engine,
};

use crate::backend::{Gate, Observed};
use crate::world::{Process, World};

/// Where the rows are.
#[derive(Default)]
pub(crate) struct Server {
    pub(crate) rows: Mutex<BTreeMap<String, Row>>,
    /// What was written, in order.
    pub(crate) writes: Mutex<Vec<(String, Telling)>>,
}

impl Server {
    /// The keys that were written since this was last asked, each with how it was told.
    pub(crate) fn written(&self) -> Vec<(String, Telling)> {
        std::mem::take(&mut self.writes.lock())
    }
}

/// A machine and its line to the server.
pub(crate) struct Machine {
    server: Arc<Server>,
    is_cut_off: AtomicBool,
    is_refused: AtomicBool,
    /// How often it has asked the server to write.
    pub(crate) asked: AtomicUsize,
    /// Where its writes hang, after they have read what is there.
    pub(crate) gate: Gate,
}

impl Machine {
    pub(crate) fn new(server: &Arc<Server>) -> Arc<Self> {
        Arc::new(Self {
            server: server.clone(),
            is_cut_off: AtomicBool::new(false),
            is_refused: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
            gate: Gate::default(),
        })
    }

    pub(crate) fn cut_off(&self, is_cut_off: bool) {
        self.is_cut_off.store(is_cut_off, Ordering::SeqCst);
    }

    /// Takes from it, or gives back, the right to write.
    pub(crate) fn refuse(&self, is_refused: bool) {
        self.is_refused.store(is_refused, Ordering::SeqCst);
    }

    /// The engine of this machine, over a folder that it shares with the others.
    pub(crate) fn engine(self: &Arc<Self>) -> Arc<dyn Engine> {
        Observed::on_machine(default_engine(), self.clone())
    }

    /// A process on this machine, in which no request waits.
    pub(crate) fn process(self: &Arc<Self>, world: &World) -> Process {
        world.impatient_process_on(self.engine())
    }
}

/// The rows as a process on a machine has heard of them.
pub(crate) struct Replica {
    machine: Arc<Machine>,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    /// Each with the change that brought it here.
    rows: BTreeMap<String, (Row, u64)>,
    changes: u64,
}

impl Replica {
    pub(crate) fn of(machine: Arc<Machine>) -> Self {
        Self {
            machine,
            heard: Mutex::default(),
        }
    }

    /// How often what is here of the rows changed.
    pub(crate) fn pulse(&self) -> u64 {
        if !self.machine.is_cut_off.load(Ordering::SeqCst) {
            self.hear();
        }
        self.heard.lock().changes
    }

    fn hear(&self) {
        let mut heard = self.heard.lock();
        let Heard { rows, changes } = &mut *heard;
        for (key, row) in self.machine.server.rows.lock().iter() {
            if rows.get(key).is_none_or(|(known, _)| known != row) {
                *changes += 1;
                rows.insert(key.clone(), (row.clone(), *changes));
            }
        }
    }
}

impl StateRows for Replica {
    fn changed(&self, since: Option<Mark>) -> RowChanges {
        let heard = self.heard.lock();
        let after = since.map_or(0, |Mark(change)| change);
        let changed = heard.rows.iter().filter(|(_, (_, at))| *at > after);
        RowChanges {
            rows: changed
                .map(|(key, (row, _))| (key.clone(), row.clone()))
                .collect(),
            mark: Mark(heard.changes),
        }
    }

    fn merge(
        &self,
        key: &str,
        telling: Telling,
        merge: &mut RowMerge<'_>,
    ) -> Result<(), VaultError> {
        let server = &self.machine.server;
        self.machine.asked.fetch_add(1, Ordering::SeqCst);
        if self.machine.is_refused.load(Ordering::SeqCst) {
            let why = "it may not write".to_owned();
            return Err(VaultError::StoreRefused { why });
        }
        loop {
            if self.machine.is_cut_off.load(Ordering::SeqCst) {
                return Err(VaultError::StoreUnavailable { retry_at: 0 });
            }
            let there = server.rows.lock().get(key).cloned();
            let version = there.as_ref().map_or(0, |row| row.version) + 1;
            let Some(sealed) = merge(there.as_ref(), version) else {
                break;
            };
            self.machine.gate.pass();
            let mut rows = server.rows.lock();
            if rows.get(key) == there.as_ref() {
                rows.insert(key.to_owned(), Row { version, sealed });
                server.writes.lock().push((key.to_owned(), telling));
                break;
            }
        }
        self.hear();
        Ok(())
    }
}
