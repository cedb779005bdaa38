//! What one process holds of a vault in PostgreSQL.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use provider_auth_vault::{Backend, RecordId};

use super::{
    ahead::Ahead, host_files::HostFiles, known_rows::Rows, late_pulse::LatePulse, mirror::Mirror,
};
use crate::{Claim, Header, PostgresBackend, hearing::Mark};

/// One process's way to a vault in PostgreSQL.
pub(super) struct Fleet {
    pub(super) remote: PostgresBackend,
    /// This host's side: locks, notes of claims, the history.
    pub(super) local: Arc<dyn Backend>,
    pub(super) late: LatePulse,
    pub(super) files: HostFiles,
    pub(super) mirror: Mirror,
    pub(super) rows: Rows,
    pub(super) ahead: Ahead,
    pub(super) progress: Mutex<Progress>,
    pub(super) header: Mutex<Option<Header>>,
    /// The claims of this process.
    pub(super) claims: Mutex<HashMap<RecordId, Claim>>,
    /// Whose turn it was to add a record when this host began to decide on one.
    pub(super) turn: Mutex<Option<i64>>,
    /// What people call this machine and process.
    pub(super) holder: String,
    pub(super) place: Place,
}

/// Which vault of which store, for people and for the names of folders.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) folder: String,
}

/// How far this process has come.
pub(super) struct Progress {
    pub(super) mark: Mark,
    /// Which version of the header is here.
    pub(super) header: u64,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            mark: Mark::START,
            header: 0,
        }
    }
}
