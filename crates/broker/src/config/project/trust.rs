//! Which files of projects a person has trusted: kept in the vault's folder, which is the user's
//! own.

use std::path::{Path, PathBuf};

use provider_auth_policy::Timestamp;
use provider_auth_vault::{
    Disk, Durability, NetworkFolders, Store as _, VaultError, authorship_fault,
};
use serde::{Deserialize, Serialize};

use crate::config::error::{ConfigError, Place};
use crate::printable::visible;

const FILE: &str = "trust.json";

/// Whether a project's file has a person's trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustState {
    /// Nothing in it needs trust.
    Unneeded,
    /// Never given: what it wants has no effect.
    Untrusted,
    /// Given to another content of the file, or for less than it wants now: what it wants has no
    /// effect.
    Changed,
    /// Given: what it wants is in effect.
    Trusted,
    /// Another user may have made the file, so that it does not count at all.
    Ignored(&'static str),
}

impl TrustState {
    /// The name in JavaScript.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unneeded => "unneeded",
            Self::Untrusted => "untrusted",
            Self::Changed => "changed",
            Self::Trusted => "trusted",
            Self::Ignored(_) => "ignored",
        }
    }
}

/// The files that a person has trusted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct TrustedFiles {
    #[serde(default)]
    files: Vec<TrustedFile>,
}

/// A file as it was when a person trusted it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TrustedFile {
    /// Its true path.
    pub(crate) file: PathBuf,
    /// SHA-256 of its content, in hex.
    pub(crate) sha256: String,
    /// A hash of what was shown before.
    pub(crate) shown: String,
    /// When.
    pub(crate) at: Timestamp,
}

impl TrustedFiles {
    /// Reads what is kept in this folder. What cannot be read, or may have been written by another
    /// user, counts as no trust, and `warnings` gets why.
    pub(crate) fn read(dir: &Path, warnings: &mut Vec<ConfigError>) -> Self {
        let mut read = || -> Option<Self> {
            let dir = Disk.resolve(dir, NetworkFolders::Allowed).ok()??;
            let file = dir.join(FILE);
            let metadata = std::fs::symlink_metadata(&file).ok()?;
            if let Some(why) = authorship_fault(&metadata, None) {
                warnings.push(Place::default().fault(format!(
                    "no project file is trusted: {} {why}",
                    visible(&file)
                )));
                return None;
            }
            match serde_json::from_slice(&Disk.read(&file).ok()??) {
                Ok(trusted) => Some(trusted),
                Err(error) => {
                    warnings.push(Place::default().fault(format!(
                        "no project file is trusted: {} is damaged: {error}",
                        visible(&file)
                    )));
                    None
                }
            }
        };
        read().unwrap_or_default()
    }

    /// Whether a file that asks for trust, with this list of what it wants, has it.
    pub(crate) fn state_of(&self, file: &Path, shown: &str) -> TrustState {
        match self.files.iter().find(|trusted| trusted.file == file) {
            Some(trusted) if trusted.shown == shown => TrustState::Trusted,
            Some(_) => TrustState::Changed,
            None => TrustState::Untrusted,
        }
    }

    /// Keeps that these files are trusted.
    pub(crate) fn trust(dir: &Path, files: &[TrustedFile]) -> Result<(), VaultError> {
        Self::change(dir, |trusted| {
            for file in files {
                trusted.files.retain(|other| other.file != file.file);
                trusted.files.push(file.clone());
            }
        })
    }

    /// Takes trust back.
    pub(crate) fn untrust(dir: &Path, files: &[PathBuf]) -> Result<(), VaultError> {
        Self::change(dir, |trusted| {
            trusted.files.retain(|other| !files.contains(&other.file));
        })
    }

    fn change(dir: &Path, change: impl FnOnce(&mut Self)) -> Result<(), VaultError> {
        let failed = |operation: &'static str| {
            let path = dir.join(FILE);
            move |source| VaultError::Io {
                operation,
                path,
                source,
            }
        };
        Disk.create_folder(&dir.join("lock"))
            .map_err(failed("create"))?;
        let Some(dir) = Disk.resolve(dir, NetworkFolders::Allowed)? else {
            return Err(failed("open")(std::io::ErrorKind::NotFound.into()));
        };
        let _held = Disk
            .lock(&dir.join("lock").join("trust.lock"))
            .map_err(failed("lock"))?;
        let mut trusted = Self::read(&dir, &mut Vec::new());
        change(&mut trusted);
        let text = serde_json::to_vec_pretty(&trusted).expect("paths were checked to be Unicode");
        Disk.replace(&dir.join(FILE), &text, Durability::Durable)
            .map_err(failed("write"))
    }
}
