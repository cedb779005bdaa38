//! Why a provider is not known: a file of the project may say what it is, and have no say in it.

use url::Url;

use super::Store;
use crate::config::{ConfigError, Origin, ProjectFile, TrustState, TrustedFiles};
use crate::error::BrokerError;
use crate::printable::{visible, visible_text};

impl Store {
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
            let file = credential.audience.project.as_deref();
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

    /// Whether the file that an error asks trust for has it by now, as another process was told;
    /// then it is in effect.
    pub(crate) fn learn_of_trust(&self, error: &BrokerError) -> bool {
        let BrokerError::ProjectNotTrusted { file, .. } = error else {
            return false;
        };
        let settings = self.settings();
        let trusted = TrustedFiles::read(&settings.dir, &mut Vec::new());
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
