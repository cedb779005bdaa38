//! What the files of a project want that needs trust, and whether they have it.
//!
//! Anyone may have written such a file. What it wants is worked out as it would take effect, with
//! the endpoints of the merged provider and true paths, and a person is shown that. Their trust is
//! good for this very content and this very list.

mod file;
mod provider;
mod trust;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use self::file::Definition;
use self::provider::disclosed;
use provider_auth_policy::Gather as _;

use super::error::{ConfigError, Place};
use super::layer::Layer;
use super::merge::{self, WithoutTrust};
use super::provider::{Provenance, Provider};
use super::sources::Sources;
use super::suggestion::hint;
use crate::host::Env;
use crate::providers;

pub use file::ProjectFile;
pub use provider::{HostUse, ProjectProvider, SecretUse};
pub use trust::TrustState;
pub(crate) use trust::TrustedFiles;

/// The files of the project in which the process works.
#[derive(Clone, Debug, Default)]
pub struct Project {
    /// Each of them that is there.
    pub files: Vec<ProjectFile>,
}

impl Project {
    /// What the project's files want beyond choosing among accounts, and whether a person agreed.
    /// What has no effect is a warning.
    pub(super) fn of(
        sources: &mut Sources,
        untrusted: &WithoutTrust,
        trusted: &TrustedFiles,
        protected: &Arc<[PathBuf]>,
        env: &dyn Env,
    ) -> Self {
        let Sources {
            layers,
            project_definitions,
            hashes,
            ignored,
            warnings,
            ..
        } = sources;
        let users = merge::users(layers);
        let is_known = |id: &str| users.contains(id) || providers::built_in(id).is_some();
        warnings.extend(vain_rotations(layers));
        let mut files = Vec::new();
        for layer in layers.iter().chain(&*project_definitions) {
            let Provenance::Project(file) = &layer.provenance else {
                continue;
            };
            let (mut wanted, mut definitions) = (Vec::new(), BTreeMap::new());
            for (id, patch) in layer.providers.iter().filter(|(_, patch)| patch.defines()) {
                let mut made = match layer.dedicated {
                    true if users.contains(id.as_str()) => Err(Place::file(file).fault(format!(
                        "your own configuration sets {id}, and a project file may not change \
                             that; remove one of the two"
                    ))),
                    true => merge::definition_by(file, id, patch, layers),
                    false => merge::definition(id, layers, file),
                };
                match &mut made {
                    Ok(provider) => {
                        provider.protect(protected);
                        let names = patch.names().collect();
                        wanted.push(disclosed(provider, is_known(id), names, env));
                        // Those of the user's own files are warned of already.
                        let unused = provider.unused_keys.iter();
                        let unused = unused.filter(|key| key.file.as_ref() == Some(file));
                        warnings.extend(unused.cloned());
                    }
                    Err(fault) => warnings.push(fault.clone()),
                }
                definitions.insert(id.clone(), made.map(Arc::new));
            }
            let (file, hash) = (file.clone(), hashes.get(file).cloned().unwrap_or_default());
            files.push(ProjectFile::of(file, hash, wanted, definitions, trusted));
        }
        let known: Vec<&str> = untrusted.providers.keys().map(String::as_str).collect();
        let defined = |id: &str| files.iter().any(|file| file.definitions.contains_key(id));
        for id in untrusted.selections.ids().filter(|id| !defined(id)) {
            let place = Place::default().key("providers").key(id);
            warnings.push(place.fault(format!(
                "not defined anywhere, so this is of use only to accounts that say themselves \
                 where they belong{}",
                hint(id, &known)
            )));
        }
        for file in files.iter().filter(|file| file.asks_for_trust()) {
            let ids: Vec<&str> = file
                .providers
                .iter()
                .map(|known| &*known.provider)
                .collect();
            let why = format!(
                "not trusted, so what it says of {} has no effect, save how accounts are chosen; \
                 projectTrust() shows what it wants",
                ids.join(", ")
            );
            warnings.push(Place::file(&file.file).fault(why));
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

    /// The ids that the configuration names, of the project's files only as far as they count.
    pub(super) fn named(&self, sources: &Sources) -> BTreeSet<String> {
        let counts = |provenance: &Provenance| match provenance {
            Provenance::Project(path) => self.files.iter().any(|file| {
                let counts = matches!(file.state, TrustState::Unneeded | TrustState::Trusted);
                file.file == *path && counts
            }),
            _ => true,
        };
        let layers = sources.layers.iter().chain(&sources.project_definitions);
        let layers = layers.filter(|layer| counts(&layer.provenance));
        layers.flat_map(Layer::names).map(str::to_owned).gather()
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

/// A warning for each `rotate` of a project's file that lets logins stand in for one another.
fn vain_rotations(layers: &[Layer]) -> impl Iterator<Item = ConfigError> {
    let projects = layers.iter().filter(|layer| layer.is_project());
    let patches = projects.flat_map(|layer| layer.providers.values());
    let vain = patches.filter(|patch| patch.keys.rotation.rotate == Some(true) && !patch.defines());
    vain.map(|patch| {
        let why = "rotate: no effect, since a project's file may keep logins apart, and not let \
                   them stand in for one another";
        patch.place_of("rotation").fault(why)
    })
}
