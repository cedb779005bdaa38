//! The configuration: whether it can be used, what is odd about it, and who can read its secrets.

use std::path::Path;

use provider_auth_vault::{Privacy, loose_file, tighten};

use super::finding::Finding;
use crate::config::{
    ConfigError, ConfigReport, FileReport, FileState, Method, Provider, SecretRef, SecretSource,
    TrustState, expand,
};
use crate::error::BrokerError;
use crate::store::Store;

/// What to do where a fault stands in no file.
const OF_NO_FILE: &str = "correct the variable, or what is given to configure()";

/// All that the report on the configuration says. Where the configuration cannot be used, with the
/// error that keeps it from use.
pub(super) fn reported(report: &ConfigReport, kept: Option<&BrokerError>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let why = match kept {
        Some(_) => "until it is mended, every call fails",
        None => "what it says there has no effect",
    };
    let fault = |fault: &ConfigError| {
        let finding = Finding::problem("config.invalid", fault.to_string()).why(why);
        let remedy = match fault.file {
            Some(_) => {
                "provider-auth config check lists every fault; provider-auth config edit opens the file"
            }
            None => OF_NO_FILE,
        };
        placed(finding.remedy(remedy), fault)
    };
    let warning = |odd: &ConfigError| {
        let finding = Finding::warning("config.warning", odd.to_string());
        let finding = finding
            .why("this part of the configuration has no effect, or not the one it seems to have")
            .remedy(match odd.file {
                Some(_) => "provider-auth config check shows it in its file",
                None => OF_NO_FILE,
            });
        placed(finding, odd)
    };
    for file in &report.files {
        findings.extend(state(file));
        findings.extend(file.faults.iter().map(fault));
        // That it waits for trust is said already.
        let waits = matches!(
            file.state,
            FileState::Project(TrustState::Untrusted | TrustState::Changed)
        );
        let odd = file.warnings.iter();
        let odd = odd.filter(|odd| !waits || !odd.path.is_empty());
        findings.extend(odd.map(warning));
    }
    findings.extend(report.faults.iter().map(fault));
    findings.extend(report.warnings.iter().map(warning));
    if let Some(error) = kept
        && !findings.iter().any(|found| found.id == "config.invalid")
    {
        // What only shows once the configuration takes effect.
        let finding = Finding::problem("config.invalid", error.to_string()).why(why);
        let finding = finding.remedy("provider-auth config edit, or the variable that sets it");
        findings.push(match error {
            BrokerError::Config(fault) => placed(finding, fault),
            _ => finding,
        });
    }
    if !report.files.iter().any(|file| file.exists) && findings.is_empty() {
        let title = "there is no config file, and none is needed";
        findings.push(Finding::ok("config.none", title));
    }
    findings
}

fn placed(finding: Finding, fault: &ConfigError) -> Finding {
    let finding = match &fault.file {
        Some(file) => finding.with("file", file.display()),
        None => finding,
    };
    match fault.path.as_str() {
        "" => finding,
        path => finding.with("path", path),
    }
}

/// How a file counts. Its faults are findings of their own.
fn state(file: &FileReport) -> Option<Finding> {
    let name = file.file.display();
    let finding = match &file.state {
        FileState::Absent | FileState::Faulty => return None,
        FileState::Read => Finding::ok("config.file", format!("{name} is read")),
        FileState::Ignored(why) => {
            let title = format!("{name} is ignored: {why}");
            let finding = Finding::note("config.ignored", title);
            finding.why("nothing that it says has an effect")
        }
        FileState::Project(TrustState::Untrusted | TrustState::Changed) => Finding::note(
            "config.untrusted",
            format!("the project file {name} waits for your trust"),
        )
        .why("what it wants beyond choosing among accounts has no effect")
        .remedy("provider-auth trust shows what it wants, and asks"),
        FileState::Project(TrustState::Trusted) => Finding::ok(
            "config.project",
            format!("the project file {name} is trusted"),
        ),
        FileState::Project(TrustState::Unneeded) => Finding::ok(
            "config.project",
            format!("the project file {name} needs no trust"),
        ),
        // A warning of its file says so.
        FileState::Project(TrustState::Ignored(_)) => return None,
    };
    Some(finding.with("file", name))
}

/// What the settings in effect lack, and who can read their secrets.
pub(super) fn check(store: &Store, fix: bool) -> Vec<Finding> {
    let settings = store.settings();
    let mut findings = Vec::new();
    for id in &settings.named {
        if let Some(provider) = settings.providers.get(id)
            && lacks_client(provider)
        {
            findings.push(
                Finding::note("config.no_client", format!("{id} has no client id"))
                    .why("nobody can sign in to it; only API keys can be added")
                    .remedy(format!(
                        "register a client with the provider, and set providers.{id}.clientId: provider-auth config edit"
                    ))
                    .with("provider", id),
            );
        }
    }
    findings.extend(readers(store, fix));
    findings
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
