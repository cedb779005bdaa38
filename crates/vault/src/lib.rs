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

mod crypto;
mod error;
mod folder;
mod format;
#[cfg(test)]
mod fuzz;
mod hex;
mod keys;
pub mod limits;
mod options;
mod vault;

pub use crypto::{
    bundle::{open_bundle, seal_bundle},
    hidden::wiping_stack,
    key::Entropy,
    passphrase::is_guessable,
};
pub use error::VaultError;
pub use folder::{
    disk::Disk,
    lock_queue::RecordGuard,
    memory::Memory,
    private_file::{PrivateFileError, append_privately},
    quarantine::Quarantined,
    store::{
        Durability, Held, NetworkFolders, Privacy, Stamp, Store, Traits, authorship_fault,
        is_made_up, privacy,
    },
    watch::Watch,
};
pub use format::record::{NotARecordId, Record, RecordId};
pub use keys::finder::{KeySecrets, KeySource, NotAKeySource};
pub use options::Options;
pub use vault::{
    Vault,
    high_water::HighWater,
    init::ExistingKey,
    notes::Pending,
    slots::KeySlot,
    status::{VaultState, VaultStatus},
};
