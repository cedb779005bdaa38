//! What can go wrong with a vault, by what its owner can do about it.

use std::{io, path::PathBuf, time::Duration};

use crate::{KeySource, RecordId, keys::source::MAKE_A_KEY, limits};

/// Why the vault could not do what was asked; no message holds a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The keychain is locked, and no prompt may be shown.
    #[error(
        "the keychain is locked: unlock it (log in to the desktop, or open your password manager) and try again"
    )]
    Locked,
    /// The keychain did not answer in time; its key may still be there.
    #[error(
        "the keychain did not answer within {} ms: answer its prompt or restart it, and try again{}", .after.as_millis(), longer_wait(.after)
    )]
    KeychainTimeout {
        /// The timeout that passed.
        after: Duration,
    },
    /// This system has no keychain, or it refused.
    #[error(
        "the keychain cannot be used: {why}; start it, or set PROVIDER_AUTH_KEY_SOURCE to another key source (env, passphrase, \
         keyfile, memory)"
    )]
    KeychainUnavailable {
        /// What the keychain said.
        why: String,
    },
    /// The vault exists, but the key that opens it is not where it should be.
    #[error("{}", .key_source.when_missing())]
    KeyMissing {
        /// Where the key was looked for.
        key_source: KeySource,
    },
    /// The source that was chosen for a new key does not give one; nothing was created.
    #[error("{}", .key_source.when_new())]
    NoKeyYet {
        /// Where the key was looked for.
        key_source: KeySource,
    },
    /// A key was found, but it is not this vault's.
    #[error("{}", .key_source.when_mismatched())]
    KeyMismatch {
        /// Where the wrong key came from.
        key_source: KeySource,
    },
    /// The data key cannot be changed, because one of the slots that are to get the new one cannot
    /// be opened now.
    #[error(
        "the key of slot {slot} is needed too, and {} does not give it: pass it to the rotation, or remove the slot",
        .key_source.place()
    )]
    SlotKeyMissing {
        /// The slot's id.
        slot: String,
        /// Where its key should be.
        key_source: KeySource,
    },
    /// A new key was asked for, but the vault has one.
    #[error("{} has a key already: it can be replaced, which re-encrypts every record, or rotated", .dir.display())]
    KeyExists {
        /// The vault's folder.
        dir: PathBuf,
    },
    /// The key that was to be imported does not fit; nothing was changed.
    #[error("the imported key cannot be used: {why}")]
    ImportRefused {
        /// What is wrong with it, without quoting it.
        why: &'static str,
    },
    /// Without this slot nothing would open the vault any more; it was left.
    #[error("this is the last key slot that opens the vault: add another one first")]
    LastSlot,
    /// A host cannot join the vault, or leave it, as was asked; nothing was changed.
    #[error("the host was refused: {why}")]
    HostRefused {
        /// What is wrong, without quoting what was given.
        why: &'static str,
    },
    /// The bundle does not open with this passphrase; where the passphrase is right, its first
    /// lines are damaged.
    #[error("the passphrase does not open this bundle")]
    WrongPassphrase,
    /// The bundle is damaged, or not one that can be opened here.
    #[error("the bundle cannot be used: {why}")]
    BundleUnusable {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The passphrase for a bundle could be guessed, and nothing was sealed.
    #[error(
        "the passphrase is too easy to guess: give 12 characters or more, better four words; a common password, a repeated part, \
         a run such as 1234 or qwerty and a year count as one character; or pass allowWeakPassphrase"
    )]
    GuessablePassphrase,
    /// Something was given as a key that cannot be one.
    #[error("the key from {} cannot be used: {why}", .key_source.place())]
    KeyUnreadable {
        /// Where it came from.
        key_source: KeySource,
        /// What is wrong with it, without quoting it.
        why: &'static str,
    },
    /// There is no vault yet and no place for its key: nothing was created.
    #[error(
        "there is no vault yet, and no safe place for its key ({keychain}): start a keychain, or set PROVIDER_AUTH_KEY to a key that \
         you keep: {MAKE_A_KEY}; or set PROVIDER_AUTH_PASSPHRASE, or PROVIDER_AUTH_KEY_SOURCE to keyfile (a file beside the vault) \
         or memory (nothing is kept)"
    )]
    NoKeySource {
        /// Why the keychain would not do.
        keychain: String,
    },
    /// A record does not open; it was set aside if its lock was free.
    #[error("record {id} is damaged: log in again for this account; the others serve on")]
    Corrupt {
        /// The damaged record.
        id: RecordId,
    },
    /// The header cannot be used, and neither can its backup.
    #[error("{name} {why}: restore it from a backup; nothing was changed")]
    HeaderUnusable {
        /// Which header, as its backend names it; for a folder its path.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Something was written by a later version, or under a key that came after this vault was
    /// opened; it was not touched.
    #[error(
        "{name} was written by a newer version or under a newer key: restart with the newer version"
    )]
    NewerFormat {
        /// What, as its backend names it; for a folder its path.
        name: String,
    },
    /// The record to be replaced is gone: another thread or process removed it.
    #[error("record {id} was removed")]
    Absent {
        /// The record.
        id: RecordId,
    },
    /// Another process holds the lock and did not let go in time.
    #[error(
        "{lock} is still held by {} after {waited:?}: wait until that is done, or end that process",
        holder_name(.holder)
    )]
    Busy {
        /// The lock, as its backend names it; for a folder its path.
        lock: String,
        /// How long it was waited for.
        waited: Duration,
        /// The process that holds it, if it left its number.
        holder: Option<u32>,
    },
    /// Another machine has added a record while this one decided that there was none: decide again.
    #[error("another machine has just added an account: try again")]
    Overtaken,
    /// What keeps the vault for many machines cannot be reached, or is busy.
    #[error("the store of the vault does not answer now: ask again later")]
    StoreUnavailable {
        /// When to ask again, in ms since the Unix epoch.
        retry_at: u64,
    },
    /// What keeps the vault for many machines refuses, and asking again does not help.
    #[error("the store of the vault refuses: {why}")]
    StoreRefused {
        /// What is wrong, without a secret.
        why: String,
    },
    /// What keeps the vault for many machines has tables that this version cannot use.
    #[error("the store of the vault has schema {found}, and {wanted} is needed: {}", schema_remedy(*.found, *.wanted))]
    StoreSchema {
        /// The version that is there; 0 where there is none.
        found: u32,
        /// The version that is needed.
        wanted: u32,
    },
    /// Another user could change the folder, so it is not used.
    #[error("{} is not safe for a vault: {why}", .path.display())]
    Unsafe {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong, and what to do about it.
        why: &'static str,
    },
    /// The system refused.
    #[error("could not {operation} {}", .path.display())]
    Io {
        /// What was being done, as a verb.
        operation: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl VaultError {
    /// Tells whether a store for many machines may answer if it is asked again.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::StoreUnavailable { .. } | Self::Busy { .. })
    }

    /// Tells whether a file is longer than any of a vault: that is damage, which waiting does not
    /// mend.
    pub fn is_too_long(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::FileTooLarge)
    }

    /// Returns the stable code that JavaScript sees.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Locked => "VAULT_LOCKED",
            Self::KeychainTimeout { .. } => "KEYCHAIN_TIMEOUT",
            Self::KeychainUnavailable { .. } | Self::NoKeySource { .. } => "KEYCHAIN_UNAVAILABLE",
            Self::KeyMissing { .. } | Self::NoKeyYet { .. } | Self::SlotKeyMissing { .. } => {
                "VAULT_KEY_MISSING"
            }
            Self::KeyMismatch { .. } | Self::KeyUnreadable { .. } | Self::ImportRefused { .. } => {
                "VAULT_KEY_MISMATCH"
            }
            Self::KeyExists { .. } => "KEY_EXISTS",
            Self::LastSlot
            | Self::HostRefused { .. }
            | Self::WrongPassphrase
            | Self::BundleUnusable { .. }
            | Self::GuessablePassphrase => "INVALID_ARGUMENT",
            Self::Corrupt { .. } | Self::HeaderUnusable { .. } | Self::NewerFormat { .. } => {
                "VAULT_CORRUPT"
            }
            Self::StoreUnavailable { .. } | Self::Overtaken => "STORE_UNAVAILABLE",
            Self::StoreRefused { .. } => "STORE_REFUSED",
            Self::StoreSchema { .. } => "STORE_SCHEMA",
            Self::Absent { .. } | Self::Busy { .. } | Self::Unsafe { .. } | Self::Io { .. } => {
                "VAULT_IO"
            }
        }
    }
}

/// Why a symbolic link in a vault's folder is refused.
pub(crate) const IS_A_LINK: &str =
    "it is a symbolic link; only the vault's folder itself may be one";

/// Names what was being done to which file, for `map_err`.
pub(crate) fn io(
    operation: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> VaultError {
    move |source| {
        let path = path.into();
        if is_symlink_refusal(&source) {
            return VaultError::Unsafe {
                path,
                why: IS_A_LINK,
            };
        }
        VaultError::Io {
            operation,
            path,
            source,
        }
    }
}

#[cfg(unix)]
fn is_symlink_refusal(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::LOOP)
}

#[cfg(not(unix))]
fn is_symlink_refusal(_: &io::Error) -> bool {
    false
}

/// Says which call waits longer, where there is one.
fn longer_wait(after: &Duration) -> &'static str {
    if *after < limits::KEYCHAIN_PROMPT_TIMEOUT {
        "; a login at a display waits 60 s"
    } else {
        ""
    }
}

/// Says who can mend a schema that does not fit.
fn schema_remedy(found: u32, wanted: u32) -> &'static str {
    if found == 0 {
        "run `provider-auth store init` as the owner of the database"
    } else if found < wanted {
        "run `provider-auth store migrate` as the owner of the database"
    } else {
        "install the newer version of provider-auth"
    }
}

fn holder_name(holder: &Option<u32>) -> String {
    holder.map_or_else(
        || "another process".to_owned(),
        |pid| format!("process {pid}"),
    )
}
