//! What the project's files want, and a person's trust in them.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{Project, ProjectFile, TrustedFiles, project_places};
use crate::error::BrokerError;
use crate::host::blocking;
use crate::printable::visible;
use crate::store::Store;

/// What a person trusts the project's files with.
pub(crate) struct ProjectTrust {
    store: Arc<Store>,
}

impl ProjectTrust {
    pub(crate) fn new(store: Arc<Store>) -> Arc<Self> {
        Arc::new(Self { store })
    }

    /// What the files of the project want now, and whether they are trusted. Reads files only; the
    /// vault stays as it is.
    pub(crate) async fn project_trust(self: &Arc<Self>) -> Result<Project, BrokerError> {
        let trust = self.clone();
        blocking(move || trust.trust_now()).await
    }

    fn trust_now(&self) -> Result<Project, BrokerError> {
        Ok(self.store.reconfigure()?.project.clone())
    }

    /// Keeps that a person trusts the files of the project, and has what they want take effect.
    ///
    /// `shown` names each file with the hash of what the person saw; a file that has changed since
    /// is not trusted. Without it, the files are trusted as they are.
    pub(crate) async fn trust_project(
        self: &Arc<Self>,
        shown: Option<Vec<(PathBuf, String)>>,
    ) -> Result<Project, BrokerError> {
        let trust = self.clone();
        blocking(move || trust.give_trust(shown.as_deref())).await
    }

    fn give_trust(&self, shown: Option<&[(PathBuf, String)]>) -> Result<Project, BrokerError> {
        let settings = self.store.reconfigure()?;
        let files = settings.project.files.iter();
        let asking: Vec<ProjectFile> = files
            .filter(|file| file.asks_for_trust())
            .cloned()
            .collect();
        for file in &asking {
            let was_shown = shown.is_none_or(|shown| {
                shown
                    .iter()
                    .any(|(path, hash)| *path == file.file && *hash == file.shown)
            });
            if !was_shown {
                return Err(BrokerError::InvalidArgument(format!(
                    "shown: {} is not as it was shown, so it was not trusted; look at it again with projectTrust()",
                    visible(&file.file)
                )));
            }
            if file.file.to_str().is_none() {
                return Err(BrokerError::InvalidArgument(
                    "the path of the project's file is not Unicode, so it cannot be trusted; move the project".to_owned(),
                ));
            }
        }
        if !asking.is_empty() {
            let now = self.store.now();
            let files: Vec<_> = asking.iter().map(|file| file.trusted_at(now)).collect();
            TrustedFiles::trust(&settings.dir, &files)?;
        }
        self.trust_now()
    }

    /// Takes the trust in the files of the project back.
    pub(crate) async fn untrust_project(self: &Arc<Self>) -> Result<Project, BrokerError> {
        let trust = self.clone();
        blocking(move || trust.take_trust_back()).await
    }

    fn take_trust_back(&self) -> Result<Project, BrokerError> {
        // By place, be the file there or readable now, or not.
        TrustedFiles::untrust(
            &self.store.settings().dir,
            &project_places(&*self.store.host.env),
        )?;
        self.trust_now()
    }
}
