//! Brings what OpenCode keeps in plain files into the vault, and takes it back out.
//!
//! Nothing is lost at any moment: the bytes of a file are kept, sealed, before anything else is
//! done; every account is written and read back from the disk before its file is touched; and what
//! is not understood stays where it is. An entry that was taken over once is known again by a hash
//! that is sealed with its account, whatever became of the account.

mod entry;
mod erase;
mod field;
mod kept;
mod metadata;
mod object;
mod plan;
mod run;
mod source;
mod undo;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use provider_auth_policy::{AccountId, AccountKind};
use provider_auth_vault::{Vault, VaultError, VaultState};

use crate::error::BrokerError;
use crate::host::blocking;
use crate::store::Store;
use crate::store::accounts::{Accounts, record_id};

/// What is to be migrated, and how.
#[derive(Clone, Debug, Default)]
pub struct MigrateOptions {
    /// The folder of OpenCode's files, instead of the usual one.
    pub dir: Option<PathBuf>,
    /// What is to be done.
    pub direction: Direction,
    /// Only says what would be done.
    pub dry_run: bool,
    /// What becomes of the files.
    pub source_action: SourceAction,
    /// Variables that hold API keys.
    pub keys: KeyVariables,
    /// Of OpenCode's credentials only those of these names; `None` for all, and for the logins of
    /// MCP servers too.
    pub entries: Option<Vec<String>>,
}

/// Which way to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// From the files into the vault.
    #[default]
    IntoVault,
    /// Back to how it was before that.
    Undo,
}

/// What becomes of a file once every account of it was read back from the vault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceAction {
    /// It stays as it is.
    #[default]
    Keep,
    /// A copy stays beside it, and its entries are removed.
    Backup,
    /// Its entries are removed.
    Remove,
}

/// Which variables are taken for API keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KeyVariables {
    /// None.
    #[default]
    None,
    /// Those that are known of a provider.
    Known,
    /// Those of these names, as far as they are known.
    Named(Vec<String>),
}

/// What a migration did, or would do.
#[derive(Clone, Debug, Default)]
pub struct MigrationReport {
    /// What was found: paths of files, names of variables.
    pub files: Vec<String>,
    /// Each entry that is an account.
    pub imported: Vec<ImportedEntry>,
    /// Each entry that was left where it is.
    pub skipped: Vec<SkippedEntry>,
    /// What became of each file.
    pub sources: Vec<SourceReport>,
    /// By provider, what it says of logins, where one was made with the client of another program.
    pub terms: BTreeMap<String, &'static str>,
}

/// An entry that is an account.
#[derive(Clone, Debug)]
pub struct ImportedEntry {
    /// Provider id.
    pub provider: String,
    /// Kind of credential.
    pub kind: AccountKind,
    /// The account; `None` for one that a dry run would add.
    pub account: Option<AccountId>,
    /// What was done.
    pub action: EntryAction,
}

/// What was done with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryAction {
    /// It is a new account.
    Added,
    /// Its account has the newer tokens of the entry.
    Updated,
    /// Its account was there.
    Unchanged,
    /// Its account was removed, since the entry is where it was.
    Removed,
}

impl EntryAction {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Removed => "removed",
        }
    }
}

/// An entry that was left where it is.
#[derive(Clone, Debug)]
pub struct SkippedEntry {
    /// Path of the file, or name of the variable.
    pub file: String,
    /// Name of the entry; empty where the whole file is the matter.
    pub key: String,
    /// The reason, in words that hold nothing of the entry but its name.
    pub why: String,
}

/// What became of a file.
#[derive(Clone, Debug)]
pub struct SourceReport {
    /// Its path.
    pub file: String,
    /// What became of it.
    pub state: SourceState,
    /// Path of the copy beside it.
    pub backup: Option<String>,
    /// What its owner should look at.
    pub warning: Option<&'static str>,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// Nothing.
    Kept,
    /// It holds only what was not taken over.
    Rewritten,
    /// It is gone.
    Removed,
    /// Somebody else has changed it meanwhile: nothing.
    Changed,
    /// It is what it was before the migration.
    Restored,
}

impl SourceState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Rewritten => "rewritten",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Restored => "restored",
        }
    }
}

/// Takes accounts over from other programs, and gives them back.
pub(crate) struct MigrationService {
    store: Arc<Store>,
}

impl MigrationService {
    pub(crate) fn new(store: Arc<Store>) -> Arc<Self> {
        Arc::new(Self { store })
    }

    /// Brings OpenCode's credentials into the vault, or undoes that.
    ///
    /// A second run changes nothing. With [`MigrateOptions::dry_run`] nothing is written, and no
    /// vault is made.
    pub(crate) async fn migrate(
        self: &Arc<Self>,
        options: MigrateOptions,
    ) -> Result<MigrationReport, BrokerError> {
        match (options.direction, &options.entries) {
            (Direction::IntoVault, _) => self.take_over(options).await,
            (Direction::Undo, None) => self.undo_migration(options).await,
            (Direction::Undo, Some(_)) => Err(BrokerError::InvalidArgument(
                "entries: expected none with undo, which brings whole files back".to_owned(),
            )),
        }
    }

    /// The accounts as the disk has them. A record that it does not hand out now may be the very
    /// one that is looked for, so that is an error here, and not one account less.
    fn all_accounts(&self, vault: &Vault) -> Result<Arc<Accounts>, BrokerError> {
        self.store.reread_now(vault)?;
        let known = self.store.whole_accounts(vault)?;
        if known.unreadable.is_empty() {
            return Ok(known);
        }
        let accounts = Accounts::read(vault, &known, &self.store.settings())?;
        for id in &accounts.unreadable {
            if let Err(error @ (VaultError::Io { .. } | VaultError::Unsafe { .. })) =
                vault.read(&record_id(id)?)
            {
                return Err(error.into());
            }
        }
        Ok(Arc::new(accounts))
    }

    /// Whether there is a vault, whatever keeps it closed. Looking makes none.
    async fn has_vault(self: &Arc<Self>) -> Result<bool, BrokerError> {
        if self.store.is_open() {
            return Ok(true);
        }
        let options = self.store.interactive_options();
        let engine = self.store.engine()?;
        let status = blocking(move || Vault::status(&options, engine)).await?;
        Ok(status.state != VaultState::Empty)
    }
}
