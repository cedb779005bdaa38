//! Which providers' requests are ours, as far as that can be told when something is wrong with the
//! configuration or the vault.
//!
//! A host that cannot start us needs to know whose requests must not go out as they are. So a file
//! that cannot be taken over still tells which providers it means, and the accounts are read
//! without it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jsonc_parser::{CollectOptions, ParseOptions, ast, parse_to_ast};
use provider_auth_policy::{AccountKind, Gather as _};

use crate::config::{self, Inline};
use crate::host::{Env, Host};
use crate::limits;
use crate::notifier::Events;
use crate::providers::BUILT_IN;
use crate::store::Store;

/// Whose requests are ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Providers of models that have an account, as far as the accounts can be read.
    pub with_accounts: BTreeSet<String>,
    /// Those that a config file or `configure` means, also where that file has a fault.
    pub configured: BTreeSet<String>,
    /// Those that are built in.
    pub built_in: BTreeSet<String>,
    /// Whether there may be others: the accounts or the user's own configuration could not be read.
    pub may_lack: bool,
}

impl Claims {
    /// Reads the claims, whatever is wrong. `inline` are the options of `configure`.
    pub(crate) async fn read(host: &Host, inline: &Inline) -> Self {
        let mut claims = Self {
            built_in: BUILT_IN.iter().map(|known| known.id.to_owned()).collect(),
            ..Self::default()
        };
        let without_config = Inline {
            config: None,
            ..inline.clone()
        };
        for (inline, hidden) in [
            (inline, Hidden::Nothing),
            (inline, Hidden::Project),
            (inline, Hidden::Files),
            (&without_config, Hidden::Files),
        ] {
            let env: Arc<dyn Env> = Arc::new(Partly {
                env: host.env.clone(),
                hidden,
            });
            match config::load(&*env, inline) {
                Ok(_) => {
                    let host = Host {
                        env,
                        ..host.clone()
                    };
                    claims.add_accounts(host, inline).await;
                    return claims;
                }
                Err(fault) => claims.add_file(fault.file.as_deref(), hidden),
            }
        }
        claims.may_lack = true;
        claims
    }

    /// Adds what this configuration and the accounts under it say.
    async fn add_accounts(&mut self, host: Host, inline: &Inline) {
        let Ok(store) = Store::new(host, inline, Arc::new(Events::default())) else {
            self.may_lack = true;
            return;
        };
        let settings = store.settings();
        // An MCP server serves no models.
        let servers = settings.definitions();
        let servers = servers.filter(|provider| provider.resource.is_some());
        let servers: BTreeSet<&str> = servers.map(|server| &*server.id).gather();
        let named = settings.named.iter();
        let models = named.filter(|id| !servers.contains(id.as_str()));
        self.configured.extend(models.cloned());
        match store.opened().await {
            Ok(_) => {
                let accounts = store.accounts();
                let of_models = accounts.entries().filter(|entry| {
                    let (kind, provider) = (entry.view.kind, &entry.credential.provider);
                    matches!(kind, AccountKind::Oauth | AccountKind::Api)
                        && !servers.contains(provider.as_str())
                });
                self.with_accounts
                    .extend(of_models.map(|entry| entry.credential.provider.clone()));
            }
            Err(_) => self.may_lack = true,
        }
    }

    /// Adds the providers that a file with a fault means.
    fn add_file(&mut self, file: Option<&Path>, hidden: Hidden) {
        let named = file.and_then(providers_of);
        // What only a project's file means has no account of the user's.
        if named.is_none() && hidden == Hidden::Project {
            self.may_lack = true;
        }
        self.configured.extend(named.unwrap_or_default());
    }
}

/// The ids under `providers` of a file, if it is an object at all.
fn providers_of(file: &Path) -> Option<Vec<String>> {
    let length = std::fs::metadata(file)
        .ok()
        .filter(|file| file.is_file())?
        .len();
    if length > limits::LEGACY_LIMIT {
        return None;
    }
    let text = std::fs::read_to_string(file).ok()?;
    let parsed = parse_to_ast(&text, &CollectOptions::default(), &ParseOptions::default());
    let root = parsed.ok()?.value?;
    let providers = root.as_object()?.get_object("providers");
    let entries = providers.map(|providers| providers.properties.as_slice());
    let is_server = |value: &ast::Value<'_>| {
        value
            .as_object()
            .is_some_and(|provider| provider.get("resource").is_some())
    };
    let of_models = entries.unwrap_or_default().iter();
    let of_models = of_models.filter(|entry| !is_server(&entry.value));
    Some(
        of_models
            .map(|entry| entry.name.as_str().to_owned())
            .collect(),
    )
}

/// Which files are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hidden {
    Nothing,
    /// The project's.
    Project,
    /// The user's as well.
    Files,
}

/// An environment in which some files are not to be found.
struct Partly {
    env: Arc<dyn Env>,
    hidden: Hidden,
}

impl Env for Partly {
    fn var(&self, name: &str) -> Option<String> {
        /// Where no file can be.
        const NOWHERE: &str = if cfg!(windows) {
            r"C:\nul\nowhere"
        } else {
            "/dev/null/nowhere"
        };
        match (self.hidden, name) {
            (Hidden::Files, "PROVIDER_AUTH_CONFIG") => None,
            (Hidden::Files, "XDG_CONFIG_HOME" | "APPDATA") => Some(NOWHERE.to_owned()),
            _ => self.env.var(name),
        }
    }

    fn names(&self) -> Vec<String> {
        self.env.names()
    }

    fn home_dir(&self) -> Option<PathBuf> {
        self.env.home_dir()
    }

    fn current_dir(&self) -> Option<PathBuf> {
        match self.hidden {
            Hidden::Nothing => self.env.current_dir(),
            Hidden::Project | Hidden::Files => None,
        }
    }
}
