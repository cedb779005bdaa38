//! Keeps the sealed records of a vault in PostgreSQL, for many machines at once; knows no key and
//! no provider.
//!
//! [`PostgresBackend`] is one process's way to one vault. A record and the claim on it are one row,
//! and every write is one conditional statement: no transaction is ever open while somebody waits.
//! A claim is evidence in the row, not a lock, so it outlives lines, poolers and restarts, and a
//! newer record wins over any claim. Every call blocks, none past its deadline, and none
//! may be made from a thread that drives the runtime.
//!
//! | file | owns |
//! |---|---|
//! | `schema.sql`, `install.rs` | the tables and the rights to them |
//! | `address.rs`, `tls.rs`, `line.rs` | the way to a server, and one connection |
//! | `keeper.rs` | the connection of the moment: opened anew, watched, asked with a deadline |
//! | `sql.rs`, `row.rs` | the statements that touch records; a record's row |
//! | `claim.rs`, `record.rs` | who may spend a record; how one is replaced, put back, added |
//! | `hearing.rs`, `poll.rs`, `changes.rs` | how this process learns of changes |
//! | `fleet/` | the vault as a host's processes use it: memory, outbox, and the seam to `vault` |
//! | `state.rs`, `header.rs`, `aside.rs`, `clock.rs` | sealed rows, the header, damaged records, the database's time |

mod address;
mod aside;
mod backend;
mod changes;
mod claim;
mod claims;
mod clock;
mod error;
mod fleet;
mod header;
mod hearing;
mod install;
mod keeper;
mod limits;
mod line;
mod log;
mod options;
mod poll;
mod record;
mod row;
mod sql;
mod state;
mod tls;

pub use aside::Aside;
pub use backend::PostgresBackend;
pub use changes::{Changed, Changes};
pub use claim::{Claim, Claimed, Note, Outcome};
pub use error::BackendError;
pub use fleet::{NewVault, Store, engine, vault_error};
pub use header::{Header, Swapped};
pub use hearing::{Mark, Pulse};
pub use install::{
    SCHEMA, Standing, admission, admit, admit_host, create_vault, install, lend_rights, look,
};
pub use options::{Options, Password, Times};
pub use record::{Added, Brought, Change};
pub use row::{Held, Sealed, Stored};
pub use state::{Merge, Telling, Versioned};
