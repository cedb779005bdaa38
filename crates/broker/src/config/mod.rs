//! Reads the configuration: built-in providers, `oci-auth.config.jsonc`, the user's file, the project's file, the
//! environment, `configure`.
//!
//! Later ones win. Everything is checked here, once, and handed on as types that need no second look; a fault names
//! its file, line, column and JSON path. A project file, which may be anybody's, can choose but not redirect.

mod dialect;
mod error;
mod limits;
mod merge;
mod nearest;
mod oci;
mod origin;
mod places;
mod provider;
mod schema;
mod secret;
mod tree;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use provider_auth_vault::{KeySecrets, KeySource};
use secrecy::SecretString;
use serde_json::Value;

pub use error::ConfigError;
pub(crate) use origin::mcp_server;
pub use origin::{BadUrl, Origin};
pub use provider::{CredentialForm, Grant, HeaderTemplate, Provenance, Provider};
pub use secret::{SecretRef, SecretSource, resolve_secret};

use crate::host::Env;
use error::Place;
use oci::OciFile;
use places::Platform;
pub(crate) use places::{data_home, expand, variable};
use schema::Layer;
use tree::Node;
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
    /// Every provider, by id.
    pub providers: BTreeMap<String, Arc<Provider>>,
    /// What is odd but no fault, such as unknown keys.
    pub warnings: Vec<String>,
    /// Every config file that was looked for, there or not: when none changed, neither did the configuration.
    pub files: Vec<PathBuf>,
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
    reading.oci_file(env);
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
            passphrase_file: path(None, "PROVIDER_AUTH_PASSPHRASE_FILE"),
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
        providers: merge::merge(reading.layers, reading.oci)?,
        warnings: reading.warnings,
        files: reading.files,
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

/// What has been read so far.
#[derive(Default)]
struct Reading {
    layers: Vec<Layer>,
    oci: OciFile,
    warnings: Vec<String>,
    files: Vec<PathBuf>,
}

impl Reading {
    /// Reads the user's file. It may be absent, unless the user says where it is.
    fn user_file(&mut self, env: &dyn Env) -> Result<Option<PathBuf>, ConfigError> {
        let named = variable(env, "PROVIDER_AUTH_CONFIG").map(|path| expand(env, Path::new(&path)));
        let must_exist = named.is_some();
        let Some(file) = named.or_else(|| places::default_user_file(env, Platform::HERE)) else {
            return Ok(None);
        };
        let found = self.file(&file, Provenance::User(file.clone()))?;
        if must_exist && !found {
            return Err(
                Place::file(&file).fault("PROVIDER_AUTH_CONFIG names this file, and there is none")
            );
        }
        Ok(Some(file))
    }

    /// Reads the nearest project file, unless the user has named that very file as their own.
    fn project_file(&mut self, env: &dyn Env, user_file: Option<&Path>) -> Result<(), ConfigError> {
        for file in places::project_files(env, places::PROJECT_FILE) {
            if user_file.is_some_and(|user_file| places::same_file(user_file, &file)) {
                return Ok(());
            }
            if self.file(&file, Provenance::Project(file.clone()))? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads the nearest `oci-auth.config.jsonc` of the project, else the one beside OpenCode's own configuration.
    fn oci_file(&mut self, env: &dyn Env) {
        let users = places::opencode_file(env, oci::FILE);
        let of_project = places::project_files(env, oci::FILE).into_iter();
        let places = of_project.filter(|file| Some(file) != users.as_ref());
        for file in places.chain(users.clone()) {
            self.files.push(file.clone());
            self.oci.searched.push(file.clone());
            let is_users = |users: &PathBuf| *users == file || places::same_file(users, &file);
            let provenance = match users.as_ref().is_some_and(is_users) {
                true => Provenance::User(file.clone()),
                false => Provenance::Project(file.clone()),
            };
            let tree = match places::read(&file) {
                Ok(None) => continue,
                Ok(Some(text)) => tree::parse_file(&file, &text),
                Err(fault) => Err(fault),
            };
            let found = match tree {
                Ok(root) => oci::Found::read(&root, provenance, &mut self.warnings),
                Err(fault) => oci::Found::faulty(provenance, fault),
            };
            self.oci.found = Some(found);
            return;
        }
    }

    fn inline(&mut self, inline: &Inline) -> Result<(), ConfigError> {
        if let Some(config) = &inline.config {
            self.layer(&tree::from_inline(config), Provenance::Inline)
                .map_err(|fault| fault.of_option("config"))?;
        }
        Ok(())
    }

    fn layer(&mut self, root: &Node, provenance: Provenance) -> Result<(), ConfigError> {
        self.layers
            .push(schema::read(root, provenance, &mut self.warnings)?);
        Ok(())
    }

    /// Reads one file and says whether it was there.
    fn file(&mut self, file: &Path, provenance: Provenance) -> Result<bool, ConfigError> {
        self.files.push(file.to_owned());
        let Some(text) = places::read(file)? else {
            return Ok(false);
        };
        self.layer(&tree::parse_file(file, &text)?, provenance)?;
        Ok(true)
    }
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
