//! Which files of projects a person has trusted: kept in the vault's folder, which is the user's own.

use std::path::{Path, PathBuf};

use provider_auth_policy::Timestamp;
use provider_auth_vault::{
    Disk, Durability, NetworkFolders, Store as _, VaultError, authorship_fault,
};
use serde::{Deserialize, Serialize};

use super::project::{ProjectFile, TrustState};

const FILE: &str = "trust.json";

/// The files that a person has trusted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct TrustedFiles {
    #[serde(default)]
    files: Vec<TrustedFile>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct TrustedFile {
    file: PathBuf,
    sha256: String,
    /// Of what was shown before.
    shown: String,
    at: Timestamp,
}

impl TrustedFiles {
    /// Reads what is kept in this folder. What cannot be read, or may be of another's making, counts as no trust.
    pub(crate) fn read(dir: &Path) -> Self {
        let read = || -> Option<Self> {
            let dir = Disk.resolve(dir, NetworkFolders::Allowed).ok()??;
            let file = dir.join(FILE);
            let metadata = std::fs::symlink_metadata(&file).ok()?;
            if let Some(why) = authorship_fault(&metadata, None) {
                tracing::warn!(file = %file.display(), why, "no project file is trusted");
                return None;
            }
            match serde_json::from_slice(&Disk.read(&file).ok()??) {
                Ok(trusted) => Some(trusted),
                Err(error) => {
                    tracing::warn!(file = %file.display(), %error, "damaged, so no project file is trusted");
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

    /// Keeps that these files are trusted as they were shown.
    pub(crate) fn trust(
        dir: &Path,
        files: &[ProjectFile],
        now: Timestamp,
    ) -> Result<(), VaultError> {
        Self::change(dir, |trusted| {
            for file in files {
                trusted.files.retain(|other| other.file != file.file);
                trusted.files.push(TrustedFile {
                    file: file.file.clone(),
                    sha256: file.sha256.clone(),
                    shown: file.shown.clone(),
                    at: now,
                });
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
        let mut trusted = Self::read(&dir);
        change(&mut trusted);
        let text = serde_json::to_vec_pretty(&trusted).expect("paths were checked to be Unicode");
        Disk.replace(&dir.join(FILE), &text, Durability::Durable)
            .map_err(failed("write"))
    }
}
