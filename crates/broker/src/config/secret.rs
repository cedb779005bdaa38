//! References to secrets that are kept outside the configuration.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use secrecy::SecretString;

use super::error::{ConfigError, Place};
use super::limits::LONGEST_SECRET_FILE;
use super::places::expand;
use crate::host::Env;

/// A secret that the configuration names; nothing is read before [`resolve_secret`].
#[derive(Clone, Debug)]
pub struct SecretRef {
    /// Where the secret is.
    pub source: SecretSource,
    /// Whether a project file says so. Such a reference is read only for a login that the user has confirmed, after
    /// being shown what is read and which host receives it.
    pub from_project: bool,
    pub(super) place: Place,
}

impl SecretRef {
    /// The fault of what it holds.
    pub(crate) fn fault(&self, why: &str) -> ConfigError {
        self.place.fault(why)
    }

    /// Whether a project file says what to read: then the user must have seen that before anything is sent.
    #[must_use]
    pub fn needs_consent(&self) -> bool {
        self.from_project && !matches!(self.source, SecretSource::Plain(_))
    }
}

/// Where a secret is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SecretSource {
    /// In the configuration itself.
    Plain(SecretString),
    /// In the variable of this name.
    Env(String),
    /// In this file; `~/` stands for the home folder.
    File(PathBuf),
}

impl SecretSource {
    /// Reads `{env:NAME}`, `{file:path}` or, of anything else, the text itself.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let Some((kind, rest)) = reference(text) else {
            return Ok(Self::Plain(text.into()));
        };
        let name = rest
            .strip_suffix('}')
            .filter(|name| !name.is_empty() && !name.contains(['\0', '}']));
        match (kind, name) {
            (Kind::Env, Some(name)) if !name.contains('=') => Ok(Self::Env(name.to_owned())),
            (Kind::File, Some(path)) => Ok(Self::File(path.into())),
            _ => Err("expected {env:NAME} or {file:path}, and nothing before or after it"),
        }
    }
}

/// Whether the text looks like a reference.
pub(super) fn is_reference(text: &str) -> bool {
    reference(text).is_some()
}

enum Kind {
    Env,
    File,
}

fn reference(text: &str) -> Option<(Kind, &str)> {
    let env = text.strip_prefix("{env:").map(|rest| (Kind::Env, rest));
    env.or_else(|| text.strip_prefix("{file:").map(|rest| (Kind::File, rest)))
}

/// Reads a secret from where it is.
///
/// Of a file, one line break at the end is not part of the secret. It must be a regular file of at most 64 KiB, so
/// that a mistaken path neither blocks nor floods.
pub fn resolve_secret(secret: &SecretRef, env: &dyn Env) -> Result<SecretString, ConfigError> {
    let fault = |why: String| secret.place.fault(why);
    match &secret.source {
        SecretSource::Plain(plain) => Ok(plain.clone()),
        SecretSource::Env(name) => match env.var(name) {
            Some(value) if !value.is_empty() => Ok(value.into()),
            _ => Err(fault(format!("the variable {name} is not set"))),
        },
        SecretSource::File(path) => {
            let path = expand(env, path);
            let named = |why: &str| fault(format!("the file {} {why}", path.display()));
            let unreadable = |error: std::io::Error| named(&format!("cannot be read: {error}"));
            if !std::fs::metadata(&path).map_err(unreadable)?.is_file() {
                return Err(named("is not a regular file"));
            }
            let mut text = String::new();
            File::open(&path)
                .and_then(|file| file.take(LONGEST_SECRET_FILE + 1).read_to_string(&mut text))
                .map_err(unreadable)?;
            if text.len() as u64 > LONGEST_SECRET_FILE {
                return Err(named(&format!(
                    "is longer than {LONGEST_SECRET_FILE} bytes"
                )));
            }
            let line = text
                .strip_suffix('\n')
                .map_or(&*text, |text| text.strip_suffix('\r').unwrap_or(text));
            if line.is_empty() {
                Err(named("is empty"))
            } else {
                Ok(line.into())
            }
        }
    }
}
