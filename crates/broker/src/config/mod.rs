//! Reads the configuration: built-in providers, `oci-auth.config.jsonc`, the user's file, the project's file, the
//! environment, `configure`.
//!
//! Later ones win. Everything is checked here, once, and handed on as types that need no second look; a fault names
//! its file, line, column and JSON path. A project's file, which may be anybody's, chooses among accounts; what else it wants
//! waits for a person's trust.

mod dialect;
mod error;
mod idle;
mod limits;
mod merge;
pub mod nearest;
mod oci;
mod origin;
mod places;
mod project;
mod provider;
mod reading;
mod schema;
mod secret;
mod tree;
mod trust;
mod values;
mod wants;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use provider_auth_vault::{KeySecrets, KeySource};
use secrecy::SecretString;
use serde_json::Value;

pub use error::ConfigError;
pub use merge::Selections;
pub(crate) use origin::mcp_server;
pub use origin::{BadUrl, Origin};
pub use project::{Project, ProjectFile, TrustState};
pub(crate) use provider::DEFAULT_NAMESPACE;
pub use provider::{Grant, HeaderTemplate, Provenance, Provider};
pub use secret::{SecretRef, SecretSource, resolve_secret};
pub use wants::{HostUse, SecretUse, Want};

use crate::host::Env;
pub use crate::providers::CredentialForm;
use error::Place;
use places::Platform;
pub(crate) use places::{data_home, expand, variable};
use reading::Reading;

pub(crate) use trust::TrustedFiles;
use values::one_of;

/// The options of `configure`.
#[derive(Clone, Default, PartialEq)]
pub struct Inline {
    /// Folder of the vault.
    pub dir: Option<PathBuf>,
    /// Name of a key source.
    pub key_source: Option<String>,
    /// Name of a log level.
    pub log_level: Option<String>,
    /// Log file.
    pub log_file: Option<PathBuf>,
    /// Whether the folder may be on a network file system.
    pub allow_network_fs: Option<bool>,
    /// Configuration of the same shape as a config file.
    pub config: Option<Value>,
}

/// The configuration may hold a client secret, so it is left out.
impl fmt::Debug for Inline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inline")
            .field("dir", &self.dir)
            .field("key_source", &self.key_source)
            .field("log_level", &self.log_level)
            .field("log_file", &self.log_file)
            .field("allow_network_fs", &self.allow_network_fs)
            .finish_non_exhaustive()
    }
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
    /// What the environment says about the vault key; `OPENCODE_VAULT_KEY` stands in for `PROVIDER_AUTH_KEY`.
    pub key: KeySecrets,
    /// What is logged, and where.
    pub log: LogSettings,
    /// Every provider that is built in or that the user configured, by id.
    pub providers: BTreeMap<String, Arc<Provider>>,
    /// What is said of the accounts of other providers.
    pub selections: Selections,
    /// The files of the project, and what they want.
    pub project: Project,
    /// What is odd but no fault, such as unknown keys.
    pub warnings: Vec<String>,
    /// Every config file that was looked for, there or not: when none changed, neither did the configuration.
    pub files: Vec<PathBuf>,
    /// The user's own config file, there or not, where a place for it is known.
    pub user_file: Option<PathBuf>,
}

/// What is logged, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSettings {
    /// The least grave events that are logged.
    pub level: LogLevel,
    /// The file that is appended to.
    pub file: Option<PathBuf>,
}

/// The least grave events that are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Nothing is logged.
    None,
    /// What went wrong for good.
    Error,
    /// And what is odd.
    #[default]
    Warn,
    /// And what changed: logins, refreshes, switches.
    Info,
    /// And each decision with its inputs.
    Debug,
    /// And what each decision was made of.
    Trace,
}

const KEY_SOURCES: &[(&str, KeySource)] = &[
    ("auto", KeySource::Auto),
    ("keychain", KeySource::Keychain),
    ("env", KeySource::Env),
    ("passphrase", KeySource::Passphrase),
    ("keyfile", KeySource::Keyfile),
    ("memory", KeySource::Memory),
];

const FLAGS: &[(&str, bool)] = &[("1", true), ("0", false)];

const LOG_LEVELS: &[(&str, LogLevel)] = &[
    ("none", LogLevel::None),
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

/// Reads the whole configuration.
pub fn load(env: &dyn Env, inline: &Inline) -> Result<Settings, ConfigError> {
    check(inline)?;
    let mut reading = Reading::default();
    let user_file = reading.user_file(env)?;
    reading.project_file(env, user_file.as_deref())?;
    reading.oci_files(env);
    reading.inline(inline)?;

    let path = |inline: Option<&PathBuf>, name: &str| {
        inline
            .cloned()
            .or_else(|| variable(env, name).map(PathBuf::from))
            .map(|path| expand(env, &path))
    };
    let secret = |name: &str| variable(env, name).map(SecretString::from);
    let dir = path(inline.dir.as_ref(), "PROVIDER_AUTH_DIR")
        .or_else(|| places::default_dir(env, Platform::HERE))
        .ok_or_else(|| {
            Place::option("PROVIDER_AUTH_DIR")
                .fault("set this variable to a folder, since no home folder is known")
        })?;
    let oci_log = reading.oci.log();
    let own = merge::merge(&reading.layers, &reading.oci)?;
    let idle = own.providers.values().flat_map(|provider| &provider.idle);
    reading.warnings.extend(idle.map(ToString::to_string));
    let passphrase_file = path(None, "PROVIDER_AUTH_PASSPHRASE_FILE");
    let barred = places::ours(&dir, passphrase_file.as_deref());
    let project = Project::of(&mut reading, &own, &TrustedFiles::read(&dir), &barred, env);
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
        log: LogSettings {
            level: choice(
                env,
                inline.log_level.as_deref(),
                "log.level",
                "PROVIDER_AUTH_LOG",
                LOG_LEVELS,
            )?
            .unwrap_or(oci_log.level),
            file: path(inline.log_file.as_ref(), "PROVIDER_AUTH_LOG_FILE")
                .or_else(|| oci_log.file.map(|file| expand(env, &file))),
        },
        providers: own.providers,
        selections: own.selections,
        project,
        warnings: reading.warnings,
        files: reading.files,
        user_file,
    })
}

/// Checks the options of `configure` by themselves, without reading anything else.
pub fn check(inline: &Inline) -> Result<(), ConfigError> {
    Reading::default().inline(inline)?;
    if let Some(name) = &inline.key_source {
        one_of(&Place::option("keySource"), name, KEY_SOURCES)?;
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

    /// The provider as a trusted file of the project defines it, else as it is built in or configured. `taken`: it has accounts
    /// that were made without a project, so that it is not a project's to define.
    pub(crate) fn provider(
        &self,
        id: &str,
        taken: impl FnOnce() -> bool,
    ) -> Option<Result<Arc<Provider>, ConfigError>> {
        match self.project.definition(id) {
            Some(made) if !taken() => Some(made.clone()),
            _ => self.providers.get(id).cloned().map(Ok),
        }
    }
}

/// The true paths of all files that may be the project's.
pub(crate) fn project_places(env: &dyn Env) -> Vec<PathBuf> {
    let names = [places::PROJECT_FILE, oci::FILE];
    let places = names
        .into_iter()
        .flat_map(|name| places::project_files(env, name));
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
