//! References to secrets that are kept outside the configuration.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use provider_auth_vault::{Privacy, is_on_pseudo_filesystem, privacy};
use secrecy::SecretString;

use super::error::{ConfigError, Place};
use super::limits::LONGEST_SECRET_FILE;
use super::paths::expand;
use crate::host::Env;
use crate::printable::{visible, visible_text};

/// A secret that the configuration names; nothing is read before [`resolve_secret`].
#[derive(Clone, Debug)]
pub struct SecretRef {
    /// Where the secret is.
    pub source: SecretSource,
    /// Whether a project's file says so. It is read only where a person has trusted that file, and
    /// only what is the user's own.
    pub from_project: bool,
    /// Files and folders of ours, which a project's file may not have read.
    pub(super) protected: Arc<[PathBuf]>,
    pub(super) place: Place,
}

impl SecretRef {
    /// The fault of what it holds.
    pub(crate) fn fault(&self, why: &str) -> ConfigError {
        self.place.fault(why)
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
/// Of a file and of a variable alike, one line break at the end and a byte order mark are not part
/// of the secret. A file must be a regular one of at most 64 KiB, so that a mistaken path neither
/// blocks nor floods.
pub fn resolve_secret(secret: &SecretRef, env: &dyn Env) -> Result<SecretString, ConfigError> {
    let fault = |why: String| secret.place.fault(why);
    match &secret.source {
        SecretSource::Plain(plain) => Ok(plain.clone()),
        SecretSource::Env(name) => {
            if secret.from_project && is_ours(name) {
                return Err(fault(format!("the variable {} {OURS}", visible_text(name))));
            }
            match env.var(name) {
                Some(value) if !bare(&value).is_empty() => Ok(bare(&value).into()),
                _ => Err(fault(format!(
                    "the variable {} is not set",
                    visible_text(name)
                ))),
            }
        }
        SecretSource::File(path) => {
            let path = expand(env, path);
            let named = |why: &str| fault(format!("the file {} {why}", visible(&path)));
            let unreadable = |error: std::io::Error| named(&format!("cannot be read: {error}"));
            let open = match secret.from_project {
                true => secret.open_own(&path, env).map_err(|why| named(&why))?,
                false => {
                    if !std::fs::metadata(&path).map_err(unreadable)?.is_file() {
                        return Err(named("is not a regular file"));
                    }
                    File::open(&path).map_err(unreadable)?
                }
            };
            let mut text = String::new();
            open.take(LONGEST_SECRET_FILE + 1)
                .read_to_string(&mut text)
                .map_err(unreadable)?;
            if text.len() as u64 > LONGEST_SECRET_FILE {
                return Err(named(&format!(
                    "is longer than {LONGEST_SECRET_FILE} bytes"
                )));
            }
            let line = bare(&text);
            if line.is_empty() {
                Err(named("is empty"))
            } else {
                Ok(line.into())
            }
        }
    }
}

/// The text without what editors and shells add to it.
fn bare(text: &str) -> &str {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.strip_suffix('\n')
        .map_or(text, |text| text.strip_suffix('\r').unwrap_or(text))
}

/// What is read for a definition that a project's file has a part in.
pub(super) struct SecretReading {
    /// `file`, `variable` or `configuration`.
    pub(super) kind: &'static str,
    /// The true path, the variable, or the configuration that has it in clear.
    pub(super) name: String,
    /// Why it will not be read all the same.
    pub(super) refusal: Option<String>,
}

impl SecretRef {
    /// What is read for this; `None` for a text that stands in the project's file itself.
    pub(super) fn reading(&self, env: &dyn Env) -> Option<SecretReading> {
        let (kind, name) = match &self.source {
            SecretSource::Plain(_) if self.from_project => return None,
            SecretSource::Plain(_) => ("configuration", self.place.names_file()),
            SecretSource::Env(name) => ("variable", visible_text(name)),
            SecretSource::File(path) => ("file", visible(&true_path(&expand(env, path)))),
        };
        let refusal = match &self.source {
            _ if !self.from_project => None,
            SecretSource::Plain(_) => None,
            SecretSource::Env(name) => is_ours(name).then(|| OURS.to_owned()),
            SecretSource::File(path) => self.open_own(&expand(env, path), env).err(),
        };
        Some(SecretReading {
            kind,
            name,
            refusal,
        })
    }
}

const OURS: &str =
    "holds what provider-auth keeps its own secrets with, and is read for no provider";

/// Variables that open the vault, or are a login by themselves: no other program gets them.
pub(crate) const OWN_VARIABLES: [&str; 7] = [
    "PROVIDER_AUTH_KEY",
    "PROVIDER_AUTH_PASSPHRASE",
    "PROVIDER_AUTH_STORE",
    "PROVIDER_AUTH_STORE_PASSWORD",
    "PROVIDER_AUTH_STORE_PASSWORD_FILE",
    "OPENCODE_VAULT_KEY",
    "OPENCODE_AUTH_CONTENT",
];

/// Whether a variable opens the vault, or holds the credentials of a host.
fn is_ours(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    name.starts_with("PROVIDER_AUTH_")
        || matches!(&*name, "OPENCODE_VAULT_KEY" | "OPENCODE_AUTH_CONTENT")
}

/// Folders whose files the system makes up, of other secrets too.
const MADE_UP: &[&str] = &["/proc", "/dev", "/sys"];

impl SecretRef {
    /// Opens a file that a project's file names. It has to be a regular file of the user's own,
    /// with one name, not reached by a link, not made up by the system, and not one of ours.
    fn open_own(&self, path: &Path, env: &dyn Env) -> Result<File, String> {
        let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
        let place = true_path(path);
        let is_under = |folder: &&str| path.starts_with(folder) || place.starts_with(folder);
        if MADE_UP.iter().any(is_under) || is_on_pseudo_filesystem(&place) {
            return Err(
                "is made by the system; a project's file may name your own files only".into(),
            );
        }
        if self.protected.iter().any(|ours| place.starts_with(ours)) {
            return Err(
                "is one of provider-auth's own; a project's file may not name those".into(),
            );
        }
        let found = std::fs::symlink_metadata(path).map_err(unreadable)?;
        if found.is_symlink() || self.bases(env).iter().any(|base| has_link(base, path)) {
            return Err(format!(
                "is reached by a link, to {}; a project's file may not name links",
                visible(&place)
            ));
        }
        if !found.is_file() {
            return Err("is not a regular file".into());
        }
        if privacy(&found) == Privacy::Foreign {
            return Err(
                "belongs to another user; a project's file may name your own files only".into(),
            );
        }
        if names(&found) > 1 {
            return Err(
                "has other names too (hard links); a project's file may name files with one name only"
                    .into(),
            );
        }
        if found.len() > LONGEST_SECRET_FILE {
            return Err(format!("is longer than {LONGEST_SECRET_FILE} bytes"));
        }
        let open = File::open(path).map_err(unreadable)?;
        // The file that was looked at is the file that is read, even if another one takes its place
        // meanwhile.
        let opened = open.metadata().map_err(unreadable)?;
        match is_same(&found, &opened) {
            true => Ok(open),
            false => Err("was replaced while it was being opened".into()),
        }
    }

    /// The folders below which each link counts: the project's and the home folder. Links above
    /// them are the system's.
    fn bases(&self, env: &dyn Env) -> Vec<PathBuf> {
        let named = self.place.folder().into_iter().chain(env.home_dir());
        let named = named.filter(|folder| folder.parent().is_some());
        named
            .flat_map(|folder| [folder.canonicalize().ok(), Some(folder)])
            .flatten()
            .collect()
    }
}

/// How many names a file has.
#[cfg(unix)]
fn names(found: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    found.nlink()
}

#[cfg(not(unix))]
fn names(_: &Metadata) -> u64 {
    1
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    one.len() == other.len() && one.is_file() && other.is_file()
}

/// Where a path leads to; of a file that is not there, where it would lie.
fn true_path(path: &Path) -> PathBuf {
    let of_folder = || {
        let folder = path.parent()?.canonicalize().ok()?;
        Some(folder.join(path.file_name()?))
    };
    let whole = path.canonicalize().ok();
    whole.or_else(of_folder).unwrap_or_else(|| path.to_owned())
}

/// Whether one steps over a link on the way from `base` to `path`.
fn has_link(base: &Path, path: &Path) -> bool {
    let Ok(rest) = path.strip_prefix(base) else {
        return false;
    };
    let mut here = base.to_owned();
    rest.components().any(|step| match step {
        Component::ParentDir => !here.pop(),
        step => {
            here.push(step);
            std::fs::symlink_metadata(&here).is_ok_and(|found| found.is_symlink())
        }
    })
}
