//! A vault in PostgreSQL as a host's processes use it: the store decides, this host remembers.
//!
//! Readers ask memory, which a task keeps up to date ([`sync`]); within the host the kernel's locks
//! of a folder order who writes; between hosts the store's conditional writes decide. New tokens are
//! flushed to the folder before they are brought, so that neither a kill nor an absence of the store
//! loses them, and the host uses them from then on.

mod backend;
mod claim;
mod engine;
mod error;
mod host_files;
mod limits;
mod mirror;
mod rows;
mod sync;

use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicI64},
};

use parking_lot::Mutex;
use provider_auth_vault::{Backend, RecordId};

pub use engine::{NewVault, Store, engine};
pub use error::vault_error;

use crate::{Claim, Header, PostgresBackend};
use host_files::HostFiles;
use mirror::Mirror;
use rows::Rows;
use sync::Progress;

/// One process's way to a vault in PostgreSQL.
struct Fleet {
    remote: PostgresBackend,
    /// This host's side: locks, notes of claims, the history.
    local: Arc<dyn Backend>,
    files: HostFiles,
    mirror: Mirror,
    rows: Rows,
    progress: Mutex<Progress>,
    header: Mutex<Option<Header>>,
    /// The claims of this process.
    claims: Mutex<HashMap<RecordId, Claim>>,
    /// Whose turn it was to add a record when this host began to decide on one.
    turn: Mutex<Option<i64>>,
    /// By how many ms the store's clock is ahead of this machine's.
    clock_offset: Arc<AtomicI64>,
    /// What people call this machine and process.
    holder: String,
    engine: engine::Place,
}
