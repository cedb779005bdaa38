//! Where a vault for many machines is, and where its password comes from.

use std::path::PathBuf;

use secrecy::SecretString;

use super::error::{ConfigError, Place};
use super::inline::Inline;
use super::layer::Layer;
use super::paths::{Platform, expand, named, variable};
use super::provider::Provenance;
use super::provider_keys::STORE;
use super::store_url::{Kept, StoreUrl};
use crate::host::Env;

/// Names a vault for many machines.
pub(super) const VARIABLE: &str = "PROVIDER_AUTH_STORE";

/// Has the store's password.
pub(super) const PASSWORD: &str = "PROVIDER_AUTH_STORE_PASSWORD";

/// Names a file with it.
pub(super) const PASSWORD_FILE: &str = "PROVIDER_AUTH_STORE_PASSWORD_FILE";

/// A vault for many machines. No secret of it is in its debug form.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Its address; all paths are whole.
    pub address: StoreUrl,
    /// Its password, from the environment.
    pub password: Option<SecretString>,
    /// A file with nothing else in it.
    pub password_file: Option<PathBuf>,
    /// A program that prints it, and its arguments; empty where none is set.
    pub password_command: Vec<String>,
    /// A file with passwords of many databases, as libpq has it; it need not be there.
    pub passwords: Option<PathBuf>,
}

/// Where the address is said, and what is said there.
pub(super) struct Said {
    pub(super) place: Place,
    pub(super) is_variable: bool,
    pub(super) address: Result<StoreUrl, ConfigError>,
}

/// The strongest of all that name a store: `configure`, the environment, the user's file.
pub(super) fn said(env: &dyn Env, inline: &Inline, layers: &[Layer]) -> Option<Said> {
    let in_text = |text: &str, place: Place, kept| Said {
        address: StoreUrl::read(text, kept, &place),
        is_variable: kept == Kept::InEnvironment,
        place,
    };
    let in_layers = |is_inline: bool| {
        let mut layers = layers.iter().rev();
        let found = layers.find_map(|layer| {
            let is_asked = matches!(layer.provenance, Provenance::Inline) == is_inline;
            layer.user_keys.store.as_ref().filter(|_| is_asked)
        });
        found.map(|(address, place)| Said {
            address: Ok(address.clone()),
            is_variable: false,
            place: place.clone(),
        })
    };
    let option = inline.store.as_deref();
    option
        .map(|text| in_text(text, Place::option(STORE), Kept::InWriting))
        .or_else(|| in_layers(true))
        .or_else(|| {
            let text = variable(env, VARIABLE)?;
            Some(in_text(&text, Place::option(VARIABLE), Kept::InEnvironment))
        })
        .or_else(|| in_layers(false))
}

/// The store, if one is configured.
pub(super) fn settings(
    env: &dyn Env,
    inline: &Inline,
    layers: &[Layer],
) -> Result<Option<StoreSettings>, ConfigError> {
    let Some(said) = said(env, inline, layers) else {
        return Ok(None);
    };
    let mut address = said.address?;
    let whole = |path: PathBuf| expand(env, &path);
    address.roots = address.roots.map(whole);
    address.certificate = address
        .certificate
        .map(|(certificate, key)| (whole(certificate), whole(key)));
    let mut commands = layers.iter().rev();
    let command = commands.find_map(|layer| layer.user_keys.store_password_command.as_ref());
    let mut password_command = command.map_or_else(Vec::new, |(words, _)| words.clone());
    if let Some(program) = password_command
        .first_mut()
        .filter(|it| it.starts_with('~'))
    {
        *program = whole(PathBuf::from(&*program))
            .to_string_lossy()
            .into_owned();
    }
    Ok(Some(StoreSettings {
        address,
        password: variable(env, PASSWORD).map(SecretString::from),
        password_file: named(env, PASSWORD_FILE).map(whole),
        password_command,
        passwords: passwords(env),
    }))
}

/// Where libpq keeps passwords.
fn passwords(env: &dyn Env) -> Option<PathBuf> {
    if let Some(file) = named(env, "PGPASSFILE") {
        return Some(expand(env, &file));
    }
    match Platform::HERE {
        Platform::Windows => Some(
            named(env, "APPDATA")?
                .join("postgresql")
                .join("pgpass.conf"),
        ),
        Platform::MacOs | Platform::Unix => Some(env.home_dir()?.join(".pgpass")),
    }
}
