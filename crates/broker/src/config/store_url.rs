//! The address of a vault that many machines share:
//! `postgres://role@host:5432,other/database?vault=team-a`.
//!
//! It is read strictly, so that what is a password is never in doubt: one that holds an `@` which is
//! not written as `%40` would else be shown in part.

use std::fmt;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use secrecy::SecretString;

use super::error::{ConfigError, Place};
use super::suggestion::hint;

/// What an address may say behind its `?`.
const PARAMETERS: &[&str] = &[
    VAULT,
    "sslmode",
    ROOTS,
    CERTIFICATE,
    KEY,
    "pooler",
    "target_session_attrs",
    "channel_binding",
    "connect_timeout",
    "hostaddr",
    "load_balance_hosts",
    "options",
];
const VAULT: &str = "vault";
const ROOTS: &str = "sslrootcert";
const CERTIFICATE: &str = "sslcert";
const KEY: &str = "sslkey";

const FORM: &str = "expected postgres://role@host/database?vault=name";
const ENCODED: &str = "this address cannot be read: write @ as %40, / as %2F, ? as %3F, # as %23 and : as %3A in a user or password";

/// Where an address comes from decides whether it may hold a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// In the environment, where secrets are.
    InEnvironment,
    /// In a file, or in a program.
    InWriting,
}

/// An address that is well formed. It may hold a password, which it does not show.
#[derive(Clone)]
pub struct StoreUrl {
    /// As it was written.
    pub url: SecretString,
    /// Servers, database and vault: without user and password.
    pub shown: String,
    /// As whom; empty where it does not say.
    pub user: String,
    /// Name and port of each server; a folder of Unix sockets begins with `/`.
    pub servers: Vec<(String, String)>,
    /// Whether it has a password.
    pub has_password: bool,
    /// The database; empty where it is called like the user.
    pub database: String,
    /// A file with certificates to trust beside the system's.
    pub roots: Option<PathBuf>,
    /// The files of the client's own certificate and of its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreUrl").field(&self.shown).finish()
    }
}

impl StoreUrl {
    /// Reads an address. No fault repeats any of it.
    pub(super) fn read(text: &str, kept: Kept, place: &Place) -> Result<Self, ConfigError> {
        Self::parse(text, kept).map_err(|why| place.fault(why))
    }

    fn parse(text: &str, kept: Kept) -> Result<Self, String> {
        let parts = text.split_once("://").filter(|(scheme, _)| {
            matches!(*scheme, "postgres" | "postgresql")
                && text.bytes().all(|b| b.is_ascii_graphic())
        });
        let (scheme, rest) = parts.ok_or(FORM)?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (login, place) = place.split_once('@').unwrap_or(("", place));
        if [login, place, query]
            .iter()
            .any(|part| part.contains(['@', '#']))
            || login.contains('/')
        {
            return Err(ENCODED.to_owned());
        }
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        if !password.is_empty() && kept == Kept::InWriting {
            return Err(
                "a password may stand in the address only where that is a variable: set PROVIDER_AUTH_STORE_PASSWORD, \
                 PROVIDER_AUTH_STORE_PASSWORD_FILE or storePasswordCommand"
                    .to_owned(),
            );
        }
        let (servers, database) = place.split_once('/').unwrap_or((place, ""));
        let parameters = Parameters::read(query)?;
        let vault = parameters.raw(VAULT).filter(|name| !name.is_empty());
        let vault = vault.ok_or("this address names no vault: add ?vault=name")?;
        let certificate = match (parameters.file(CERTIFICATE)?, parameters.file(KEY)?) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            _ => {
                return Err(
                    "sslcert and sslkey go together: the address has one of them".to_owned(),
                );
            }
        };
        let read = Self {
            url: text.into(),
            shown: format!("{scheme}://{servers}/{database}?{VAULT}={vault}"),
            user: decoded(user)?,
            has_password: !password.is_empty(),
            servers: servers.split(',').map(server).collect::<Result<_, _>>()?,
            database: decoded(database)?,
            roots: match parameters.raw(ROOTS) {
                // As libpq calls what is trusted here all the same.
                Some("system") => None,
                _ => parameters.file(ROOTS)?,
            },
            certificate,
        };
        #[cfg(feature = "postgres")]
        provider_auth_backend_postgres::Options::check_url(text)?;
        Ok(read)
    }
}

struct Parameters<'a>(Vec<(&'static str, &'a str)>);

impl<'a> Parameters<'a> {
    fn read(query: &'a str) -> Result<Self, String> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let known = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let known = PARAMETERS.iter().find(|known| **known == name);
            let known = known.ok_or_else(|| {
                let meant = hint(name, PARAMETERS);
                format!(
                    "this address has a parameter that is not known{meant}; there are {}",
                    PARAMETERS.join(", ")
                )
            })?;
            Ok((*known, value))
        });
        known.collect::<Result<_, String>>().map(Self)
    }

    fn raw(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().rev().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }

    fn file(&self, name: &str) -> Result<Option<PathBuf>, String> {
        let Some(value) = self.raw(name) else {
            return Ok(None);
        };
        let path = PathBuf::from(decoded(value)?);
        match is_whole(&path) {
            true => Ok(Some(path)),
            false => Err(format!(
                "{name} of this address has to be a whole path, or one that begins with ~/"
            )),
        }
    }
}

fn server(text: &str) -> Result<(String, String), String> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (name, rest) = rest.split_once(']').ok_or(FORM)?;
            (name, rest.strip_prefix(':').unwrap_or_default())
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    if name.is_empty() || !port.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(FORM.to_owned());
    }
    let port = if port.is_empty() { "5432" } else { port };
    Ok((decoded(name)?, port.to_owned()))
}

/// Undoes percent signs.
fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    let decoded = decoded.ok().filter(|text| !text.contains('\0'));
    decoded.map(Into::into).ok_or_else(|| ENCODED.to_owned())
}

/// Whether a path leads to the same file from each working folder, which a cloned repository may be.
pub(super) fn is_whole(path: &Path) -> bool {
    path.is_absolute() || path.starts_with("~")
}
