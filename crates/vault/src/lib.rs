//! Keeps sealed records and their key safe across threads, processes and crashes; knows no provider.
//!
//! A vault is a folder with one encrypted file per record. Writes are durable and whole, a record's kernel lock is the right to
//! write it, and its key lives elsewhere: in the keychain, in the environment, behind a passphrase. Every call blocks.
//!
//! ```
//! # fn os_entropy(bytes: &mut [u8]) { bytes.fill(7) }
//! # let folder = tempfile::tempdir()?;
//! # let dir = folder.path().join("vault");
//! use std::sync::Arc;
//! use provider_auth_vault::{Disk, KeySource, Options, Vault};
//!
//! let options = Options { key: KeySource::Keyfile, ..Options::new(dir) };
//! let vault = Vault::open(options, Arc::new(Disk), Arc::new(os_entropy))?;
//! let (id, _) = vault.create(1, b"a refresh token")?;
//!
//! let guard = vault.lock(&id)?;
//! let generation = vault.replace(&guard, b"the next refresh token")?;
//! assert_eq!(generation, 2);
//! assert_eq!(vault.read(&id)?.expect("it was just written").plaintext(), b"the next refresh token");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bundle;
mod cache;
mod disk;
mod error;
#[cfg(test)]
mod fuzz;
mod header;
mod hex;
mod hidden;
mod high_water;
mod init;
mod key;
mod keychain;
pub mod limits;
mod lock;
mod memory;
mod moved;
mod notes;
mod options;
mod passphrase;
mod platform;
mod private;
mod quarantine;
mod record;
mod records;
mod ring;
mod rotate;
mod slot;
mod slots;
mod source;
mod status;
mod store;
mod unlock;
mod vault;
mod watch;

pub use bundle::{open_bundle, seal_bundle};
pub use disk::Disk;
pub use error::VaultError;
pub use hidden::wiping_stack;
pub use high_water::HighWater;
pub use init::ExistingKey;
pub use key::Entropy;
pub use lock::RecordGuard;
pub use memory::Memory;
pub use notes::Pending;
pub use options::Options;
pub use passphrase::is_guessable;
pub use private::{PrivateFileError, append_privately};
pub use quarantine::Quarantined;
pub use record::{NotARecordId, Record, RecordId};
pub use slots::KeySlot;
pub use source::{KeySecrets, KeySource, NotAKeySource};
pub use status::{VaultState, VaultStatus};
pub use store::{
    Durability, Held, NetworkFolders, Privacy, Stamp, Store, Traits, authorship_fault, is_made_up,
    privacy,
};
pub use vault::Vault;
pub use watch::Watch;
