//! What the files of a project want that needs trust, and whether they have it.
//!
//! Such a file is anybody's. What it wants is worked out as it would take effect, with the endpoints of the merged provider
//! and true paths, and a person is shown that. Their trust is good for this very content and this very list.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::error::{ConfigError, Place};
use super::limits::MOST_TOLD;
use super::merge::{self, Own};
use super::oci;
use super::provider::{Provenance, Provider};
use super::reading::Reading;
use super::schema::ProviderPatch;
use super::trust::TrustedFiles;
use super::values::{hex, hint};
use super::wants::{Want, want};
use crate::host::Env;
use crate::providers;

/// The files of the project in which the process works.
#[derive(Clone, Debug, Default)]
pub struct Project {
    /// Each of them that is there.
    pub files: Vec<ProjectFile>,
}

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
    pub wants: Vec<Want>,
    definitions: BTreeMap<String, Definition>,
}

/// A provider as a project's file would have it, or what is wrong with that.
pub(crate) type Definition = Result<Arc<Provider>, ConfigError>;

/// Whether a project's file has a person's trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustState {
    /// It wants nothing that needs trust.
    Unneeded,
    /// Never given: what it wants has no effect.
    Untrusted,
    /// Given to another content of the file, or for less than it wants now: what it wants has no effect.
    Changed,
    /// Given: what it wants is in effect.
    Trusted,
    /// Somebody else may have made the file, so that it does not count at all.
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

impl ProjectFile {
    /// A file that does not count, since somebody else may have made it.
    pub(super) fn ignored(file: PathBuf, why: &'static str) -> Self {
        Self {
            file,
            sha256: String::new(),
            shown: String::new(),
            state: TrustState::Ignored(why),
            wants: Vec::new(),
            definitions: BTreeMap::new(),
        }
    }

    /// A file with these definitions, and the trust that it has.
    pub(super) fn of(
        file: PathBuf,
        sha256: String,
        wants: Vec<Want>,
        definitions: BTreeMap<String, Definition>,
        trusted: &TrustedFiles,
    ) -> Self {
        let listed = serde_json::to_vec(&wants).expect("texts and lists are JSON");
        let mut hash = Sha256::new();
        hash.update(&sha256);
        hash.update(&listed);
        let shown = hex(&hash.finalize());
        let state = match wants.is_empty() {
            true => TrustState::Unneeded,
            false => trusted.state_of(&file, &shown),
        };
        Self {
            file,
            sha256,
            shown,
            state,
            wants,
            definitions,
        }
    }

    /// Whether it wants something that a person still has to agree to.
    #[must_use]
    pub fn asks(&self) -> bool {
        matches!(self.state, TrustState::Untrusted | TrustState::Changed)
    }

    /// What it wants of one provider, as a sentence goes on after "it wants".
    pub(crate) fn told(&self, provider: &str) -> String {
        let Some(want) = self.wants.iter().find(|want| want.provider == provider) else {
            return "to define it".to_owned();
        };
        let hosts = want
            .hosts
            .iter()
            .map(|host| format!("{} ({}): {}", host.origin, host.role, host.gets));
        let reads = want.reads.iter().map(|read| {
            format!(
                "to read the {} \"{}\" ({})",
                read.kind, read.name, read.role
            )
        });
        let sets = format!("to set {}", want.sets.join(", "));
        let all: Vec<String> = reads.chain(hosts).chain([sets]).collect();
        let told = all[..all.len().min(MOST_TOLD)].join("; ");
        match all.len().saturating_sub(MOST_TOLD) {
            0 => told,
            more => format!("{told}; and {more} things more"),
        }
    }
}

impl Project {
    /// What the project's files want beyond choosing among accounts, and whether a person agreed. What has no effect is a warning.
    pub(super) fn of(
        reading: &mut Reading,
        own: &Own,
        trusted: &TrustedFiles,
        barred: &Arc<[PathBuf]>,
        env: &dyn Env,
    ) -> Self {
        let Reading {
            layers,
            oci,
            project_oci,
            hashes,
            ignored,
            warnings,
            ..
        } = reading;
        let users = merge::users(layers);
        let is_known = |id: &str| users.contains(id) || providers::built_in(id).is_some();
        let projects = layers.iter().filter(|layer| merge::is_project(layer));
        for patch in projects.flat_map(|layer| layer.providers.values()) {
            let place = patch.keys.get("rotation").unwrap_or(&patch.place);
            if patch.rotation.rotate == Some(true) && !patch.defines() {
                let why = "rotate: no effect, since a project's file may keep logins apart, and not let them stand in for one another";
                warnings.push(place.fault(why).to_string());
            }
        }
        let mut files = Vec::new();
        let mut add = |file: &Path, mut made: Vec<(String, Vec<&'static str>, Made)>| {
            for (_, _, made) in &mut made {
                if let Ok(provider) = made {
                    provider.bar(barred);
                }
            }
            let wanted = |(id, sets, made): &(String, Vec<_>, Made)| {
                Some(want(made.as_ref().ok()?, is_known(id), sets.clone(), env))
            };
            let wants = made.iter().filter_map(wanted).collect();
            let faults = made.iter().filter_map(|(_, _, made)| made.as_ref().err());
            warnings.extend(faults.map(ToString::to_string));
            let made_well = made.iter().filter_map(|(_, _, made)| made.as_ref().ok());
            // What the user's own files say is told there.
            let idle = made_well.flat_map(|provider| &provider.idle);
            let own = idle.filter(|idle| idle.file.as_deref() == Some(file));
            warnings.extend(own.map(ToString::to_string));
            let definitions = made
                .into_iter()
                .map(|(id, _, made)| (id, made.map(Arc::new)))
                .collect();
            let hash = hashes.get(file).cloned().unwrap_or_default();
            files.push(ProjectFile::of(
                file.to_owned(),
                hash,
                wants,
                definitions,
                trusted,
            ));
        };
        let sets = |patch: &ProviderPatch| patch.keys.keys().copied().collect();
        for layer in layers.iter() {
            let Provenance::Project(file) = &layer.provenance else {
                continue;
            };
            let defining = layer.providers.iter().filter(|(_, patch)| patch.defines());
            let made = defining.map(|(id, patch)| {
                let made = merge::definition(id, layers, oci, file);
                (id.clone(), sets(patch), made)
            });
            add(file, made.collect());
        }
        if let Some(found) = project_oci
            && let (Provenance::Project(file), Ok(patch)) = (&found.provenance, &found.provider)
        {
            let made = match users.contains(oci::PROVIDER) {
                true => Err(Place::file(file).fault(
                    "your own configuration sets oci-oidc, and a project file may not change that; remove one of the two",
                )),
                false => merge::oci_definition(patch, layers, file),
            };
            add(file, vec![(oci::PROVIDER.to_owned(), sets(patch), made)]);
        }
        let known: Vec<&str> = own.providers.keys().map(String::as_str).collect();
        let defined = |id: &str| files.iter().any(|file| file.definitions.contains_key(id));
        for id in own.selections.ids().filter(|id| !defined(id)) {
            warnings.push(format!(
                "providers.{id}: not defined anywhere, so this is of use only to accounts that say themselves where they belong{}",
                hint(id, &known)
            ));
        }
        for file in files.iter().filter(|file| file.asks()) {
            let ids: Vec<&str> = file.wants.iter().map(|want| &*want.provider).collect();
            let why = format!(
                "not trusted, so what it says of {} has no effect, save how accounts are chosen; projectTrust() shows what it wants",
                ids.join(", ")
            );
            warnings.push(Place::file(&file.file).fault(why).to_string());
        }
        let ignored = ignored.iter();
        files.extend(ignored.map(|(file, why)| ProjectFile::ignored(file.clone(), why)));
        Self { files }
    }

    /// The definition of a provider by a file that has a person's trust.
    pub(crate) fn definition(&self, id: &str) -> Option<&Definition> {
        self.trusted().find_map(|file| file.definitions.get(id))
    }

    /// The providers that a trusted file defines.
    pub(crate) fn defined(&self) -> impl Iterator<Item = &str> {
        self.trusted()
            .flat_map(|file| file.definitions.keys().map(String::as_str))
    }

    /// Every definition of the project's files, trusted or not.
    pub(super) fn definitions(&self) -> impl Iterator<Item = &Arc<Provider>> {
        let definitions = self.files.iter().flat_map(|file| file.definitions.values());
        definitions.filter_map(|made| made.as_ref().ok())
    }

    fn trusted(&self) -> impl Iterator<Item = &ProjectFile> {
        self.files
            .iter()
            .filter(|file| file.state == TrustState::Trusted)
    }

    /// The file that defines this provider, or would with a person's trust, and its definition.
    pub(crate) fn claim(&self, id: &str) -> Option<(&ProjectFile, &Definition)> {
        self.files
            .iter()
            .find_map(|file| Some((file, file.definitions.get(id)?)))
    }
}

/// A definition as it was just made.
type Made = Result<Provider, ConfigError>;
