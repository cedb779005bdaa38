//! Brings the accounts of a bundle into the vault.

use std::sync::Arc;

use provider_auth_policy::{AccountId, Standing};
use provider_auth_vault::Vault;
use secrecy::SecretString;

use super::content::{Bundle, Item, Packed, unusable};
use super::{TransferService, Written};
use crate::error::BrokerError;
use crate::host::blocking;
use crate::limits;
use crate::store::accounts::record_id;
use crate::store::entry::Entry;
use crate::store::labels::label_in_pool;
use crate::store::locks::read_locked;
use crate::store::moved_bundle;
use crate::store::record_kind::record_kind;

/// What an import did.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// One entry for each account of the bundle, in its order.
    pub accounts: Vec<ImportedAccount>,
}

/// What an import did with one account.
#[derive(Clone, Debug)]
pub struct ImportedAccount {
    /// The account here; `None` when it was skipped and is not here.
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

impl TransferService {
    /// Brings the accounts of a bundle into the vault: by identity, and never over a newer
    /// generation. Importing it again changes nothing.
    pub(crate) async fn import_vault(
        self: &Arc<Self>,
        bundle: Vec<u8>,
        passphrase: SecretString,
    ) -> Result<Imported, BrokerError> {
        if bundle.len() > limits::BUNDLE_LIMIT {
            return Err(unusable("it is larger than any bundle of ours"));
        }
        let vault = self.store.opened_interactive().await?;
        let (imported, written) = blocking({
            let (transfer, vault) = (self.clone(), vault.clone());
            move || transfer.unpack(&vault, Bundle::open(&passphrase, &bundle)?)
        })
        .await?;
        self.arrived(&vault, &written).await?;
        Ok(imported)
    }

    /// Has this process know of accounts that came.
    pub(super) async fn arrived(
        self: &Arc<Self>,
        vault: &Arc<Vault>,
        written: &Written,
    ) -> Result<(), BrokerError> {
        self.store.reread(vault).await?;
        self.store.added(vault, written).await;
        Ok(())
    }

    /// Brings the accounts of a bundle into the vault; the bundle kept here may have served its time.
    pub(super) fn unpack(
        self: &Arc<Self>,
        vault: &Arc<Vault>,
        bundle: Bundle,
    ) -> Result<(Imported, Written), BrokerError> {
        let unpacked = self.unpack_all(vault, bundle);
        moved_bundle::settle(vault);
        unpacked
    }

    fn unpack_all(
        self: &Arc<Self>,
        vault: &Arc<Vault>,
        bundle: Bundle,
    ) -> Result<(Imported, Written), BrokerError> {
        let _one_at_a_time = vault.lock_records()?;
        // The secrets tell which keys are here already.
        self.store.whole_accounts(vault)?;
        let mut imported = Imported::default();
        let mut written = Vec::new();
        for packed in bundle.accounts {
            let (item, outcome) = match packed {
                Packed::Unknown(_) => (None, skipped("it was written by a newer version")),
                Packed::Account(mut item) => match item.check() {
                    Ok(()) => {
                        let import = || self.import_account(vault, &mut item);
                        let outcome = self.store.decide(vault, import)?;
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

    /// Adds one account, or brings the one that is here up to date. The caller keeps others from
    /// adding accounts.
    fn import_account(&self, vault: &Vault, item: &mut Item) -> Result<ImportOutcome, BrokerError> {
        let accounts = self.store.accounts();
        let id = AccountId::from(item.id.as_str());
        let same_record = accounts
            .get(&id)
            .filter(|entry| entry.credential.is_same_record(&item.account));
        let same_account = || accounts.same_as(&item.account).first().copied();
        if let Some(entry) = same_record.or_else(same_account) {
            return self.bring_up_to_date(vault, entry, item);
        }
        item.account.label = label_in_pool(&accounts, &item.account, Some(&id));
        let seen = self.store.state.read(|state| state.stats(&id).generation);
        let kind = record_kind(item.account.kind());
        let plaintext = item.account.plaintext();
        if seen <= item.generation {
            let guard = self.store.lock_record(vault, &record_id(&id)?)?;
            if vault.adopt(&guard, kind, item.generation, &plaintext)? {
                return Ok((Some(id), Some(item.generation), Outcome::Added));
            }
        }
        // The id is taken, or has been further than this. A key is the same under any id; a login
        // may be spent.
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
    ) -> Result<ImportOutcome, BrokerError> {
        let id = entry.view.id.clone();
        let stays = |why| Ok((Some(id.clone()), None, Outcome::Skipped { why }));
        let guard = self.store.lock_record(vault, &record_id(&id)?)?;
        let (current, generation) = read_locked(vault, &guard)?;
        let (standing, seen) = self.store.state.read(|state| {
            let seen = state.stats(&id).generation;
            (state.standing(&id, generation), seen)
        });
        let (taken, above) = if id.as_str() == item.id {
            let newest = generation.max(seen);
            if newest > item.generation || (newest == item.generation && current.moved_at.is_none())
            {
                return stays("it is here in the same or a newer generation");
            }
            let mut taken = item.account.clone();
            taken.taken_from = taken.taken_from.or(current.taken_from);
            (taken, item.generation.saturating_sub(1))
        } else {
            let is_over = current.moved_at.is_some() || standing == Standing::NeedsLogin;
            match (item.account.obtained_at(), current.obtained_at()) {
                (Some(theirs), Some(ours)) if is_over || theirs > ours => {}
                (Some(_), _) => return stays("a newer login of the same identity is here"),
                (None, _) => return stays("the same API key is here"),
            }
            // What its owner has said about the account here is not the other machine's to change.
            (item.account.clone().in_place_of(current), seen)
        };
        let generation = vault.overwrite(&guard, &taken.plaintext(), above)?;
        Ok((Some(id), Some(generation), Outcome::Updated))
    }
}

/// The account here, its generation if it was written, and what was done.
type ImportOutcome = (Option<AccountId>, Option<u64>, Outcome);

fn skipped(why: &'static str) -> ImportOutcome {
    (None, None, Outcome::Skipped { why })
}

impl Imported {
    /// How many accounts came to this.
    pub fn count(&self, is_wanted: impl Fn(Outcome) -> bool) -> usize {
        let outcomes = self.accounts.iter().map(|account| account.outcome);
        outcomes.filter(|outcome| is_wanted(*outcome)).count()
    }
}
