//! Where data and config files lie on each platform.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{ConfigError, Place};
use crate::host::Env;
use provider_auth_vault::authorship_fault;

const PRODUCT: &str = "provider-auth";
const USER_FILE: &str = "config.jsonc";

/// The project's file.
pub(super) const PROJECT_FILE: &str = "provider-auth.jsonc";

/// The families of platforms that keep data in different places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Platform {
    Unix,
    MacOs,
    Windows,
}

impl Platform {
    /// The one this was built for.
    pub(super) const HERE: Self = if cfg!(windows) {
        Self::Windows
    } else if cfg!(target_os = "macos") {
        Self::MacOs
    } else {
        Self::Unix
    };
}

/// The value of a variable; an empty one counts as unset, since that is how scripts unset
/// variables.
pub(crate) fn variable(env: &dyn Env, name: &str) -> Option<String> {
    env.var(name).filter(|value| !value.is_empty())
}

/// Makes a path absolute: `~/` is the home folder, and a relative path starts from the working
/// folder.
pub(crate) fn expand(env: &dyn Env, path: &Path) -> PathBuf {
    let (base, rest) = match path.strip_prefix("~") {
        Ok(rest) => (env.home_dir(), rest),
        Err(_) => (env.current_dir(), path),
    };
    base.map_or_else(|| path.to_owned(), |base| base.join(rest))
}

/// Names the vault's folder.
pub(super) const DIR: &str = "PROVIDER_AUTH_DIR";

/// Why there is no folder for the vault.
const NO_HOME: &str = if cfg!(windows) {
    "set this variable to a folder, since no home folder is known: USERPROFILE names none by its whole path"
} else {
    "set this variable to a folder, since no home folder is known: HOME names none by its whole path"
};

/// The folder of the vault: `inline`, or what the variable names, or the default one.
pub(super) fn data_dir(env: &dyn Env, inline: Option<&Path>) -> Result<PathBuf, ConfigError> {
    let named = inline.map(Path::to_owned);
    match named.or_else(|| self::named(env, DIR)) {
        Some(named) if named.starts_with("~") => env.home_dir().map(|_| expand(env, &named)),
        Some(named) => Some(expand(env, &named)),
        None => default_dir(env, Platform::HERE),
    }
    .ok_or_else(|| Place::option(DIR).fault(NO_HOME))
}

/// The path in a variable.
pub(super) fn named(env: &dyn Env, name: &str) -> Option<PathBuf> {
    variable(env, name).map(PathBuf::from)
}

/// The folder of the vault when none is configured; `None` when the environment names no home
/// folder.
pub(super) fn default_dir(env: &dyn Env, platform: Platform) -> Option<PathBuf> {
    let base = match platform {
        Platform::Windows => folder(env, "LOCALAPPDATA").or_else(|| in_home(env, "AppData/Local")),
        Platform::MacOs => {
            folder(env, "XDG_DATA_HOME").or_else(|| in_home(env, "Library/Application Support"))
        }
        Platform::Unix => data_home(env),
    };
    Some(base?.join(PRODUCT))
}

/// Where programs that go by the XDG specification keep their data, on every platform.
pub(crate) fn data_home(env: &dyn Env) -> Option<PathBuf> {
    folder(env, "XDG_DATA_HOME").or_else(|| in_home(env, ".local/share"))
}

/// The user's config file when none is configured.
pub(super) fn default_user_file(env: &dyn Env, platform: Platform) -> Option<PathBuf> {
    let base = match platform {
        Platform::Windows => folder(env, "APPDATA").or_else(|| in_home(env, "AppData/Roaming")),
        Platform::MacOs | Platform::Unix => {
            folder(env, "XDG_CONFIG_HOME").or_else(|| in_home(env, ".config"))
        }
    };
    Some(base?.join(PRODUCT).join(USER_FILE))
}

/// The file of this name in OpenCode's own folder, which lies at the same place on every platform.
pub(super) fn opencode_file(env: &dyn Env, name: &str) -> Option<PathBuf> {
    let base = folder(env, "XDG_CONFIG_HOME").or_else(|| in_home(env, ".config"));
    Some(base?.join("opencode").join(name))
}

/// A place where a project's file may lie.
pub(super) struct ProjectPath {
    pub(super) file: PathBuf,
    /// Why a file that is there does not count.
    pub(super) fault: Option<&'static str>,
}

/// Where a project's file of this name may lie, nearest first: the working folder and its parents
/// up to the repository's root.
///
/// Outside a repository only the working folder counts: its parents, such as `/tmp`, may belong to
/// others. A `.git` that another user may have made makes no repository, and a file that another
/// user may have made does not count, as git's `safe.directory` has it.
pub(super) fn project_files(env: &dyn Env, name: &str) -> Vec<ProjectPath> {
    let Some(here) = env.current_dir() else {
        return Vec::new();
    };
    let is_root = |place: &ProjectPath| place.fault.is_none() && place.file.exists();
    let root = here
        .ancestors()
        .position(|folder| is_root(&ProjectPath::at(env, folder.join(".git"))));
    here.ancestors()
        .take(root.unwrap_or(0) + 1)
        .map(|folder| ProjectPath::at(env, folder.join(name)))
        .collect()
}

/// The nearest `.git` that makes no repository, since another user may have made it.
pub(super) fn ignored_git(env: &dyn Env) -> Option<ProjectPath> {
    let here = env.current_dir()?;
    let mut gits = here.ancestors().map(|folder| folder.join(".git"));
    let nearest = gits.find(|git| git.exists())?;
    Some(ProjectPath::at(env, nearest)).filter(|place| place.fault.is_some())
}

impl ProjectPath {
    fn at(env: &dyn Env, file: PathBuf) -> Self {
        Self {
            fault: others_hand(env, &file),
            file,
        }
    }
}

/// Why another user may have written what lies at a path, or the link that lies there.
fn others_hand(env: &dyn Env, path: &Path) -> Option<&'static str> {
    let invoker = variable(env, "SUDO_UID").and_then(|uid| uid.parse().ok());
    let looks = [std::fs::symlink_metadata(path), std::fs::metadata(path)];
    looks
        .into_iter()
        .flatten()
        .find_map(|metadata| authorship_fault(&metadata, invoker))
}

/// The files and folders that hold our own secrets: the vault, its key beside it, its passphrase,
/// the password of its store.
pub(super) fn ours(dir: &Path, files: [Option<&Path>; 2]) -> Arc<[PathBuf]> {
    let mut key = dir.as_os_str().to_owned();
    key.push(".key");
    let named = [dir.to_owned(), key.into()];
    let files = files.into_iter().flatten().map(Path::to_owned);
    let named = named.into_iter().chain(files);
    named
        .flat_map(|path| [path.canonicalize().ok(), Some(path)])
        .flatten()
        .collect()
}

/// Whether two paths name one existing file.
pub(super) fn same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// Reads a config file of at most so many bytes; `None` when there is none.
pub(super) fn read(file: &Path, longest: u64) -> Result<Option<String>, ConfigError> {
    let fault = |why: &str| Place::file(file).fault(why);
    let unreadable = |error: std::io::Error| fault(&format!("the file cannot be read: {error}"));
    match std::fs::metadata(file) {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Err(fault("not a regular file")),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(unreadable(error)),
    }
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|open| open.take(longest + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > longest {
        return Err(fault(&format!("the file is longer than {longest} bytes")));
    }
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| fault("the file is not UTF-8 text"))
}

/// A base folder from a variable. The XDG specification has relative ones ignored.
fn folder(env: &dyn Env, name: &str) -> Option<PathBuf> {
    variable(env, name)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

fn in_home(env: &dyn Env, path: &str) -> Option<PathBuf> {
    env.home_dir().map(|home| home.join(path))
}
