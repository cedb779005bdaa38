//! Looking at a vault without touching it.

use std::{path::PathBuf, sync::Arc};

use crate::{
    KeySlot, KeySource, Options, Quarantined, StoreStatus, Vault, VaultError,
    backend::{Backend, Engine},
    format::header::Header,
    keys::keychain::{self, Prompts},
    vault::unlock::{HEADER_COPIES, refuse_orphans, unlock},
};

/// What can be said of a vault without its key, or with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultStatus {
    /// Its folder, with links resolved where it exists.
    pub dir: PathBuf,
    /// Where its key lives, or for an empty vault would be made; never `Auto`.
    pub key_source: KeySource,
    /// First 8 hex digits of a key check value: tells two keys apart, reveals neither. Empty
    /// without a vault.
    pub key_id: String,
    /// Whether it opens.
    pub state: VaultState,
    /// The ways to its key, in the order in which they are tried, as its header has them.
    pub slots: Vec<KeySlot>,
    /// Records that were set aside because they were damaged.
    pub quarantined: Vec<Quarantined>,
    /// How its store stands; `None` where the folder is all there is.
    pub store: Option<StoreStatus>,
}

/// Whether a vault opens, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VaultState {
    /// It opens.
    Open,
    /// There is none yet.
    Empty,
    /// The keychain is locked.
    Locked,
    /// The keychain did not answer.
    Timeout,
    /// There is no keychain.
    Unavailable,
    /// Its key is not where it should be.
    KeyMissing,
    /// The key that was found is not its key.
    KeyMismatch,
}

impl Vault {
    /// Looks at a vault without creating or changing anything; also says why one does not open.
    ///
    /// An error means that not even that can be told: the folder is unsafe, unreadable, or the
    /// header is damaged.
    pub fn status(options: &Options, engine: Arc<dyn Engine>) -> Result<VaultStatus, VaultError> {
        let chosen = options.key.chosen(&options.secrets);
        let likely_source = chosen.unwrap_or(KeySource::Keychain);
        let mut status = VaultStatus {
            dir: options.dir.clone(),
            key_source: likely_source,
            key_id: String::new(),
            state: VaultState::Empty,
            slots: Vec::new(),
            quarantined: Vec::new(),
            store: None,
        };
        if options.key == KeySource::Memory {
            return Ok(status);
        }
        let Some(backend) = engine.find(options)? else {
            return Ok(status);
        };
        status.dir = backend.dir().to_owned();
        status.quarantined = backend.quarantined()?;
        let unlocked = unlock(options, &*backend);
        if let Some((header, source)) = first_readable_header(&*backend)? {
            status.key_id = header.key_id();
            status.key_source = source.unwrap_or(likely_source);
            status.slots = header.slots.iter().map(KeySlot::of).collect();
        }
        // Once it was asked all this.
        status.store = backend.store_status();
        status.state = match unlocked {
            Ok(None) => {
                refuse_orphans(&*backend)?;
                VaultState::Empty
            }
            Ok(Some(unlocked)) => {
                status.key_source = unlocked.key_source;
                VaultState::Open
            }
            Err(error) => {
                if let VaultError::KeyMismatch { key_source } = error {
                    status.key_source = key_source;
                }
                VaultState::from_error(error)?
            }
        };
        // It is the given key that does not fit, and not the one that a slot names.
        if let (VaultState::KeyMismatch, Some(chosen)) = (status.state, chosen) {
            status.key_source = chosen;
        }
        Ok(status)
    }

    /// Tells whether there is a vault, without its key. One in memory is gone with its process.
    pub fn exists(options: &Options, engine: Arc<dyn Engine>) -> Result<bool, VaultError> {
        if options.key == KeySource::Memory {
            return Ok(false);
        }
        let Some(backend) = engine.find(options)? else {
            return Ok(false);
        };
        if first_readable_header(&*backend)?.is_some() {
            return Ok(true);
        }
        refuse_orphans(&*backend)?;
        Ok(false)
    }

    /// Tells whether the keychain can be used where the key of a new vault would go there. Nothing is
    /// made, and no prompt is shown.
    pub fn place_for_key(options: &Options) -> Result<(), VaultError> {
        let is_given = options.secrets.credentials_directory.is_some();
        match options.key.chosen(&options.secrets) {
            Some(KeySource::Keychain) => {}
            None if !is_given => {}
            _ => return Ok(()),
        }
        let name = keychain::Name::key("a new vault".to_owned());
        keychain::find(&name, options.keychain_timeout, Prompts::Forbidden).map(drop)
    }

    /// Looks at this vault again as it is now: another process may have changed its key, its slots
    /// or its records.
    pub fn status_now(&self) -> Result<VaultStatus, VaultError> {
        let mut status = VaultStatus {
            dir: self.dir().to_owned(),
            key_source: self.key_source(),
            key_id: self.key_id(),
            state: VaultState::Open,
            slots: Vec::new(),
            quarantined: self.backend.quarantined()?,
            store: self.store_status(),
        };
        if let Some((header, _)) = first_readable_header(&*self.backend)? {
            status.key_id = header.key_id();
            status.slots = header.slots.iter().map(KeySlot::of).collect();
        }
        if let Err(error) = self.unlocked() {
            status.state = VaultState::from_error(error)?;
        }
        Ok(status)
    }
}

impl VaultState {
    /// Returns the state that this error of opening speaks of, or the error where it speaks of
    /// something else.
    fn from_error(error: VaultError) -> Result<Self, VaultError> {
        match error {
            VaultError::Locked => Ok(Self::Locked),
            VaultError::KeychainTimeout { .. } => Ok(Self::Timeout),
            VaultError::KeychainUnavailable { .. } => Ok(Self::Unavailable),
            VaultError::KeyMissing { .. } => Ok(Self::KeyMissing),
            VaultError::KeyMismatch { .. } | VaultError::KeyUnreadable { .. } => {
                Ok(Self::KeyMismatch)
            }
            other => Err(other),
        }
    }
}

/// Returns the header as it stands, unchecked, and the source of its first slot.
pub(super) fn first_readable_header(
    backend: &dyn Backend,
) -> Result<Option<(Header, Option<KeySource>)>, VaultError> {
    for copy in HEADER_COPIES {
        let file = backend.read_document(copy)?;
        if let Some(header) = file.and_then(|file| Header::parse(&file).ok()) {
            let source = header.slots.iter().find_map(|slot| slot.source());
            return Ok(Some((header, source)));
        }
    }
    Ok(None)
}
