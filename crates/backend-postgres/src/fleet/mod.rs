//! A vault in PostgreSQL as a host's processes use it: the store decides, this host remembers.
//!
//! Readers ask memory, which a task keeps up to date ([`sync`]); within the host the kernel's locks
//! of a folder order who writes; between hosts the store's conditional writes decide. New tokens are
//! flushed to the folder before they are brought, so that neither a kill nor an absence of the store
//! loses them, and the host uses them from then on.

mod ahead;
mod backend;
mod claim;
mod engine;
mod error;
mod header;
mod host_files;
mod known_rows;
mod late_pulse;
mod limits;
mod mirror;
mod process;
mod record_row;
mod records;
mod rows;
mod sync;
mod write_behind;

pub use engine::{NewVault, Store, engine};
pub use error::vault_error;
