//! What the report on the configuration is made of.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::config::error::{ConfigError, Place};
use crate::config::project::TrustState;
use crate::config::sources::FileKind;

/// Where each value of the configuration comes from, and all that is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct ConfigReport {
    /// Every file that counts, or would if it were there.
    pub files: Vec<FileReport>,
    /// The settings that are of no provider.
    pub settings: Vec<Setting>,
    /// The environment variables of ours that are set.
    pub variables: Vec<Variable>,
    /// Every provider that is built in or configured, by id.
    pub providers: Vec<ProviderReport>,
    /// What is wrong with the environment and the options of `configure`.
    pub faults: Vec<ConfigError>,
    /// What is odd, of no file alone.
    pub warnings: Vec<ConfigError>,
}

/// A file of the configuration.
#[derive(Clone, Debug)]
pub struct FileReport {
    /// What it is.
    pub kind: FileKind,
    /// Its path.
    pub file: PathBuf,
    /// Whether something is there.
    pub exists: bool,
    /// How it counts.
    pub state: FileState,
    /// All that keeps it from use.
    pub faults: Vec<ConfigError>,
    /// What is odd about it.
    pub warnings: Vec<ConfigError>,
    /// Its true path, where it is there.
    pub(super) true_file: Option<PathBuf>,
}

/// How a file counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// It is not there.
    Absent,
    /// It is in effect; of the user's files.
    Read,
    /// It has faults.
    Faulty,
    /// It does not count, and why.
    Ignored(String),
    /// Of a project's file: whether it has a person's trust.
    Project(TrustState),
}

/// What is known of one provider.
#[derive(Clone, Debug)]
pub struct ProviderReport {
    /// Its id.
    pub id: String,
    /// Whether a file that counts, or `configure`, says anything of it.
    pub configured: bool,
    /// Its keys, in alphabetical order. Of a list that layers add to, a key comes once per layer.
    pub values: Vec<ProviderValue>,
}

/// A key of a provider that has a value.
#[derive(Clone, Debug)]
pub struct ProviderValue {
    /// Such as `origins` or `rotation.strategy`.
    pub key: String,
    /// Its value; `None` of one that is or may hold a secret.
    pub value: Option<Value>,
    /// Where it comes from.
    pub source: ValueSource,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueSource {
    /// It holds where nothing is said.
    Default,
    /// It is known of the provider.
    BuiltIn,
    /// The environment variable of this name.
    Variable(&'static str),
    /// The options of `configure`.
    Configure,
    /// A file, with line and column.
    File(PathBuf, Option<(usize, usize)>),
}

impl ValueSource {
    pub(super) fn of(place: &Place) -> Self {
        let ConfigError {
            file, line, column, ..
        } = place.fault("");
        file.map_or(Self::Configure, |file| Self::File(file, line.zip(column)))
    }
}

impl FileReport {
    /// Whether the path is this file's: as it was looked for, or its true one.
    pub(super) fn is(&self, path: &Path) -> bool {
        self.file == path || self.true_file.as_deref() == Some(path)
    }
}

/// A setting that is of no provider.
#[derive(Clone, Debug)]
pub struct Setting {
    /// As `configure` calls it: `dir`, `log.level`.
    pub name: &'static str,
    /// Its value; `None` where it has none, or a faulty one.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: ValueSource,
}

/// An environment variable of ours that is set.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value; `None` of one that holds a secret, or whose meaning is not known.
    pub value: Option<String>,
}
