//! A fault in the configuration, and where it stands.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::printable::visible;

/// A fault in the configuration. Its code is `INVALID_CONFIG`.
///
/// No value of the configuration is repeated in it, since any of them may be a secret in the wrong
/// place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The file at fault; `None` for the environment and for `configure`.
    pub file: Option<PathBuf>,
    /// Line in the file, from 1.
    pub line: Option<usize>,
    /// Column in the line, in characters, from 1.
    pub column: Option<usize>,
    /// JSON path, such as `providers.acme.tokenEndpoint`, or the name of the variable; empty for a
    /// file as a whole.
    pub path: String,
    /// What is wrong and, where it helps, what to do.
    pub why: String,
}

impl ConfigError {
    /// The code under which the fault reaches JavaScript.
    pub const CODE: &'static str = "INVALID_CONFIG";

    /// The fault of an option that is not of its type, said as `name: what was expected`.
    #[must_use]
    pub fn in_options(fault: &str) -> Self {
        let (path, why) = fault.split_once(": ").unwrap_or(("options", fault));
        Place::option(path).fault(why)
    }

    /// The fault of a provider that a project's file defines.
    pub(crate) fn in_project(file: &Path, provider: &str, why: &str) -> Self {
        Place::file(file).key("providers").key(provider).fault(why)
    }

    /// The same fault; one of the value as a whole is that of the option which holds it.
    pub(super) fn of_option(self, name: &str) -> Self {
        match self.path.as_str() {
            "" => Self {
                path: name.to_owned(),
                ..self
            },
            _ => self,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", visible(file))?;
            if let (Some(line), Some(column)) = (self.line, self.column) {
                write!(f, "{line}:{column}:")?;
            }
            f.write_str(" ")?;
        } else if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "line {line}, column {column}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.why)
    }
}

impl std::error::Error for ConfigError {}

/// Where a value stands: a fault that only shows later can still name its file, line and path.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    file: Option<Arc<Path>>,
    line_column: Option<(usize, usize)>,
    path: Option<Arc<Step>>,
}

/// A step of a JSON path. Steps are shared, so that a long key costs its length once and not once
/// per child.
#[derive(Debug)]
struct Step {
    parent: Option<Arc<Self>>,
    name: Name,
}

#[derive(Debug)]
enum Name {
    Key(Box<str>),
    Item(usize),
}

impl Place {
    /// The place of a variable, or of an option of `configure` such as `log.level`.
    pub(super) fn option(name: &str) -> Self {
        name.split('.')
            .fold(Self::default(), |place, key| place.key(key))
    }

    /// The place of a file as a whole.
    pub(super) fn file(file: &Path) -> Self {
        Self {
            file: Some(file.into()),
            ..Self::default()
        }
    }

    /// What has this place, for a person: the file, or where else configuration comes from.
    pub(super) fn names_file(&self) -> String {
        let file = self.file.as_deref();
        file.map_or_else(|| "configure()".to_owned(), visible)
    }

    /// The folder of the file.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        self.file.as_deref()?.parent().map(Path::to_owned)
    }

    /// The same place, at this line and column.
    pub(super) fn at(self, line_column: (usize, usize)) -> Self {
        Self {
            line_column: Some(line_column),
            ..self
        }
    }

    /// The place of one key of the object that stands here.
    pub(super) fn key(&self, key: &str) -> Self {
        self.step(Name::Key(key.into()))
    }

    /// The place of a key that the object which stands here lacks.
    pub(super) fn missing(&self, key: &str) -> Self {
        Self {
            line_column: self.line_column,
            ..self.key(key)
        }
    }

    /// The place of one item of the list that stands here.
    pub(super) fn item(&self, index: usize) -> Self {
        self.step(Name::Item(index))
    }

    fn step(&self, name: Name) -> Self {
        let step = Step {
            parent: self.path.clone(),
            name,
        };
        Self {
            file: self.file.clone(),
            line_column: None,
            path: Some(Arc::new(step)),
        }
    }

    /// The fault of what stands here.
    pub(super) fn fault(&self, why: impl Into<String>) -> ConfigError {
        ConfigError {
            file: self.file.as_deref().map(Path::to_owned),
            line: self.line_column.map(|(line, _)| line),
            column: self.line_column.map(|(_, column)| column),
            path: written(self.path.as_deref()),
            why: why.into(),
        }
    }
}

/// Writes a path as in `providers.acme.scopes[1]`; a key that is not a plain word is quoted.
fn written(step: Option<&Step>) -> String {
    let mut steps: Vec<&Name> = std::iter::successors(step, |step| step.parent.as_deref())
        .map(|step| &step.name)
        .collect();
    steps.reverse();
    let mut path = String::new();
    for name in steps {
        match name {
            Name::Item(index) => path.push_str(&format!("[{index}]")),
            Name::Key(key) if !is_word(key) => path.push_str(&format!("[{key:?}]")),
            Name::Key(key) if path.is_empty() => path.push_str(key),
            Name::Key(key) => path.push_str(&format!(".{key}")),
        }
    }
    path
}

/// Whether a key can stand in a path without quotes; the ids of providers have dashes.
fn is_word(key: &str) -> bool {
    !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$'))
}
