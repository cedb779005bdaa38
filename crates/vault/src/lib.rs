//! Keeps sealed records and their key safe across threads, processes and crashes; knows no
//! provider.
//!
//! [`Vault`] seals records, opens them, and keeps them opened in memory. What keeps their bytes is
//! a [`Backend`]: today a folder with one encrypted file per record, whose kernel lock is the right
//! to write it. Writes are durable and whole. The key lives elsewhere: in the keychain, in the
//! environment, behind a passphrase. Every call blocks.
//!
//! ```
//! # fn os_entropy(bytes: &mut [u8]) { bytes.fill(7) }
//! # let folder = tempfile::tempdir()?;
//! # let dir = folder.path().join("vault");
//! use std::sync::Arc;
//! use provider_auth_vault::{KeySource, Options, Vault, default_engine};
//!
//! let options = Options { key: KeySource::Keyfile, ..Options::new(dir) };
//! let vault = Vault::open(options, default_engine(), Arc::new(os_entropy))?;
//! let (id, _) = vault.create(1, b"a refresh token")?;
//!
//! let guard = vault.lock(&id)?;
//! let generation = vault.replace(&guard, b"the next refresh token")?;
//! assert_eq!(generation, 2);
//! assert_eq!(vault.read(&id)?.expect("it was just written").plaintext(), b"the next refresh token");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backend;
mod clock;
mod crypto;
mod error;
mod folder;
mod format;
#[cfg(test)]
mod fuzz;
mod host_files;
mod keys;
pub mod limits;
mod log;
mod log_file;
mod options;
mod platform;
mod send_by;
mod stamp;
mod state_rows;
mod store_clock;
mod store_status;
mod vault;

pub use backend::{
    Backend, Brought, Changes, Claimed, Document, Engine, Holder, Lock, Look, Need, Opens, Outcome,
    Pulse, Purpose, Quarantined, RecordGuard, SealMark,
};
pub use crypto::{
    bundle::{open_bundle, seal_bundle},
    hidden::wiping_stack,
    key::Entropy,
    passphrase::is_guessable,
};
pub use error::VaultError;
pub use folder::{
    backend::default_engine,
    checkup::{
        FolderFacts, HeldLock, LooseFile, NoteFacts, Trial, free_space, look_at_folder,
        look_at_key_file, loose_file, remove_leftover, tighten,
    },
    disk::Disk,
    listener::{Heard, Listener, Watch},
    memory::Memory,
    store::{Durability, Held, NetworkFolders, Store, Watched},
};
pub use format::header::header_facts;
pub use format::id::{NotARecordId, RecordId};
pub use format::record::{Record, SealedFacts, VaultId};
pub use host_files::{
    PrivateFileError, append_privately, authorship_fault, is_on_pseudo_filesystem, privacy,
};
pub use keys::source::{KeySecrets, KeySource, NotAKeySource};
pub use log_file::LogFile;
pub use options::Options;
pub use platform::{FreeSpace, Privacy};
pub use send_by::SendBy;
pub use stamp::{Mark, Revision, Stamp};
pub use state_rows::{Row, RowChanges, RowMerge, StateRows, Telling};
pub use store_clock::StoreClock;
pub use store_status::{StoreState, StoreStatus};
pub use vault::{
    Vault,
    fleet::FleetHost,
    high_water::HighWater,
    init::ExistingKey,
    key_slots::KeySlot,
    notes::Pending,
    records::Seen,
    rows::{ChangedRows, RowStamp, StateRow},
    shared::{Shared, SharedGuard},
    status::{VaultState, VaultStatus},
};

#[doc(hidden)]
pub mod __line {
    //! What the macro [`line!`](crate::line) stands on.
    pub use tracing::{Level, event};
}
