//! A file of a project: what it wants, and whether it has a person's trust.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use provider_auth_policy::Timestamp;
use sha2::{Digest as _, Sha256};

use super::provider::ProjectProvider;
use super::trust::{TrustState, TrustedFile, TrustedFiles};
use crate::config::error::ConfigError;
use crate::config::limits::MOST_TOLD;
use crate::config::provider::Provider;

/// One file of a project.
#[derive(Clone, Debug)]
pub struct ProjectFile {
    /// Its true path.
    pub file: PathBuf,
    /// SHA-256 of its content, in hex.
    pub sha256: String,
    /// What it wants, and this content of it, in a hash: trust is good for both together.
    pub shown: String,
    /// Whether it has a person's trust.
    pub state: TrustState,
    /// What it wants that needs trust.
    pub providers: Vec<ProjectProvider>,
    pub(super) definitions: BTreeMap<String, Definition>,
}

/// A provider as a project's file defines it, or the fault of that definition.
pub(crate) type Definition = Result<Arc<Provider>, ConfigError>;

impl ProjectFile {
    /// A file that does not count, since another user may have made it.
    pub(super) fn ignored(file: PathBuf, why: &'static str) -> Self {
        Self {
            file,
            sha256: String::new(),
            shown: String::new(),
            state: TrustState::Ignored(why),
            providers: Vec::new(),
            definitions: BTreeMap::new(),
        }
    }

    /// The file as it is now, for a person to trust.
    pub(crate) fn trusted_at(&self, now: Timestamp) -> TrustedFile {
        TrustedFile {
            file: self.file.clone(),
            sha256: self.sha256.clone(),
            shown: self.shown.clone(),
            at: now,
        }
    }

    /// A file with these definitions, and the trust that it has.
    pub(super) fn of(
        file: PathBuf,
        sha256: String,
        providers: Vec<ProjectProvider>,
        definitions: BTreeMap<String, Definition>,
        trusted: &TrustedFiles,
    ) -> Self {
        let listed = serde_json::to_vec(&providers).expect("texts and lists are JSON");
        let mut hash = Sha256::new();
        hash.update(&sha256);
        hash.update(&listed);
        let shown = hex::encode(hash.finalize());
        let state = match providers.is_empty() {
            true => TrustState::Unneeded,
            false => trusted.state_of(&file, &shown),
        };
        Self {
            file,
            sha256,
            shown,
            state,
            providers,
            definitions,
        }
    }

    /// Whether it wants something that a person still has to agree to.
    #[must_use]
    pub fn asks_for_trust(&self) -> bool {
        matches!(self.state, TrustState::Untrusted | TrustState::Changed)
    }

    /// What it wants of one provider, in short, as a sentence goes on after "it wants".
    pub(crate) fn summary(&self, provider: &str) -> String {
        let Some(found) = self
            .providers
            .iter()
            .find(|known| known.provider == provider)
        else {
            return "to define it".to_owned();
        };
        let hosts = found
            .hosts
            .iter()
            .map(|host| format!("{} ({}): {}", host.origin, host.role, host.gets));
        let reads = found.reads.iter().map(|read| {
            format!(
                "to read the {} \"{}\" ({})",
                read.kind, read.name, read.role
            )
        });
        let sets = format!("to set {}", found.sets.join(", "));
        let all: Vec<String> = reads.chain(hosts).chain([sets]).collect();
        let named = all[..all.len().min(MOST_TOLD)].join("; ");
        match all.len().saturating_sub(MOST_TOLD) {
            0 => named,
            more => format!("{named}; and {more} more things"),
        }
    }
}
