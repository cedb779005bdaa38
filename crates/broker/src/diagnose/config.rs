//! The configuration: whether it can be used, what is odd about it, and who can read its secrets.

use std::path::Path;

use provider_auth_vault::{Privacy, loose_file, tighten};

use super::finding::Finding;
use crate::config::{
    Method, ProjectFile, Provider, SecretRef, SecretSource, Settings, TrustState, expand,
};
use crate::error::BrokerError;
use crate::store::Store;

/// A configuration that cannot be used.
pub(super) fn invalid(error: &BrokerError) -> Finding {
    let mut finding = Finding::problem("config.invalid", "the configuration cannot be used")
        .why(format!("{error}; until it is mended, every call fails"))
        .remedy("mend it; provider-auth config check says what is wrong");
    if let Some(file) = error.file() {
        finding = finding.with("file", file.display());
    }
    match error.path() {
        Some(path) => finding.with("path", path),
        None => finding,
    }
}

pub(super) fn check(store: &Store, fix: bool) -> Vec<Finding> {
    let settings = store.settings();
    let mut findings = vec![files(&settings)];
    for warning in &settings.warnings {
        findings.push(
            Finding::warning("config.warning", warning.clone())
                .why(
                    "this part of the configuration has no effect, or not the one it seems to have",
                )
                .remedy("provider-auth config check shows it in its file"),
        );
    }
    findings.extend(settings.project.files.iter().filter_map(project));
    for id in &settings.named {
        if let Some(provider) = settings.providers.get(id)
            && lacks_client(provider)
        {
            findings.push(
                Finding::note("config.no_client", format!("{id} has no client id"))
                    .why("nobody can sign in to it; only API keys can be added")
                    .remedy(format!(
                        "register a client with the provider, and set providers.{id}.clientId"
                    ))
                    .with("provider", id),
            );
        }
    }
    findings.extend(readers(store, fix));
    findings
}

/// The user's own file.
fn files(settings: &Settings) -> Finding {
    match &settings.user_file {
        Some(file) if file.exists() => {
            Finding::ok("config.file", format!("{} can be used", file.display()))
                .with("file", file.display())
        }
        _ => Finding::ok("config.none", "there is no config file, and none is needed"),
    }
}

/// A file of the project. One that another user may have made is a warning already.
fn project(file: &ProjectFile) -> Option<Finding> {
    let name = file.file.display();
    let finding = match file.state {
        TrustState::Untrusted | TrustState::Changed => Finding::note(
            "config.untrusted",
            format!("the project file {name} waits for your trust"),
        )
        .why("what it wants beyond choosing among accounts has no effect")
        .remedy("provider-auth trust shows what it wants, and asks"),
        TrustState::Trusted => Finding::ok(
            "config.project",
            format!("the project file {name} is trusted"),
        ),
        TrustState::Unneeded => Finding::ok(
            "config.project",
            format!("the project file {name} needs no trust"),
        ),
        TrustState::Ignored(_) => return None,
    };
    Some(finding.with("file", name))
}

fn lacks_client(provider: &Provider) -> bool {
    let offers = |method: &Method| !matches!(method, Method::ApiKey);
    provider.server.is_some()
        && provider.client_id.is_none()
        && !provider.methods().iter().any(offers)
}

/// Who else can read secrets that stand in files.
fn readers(store: &Store, fix: bool) -> Vec<Finding> {
    let settings = store.settings();
    let mut findings = Vec::new();
    let secrets = settings.providers.values().flat_map(|provider| {
        [
            &provider.client_secret,
            &provider.private_key,
            &provider.assertion,
        ]
    });
    let mut has_clear = false;
    for SecretRef { source, .. } in secrets.flatten() {
        match source {
            SecretSource::Plain(_) => has_clear = true,
            SecretSource::File(file) => {
                let file = expand(&*store.host.env, file);
                findings.extend(readable(
                    "config.secret_file",
                    "a secret of the configuration",
                    &file,
                    false,
                ));
            }
            SecretSource::Env(_) => {}
        }
    }
    if let Some(file) = &settings.key.passphrase_file {
        findings.extend(readable(
            "vault.passphrase_file",
            "the vault's passphrase",
            file,
            false,
        ));
    }
    if let Some(file) = settings
        .user_file
        .as_deref()
        .filter(|file| has_clear && file.exists())
    {
        match readable("config.readable", "a client's secret in clear", file, fix) {
            Some(found) => findings.push(found),
            None => findings.push(
                Finding::note(
                    "config.clear_secret",
                    "a client's secret stands in clear in the configuration",
                )
                .why("it goes wherever the file is copied: backups, a repository of dotfiles")
                .remedy("put it into a file of its own or a variable: {file:…} or {env:…}")
                .with("file", file.display()),
            ),
        }
    }
    if let Some(file) = &settings.log.file {
        let is_kept = || {
            let title = format!("log lines go to {}", file.display());
            Finding::ok("log.file", title).with("file", file.display())
        };
        findings.push(log_file(file, fix).unwrap_or_else(is_kept));
    }
    findings
}

fn readable(id: &'static str, holds: &str, file: &Path, fix: bool) -> Option<Finding> {
    let found = loose_file(file)?;
    let title = format!("other users can read {}", file.display());
    let finding = match found.privacy {
        Privacy::Foreign => {
            return Some(
                Finding::warning(id, format!("{} belongs to another user", file.display()))
                    .why(format!(
                        "it holds {holds}, which that user can read and replace"
                    ))
                    .with("file", file.display()),
            );
        }
        _ => Finding::problem(id, title),
    };
    let mendable = id == "config.readable";
    let finding = finding
        .why(format!("it holds {holds}"))
        .remedy(format!("chmod 600 {}", file.display()))
        .with("file", file.display());
    Some(match mendable {
        true => finding.fixable(fix && tighten(file).is_ok()),
        false => finding,
    })
}

fn log_file(file: &Path, fix: bool) -> Option<Finding> {
    loose_file(file).map(|found| {
        let title = format!("other users can read the log {}", file.display());
        let finding = Finding::warning("log.readable", title)
            .why("it tells which accounts there are and when they serve")
            .remedy(format!("chmod 600 {}", file.display()))
            .with("file", file.display());
        match found.privacy {
            Privacy::Foreign => finding,
            _ => finding.fixable(fix && tighten(file).is_ok()),
        }
    })
}
