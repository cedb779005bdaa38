//! Lays the layers of configuration over the built-in providers; later layers win.
//!
//! Here stands the rule that a repository one has cloned is not the user: its file chooses among
//! the accounts of known providers. What else it says is a definition of its own, which counts once
//! a person has trusted the file.

mod provider;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use provider_auth_oauth::Server;
use url::Url;

use self::provider::build;
use provider_auth_policy::Gather as _;

use super::error::ConfigError;
use super::keys::Lay as _;
use super::layer::{Layer, ProviderPatch};
use super::origin::Origin;
use super::provider::{Provenance, Provider};
use super::provider_keys::ProviderKeys;
use crate::providers;

/// What the layers make without anything that needs trust.
#[derive(Default)]
pub(super) struct WithoutTrust {
    pub(super) providers: BTreeMap<String, Arc<Provider>>,
    pub(super) selections: Selections,
}

/// How accounts are chosen of providers that no configuration defines: the accounts themselves may.
#[derive(Clone, Default)]
pub struct Selections(BTreeMap<String, Vec<ProviderPatch>>);

impl Selections {
    /// The providers that are named.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl fmt::Debug for Selections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The providers that the user's own layers define.
pub(super) fn users(layers: &[Layer]) -> BTreeSet<&str> {
    layers
        .iter()
        .filter(|layer| !layer.is_project() && !layer.dedicated)
        .flat_map(|layer| &layer.providers)
        // Which accounts serve may be said of any, also of one that only its accounts define.
        .filter(|(_, patch)| patch.defines() || patch.places.is_empty())
        .map(|(id, _)| id.as_str())
        .gather()
}

/// Makes the providers of these layers, first the weakest, but for those that have a fault. Of a
/// project's layer only what chooses among accounts is taken.
pub(super) fn merge(layers: &[Layer], faults: &mut Vec<ConfigError>) -> WithoutTrust {
    let users = users(layers);
    let mut merged: BTreeMap<String, Merged> = providers::built_in_ids()
        .map(|id| (id.to_owned(), Merged::default()))
        .gather();
    let mut selections = Selections::default();
    for layer in layers {
        for (id, patch) in &layer.providers {
            let patch = match layer.is_project() {
                true => patch.selection(),
                false => patch.clone(),
            };
            if users.contains(id.as_str()) || providers::built_in(id).is_some() {
                merged
                    .entry(id.clone())
                    .or_default()
                    .lay(patch, &layer.provenance);
            } else if !patch.places.is_empty() {
                selections.0.entry(id.clone()).or_default().push(patch);
            }
        }
    }
    let mut made = WithoutTrust {
        selections,
        ..WithoutTrust::default()
    };
    for (id, merged) in merged {
        match merged.provider(&id) {
            Ok(provider) => {
                made.providers.insert(id, Arc::new(provider));
            }
            Err(fault) => faults.push(fault),
        }
    }
    made
}

/// Makes the provider that all layers define together, the project's file `file` with all that it
/// says.
pub(super) fn definition(id: &str, layers: &[Layer], file: &Path) -> Result<Provider, ConfigError> {
    let mut merged = Merged::default();
    for layer in layers {
        if let Some(patch) = layer.providers.get(id) {
            merged.lay(patch.clone(), &layer.provenance);
        }
    }
    merged.of_project(id, file)
}

/// Makes the provider that a project's file defines by itself; the layers choose among its
/// accounts.
pub(super) fn definition_by(
    file: &Path,
    id: &str,
    patch: &ProviderPatch,
    layers: &[Layer],
) -> Result<Provider, ConfigError> {
    let mut merged = Merged::default();
    merged.lay(patch.clone(), &Provenance::Project(file.to_owned()));
    for layer in layers {
        if let Some(patch) = layer.providers.get(id) {
            merged.lay(patch.selection(), &layer.provenance);
        }
    }
    merged.of_project(id, file)
}

/// All that the layers say about one provider.
struct Merged {
    patch: ProviderPatch,
    provenance: Provenance,
}

impl Default for Merged {
    fn default() -> Self {
        Self::of(ProviderKeys::default())
    }
}

impl Merged {
    /// A provider of which these keys are known.
    fn of(keys: ProviderKeys) -> Self {
        Self {
            patch: ProviderPatch {
                keys,
                ..ProviderPatch::default()
            },
            provenance: Provenance::BuiltIn,
        }
    }

    fn lay(&mut self, later: ProviderPatch, provenance: &Provenance) {
        if later.defines() {
            self.provenance = provenance.clone();
        }
        self.patch.lay(later);
    }

    /// The provider as a project's file has a part in defining it.
    fn of_project(mut self, id: &str, file: &Path) -> Result<Provider, ConfigError> {
        self.provenance = Provenance::Project(file.to_owned());
        self.provider(id)
    }

    fn provider(self, id: &str) -> Result<Provider, ConfigError> {
        build(id, self.patch, self.provenance)
    }
}

impl Provider {
    /// A provider of which no more is known than where the credentials of its accounts may go;
    /// `None` if nowhere.
    pub(crate) fn of_accounts(
        id: &str,
        origins: BTreeSet<Origin>,
        selections: &Selections,
    ) -> Option<Self> {
        let mut merged = Merged::of(ProviderKeys {
            extends: Some(&providers::GENERIC),
            origins: Some(origins.into_iter().collect()),
            ..ProviderKeys::default()
        });
        for patch in selections.0.get(id).into_iter().flatten() {
            merged.lay(patch.clone(), &Provenance::BuiltIn);
        }
        Some(Self {
            server: Some(Server::default()),
            models_urls: Vec::new(),
            ..merged.provider(id).ok()?
        })
    }

    /// An MCP server that no configuration knows, by its address alone.
    pub(crate) fn of_mcp_server(id: &str, resource: Url) -> Result<Self, ConfigError> {
        let merged = Merged::of(ProviderKeys {
            extends: Some(&providers::MCP),
            resource: Some(resource),
            ..ProviderKeys::default()
        });
        merged.provider(id)
    }
}
