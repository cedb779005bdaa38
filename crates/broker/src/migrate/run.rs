//! The steps of a migration, in the order that loses nothing: keep the file, write the accounts,
//! read them back, and only then touch the file.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use provider_auth_policy::{AccountId, Gather as _};
use provider_auth_vault::{
    Disk, Durability, KeySource, RecordGuard, Store as _, Vault, VaultError,
};

use super::kept::{Label, kept_files};
use super::plan::{FilePlan, Goal, Plan, PlannedChange};
use super::source::{Content, name_of, read};
use super::{
    ImportedEntry, MigrateOptions, MigrationReport, SourceAction, SourceReport, SourceState,
};
use crate::error::BrokerError;
use crate::host::blocking;
use crate::migrate::MigrationService;
use crate::store::accounts::{Accounts, record_id};
use crate::store::credential::Credential;
use crate::store::labels::free_label;
use crate::store::locks::read_locked;
use crate::store::moved_bundle;
use crate::store::record_kind::record_kind;

/// Records that were written, with the generations that they have now.
type Written = Vec<(AccountId, u64)>;

impl MigrationService {
    pub(super) async fn take_over(
        self: &Arc<Self>,
        options: MigrateOptions,
    ) -> Result<MigrationReport, BrokerError> {
        // Before the vault is opened, so that a file that cannot be read changes nothing.
        let look = {
            let (broker, options) = (self.clone(), options.clone());
            move || broker.look(&options, &Accounts::default())
        };
        let first = blocking(look).await?;
        // Without an account in them there is nothing to make a vault for.
        if first.changes.is_empty() || (options.dry_run && !self.has_vault().await?) {
            return Ok(first.report(&options));
        }
        let vault = self.store.opened_interactive().await?;
        if options.dry_run {
            let look = {
                let (broker, options) = (self.clone(), options.clone());
                move || broker.look(&options, &*broker.store.whole_accounts(&vault)?)
            };
            return Ok(blocking(look).await?.report(&options));
        }
        if options.source_action != SourceAction::Keep && vault.key_source() == KeySource::Memory {
            return Err(BrokerError::InvalidArgument(
                "source: expected keep, since the vault is in memory and ends with this process"
                    .to_owned(),
            ));
        }
        let (report, written) = blocking({
            let (broker, vault) = (self.clone(), vault.clone());
            move || {
                let taken = broker.take_over_now(&vault, &options);
                moved_bundle::settle(&vault);
                taken
            }
        })
        .await?;
        self.store.reread(&vault).await?;
        self.store.added(&vault, &written).await;
        Ok(report)
    }

    fn look(&self, options: &MigrateOptions, accounts: &Accounts) -> Result<Plan, BrokerError> {
        self.plan(options, accounts)
    }

    fn take_over_now(
        &self,
        vault: &Arc<Vault>,
        options: &MigrateOptions,
    ) -> Result<(MigrationReport, Written), BrokerError> {
        // Two migrations at once are one after the other: the second one finds what the first one
        // left.
        let _one_at_a_time = vault.lock_records()?;
        let accounts = self.all_accounts(vault)?;
        let plan = self.look(options, &accounts)?;
        let mut report = plan.report(options);
        if plan.changes_no_account() && options.source_action == SourceAction::Keep {
            return Ok((report, Written::new()));
        }
        self.keep_files(vault, &accounts, &plan, options.source_action)?;
        let mut written = Written::new();
        let mut labels = HashSet::new();
        for (place, change) in plan.changes.iter().enumerate() {
            let account = match &change.goal {
                Goal::Add => {
                    let label = label_of(&change.credential, &accounts, &labels);
                    labels.insert((change.credential.provider.clone(), label.clone()));
                    Some(self.add(vault, &change.credential, label, &mut written)?)
                }
                Goal::Update(id) => {
                    Some(self.update(vault, id, &change.credential, &mut written)?)
                }
                Goal::Leave(id) => Some(self.find(vault, id, &change.credential)?),
                Goal::SameAs(place) => report.imported[*place].account.clone(),
            };
            report.imported[place].account = account;
        }
        for (file, source) in plan.files.iter().zip(&mut report.sources) {
            source.state = release(file, options.source_action)?;
        }
        Ok((report, written))
    }

    /// Keeps the bytes of each file that an account comes from, before anything else is written.
    fn keep_files(
        &self,
        vault: &Vault,
        accounts: &Accounts,
        plan: &Plan,
        source_action: SourceAction,
    ) -> Result<(), BrokerError> {
        let known = kept_files(vault, accounts)?;
        for file in plan.files.iter().filter(|file| file.left.is_some()) {
            let Some(path) = &file.source.file else {
                continue;
            };
            let label = Label::new(
                file.source.name.clone(),
                name_of(path)?,
                file.wanted(source_action),
                file.backup(source_action),
            );
            self.keep_file(vault, &known, &label, &file.source.text)?;
        }
        Ok(())
    }

    /// Adds an account, and reads it back from the disk.
    fn add(
        &self,
        vault: &Vault,
        wanted: &Credential,
        label: String,
        written: &mut Written,
    ) -> Result<AccountId, BrokerError> {
        let credential = Credential {
            label,
            ..wanted.clone()
        };
        let kind = record_kind(credential.kind());
        let (record, generation) = vault.create(kind, &credential.plaintext())?;
        let id = AccountId::from(record.to_string());
        written.push((id.clone(), generation));
        read_back(vault, &self.store.lock_record(vault, &record)?, &credential)?;
        Ok(id)
    }

    /// Puts the tokens of an entry in the place of those of its account, and reads it back from the
    /// disk.
    fn update(
        &self,
        vault: &Vault,
        id: &AccountId,
        wanted: &Credential,
        written: &mut Written,
    ) -> Result<AccountId, BrokerError> {
        let guard = self.store.lock_record(vault, &record_id(id)?)?;
        let (current, _) = read_locked(vault, &guard)?;
        let credential = wanted.clone().in_place_of(current);
        let seen = self.store.seen_generation(id);
        let generation = vault.overwrite(&guard, &credential.plaintext(), seen)?;
        written.push((id.clone(), generation));
        read_back(vault, &guard, &credential)?;
        Ok(id.clone())
    }

    /// Makes sure that an account is on the disk, for an entry that may be removed from its file.
    fn find(
        &self,
        vault: &Vault,
        id: &AccountId,
        wanted: &Credential,
    ) -> Result<AccountId, BrokerError> {
        let guard = self.store.lock_record(vault, &record_id(id)?)?;
        let (found, _) = read_locked(vault, &guard)?;
        if found.provider == wanted.provider && found.kind() == wanted.kind() {
            Ok(id.clone())
        } else {
            Err(VaultError::Corrupt { id: guard.id() }.into())
        }
    }
}

/// Reads an account from the disk and compares. A process that saw it may have renewed its tokens
/// already; what it was made of stays.
fn read_back(
    vault: &Vault,
    guard: &RecordGuard,
    credential: &Credential,
) -> Result<(), BrokerError> {
    let (found, _) = read_locked(vault, guard)?;
    let is_written = found.taken_from == credential.taken_from
        && (found.updated_at != credential.updated_at
            || found.plaintext() == credential.plaintext());
    is_written
        .then_some(())
        .ok_or_else(|| VaultError::Corrupt { id: guard.id() }.into())
}

/// A name that no account of the pool has, nor one that was added a moment ago.
fn label_of(
    credential: &Credential,
    accounts: &Accounts,
    added: &HashSet<(String, String)>,
) -> String {
    let (pool, _) = accounts.pool(&credential.provider, &credential.namespace);
    free_label(credential, |label| {
        added.contains(&(credential.provider.clone(), label.to_owned()))
            || pool.iter().any(|view| view.label == label)
    })
}

impl Plan {
    /// What will have been done, as far as it is known beforehand.
    fn report(&self, options: &MigrateOptions) -> MigrationReport {
        let imported = |change: &PlannedChange| ImportedEntry {
            provider: change.credential.provider.clone(),
            kind: change.credential.kind(),
            account: change.goal.account().cloned(),
            action: change.goal.action(),
        };
        let terms = |change: &PlannedChange| {
            let terms = change.credential.borrowed_terms()?;
            Some((change.credential.provider.clone(), terms))
        };
        MigrationReport {
            terms: self.changes.iter().filter_map(terms).gather(),
            files: self.names.clone(),
            imported: self.changes.iter().map(imported).collect(),
            skipped: self.skipped.clone(),
            sources: self
                .files
                .iter()
                .map(|file| file.report(options.source_action))
                .collect(),
        }
    }
}

impl FilePlan {
    fn report(&self, source_action: SourceAction) -> SourceReport {
        SourceReport {
            file: self.source.name.clone(),
            state: match (&self.left, source_action) {
                (None, _) | (_, SourceAction::Keep) => SourceState::Kept,
                (Some(None), _) => SourceState::Removed,
                (Some(Some(_)), _) => SourceState::Rewritten,
            },
            backup: self.backup(source_action),
            warning: self.source.warning,
        }
    }

    /// The path of the copy beside the file: the first that is free, or holds these very bytes.
    fn backup(&self, source_action: SourceAction) -> Option<String> {
        let file = self.source.file.as_ref()?;
        if source_action != SourceAction::Backup || self.left.is_none() {
            return None;
        }
        let name = |number: u32| match number {
            1 => format!("{}.backup", file.display()),
            _ => format!("{}.backup-{number}", file.display()),
        };
        let is_free = |path: &String| match read(Path::new(path)) {
            Ok(Content::Absent) => true,
            Ok(Content::Text(found)) => found.text == self.source.text,
            _ => false,
        };
        (1..).map(name).find(is_free)
    }
}

/// Takes out of a file what is in the vault. One that changed since it was read is left.
fn release(plan: &FilePlan, source_action: SourceAction) -> Result<SourceState, BrokerError> {
    let (Some(file), Some(left), SourceAction::Backup | SourceAction::Remove) =
        (&plan.source.file, &plan.left, source_action)
    else {
        return Ok(SourceState::Kept);
    };
    let done = match left {
        Some(_) => SourceState::Rewritten,
        None => SourceState::Removed,
    };
    match (read(file)?, left) {
        (Content::Absent, None) => return Ok(done),
        (Content::Text(found), _) if found.text == plan.source.text => {}
        _ => return Ok(SourceState::Changed),
    }
    if let Some(folder) = file.parent() {
        // What an earlier run left that was killed here. The next one tries again.
        let _ = Disk.sweep(folder);
    }
    if let Some(backup) = plan.backup(source_action) {
        write(Path::new(&backup), &plan.source.text)?;
    }
    match left {
        Some(left) => write(file, left)?,
        None => remove(file)?,
    }
    Ok(done)
}

/// Puts a text in the place of a file, whole and durably, for its owner's eyes only.
pub(super) fn write(file: &Path, text: &str) -> Result<(), BrokerError> {
    Disk.replace(file, text.as_bytes(), Durability::Durable)
        .map_err(|error| BrokerError::LegacyFile {
            path: file.to_owned(),
            why: format!("cannot be written: {error}"),
        })
}

/// Removes a file, durably.
pub(super) fn remove(file: &Path) -> Result<(), BrokerError> {
    Disk.remove(file, Durability::Durable)
        .map(drop)
        .map_err(|error| BrokerError::LegacyFile {
            path: file.to_owned(),
            why: format!("cannot be removed: {error}"),
        })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::migrate::source::{Form, Source};

    #[test]
    fn a_file_that_changed_since_it_was_read_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("auth.json");
        for source_action in [SourceAction::Backup, SourceAction::Remove] {
            for left in [None, Some("{}".to_owned())] {
                let plan = FilePlan {
                    source: Source {
                        name: "auth.json".to_owned(),
                        form: Form::Auth,
                        text: "as it was read".to_owned().into(),
                        file: Some(file.clone()),
                        warning: None,
                    },
                    left: Some(left),
                };
                fs::write(&file, "as somebody wrote it").unwrap();
                assert_eq!(release(&plan, source_action).unwrap(), SourceState::Changed);
                assert_eq!(fs::read(&file).unwrap(), b"as somebody wrote it");
                assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
            }
        }
    }
}
