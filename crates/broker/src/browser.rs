//! Opens a page in the user's browser, which is a process of its own and is handed none of our
//! secrets.
//!
//! A browser hands its environment on to everything that it starts, and a core dump or
//! `/proc/<pid>/environ` shows it.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;

use secrecy::ExposeSecret;
use url::Url;

use provider_auth_policy::Gather as _;

use crate::config::{OWN_VARIABLES, Provider, SecretSource};
use crate::host::Env;
use crate::limits;
use crate::providers::BUILT_IN;
use crate::store::Store;
use crate::store::secret::Secret;

/// Variables that hold a secret under a name that does not say so.
const NAMED: &[&str] = &["OPENCODE_AUTH_CONTENT", "PROVIDER_AUTH_STORE"];

/// Words of a name that say that the variable holds a secret.
const WORDS: &[&str] = &[
    "APIKEY",
    "CREDENTIAL",
    "CREDENTIALS",
    "KEY",
    "KEYS",
    "PASSPHRASE",
    "PASSWD",
    "PASSWORD",
    "PAT",
    "SECRET",
    "SECRETS",
    "TOKEN",
    "TOKENS",
];

/// With it a window of another program comes to the front (the Wayland protocol `xdg-activation`).
const NEEDED: &str = "XDG_ACTIVATION_TOKEN";

/// Opens a web page in the user's browser. `store` says which variables hold secrets beside those
/// whose name says so.
///
/// Returns once a launcher has taken the page, or has been at it for a moment.
pub(crate) fn open(url: &str, env: &dyn Env, store: Option<&Store>) -> io::Result<()> {
    let is_page = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if !is_page {
        return Err(io::Error::new(ErrorKind::InvalidInput, "not a web page"));
    }
    let kept = kept_variables(env, store);
    let mut last = None;
    for mut command in open::commands(url) {
        for name in &kept {
            command.env_remove(name);
        }
        match launch(command) {
            Ok(None) => return Ok(()),
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => last = Some(io::Error::other(format!("ended with {status}"))),
            Err(error) => last = last.or(Some(error)),
        }
    }
    Err(last.unwrap_or_else(|| ErrorKind::Unsupported.into()))
}

/// The variables that no child gets.
fn kept_variables(env: &dyn Env, store: Option<&Store>) -> BTreeSet<String> {
    let known = store.map(Known::of).unwrap_or_default();
    let holds_secret = |name: &String| {
        says_secret(name)
            || known.names.contains(name)
            || env.var(name).is_some_and(|value| known.is_secret(&value))
    };
    env.names().into_iter().filter(holds_secret).gather()
}

/// The variables that are set for this program alone: what opens the vault, and what the
/// configuration or an account names.
pub(crate) fn own_variables(store: Option<&Store>) -> BTreeSet<String> {
    let named = store.map(Known::of).unwrap_or_default().names;
    named
        .into_iter()
        .chain(OWN_VARIABLES.map(str::to_owned))
        .gather()
}

/// Whether the name of a variable says that it holds a secret.
fn says_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let mut words = name.split(|letter: char| !letter.is_ascii_alphanumeric());
    let is_key = |names: &[&str]| names.contains(&name.as_str());
    name != NEEDED
        && (NAMED.contains(&name.as_str())
            || BUILT_IN.iter().any(|known| is_key(known.key_variables))
            || words.any(|word| WORDS.contains(&word))
            || WORDS
                .iter()
                .any(|word| name.ends_with(&format!("API{word}"))))
}

/// What the configuration and the accounts tell of variables.
#[derive(Default)]
struct Known<'a> {
    store: Option<&'a Store>,
    names: BTreeSet<String>,
}

impl<'a> Known<'a> {
    fn of(store: &'a Store) -> Self {
        let settings = store.settings();
        let configured = settings.definitions();
        let accounts = store.accounts();
        let of_hosts = accounts
            .entries()
            .filter_map(|entry| match &entry.credential.secret {
                Secret::Wellknown { variable, .. } => variable.clone(),
                _ => None,
            });
        let names = configured
            .flat_map(|provider| referenced(provider))
            .chain(of_hosts)
            .collect();
        Self {
            store: Some(store),
            names,
        }
    }

    /// Whether this is the credential of an account, be the variable called what it may.
    fn is_secret(&self, value: &str) -> bool {
        let Some(store) = self.store else {
            return false;
        };
        let vault = store.open_vault();
        let whole = vault.and_then(|vault| store.whole_accounts(&vault).ok());
        let accounts = whole.unwrap_or_else(|| store.accounts());
        let mut secrets = accounts.entries().filter_map(|entry| entry.bearer());
        !value.is_empty() && secrets.any(|secret| secret.expose_secret() == value)
    }
}

/// The variables that a provider's configuration names.
fn referenced(provider: &Provider) -> impl Iterator<Item = String> {
    let secrets = [
        &provider.client_secret,
        &provider.private_key,
        &provider.assertion,
    ];
    secrets
        .into_iter()
        .flatten()
        .filter_map(|secret| match &secret.source {
            SecretSource::Env(name) => Some(name.clone()),
            _ => None,
        })
}

/// Starts a launcher. Returns how it ended, or nothing when it is still at it after a moment.
fn launch(mut command: Command) -> io::Result<Option<ExitStatus>> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // What ends this program by the keyboard does not end the browser.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let (ended, end) = mpsc::channel();
    // The thread stays for as long as the launcher, and takes note of its end so that no zombie is
    // left.
    std::thread::Builder::new()
        .name("provider-auth-browser".to_owned())
        .spawn(move || {
            let status = command.spawn().and_then(|mut child| child.wait());
            let _ = ended.send(status);
        })?;
    match end.recv_timeout(limits::BROWSER_TIMEOUT) {
        Ok(status) => status.map(Some),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whether_the_variable_holds_a_secret() {
        for name in [
            "PROVIDER_AUTH_KEY",
            "PROVIDER_AUTH_PASSPHRASE",
            "PROVIDER_AUTH_STORE",
            "PROVIDER_AUTH_STORE_PASSWORD",
            "OPENCODE_VAULT_KEY",
            "OPENCODE_AUTH_CONTENT",
            "OPENCODE_SERVER_PASSWORD",
            "OPENAI_API_KEY",
            "openai_api_key",
            "OPENROUTER_APIKEY",
            "MYAPIKEY",
            "GITHUB_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "AZURE_DEVOPS_PAT",
        ] {
            assert!(says_secret(name), "{name}");
        }
        for known in BUILT_IN {
            assert!(known.key_variables.iter().all(|name| says_secret(name)));
        }
        for name in [
            "PATH",
            "HOME",
            "DISPLAY",
            "WAYLAND_DISPLAY",
            "XAUTHORITY",
            "XDG_ACTIVATION_TOKEN",
            "XDG_RUNTIME_DIR",
            "DBUS_SESSION_BUS_ADDRESS",
            "SSH_AUTH_SOCK",
            "GNOME_KEYRING_CONTROL",
            "BROWSER",
            "LANG",
            "PROVIDER_AUTH_DIR",
        ] {
            assert!(!says_secret(name), "{name}");
        }
    }

    #[test]
    fn nothing_but_a_web_page_is_opened() {
        struct Nothing;
        impl Env for Nothing {
            fn var(&self, _: &str) -> Option<String> {
                None
            }
            fn home_dir(&self) -> Option<std::path::PathBuf> {
                None
            }
            fn current_dir(&self) -> Option<std::path::PathBuf> {
                None
            }
        }
        for url in [
            "file:///etc/passwd",
            "--help",
            "javascript:1",
            "vscode://x",
            "",
        ] {
            let error = open(url, &Nothing, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}");
        }
    }
}
