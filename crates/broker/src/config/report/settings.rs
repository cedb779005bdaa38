//! The settings that are of no provider, and the variables of ours.

use std::path::PathBuf;

use super::parts::{Setting, ValueSource, Variable};
use crate::config::choices::{FLAGS, KEY_SOURCES};
use crate::config::error::{ConfigError, Place};
use crate::config::inline::Inline;
use crate::config::limits::OFFLINE;
use crate::config::log::{LOG_LEVELS, LogLevel};
use crate::config::paths::{self, expand, variable};
use crate::config::sources::{FileKind, Sources};
use crate::config::store;
use crate::config::store_url::{Kept, StoreUrl};
use crate::config::suggestion::hint;
use crate::config::user_keys::UserKeys;
use crate::config::values::one_of;
use crate::host::Env;

/// Those that hold no secret.
const PLAIN: &[&str] = &[
    "PROVIDER_AUTH_ADDON",
    "PROVIDER_AUTH_CONFIG",
    paths::DIR,
    "PROVIDER_AUTH_KEY_SOURCE",
    "PROVIDER_AUTH_ALLOW_NETWORK_FS",
    "PROVIDER_AUTH_PASSPHRASE_FILE",
    store::VARIABLE,
    store::PASSWORD_FILE,
    "PROVIDER_AUTH_LOG",
    "PROVIDER_AUTH_LOG_FILE",
    "PROVIDER_AUTH_REGISTER",
];

/// Those that hold one.
const SECRET: &[&str] = &[
    "PROVIDER_AUTH_KEY",
    "PROVIDER_AUTH_PASSPHRASE",
    store::PASSWORD,
    "OPENCODE_VAULT_KEY",
];

const PREFIX: &str = "PROVIDER_AUTH_";

/// Those that are set, in alphabetical order. An empty one counts as unset.
pub(super) fn variables(env: &dyn Env) -> Vec<Variable> {
    let others = env.names();
    let others = others.iter().filter(|name| name.starts_with(PREFIX));
    let mut names: Vec<&str> = PLAIN
        .iter()
        .chain(SECRET)
        .copied()
        .chain(others.map(String::as_str))
        .collect();
    names.sort_unstable();
    names.dedup();
    let set = names.into_iter().filter_map(|name| {
        let value = variable(env, name)?;
        let shown = match name {
            // It may hold a password.
            store::VARIABLE => StoreUrl::read(&value, Kept::InEnvironment, &Place::default())
                .ok()
                .map(|address| address.shown),
            _ if PLAIN.contains(&name) && !is_faulty(name, &value) => Some(value),
            _ => None,
        };
        Some(Variable {
            name: name.to_owned(),
            value: shown,
        })
    });
    set.collect()
}

/// Whether a variable has a value that it cannot have: what was put there by mistake may be a
/// secret.
fn is_faulty(name: &str, value: &str) -> bool {
    let place = Place::default();
    match name {
        "PROVIDER_AUTH_KEY_SOURCE" => one_of(&place, value, KEY_SOURCES).is_err(),
        "PROVIDER_AUTH_ALLOW_NETWORK_FS" => one_of(&place, value, FLAGS).is_err(),
        "PROVIDER_AUTH_LOG" => one_of(&place, value, LOG_LEVELS).is_err(),
        _ => false,
    }
}

/// A warning where another working folder would have another vault.
pub(super) fn relative_dir(env: &dyn Env) -> Option<ConfigError> {
    let named = paths::named(env, paths::DIR)?;
    let is_whole = named.is_absolute() || named.starts_with("~");
    let why = "a relative path: in each working folder it is another vault; name the whole path";
    (!is_whole).then(|| Place::option(paths::DIR).fault(why))
}

/// A warning for each variable that is named like ours and is none of them.
pub(super) fn unknown_variables(env: &dyn Env) -> impl Iterator<Item = ConfigError> {
    let known: Vec<&str> = PLAIN.iter().chain(SECRET).copied().collect();
    let mut others = env.names();
    others.retain(|name| name.starts_with(PREFIX) && !known.contains(&name.as_str()));
    others.sort_unstable();
    others.into_iter().map(move |name| {
        let why = format!("unknown variable{}", hint(&name, &known));
        Place::option(&name).fault(why)
    })
}

/// The settings, and the folder of the vault.
pub(super) fn settings(
    env: &dyn Env,
    inline: &Inline,
    sources: &Sources,
    faults: &mut Vec<ConfigError>,
) -> (Vec<Setting>, Option<PathBuf>) {
    let path = |path: &PathBuf| expand(env, path).to_string_lossy().into_owned();
    let of_variable = |name: &'static str, is_path: bool| {
        let value = variable(env, name)?;
        let value = match is_path {
            true => path(&PathBuf::from(value)),
            false => value,
        };
        Some((value, ValueSource::Variable(name)))
    };
    let configured = |value: Option<String>| Some((value?, ValueSource::Configure));
    let file = sources
        .files
        .iter()
        .find(|file| file.kind == FileKind::OciUser);
    let of_file = |value: Option<String>| {
        let file = file?.file.clone();
        Some((value?, ValueSource::File(file, None)))
    };
    let level = sources.log.level;
    let level = (level != LogLevel::default()).then(|| name_of(LOG_LEVELS, level).to_owned());
    let dir = paths::data_dir(env, inline.dir.as_deref());
    let store = store::said(env, inline, &sources.layers);
    let of_user = |of: fn(&UserKeys) -> Option<(String, &Place)>| {
        let mut layers = sources.layers.iter().rev();
        let (value, place) = layers.find_map(|layer| of(&layer.user_keys))?;
        Some((value, ValueSource::of(place)))
    };
    let rows = [
        (
            "dir",
            configured(inline.dir.as_ref().map(path)).or_else(|| of_variable(paths::DIR, true)),
            dir.as_ref().ok().map(path),
        ),
        (
            "keySource",
            configured(inline.key_source.clone())
                .or_else(|| of_variable("PROVIDER_AUTH_KEY_SOURCE", false)),
            Some("auto".to_owned()),
        ),
        (
            "allowNetworkFs",
            configured(
                inline
                    .allow_network_fs
                    .map(|allowed| name_of(FLAGS, allowed).to_owned()),
            )
            .or_else(|| of_variable("PROVIDER_AUTH_ALLOW_NETWORK_FS", false)),
            Some(name_of(FLAGS, false).to_owned()),
        ),
        (
            "log.level",
            configured(inline.log_level.clone())
                .or_else(|| of_variable("PROVIDER_AUTH_LOG", false))
                .or_else(|| of_file(level)),
            Some(name_of(LOG_LEVELS, LogLevel::default()).to_owned()),
        ),
        (
            "log.file",
            configured(inline.log_file.as_ref().map(path))
                .or_else(|| of_variable("PROVIDER_AUTH_LOG_FILE", true))
                .or_else(|| of_file(sources.log.file.as_ref().map(path))),
            None,
        ),
        (
            "stats",
            of_user(|keys| {
                keys.stats
                    .as_ref()
                    .map(|(counts, at)| (counts.to_string(), at))
            }),
            Some(true.to_string()),
        ),
        (
            "store",
            store.as_ref().map(|said| {
                let shown = said.address.as_ref().map(|address| address.shown.clone());
                let source = match said.is_variable {
                    true => ValueSource::Variable(store::VARIABLE),
                    false => ValueSource::of(&said.place),
                };
                (shown.unwrap_or_default(), source)
            }),
            None,
        ),
        (
            "storePasswordCommand",
            // The program alone: an argument may be a secret.
            of_user(|keys| {
                let (words, at) = keys.store_password_command.as_ref()?;
                Some((words.first()?.clone(), at))
            }),
            None,
        ),
        (
            "offlineMs",
            of_user(|keys| {
                let (span, at) = keys.offline.as_ref()?;
                Some((span.as_millis().to_string(), at))
            }),
            Some(OFFLINE.as_millis().to_string()),
        ),
    ];
    let settings = rows.map(|(name, found, default)| {
        let (mut value, source) = match found {
            Some((value, source)) => (Some(value), source),
            None => (default, ValueSource::Default),
        };
        let (place, said) = match &source {
            ValueSource::Variable(variable) => (Place::option(variable), true),
            _ => (Place::option(name), source == ValueSource::Configure),
        };
        let judged = match (name, &value) {
            ("keySource", Some(text)) => one_of(&place, text, KEY_SOURCES).err(),
            ("allowNetworkFs", Some(text)) => one_of(&place, text, FLAGS).err(),
            ("log.level", Some(text)) => one_of(&place, text, LOG_LEVELS).err(),
            ("dir", _) => dir.as_ref().err().cloned(),
            ("store", Some(_)) => store
                .as_ref()
                .and_then(|said| said.address.as_ref().err().cloned()),
            _ => None,
        };
        if let Some(fault) = judged.filter(|_| said || name == "dir") {
            faults.push(fault);
            value = None;
        }
        if name == "allowNetworkFs" {
            // As `configure` has it.
            let flag = |text: String| (text == name_of(FLAGS, true)).to_string();
            value = value.map(flag);
        }
        Setting {
            name,
            value,
            source,
        }
    });
    let dir = settings[0].value.as_ref().map(PathBuf::from);
    (settings.into(), dir)
}

/// The name of a choice.
pub(super) fn name_of<T: PartialEq>(choices: &[(&'static str, T)], value: T) -> &'static str {
    let found = choices.iter().find(|(_, choice)| *choice == value);
    found.map_or("", |(name, _)| name)
}
