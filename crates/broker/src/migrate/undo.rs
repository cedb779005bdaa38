//! Undoing a migration: files as they were, and out of the vault what is in them again.
//!
//! An account is removed only if its very entry is in its file once more and the account was not
//! changed since, so each login is in one of the two places at any moment. One that was renewed
//! here stays: the file's is spent.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

use provider_auth_policy::AccountId;
use provider_auth_vault::Vault;

use super::entry::Meaning;
use super::kept::{Kept, digest, kept_files};
use super::object::Object;
use super::run::{remove, write};
use super::source::{Content, name_of, read};
use super::{
    EntryAction, ImportedEntry, KeyVariables, MigrateOptions, MigrationReport, SkippedEntry,
    SourceReport, SourceState,
};
use crate::error::BrokerError;
use crate::host::blocking;
use crate::migrate::MigrationService;
use crate::notifier::{About, EventKind};
use crate::store::accounts::{Accounts, record_id};
use crate::store::entry::Entry;
use crate::store::locks::read_locked;
use crate::store::moved_bundle;

impl MigrationService {
    pub(super) async fn undo_migration(
        self: &Arc<Self>,
        options: MigrateOptions,
    ) -> Result<MigrationReport, BrokerError> {
        if !self.has_vault().await? {
            return Ok(MigrationReport::default());
        }
        let vault = self.store.opened_interactive().await?;
        let before = self.store.accounts();
        let report = blocking({
            let (broker, vault) = (self.clone(), vault.clone());
            // What a variable held that holds it still is known again, whether or not variables
            // were asked for.
            let options = MigrateOptions {
                keys: KeyVariables::Known,
                ..options
            };
            move || {
                let undone = broker.undo_now(&vault, &options);
                moved_bundle::settle(&vault);
                undone
            }
        })
        .await?;
        self.store.reread(&vault).await?;
        self.store.notifier.wake_waiting();
        for entry in &report.imported {
            let gone = entry
                .account
                .as_ref()
                .filter(|id| self.store.accounts().get(id).is_none());
            let Some(entry) = gone.and_then(|id| before.get(id)) else {
                continue;
            };
            let pool = (&entry.view.provider, &entry.view.namespace);
            let id = Some(&entry.view.id);
            self.store
                .notifier
                .tell(EventKind::AccountRemoved, pool, id, About::default());
        }
        Ok(report)
    }

    fn undo_now(
        &self,
        vault: &Arc<Vault>,
        options: &MigrateOptions,
    ) -> Result<MigrationReport, BrokerError> {
        let _one_at_a_time = vault.lock_records()?;
        let accounts = self.all_accounts(vault)?;
        let files = self.legacy_files(options)?;
        let names: Vec<String> = files
            .iter()
            .map(|(file, _)| name_of(file))
            .collect::<Result<_, _>>()?;
        let mut report = MigrationReport::default();
        // Of two, the newer one is that of the last migration, which was cut off before it removed
        // the older one.
        let mut seen = HashSet::new();
        let (mut kept, older): (Vec<_>, Vec<_>) = kept_files(vault, &accounts)?
            .into_iter()
            .rev()
            .filter(|kept| names.contains(&kept.label.name))
            .partition(|kept| seen.insert(kept.label.name.clone()));
        kept.sort_by(|one, two| one.label.name.cmp(&two.label.name));
        let mut found = BTreeSet::new();
        for kept in &kept {
            let state = restore(kept, options)?;
            if state == SourceState::Restored && options.dry_run {
                // As if it were done, so that the report tells what would follow.
                found.extend(self.hashes(&kept.as_source()));
            }
            report.files.push(kept.label.name.clone());
            let stays = backup_that_stays(kept);
            report.sources.push(SourceReport {
                file: kept.label.name.clone(),
                state,
                warning: stays.is_some().then_some(
                    "the copy beside it still holds what was removed from the vault; delete it when you do not need it",
                ),
                backup: stays,
            });
            report.skipped.extend(kept.label.erased.iter().map(|key| SkippedEntry {
                file: kept.label.name.clone(),
                key: key.clone(),
                why: "its account was removed from the vault, and its secret with it, so it cannot be brought back; sign in again"
                    .to_owned(),
            }));
        }
        let sources = self.sources(options)?;
        for source in &sources.found {
            found.extend(self.hashes(source));
        }
        let mut places: HashSet<&str> = names.iter().map(String::as_str).collect();
        places.extend(
            sources
                .found
                .iter()
                .filter(|source| source.file.is_none())
                .map(|source| source.name.as_str()),
        );
        self.take_back(vault, &accounts, (&places, &found), options, &mut report)?;
        if !options.dry_run {
            let is_settled = |source: &SourceReport| source.state != SourceState::Changed;
            let settled = kept.iter().zip(&report.sources);
            let settled = settled.filter(|(_, source)| is_settled(source));
            for kept in older.iter().chain(settled.map(|(kept, _)| kept)) {
                vault.remove(self.store.lock_record(vault, &kept.id)?)?;
            }
        }
        Ok(report)
    }

    /// Removes the accounts whose entries are where they were, and says of each other one why it
    /// stays.
    fn take_back(
        &self,
        vault: &Vault,
        accounts: &Accounts,
        (places, found): (&HashSet<&str>, &BTreeSet<String>),
        options: &MigrateOptions,
        report: &mut MigrationReport,
    ) -> Result<(), BrokerError> {
        for entry in accounts.entries() {
            let Some(from) = &entry.credential.taken_from else {
                continue;
            };
            if !places.contains(from.file.as_str()) {
                continue;
            }
            let why = if !found.contains(&from.fingerprint) {
                Some("its entry is no longer there, so the account stays in the vault")
            } else if self.take_back_one(vault, entry, options)? {
                None
            } else {
                Some("its account was renewed or changed since, so it stays in the vault")
            };
            match why {
                None => report.imported.push(ImportedEntry {
                    provider: entry.credential.provider.clone(),
                    kind: entry.view.kind,
                    account: Some(entry.view.id.clone()),
                    action: EntryAction::Removed,
                }),
                Some(why) => report.skipped.push(SkippedEntry {
                    file: from.file.clone(),
                    key: from.key.clone(),
                    why: why.to_owned(),
                }),
            }
        }
        Ok(())
    }

    /// Removes an account that is as it was added; `false` for any other.
    fn take_back_one(
        &self,
        vault: &Vault,
        entry: &Entry,
        options: &MigrateOptions,
    ) -> Result<bool, BrokerError> {
        let id: &AccountId = &entry.view.id;
        let guard = self.store.lock_record(vault, &record_id(id)?)?;
        let (_, generation) = match read_locked(vault, &guard) {
            Err(BrokerError::UnknownAccount(_)) => return Ok(true),
            found => found?,
        };
        // A note tells of a refresh without an outcome: the file's token may be spent.
        let is_untouched = generation == 1 && vault.pending(&guard.id())?.is_none();
        if is_untouched && !options.dry_run {
            vault.remove(guard)?;
        }
        Ok(is_untouched)
    }

    /// What is known again by its hash in a source.
    fn hashes(&self, source: &super::source::Source) -> Vec<String> {
        let entries = self.entries(source, self.store.now()).unwrap_or_default();
        let hash = |meaning| match meaning {
            Meaning::Account(credential) => credential.taken_from.map(|from| from.fingerprint),
            _ => None,
        };
        entries
            .into_iter()
            .filter_map(|entry| hash(entry.meaning))
            .collect()
    }
}

/// Puts a file back where it was, unless another program has written there since.
fn restore(kept: &Kept, options: &MigrateOptions) -> Result<SourceState, BrokerError> {
    let (label, file) = (&kept.label, Path::new(&kept.label.file));
    let has_nothing = || Object::parse(&kept.text).is_some_and(|object| object.fields().is_empty());
    let state = match (read(file)?, label.left) {
        (Content::Text(found), _) if kept.is_whole(&found.text) || found.text == kept.text => {
            SourceState::Kept
        }
        (Content::Text(found), Some(left)) if digest(&found.text) == left => SourceState::Restored,
        // Everything in it has left the vault since: an empty file is nothing to bring back.
        (Content::Absent, None) if !label.erased.is_empty() && has_nothing() => SourceState::Kept,
        (Content::Absent, None) => SourceState::Restored,
        _ => SourceState::Changed,
    };
    if options.dry_run || state == SourceState::Changed {
        return Ok(state);
    }
    if state == SourceState::Restored {
        write(file, &kept.text)?;
    }
    if let Some(backup) = label.backup.as_deref().map(Path::new)
        && label.erased.is_empty()
        && let Content::Text(found) = read(backup)?
        && kept.is_whole(&found.text)
    {
        remove(backup)?;
    }
    Ok(state)
}

/// The copy beside a file, where it is the only one of what was taken out of the kept one.
fn backup_that_stays(kept: &Kept) -> Option<String> {
    let backup = kept
        .label
        .backup
        .clone()
        .filter(|_| !kept.label.erased.is_empty())?;
    let found = read(Path::new(&backup)).ok()?;
    matches!(found, Content::Text(found) if kept.is_whole(&found.text)).then_some(backup)
}
