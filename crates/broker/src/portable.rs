//! Accounts that travel between machines, sealed under a passphrase.
//!
//! An API key is copied. A login is moved, because two machines that spend the same single-use refresh token end it for
//! both (RFC 9700 §4.14.2): here its tokens are erased once the bundle is sealed, and what stays is an account that needs
//! a login. An account keeps its id and counts on, so that an import knows an older copy from a newer one.

mod content;

use std::sync::Arc;

use provider_auth_policy::{AccountId, Standing, refreshed};
use provider_auth_vault::{RecordGuard, Vault, VaultError, is_guessable, seal_bundle};
use secrecy::SecretString;

use crate::account_calls::record_kind;
use crate::accounts::{Entry, read_locked, record_id};
use crate::broker::{About, Broker, blocking};
use crate::credential::Credential;
use crate::error::BrokerError;
use crate::events::EventKind;
use crate::labels::label_in_pool;
use crate::limits;
use crate::moved;

use content::{Bundle, Item, Packed, unusable};

/// What an export does with logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logins {
    /// They stay here, and are not in the bundle.
    Stay,
    /// They are in the bundle, and here they need a login.
    Move,
}

/// Which passphrases an export takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassphraseRule {
    /// One that can be guessed is refused.
    HardToGuess,
    /// Any but the empty one.
    Any,
}

/// What an import did.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// One entry for each account of the bundle, in its order.
    pub accounts: Vec<ImportedAccount>,
}

/// What an import did with one account.
#[derive(Clone, Debug)]
pub struct ImportedAccount {
    /// The account here; `None` when it was skipped and there is none.
    pub id: Option<AccountId>,
    /// Provider id; empty for one that cannot be read.
    pub provider: String,
    /// Label.
    pub label: String,
    /// What was done.
    pub outcome: Outcome,
}

/// What an import did with one account, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was not here.
    Added,
    /// It was here, and the bundle's was newer.
    Updated,
    /// Nothing was changed.
    Skipped {
        /// The reason.
        why: &'static str,
    },
}

/// Records that were written, with the generations that they have now.
type Written = Vec<(AccountId, u64)>;

/// A login under its lock, on its way into a bundle.
struct Leaving {
    id: AccountId,
    guard: RecordGuard,
    credential: Credential,
    generation: u64,
}

impl Broker {
    /// Returns a bundle of all API keys, and with [`Logins::Move`] of the logins; the stock `age` command opens it too.
    ///
    /// The logins leave only once the bundle is sealed and a copy of it is on the disk, and all of them or none. A login that has ended stays, and so does one
    /// that may be an old copy.
    pub async fn export_vault(
        self: &Arc<Self>,
        passphrase: SecretString,
        rule: PassphraseRule,
        logins: Logins,
    ) -> Result<Vec<u8>, BrokerError> {
        if rule == PassphraseRule::HardToGuess && is_guessable(&passphrase) {
            return Err(VaultError::GuessablePassphrase.into());
        }
        let vault = self.opened_by_hand().await?;
        let (bundle, moved) = blocking({
            let (broker, vault) = (self.clone(), vault.clone());
            move || broker.pack(&vault, &passphrase, logins)
        })
        .await?;
        self.reread(&vault).await?;
        for (id, generation) in moved {
            self.note(&vault, &refreshed(&id, generation)).await;
            self.tell_account(EventKind::NeedsLogin, &id);
        }
        Ok(bundle)
    }

    /// Brings the accounts of a bundle into the vault: by identity, and never over a newer generation. Importing it again
    /// changes nothing.
    pub async fn import_vault(
        self: &Arc<Self>,
        bundle: Vec<u8>,
        passphrase: SecretString,
    ) -> Result<Imported, BrokerError> {
        if bundle.len() > limits::BUNDLE_LIMIT {
            return Err(unusable("it is larger than any bundle of ours"));
        }
        let vault = self.opened_by_hand().await?;
        let (imported, written) = blocking({
            let (broker, vault) = (self.clone(), vault.clone());
            move || {
                let imported = broker.unpack(&vault, &bundle, &passphrase);
                moved::settle(&vault);
                imported
            }
        })
        .await?;
        self.reread(&vault).await?;
        for (id, generation) in written {
            self.note(&vault, &refreshed(&id, generation)).await;
            self.tell_account(EventKind::AccountAdded, &id);
        }
        Ok(imported)
    }

    fn pack(
        self: &Arc<Self>,
        vault: &Arc<Vault>,
        passphrase: &SecretString,
        logins: Logins,
    ) -> Result<(Vec<u8>, Written), BrokerError> {
        self.reread_now(vault)?;
        let accounts = self.accounts();
        let (keys, oauth): (Vec<_>, Vec<_>) = accounts
            .entries()
            .partition(|entry| entry.credential.lasting().is_some());
        let leaving = match logins {
            Logins::Stay => Vec::new(),
            Logins::Move => self.leaving(vault, &oauth)?,
        };
        let keys = keys.into_iter().map(|entry| Item {
            id: entry.view.id.to_string(),
            generation: entry.view.generation,
            account: entry.credential.clone(),
        });
        let moved = leaving.iter().map(|login| Item {
            id: login.id.to_string(),
            // That of the account without tokens, which takes its place here.
            generation: login.generation + 1,
            account: login.credential.clone(),
        });
        let bundle = Bundle::of(keys.chain(moved), self.now());
        let sealed = seal_bundle(passphrase, &bundle.plaintext(), &*self.vault_entropy())?;
        if !leaving.is_empty() {
            let ids = leaving.iter().map(|login| &login.id);
            vault.keep_moved(&moved::labelled(ids, &sealed))?;
            let logins = leaving.iter().map(|login| (&login.id, &login.credential));
            // Before the accounts let go: killed in between, they still have their tokens.
            self.erase_kept(vault, &logins.collect::<Vec<_>>())?;
        }
        match self.let_go(vault, &leaving) {
            Ok(moved) => Ok((sealed, moved)),
            Err(error) => {
                // With the locks gone, it shows that nothing left with the bundle.
                drop(leaving);
                moved::settle(vault);
                Err(error)
            }
        }
    }

    /// Locks the logins that can be moved. None is refreshed from here on.
    fn leaving(&self, vault: &Vault, logins: &[&Arc<Entry>]) -> Result<Vec<Leaving>, BrokerError> {
        let mut leaving = Vec::new();
        for entry in logins {
            let id = record_id(&entry.view.id)?;
            let guard = self.lock_record(vault, &id)?;
            let (credential, generation) = read_locked(vault, &guard)?;
            let standing = self
                .ledger
                .read(|state| state.standing(&entry.view.id, generation));
            let has_ended = matches!(standing, Standing::NeedsLogin | Standing::RollbackSuspected);
            if has_ended || credential.moved_at.is_some() {
                continue;
            }
            let note = vault.pending(&id)?;
            if note.is_some_and(|note| note.generation == generation) {
                return Err(BrokerError::RefreshFailed {
                    provider: credential.provider,
                    account: entry.view.id.clone(),
                    why: "its last refresh has no outcome yet, so it cannot be moved; refresh it first".to_owned(),
                    retry_at: None,
                });
            }
            leaving.push(Leaving {
                id: entry.view.id.clone(),
                guard,
                credential,
                generation,
            });
        }
        Ok(leaving)
    }

    /// Erases the tokens of logins that a bundle holds now; where one cannot be written, all get theirs back.
    fn let_go(&self, vault: &Vault, leaving: &[Leaving]) -> Result<Written, BrokerError> {
        let mut moved = Vec::new();
        for login in leaving {
            let emptied = login.credential.without_tokens(self.now());
            match vault.replace(&login.guard, &emptied.plaintext()) {
                Ok(generation) => moved.push((login.id.clone(), generation)),
                Err(error) => {
                    for login in &leaving[..moved.len()] {
                        let restored = vault.replace(&login.guard, &login.credential.plaintext());
                        if let Err(error) = restored {
                            tracing::error!(account = %login.id, %error, "a login that was to be moved could not be kept");
                        }
                    }
                    return Err(error.into());
                }
            }
        }
        Ok(moved)
    }

    fn unpack(
        self: &Arc<Self>,
        vault: &Arc<Vault>,
        bundle: &[u8],
        passphrase: &SecretString,
    ) -> Result<(Imported, Written), BrokerError> {
        let bundle = Bundle::open(passphrase, bundle)?;
        let _one_at_a_time = vault.lock_records()?;
        let mut imported = Imported::default();
        let mut written = Vec::new();
        for packed in bundle.accounts {
            self.reread_now(vault)?;
            let (item, outcome) = match packed {
                Packed::Unknown(_) => (None, skipped("it was written by a newer version")),
                Packed::Account(mut item) => match item.check() {
                    Ok(()) => {
                        let outcome = self.take_in(vault, &mut item)?;
                        (Some(item), outcome)
                    }
                    Err(why) => (Some(item), skipped(why)),
                },
            };
            let (id, generation, outcome) = outcome;
            if let (Some(id), Some(generation)) = (&id, generation) {
                written.push((id.clone(), generation));
            }
            let account = item.map(|item| item.account);
            imported.accounts.push(ImportedAccount {
                id,
                provider: account
                    .as_ref()
                    .map_or_else(String::new, |account| account.provider.clone()),
                label: account.map_or_else(String::new, |account| account.label),
                outcome,
            });
        }
        Ok((imported, written))
    }

    /// Adds one account, or brings the one that is here up to date. The caller keeps others from adding accounts.
    fn take_in(&self, vault: &Vault, item: &mut Item) -> Result<TakenIn, BrokerError> {
        let accounts = self.accounts();
        let id = AccountId::from(item.id.as_str());
        let same_record = accounts
            .get(&id)
            .filter(|entry| entry.credential.is_same_record(&item.account));
        let same_account = || {
            accounts
                .entries()
                .find(|entry| entry.credential.is_same_account(&item.account))
        };
        if let Some(entry) = same_record.or_else(same_account) {
            return self.bring_up_to_date(vault, entry, item);
        }
        item.account.label = label_in_pool(&accounts, &item.account, Some(&id));
        let seen = self.ledger.read(|state| state.stats(&id).generation);
        let kind = record_kind(item.account.kind());
        let plaintext = item.account.plaintext();
        if seen <= item.generation {
            let guard = self.lock_record(vault, &record_id(&id)?)?;
            if vault.adopt(&guard, kind, item.generation, &plaintext)? {
                return Ok((Some(id), Some(item.generation), Outcome::Added));
            }
        }
        // The id is taken, or has been further than this. A key is the same under any id; a login may be spent.
        if item.account.lasting().is_none() {
            return Ok(skipped("a newer generation of it has been here"));
        }
        let (id, generation) = vault.create(kind, &plaintext)?;
        Ok((
            Some(id.to_string().into()),
            Some(generation),
            Outcome::Added,
        ))
    }

    fn bring_up_to_date(
        &self,
        vault: &Vault,
        entry: &Entry,
        item: &Item,
    ) -> Result<TakenIn, BrokerError> {
        let id = entry.view.id.clone();
        let stays = |why| Ok((Some(id.clone()), None, Outcome::Skipped { why }));
        let guard = self.lock_record(vault, &record_id(&id)?)?;
        let (current, generation) = read_locked(vault, &guard)?;
        let (standing, seen) = self.ledger.read(|state| {
            let seen = state.stats(&id).generation;
            (state.standing(&id, generation), seen)
        });
        let is_same_record = id.as_str() == item.id;
        let mut taken = item.account.clone();
        if is_same_record {
            let newest = generation.max(seen);
            if newest > item.generation || (newest == item.generation && current.moved_at.is_none())
            {
                return stays("it is here in the same or a newer generation");
            }
        } else {
            let is_over = current.moved_at.is_some() || standing == Standing::NeedsLogin;
            match (taken.obtained_at(), current.obtained_at()) {
                (Some(theirs), Some(ours)) if is_over || theirs > ours => {}
                (Some(_), _) => return stays("a newer login of the same identity is here"),
                (None, _) => return stays("the same API key is here"),
            }
            // What its owner has said about the account here is not the other machine's to change.
            taken.label = current.label;
            taken.priority = current.priority;
            taken.enabled = current.enabled;
            taken.created_at = current.created_at;
        }
        taken.taken_from = taken.taken_from.or(current.taken_from);
        let above = if is_same_record {
            item.generation.saturating_sub(1)
        } else {
            seen
        };
        let generation = vault.replace_above(&guard, &taken.plaintext(), above)?;
        // A note of a refresh under way speaks of a token that is history now.
        vault.clear_pending(&guard)?;
        Ok((Some(id), Some(generation), Outcome::Updated))
    }

    pub(crate) fn tell_account(&self, kind: EventKind, id: &AccountId) {
        let accounts = self.accounts();
        let Some(entry) = accounts.get(id) else {
            return;
        };
        self.changed.notify_waiters();
        let pool = (&entry.view.provider, &entry.view.namespace);
        self.tell(kind, pool, Some(id), About::default());
    }
}

/// The account here, its generation if it was written, and what was done.
type TakenIn = (Option<AccountId>, Option<u64>, Outcome);

fn skipped(why: &'static str) -> TakenIn {
    (None, None, Outcome::Skipped { why })
}

impl Imported {
    /// How many accounts came to this.
    pub fn count(&self, is_wanted: impl Fn(Outcome) -> bool) -> usize {
        let outcomes = self.accounts.iter().map(|account| account.outcome);
        outcomes.filter(|outcome| is_wanted(*outcome)).count()
    }
}
