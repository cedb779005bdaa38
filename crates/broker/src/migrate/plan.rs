//! What is to be done with each entry, given the accounts that are there. Reads, and changes
//! nothing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use provider_auth_policy::{AccountId, AccountKind, SharedState, Standing};

use super::entry::{Entry, Meaning};
use super::source::{Form, Source, name_of};
use super::{EntryAction, MigrateOptions, SkippedEntry, SourceAction};
use crate::error::BrokerError;
use crate::migrate::MigrationService;
use crate::store::accounts::Accounts;
use crate::store::credential::Credential;
use crate::store::entry::Entry as Known;
use crate::store::secret::fingerprint;

/// What is to be done with all sources.
pub(super) struct Plan {
    pub(super) changes: Vec<PlannedChange>,
    pub(super) files: Vec<FilePlan>,
    pub(super) names: Vec<String>,
    pub(super) skipped: Vec<SkippedEntry>,
}

/// What is to be done with an account.
pub(super) struct PlannedChange {
    pub(super) credential: Credential,
    pub(super) goal: Goal,
}

pub(super) enum Goal {
    Add,
    Update(AccountId),
    /// It is there.
    Leave(AccountId),
    /// An earlier change is about the same account.
    SameAs(usize),
}

/// What is to be done with a file.
pub(super) struct FilePlan {
    pub(super) source: Source,
    /// Its content once what was taken over is out of it; the outer `None` where nothing of it is,
    /// the inner one where nothing is left.
    pub(super) left: Option<Option<String>>,
}

impl Goal {
    pub(super) fn action(&self) -> EntryAction {
        match self {
            Self::Add => EntryAction::Added,
            Self::Update(_) => EntryAction::Updated,
            Self::Leave(_) | Self::SameAs(_) => EntryAction::Unchanged,
        }
    }

    pub(super) fn account(&self) -> Option<&AccountId> {
        match self {
            Self::Update(id) | Self::Leave(id) => Some(id),
            Self::Add | Self::SameAs(_) => None,
        }
    }
}

impl Plan {
    /// Whether the vault stays as it is.
    pub(super) fn changes_no_account(&self) -> bool {
        let writes = |change: &PlannedChange| matches!(change.goal, Goal::Add | Goal::Update(_));
        !self.changes.iter().any(writes)
    }
}

impl FilePlan {
    /// What the file is to hold: what it holds, or what is left.
    pub(super) fn wanted(&self, source_action: SourceAction) -> Option<&str> {
        match (&self.left, source_action) {
            (Some(left), SourceAction::Backup | SourceAction::Remove) => left.as_deref(),
            _ => Some(&self.source.text),
        }
    }
}

impl MigrationService {
    /// What is to be done with the sources as they are. An entry of the variable hides that of
    /// `auth.json` with the same name, as it does in OpenCode.
    pub(super) fn plan(
        &self,
        options: &MigrateOptions,
        accounts: &Accounts,
    ) -> Result<Plan, BrokerError> {
        let sources = self.sources(options)?;
        let now = self.store.now();
        let mut plan = Plan {
            changes: Vec::new(),
            files: Vec::new(),
            names: sources
                .found
                .iter()
                .map(|source| source.name.clone())
                .collect(),
            skipped: sources.skipped,
        };
        let lookup = Lookup::of(accounts);
        let mut hidden: HashSet<String> = HashSet::new();
        for source in sources.found {
            let Some(mut entries) = self.entries(&source, now) else {
                plan.skipped.push(SkippedEntry {
                    file: source.name.clone(),
                    key: String::new(),
                    why: "it is no JSON object".to_owned(),
                });
                plan.keep(source);
                continue;
            };
            if source.form == Form::Auth {
                for entry in &mut entries {
                    if hidden.contains(&entry.key) {
                        entry.meaning = Meaning::Unclear(
                            "OPENCODE_AUTH_CONTENT has an entry of this name, which OpenCode uses instead".to_owned(),
                        );
                    }
                }
                hidden.extend(entries.iter().map(|entry| entry.key.clone()));
                if let Some(named) = &options.entries {
                    for entry in entries
                        .iter_mut()
                        .filter(|entry| !named.contains(&entry.key))
                    {
                        entry.meaning = Meaning::NotNamed;
                    }
                }
            }
            let left = left_of(&source, &entries);
            for Entry { key, meaning } in entries {
                match meaning {
                    Meaning::Account(credential) => {
                        let goal = self.goal(&credential, &lookup, &plan.changes);
                        plan.changes.push(PlannedChange {
                            credential: *credential,
                            goal,
                        });
                    }
                    Meaning::Ours | Meaning::NotNamed => {}
                    Meaning::Unclear(why) => plan.skipped.push(SkippedEntry {
                        file: source.name.clone(),
                        key,
                        why,
                    }),
                }
            }
            if source.file.is_some() {
                plan.files.push(FilePlan { source, left });
            }
        }
        let [(file, _), _] = self.legacy_files(options)?;
        let file = name_of(&file)?;
        // Of a file that was not understood that is said already.
        let is_whole = |skipped: &SkippedEntry| skipped.file == file && skipped.key.is_empty();
        let is_understood = !plan.skipped.iter().any(is_whole);
        let named = options.entries.iter().flatten();
        let missing = named.filter(|name| is_understood && !hidden.contains(*name));
        plan.skipped.extend(missing.map(|name| SkippedEntry {
            file: file.clone(),
            key: name.clone(),
            why: "there is no entry of this name".to_owned(),
        }));
        Ok(plan)
    }

    fn goal(&self, wanted: &Credential, lookup: &Lookup<'_>, changes: &[PlannedChange]) -> Goal {
        if let Some(known) = lookup.same_entry(wanted) {
            let id = known.view.id.clone();
            // What stands beside a key is none of its secrets, and may have changed.
            let beside = |credential: &Credential| {
                let from = credential.taken_from.as_ref();
                from.map(|from| from.metadata.clone())
            };
            let is_key = wanted.kind() == AccountKind::Api;
            return match is_key && beside(wanted) != beside(&known.credential) {
                true => Goal::Update(id),
                false => Goal::Leave(id),
            };
        }
        let known = lookup
            .of_provider(wanted)
            .find(|known| is_same(&known.credential, wanted));
        if let Some(known) = known {
            let id = known.view.id.clone();
            let is_newer = self
                .store
                .state
                .read(|state| is_newer(wanted, known, state));
            return if is_newer {
                Goal::Update(id)
            } else {
                Goal::Leave(id)
            };
        }
        let is_repeated = |change: &PlannedChange| {
            matches!(change.goal, Goal::Add) && is_same_secret(&change.credential, wanted)
        };
        changes
            .iter()
            .position(is_repeated)
            .map_or(Goal::Add, Goal::SameAs)
    }
}

impl Plan {
    fn keep(&mut self, source: Source) {
        if source.file.is_some() {
            self.files.push(FilePlan { source, left: None });
        }
    }
}

/// The accounts that are there, as an import looks for them.
struct Lookup<'a> {
    by_fingerprint: HashMap<&'a str, &'a Arc<Known>>,
    by_provider: HashMap<&'a str, Vec<&'a Arc<Known>>>,
}

impl<'a> Lookup<'a> {
    fn of(accounts: &'a Accounts) -> Self {
        let mut lookup = Self {
            by_fingerprint: HashMap::new(),
            by_provider: HashMap::new(),
        };
        for known in accounts.entries() {
            let provider = known.credential.provider.as_str();
            lookup.by_provider.entry(provider).or_default().push(known);
            if let Some(from) = &known.credential.taken_from {
                lookup.by_fingerprint.insert(&from.fingerprint, known);
            }
        }
        lookup
    }

    /// The account that was made of this very entry.
    fn same_entry(&self, wanted: &Credential) -> Option<&Arc<Known>> {
        let from = wanted.taken_from.as_ref()?;
        self.by_fingerprint.get(from.fingerprint.as_str()).copied()
    }

    fn of_provider(&self, wanted: &Credential) -> impl Iterator<Item = &Arc<Known>> {
        let known = self.by_provider.get(wanted.provider.as_str());
        known.into_iter().flatten().copied()
    }
}

/// Whether an account that is there is the one that is wanted, in whichever pool it is now.
pub(super) fn is_same(known: &Credential, wanted: &Credential) -> bool {
    if known.kind() != wanted.kind() || known.audience.resource != wanted.audience.resource {
        return false;
    }
    let (one, two) = (&known.identity, &wanted.identity);
    let differ = |one: &Option<String>, two: &Option<String>| matches!((one, two), (Some(one), Some(two)) if one != two);
    match (&known.taken_from, &wanted.taken_from) {
        _ if wanted.lasting().is_some() && is_same_secret(known, wanted) => true,
        _ if wanted.kind() == AccountKind::Api => false,
        _ if one.subject.is_some() && two.subject.is_some() => known.is_same_record(wanted),
        // Where it is not known who signed in, an entry of the same name in the same file does.
        (Some(from), Some(of)) => {
            (&from.file, &from.key) == (&of.file, &of.key)
                && !differ(&one.organization, &two.organization)
        }
        _ => false,
    }
}

fn is_same_secret(one: &Credential, two: &Credential) -> bool {
    one.provider == two.provider
        && one.kind() == two.kind()
        && one.audience.resource == two.audience.resource
        && fingerprint(one.bearer()) == fingerprint(two.bearer())
}

/// Whether the entry, which is not the one that the account was made of, knows later tokens than
/// the account.
fn is_newer(wanted: &Credential, known: &Known, state: &SharedState) -> bool {
    let account = &known.credential;
    match (wanted.lasting(), account.lasting()) {
        (Some(one), Some(two)) => fingerprint(one) != fingerprint(two),
        _ => {
            let standing = state.standing(&known.view.id, known.view.generation);
            let is_over = account.moved_at.is_some() || standing == Standing::NeedsLogin;
            is_over
                || matches!(
                    (wanted.expires_at(), account.expires_at()),
                    (Some(theirs), Some(ours)) if theirs > ours
                )
        }
    }
}

/// A file's content without the entries that are accounts: `None` when no entry is.
fn left_of(source: &Source, entries: &[Entry]) -> Option<Option<String>> {
    let is_taken = |entry: &Entry| matches!(entry.meaning, Meaning::Account(_));
    if !entries.iter().any(is_taken) {
        return None;
    }
    let object = super::object::Object::parse(&source.text)?;
    let left: Vec<String> = object
        .fields()
        .iter()
        .zip(entries)
        .filter(|(_, entry)| !is_taken(entry))
        .map(|((key, value), _)| {
            let key = serde_json::Value::from(key.as_str());
            format!("  {key}: {}", value.get())
        })
        .collect();
    Some((!left.is_empty()).then(|| format!("{{\n{}\n}}", left.join(",\n"))))
}
