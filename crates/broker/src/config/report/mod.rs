//! Where each value of the configuration comes from, and all that is wrong with it.
//!
//! The report is for people and their tools, so no secret is in it: of a secret it says where it is
//! kept, and of what may hold one by mistake, that it is set.

mod effective;
mod parts;
mod set;
mod settings;

use std::collections::BTreeSet;

use self::effective::in_effect;
use self::set::{SetValues, Withheld};
use provider_auth_policy::Gather as _;

use super::error::{ConfigError, Place};
use super::inline::Inline;
use super::merge::{self, WithoutTrust};
use super::paths;
use super::project::{Project, TrustState, TrustedFiles};
use super::provider::Provider;
use super::secret::{SecretSource, resolve_secret};
use super::sources::{SourceFile, Sources};
use crate::host::Env;
use crate::printable::visible;

pub use super::sources::FileKind;
pub use parts::{
    ConfigReport, FileReport, FileState, ProviderReport, ProviderValue, Setting, ValueSource,
    Variable,
};

/// Reads the configuration as far as it can be read, and says all that is wrong with it.
pub fn inspect(env: &dyn Env, inline: &Inline) -> ConfigReport {
    let mut sources = Sources::read(env, inline);
    let mut faults = std::mem::take(&mut sources.faults);
    let unmade = faults.len();
    let untrusted = merge::merge(&sources.layers, &mut faults);
    let (settings, dir) = settings::settings(env, inline, &sources, &mut faults);
    sources.warnings.extend(settings::unknown_variables(env));
    sources.warnings.extend(settings::relative_dir(env));
    let unused = untrusted.providers.values();
    let unused = unused.flat_map(|known| known.unused_keys.clone());
    sources.warnings.extend(unused);
    let trusted = dir.as_ref().map_or_else(TrustedFiles::default, |dir| {
        TrustedFiles::read(dir, &mut sources.warnings)
    });
    let protected = dir.as_ref().map(|dir| paths::ours(dir, [None; 2]));
    let protected = protected.unwrap_or_else(|| [].into());
    let project = Project::of(&mut sources, &untrusted, &trusted, &protected, env);
    let in_oci_files = sources.files.iter().flat_map(|file| &file.faults);
    let providers_made = untrusted.providers.values().chain(project.definitions());
    let unset: Vec<ConfigError> = providers_made
        .flat_map(|provider| unset_variables(provider, env))
        .collect();
    sources.warnings.extend(unset);
    let withheld = Withheld::of(faults.iter().chain(in_oci_files), &sources.warnings);
    // That a provider lacks something follows from a fault of what it was to be made of.
    let broken: BTreeSet<String> = faults[..unmade].iter().filter_map(provider_of).gather();
    let follows = |odd: &ConfigError| provider_of(odd).is_some_and(|id| broken.contains(&id));
    let (of_parts, of_whole) = faults.split_at(unmade);
    let of_whole = of_whole.iter().filter(|fault| !follows(fault));
    let faults: Vec<ConfigError> = of_parts.iter().chain(of_whole).cloned().collect();
    sources
        .warnings
        .retain(|odd| odd.file.is_some() || !follows(odd));
    let providers = providers(&sources, &untrusted, &project, &withheld);
    let files: Vec<FileReport> = sources
        .files
        .iter()
        .map(|file| file_report(file, &faults, &sources.warnings, &project))
        .collect();
    let elsewhere = |found: &&ConfigError| {
        !files
            .iter()
            .any(|file| found.file.as_deref().is_some_and(|path| file.is(path)))
    };
    ConfigReport {
        settings,
        variables: settings::variables(env),
        providers,
        faults: faults.iter().filter(elsewhere).cloned().collect(),
        warnings: sources
            .warnings
            .iter()
            .filter(elsewhere)
            .map(of_no_file)
            .collect(),
        files,
    }
}

/// A warning for each secret of a provider whose variable is not set.
fn unset_variables(provider: &Provider, env: &dyn Env) -> impl Iterator<Item = ConfigError> {
    let secrets = [
        &provider.client_secret,
        &provider.private_key,
        &provider.assertion,
    ];
    let secrets = secrets.into_iter().flatten();
    let in_variables = secrets.filter(|secret| matches!(secret.source, SecretSource::Env(_)));
    in_variables.filter_map(move |secret| resolve_secret(secret, env).err())
}

/// What is odd about a file that is none of the configuration's, such as the list of trusted ones.
fn of_no_file(odd: &ConfigError) -> ConfigError {
    match &odd.file {
        None => odd.clone(),
        Some(file) => Place::default().fault(format!("{}: {}", visible(file), odd.why)),
    }
}

/// The provider that a fault is of, by its path.
fn provider_of(fault: &ConfigError) -> Option<String> {
    let rest = fault.path.strip_prefix("providers")?;
    let id = match rest.strip_prefix("[\"") {
        Some(quoted) => quoted.split_once("\"]")?.0,
        None => rest.strip_prefix('.')?.split(['.', '[']).next()?,
    };
    Some(id.to_owned())
}

fn file_report(
    source: &SourceFile,
    faults: &[ConfigError],
    warnings: &[ConfigError],
    project: &Project,
) -> FileReport {
    let mut report = FileReport {
        kind: source.kind,
        file: source.file.clone(),
        exists: source.file.exists(),
        true_file: source.file.canonicalize().ok(),
        state: FileState::Absent,
        faults: Vec::new(),
        warnings: Vec::new(),
    };
    let is_here = |fault: &&ConfigError| fault.file.as_deref().is_some_and(|file| report.is(file));
    let mut found: Vec<ConfigError> = faults.iter().filter(is_here).cloned().collect();
    found.extend(source.faults.iter().cloned());
    found.sort_by_key(|fault| (fault.line, fault.column));
    let mut odd: Vec<ConfigError> = warnings.iter().filter(is_here).cloned().collect();
    odd.sort_by_key(|fault| (fault.line, fault.column));
    let trust = project.files.iter().find(|file| report.is(&file.file));
    report.state = match &source.ignored {
        Some(why) if report.exists => FileState::Ignored(why.clone()),
        _ if !found.is_empty() => FileState::Faulty,
        _ if !report.exists => FileState::Absent,
        _ => match source.kind {
            FileKind::User | FileKind::OciUser => FileState::Read,
            FileKind::Project | FileKind::OciProject => {
                FileState::Project(trust.map_or(TrustState::Unneeded, |file| file.state))
            }
        },
    };
    (report.faults, report.warnings) = (found, odd);
    report
}

fn providers(
    sources: &Sources,
    untrusted: &WithoutTrust,
    project: &Project,
    withheld: &Withheld,
) -> Vec<ProviderReport> {
    let set = SetValues::of(sources, project, withheld);
    let named = project.named(sources);
    let ids: BTreeSet<&str> = untrusted
        .providers
        .keys()
        .map(String::as_str)
        .chain(untrusted.selections.ids())
        .chain(project.defined())
        .chain(set.ids())
        .gather();
    let report = |id: &str| {
        let by_project = project.definition(id).and_then(|made| made.as_ref().ok());
        let made = by_project.or_else(|| untrusted.providers.get(id));
        let known = made.map(|made| in_effect(made)).unwrap_or_default();
        let mut values = set.values(id, &known);
        let holds = |key: &str| {
            values
                .iter()
                .any(|value: &ProviderValue| value.key == key || Some(&*value.key) == parent(key))
        };
        let rest: Vec<ProviderValue> = known
            .into_iter()
            .filter(|(key, _)| !holds(key))
            .map(|(key, value)| ProviderValue {
                key: key.to_owned(),
                value: Some(value),
                source: ValueSource::BuiltIn,
            })
            .collect();
        values.extend(rest);
        values.sort_by(|a, b| a.key.cmp(&b.key));
        ProviderReport {
            configured: named.contains(id) || set.ids().any(|set| set == id),
            id: id.to_owned(),
            values,
        }
    };
    ids.into_iter().map(report).collect()
}

/// The object that a key stands in.
fn parent(key: &str) -> Option<&str> {
    key.rsplit_once('.').map(|(parent, _)| parent)
}
