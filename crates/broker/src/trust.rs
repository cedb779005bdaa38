//! What the project's files want, and a person's trust in them.

use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use crate::broker::{Broker, blocking};
use crate::config::{
    ConfigError, Origin, Project, ProjectFile, TrustState, TrustedFiles, project_places,
};
use crate::error::BrokerError;
use crate::printable::{visible, visible_text};

impl Broker {
    /// What the files of the project want now, and whether they are trusted. Reads files only; the vault stays as it is.
    pub async fn project_trust(self: &Arc<Self>) -> Result<Project, BrokerError> {
        let broker = self.clone();
        blocking(move || broker.trust_now()).await
    }

    fn trust_now(&self) -> Result<Project, BrokerError> {
        Ok(self.reconfigure()?.project.clone())
    }

    /// Keeps that a person trusts the files of the project, and has what they want take effect.
    ///
    /// `shown` names each file with the hash of what the person saw; a file that has changed since is not trusted.
    /// Without it, the files are trusted as they are.
    pub async fn trust_project(
        self: &Arc<Self>,
        shown: Option<Vec<(PathBuf, String)>>,
    ) -> Result<Project, BrokerError> {
        let broker = self.clone();
        blocking(move || broker.give_trust(shown.as_deref())).await
    }

    fn give_trust(&self, shown: Option<&[(PathBuf, String)]>) -> Result<Project, BrokerError> {
        let settings = self.reconfigure()?;
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
            let now = self.now();
            let files: Vec<_> = asking.iter().map(|file| file.trusted_at(now)).collect();
            TrustedFiles::trust(&settings.dir, &files)?;
        }
        self.trust_now()
    }

    /// Takes the trust in the files of the project back.
    pub async fn untrust_project(self: &Arc<Self>) -> Result<Project, BrokerError> {
        let broker = self.clone();
        blocking(move || broker.take_trust_back()).await
    }

    fn take_trust_back(&self) -> Result<Project, BrokerError> {
        // By place, be the file there or readable now, or not.
        TrustedFiles::untrust(&self.settings().dir, &project_places(&*self.host.env))?;
        self.trust_now()
    }

    /// Why a provider of this id is of no use.
    pub(crate) fn not_known(&self, id: &str) -> BrokerError {
        if let Some(error) = self.withheld(id) {
            return error;
        }
        let mut error = BrokerError::unknown_provider(id);
        if let BrokerError::UnknownProvider { hint, .. } = &mut error {
            let why = self.why_not_known(id);
            if !why.is_empty() {
                *hint = why;
            }
        }
        error
    }

    /// What may be the reason that a provider is not known, as a sentence goes on.
    fn why_not_known(&self, id: &str) -> String {
        let accounts = self.accounts();
        let mut of_id = accounts.entries().map(|entry| &entry.credential);
        let made_under = of_id.find_map(|credential| {
            let file = credential.belongs.project.as_deref();
            file.filter(|_| credential.provider == id)
        });
        if let Some(file) = made_under {
            return format!(
                ". Its accounts were made under the project file {}: work in that folder",
                visible_text(file)
            );
        }
        let settings = self.settings();
        let ignored = settings
            .project
            .files
            .iter()
            .find_map(|file| match file.state {
                TrustState::Ignored(why) => Some((file, why)),
                _ => None,
            });
        ignored.map_or_else(String::new, |(file, why)| {
            format!(". {} does not count: {why}", visible(&file.file))
        })
    }

    /// Why the project's file which would define this provider does not; `None` where none would.
    pub(crate) fn withheld(&self, id: &str) -> Option<BrokerError> {
        let settings = self.settings();
        let (file, made) = settings.project.claim(id)?;
        if let Err(fault) = made {
            return Some(fault.clone().into());
        }
        if self.accounts().has_own(id) {
            return Some(ConfigError::in_project(&file.file, id, TAKEN).into());
        }
        file.asks_for_trust().then(|| not_trusted(file, id))
    }

    /// The refusal of an address; where only the project's file names it, it says so.
    pub(crate) fn refused_address(&self, id: &str, url: &str, error: BrokerError) -> BrokerError {
        let settings = self.settings();
        let named = || {
            let origin = Origin::of(&Url::parse(url).ok()?)?;
            let (file, made) = settings.project.claim(id)?;
            let names = made.as_ref().ok()?.origins.contains(&origin);
            names.then_some(file)
        };
        match (error, named()) {
            (BrokerError::OriginNotAllowed(_), Some(file)) if self.accounts().has_own(id) => {
                BrokerError::OriginNotAllowed(format!(
                    "the project file {} names this address for {id}, and has no say in it: {TAKEN}",
                    visible(&file.file)
                ))
            }
            (BrokerError::OriginNotAllowed(_), Some(file)) if file.asks_for_trust() => {
                not_trusted(file, id)
            }
            (error, _) => error,
        }
    }

    /// Whether the file that an error asks trust for has it by now, as another process was told; then it is in effect.
    pub(crate) fn learn_of_trust(&self, error: &BrokerError) -> bool {
        let BrokerError::ProjectNotTrusted { file, .. } = error else {
            return false;
        };
        let settings = self.settings();
        let trusted = TrustedFiles::read(&settings.dir);
        let mut files = settings.project.files.iter();
        let is_trusted = files.any(|known| {
            known.file == *file && trusted.state_of(file, &known.shown) == TrustState::Trusted
        });
        is_trusted && self.reconfigure().is_ok()
    }
}

const TAKEN: &str = "the provider has accounts that were made without a project's file, so no project defines it; give the project's \
                     provider another id, or remove those accounts";

fn not_trusted(file: &ProjectFile, id: &str) -> BrokerError {
    BrokerError::ProjectNotTrusted {
        provider: id.to_owned(),
        file: file.file.clone(),
        changed: file.state == TrustState::Changed,
        wants: file.summary(id),
    }
}
