//! Reads the configuration: built-in providers, `oci-auth.config.jsonc`, the user's file, the
//! project's file, the environment, `configure`.
//!
//! Later ones win. Everything is checked here, once, and handed on as types that need no second
//! look; a fault names its file, line, column and JSON path. Anyone may have written a project's
//! file, so it chooses among accounts; what else it wants waits for a person's trust.

mod choices;
mod dialect;
mod error;
mod inline;
mod keys;
mod layer;
mod limits;
mod log;
mod merge;
mod method;
mod oci;
mod origin;
mod parameters;
mod paths;
mod project;
mod provider;
mod provider_keys;
mod report;
mod rotation;
mod secret;
mod sources;
mod store;
mod store_url;
mod suggestion;
mod tree;
mod unused_keys;
mod user_keys;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use provider_auth_vault::{KeySecrets, KeySource};
use secrecy::SecretString;

pub use error::ConfigError;
pub use inline::Inline;
use log::LOG_LEVELS;
pub use log::{LogLevel, LogSettings};
pub use merge::Selections;
pub use method::Method;
pub(crate) use origin::mcp_server;
pub use origin::{BadUrl, Origin};
pub(crate) use project::TrustedFiles;
pub use project::{HostUse, Project, ProjectFile, ProjectProvider, SecretUse, TrustState};
pub(crate) use provider::DEFAULT_NAMESPACE;
pub use provider::{Grant, HeaderTemplate, Provenance, Provider};
pub use report::{
    ConfigReport, FileKind, FileReport, FileState, ProviderReport, ProviderValue, Setting,
    ValueSource, Variable, inspect,
};
pub use rotation::RequestRotation;
pub(crate) use secret::OWN_VARIABLES;
pub use secret::{SecretRef, SecretSource, resolve_secret};
pub use store::StoreSettings;
pub use store_url::StoreUrl;
pub use suggestion::suggestion;
pub use tree::{Content, Entry, Node, parse_jsonc};
pub(crate) use values::{NAME_RULE, is_name};

use crate::host::Env;
pub use crate::providers::CredentialForm;
use choices::{FLAGS, KEY_SOURCES};
use error::Place;
use layer::Layer;
pub(crate) use paths::{data_home, expand, variable};
use sources::Sources;
use store_url::Kept;
use values::one_of;

/// Whether what happens is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Counting {
    /// It is, and added to the file.
    #[default]
    On,
    /// Not by this process.
    Off,
    /// Not at all: the user's file says so, and what was counted is removed.
    Removed,
}

/// Everything that is configured.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Folder of the vault.
    pub dir: PathBuf,
    /// Where the vault key lives.
    pub key_source: KeySource,
    /// Whether the folder may be on a network file system.
    pub allow_network_fs: bool,
    /// What the environment says about the vault key; `OPENCODE_VAULT_KEY` stands in for
    /// `PROVIDER_AUTH_KEY`.
    pub key: KeySecrets,
    /// The vault for many machines that stands in for the folder's, if one is configured.
    pub store: Option<StoreSettings>,
    /// How long API keys serve while that store is away.
    pub offline: Duration,
    /// What is logged, and where.
    pub log: LogSettings,
    /// Whether what happens is counted.
    pub(crate) counting: Counting,
    /// Every provider that is built in or that the user configured, by id.
    pub providers: BTreeMap<String, Arc<Provider>>,
    /// How accounts of other providers are chosen.
    pub selections: Selections,
    /// The ids that the configuration names: a file of the user's, `configure`, a file of the
    /// project unless it lacks a person's trust.
    pub named: BTreeSet<String>,
    /// The files of the project, and what they want.
    pub project: Project,
    /// What is odd and does not keep the configuration from use, such as unknown keys.
    pub warnings: Vec<String>,
    /// The user's own config file, there or not, where a place for it is known.
    pub user_file: Option<PathBuf>,
}

/// Reads the whole configuration.
pub fn load(env: &dyn Env, inline: &Inline) -> Result<Settings, ConfigError> {
    check(inline)?;
    let mut sources = Sources::read(env, inline).without_fault()?;

    let path = |inline: Option<&PathBuf>, name: &str| {
        let named = inline.cloned().or_else(|| paths::named(env, name));
        named.map(|path| expand(env, &path))
    };
    let secret = |name: &str| variable(env, name).map(SecretString::from);
    let dir = paths::data_dir(env, inline.dir.as_deref())?;
    let mut faults = Vec::new();
    let untrusted = merge::merge(&sources.layers, &mut faults);
    if let Some(fault) = faults.into_iter().next() {
        return Err(fault);
    }
    let unused = untrusted
        .providers
        .values()
        .flat_map(|known| &known.unused_keys);
    sources.warnings.extend(unused.cloned());
    let passphrase_file = path(None, "PROVIDER_AUTH_PASSPHRASE_FILE");
    let store = store::settings(env, inline, &sources.layers)?;
    let store_password = store
        .as_ref()
        .and_then(|store| store.password_file.as_deref());
    let protected = paths::ours(&dir, [passphrase_file.as_deref(), store_password]);
    let trusted = TrustedFiles::read(&dir, &mut sources.warnings);
    let project = Project::of(&mut sources, &untrusted, &trusted, &protected, env);
    let named = project.named(&sources);
    Ok(Settings {
        dir,
        key_source: choice(
            env,
            inline.key_source.as_deref(),
            "keySource",
            "PROVIDER_AUTH_KEY_SOURCE",
            KEY_SOURCES,
        )?
        .unwrap_or(KeySource::Auto),
        allow_network_fs: match inline.allow_network_fs {
            Some(allowed) => allowed,
            None => {
                choice(env, None, "", "PROVIDER_AUTH_ALLOW_NETWORK_FS", FLAGS)?.unwrap_or_default()
            }
        },
        key: KeySecrets {
            key: secret("PROVIDER_AUTH_KEY").or_else(|| secret("OPENCODE_VAULT_KEY")),
            passphrase: secret("PROVIDER_AUTH_PASSPHRASE"),
            passphrase_file,
            credentials_directory: path(None, "CREDENTIALS_DIRECTORY"),
        },
        store,
        offline: offline(&sources.layers),
        log: LogSettings {
            level: choice(
                env,
                inline.log_level.as_deref(),
                "log.level",
                "PROVIDER_AUTH_LOG",
                LOG_LEVELS,
            )?
            .unwrap_or(sources.log.level),
            file: path(inline.log_file.as_ref(), "PROVIDER_AUTH_LOG_FILE")
                .or_else(|| sources.log.file.map(|file| expand(env, &file))),
        },
        counting: counting(&sources.layers),
        providers: untrusted.providers,
        selections: untrusted.selections,
        named,
        project,
        warnings: sources.warnings.iter().map(ToString::to_string).collect(),
        user_file: sources.user_file,
    })
}

/// Whether what happens is counted: as the last layer has it that says so.
fn counting(layers: &[Layer]) -> Counting {
    let says = |layer: &Layer| layer.user_keys.stats.as_ref().map(|(counts, _)| *counts);
    let said = |layer: &&Layer| says(layer) == Some(false);
    match layers.iter().rev().find_map(says) {
        None | Some(true) => Counting::On,
        Some(false) => match layers.iter().find(said).map(|layer| &layer.provenance) {
            Some(Provenance::User(_)) => Counting::Removed,
            _ => Counting::Off,
        },
    }
}

/// How long API keys serve without their store: as the last layer has it that says so.
fn offline(layers: &[Layer]) -> Duration {
    let said = |layer: &Layer| layer.user_keys.offline.as_ref().map(|(span, _)| *span);
    layers
        .iter()
        .rev()
        .find_map(said)
        .unwrap_or(limits::OFFLINE)
}

/// Checks the options of `configure` by themselves, without reading anything else.
pub fn check(inline: &Inline) -> Result<(), ConfigError> {
    let mut sources = Sources::default();
    sources.inline(inline);
    sources.without_fault()?;
    if let Some(name) = &inline.key_source {
        one_of(&Place::option("keySource"), name, KEY_SOURCES)?;
    }
    if let Some(text) = &inline.store {
        StoreUrl::read(text, Kept::InWriting, &Place::option("store"))?;
    }
    if let Some(name) = &inline.log_level {
        one_of(&Place::option("log.level"), name, LOG_LEVELS)?;
    }
    Ok(())
}

impl Settings {
    /// Every provider that is defined anywhere, be it in effect or not.
    pub(crate) fn definitions(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values().chain(self.project.definitions())
    }

    /// The provider as a trusted file of the project defines it, else as it is built in or
    /// configured. `has_own_accounts`: it has accounts that were made without a project, so that no
    /// project may define it.
    pub(crate) fn provider(
        &self,
        id: &str,
        has_own_accounts: impl FnOnce() -> bool,
    ) -> Option<Result<Arc<Provider>, ConfigError>> {
        match self.project.definition(id) {
            Some(made) if !has_own_accounts() => Some(made.clone()),
            _ => self.providers.get(id).cloned().map(Ok),
        }
    }
}

/// The true paths of all files that may be the project's.
pub(crate) fn project_places(env: &dyn Env) -> Vec<PathBuf> {
    let names = [paths::PROJECT_FILE, oci::FILE];
    let places = names
        .into_iter()
        .flat_map(|name| paths::project_files(env, name));
    places
        .flat_map(|place| {
            let folder = place
                .file
                .parent()
                .and_then(|folder| folder.canonicalize().ok());
            let name = place.file.file_name();
            let in_folder = folder.zip(name).map(|(folder, name)| folder.join(name));
            [place.file.canonicalize().ok(), in_folder]
        })
        .flatten()
        .collect()
}

/// A choice by name: that of the option of `configure`, else that of the variable.
fn choice<T: Copy>(
    env: &dyn Env,
    inline: Option<&str>,
    option: &str,
    name: &str,
    choices: &[(&str, T)],
) -> Result<Option<T>, ConfigError> {
    match (inline, variable(env, name)) {
        (Some(text), _) => one_of(&Place::option(option), text, choices).map(Some),
        (None, Some(text)) => one_of(&Place::option(name), &text, choices).map(Some),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
