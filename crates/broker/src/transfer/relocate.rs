//! Moves a vault's accounts to another one: from a folder to a store for many machines, and back.
//!
//! An export and an import, with no passphrase between them. What leaves is kept in the vault that it
//! leaves, under that vault's key, until all of it has arrived: whoever is killed in between runs the
//! same again. So a login is in one of the two, or kept; it serves in one at most.

use std::collections::BTreeSet;
use std::sync::Arc;

use provider_auth_vault::{RecordId, Vault};

use super::content::{Bundle, Packed};
use super::export::Logins;
use super::import::Imported;
use super::{TransferService, Written};
use crate::error::BrokerError;
use crate::host::blocking;
use crate::limits;
use crate::store::credential::Credential;
use crate::store::moved_bundle::{self, Label, MovedTo};

/// What a move did.
#[derive(Clone, Debug)]
pub struct Relocated {
    /// Names the vault that the accounts are in now.
    pub to: String,
    /// What it did with each.
    pub imported: Imported,
}

/// What changed where.
#[derive(Default)]
struct Changes {
    imported: Imported,
    /// Logins that left, or are here again.
    here: Written,
    there: Written,
}

impl TransferService {
    /// Moves the logins to the vault of `target`, and copies the API keys. What an earlier move to it
    /// has left under way goes first.
    pub(crate) async fn relocate(
        self: &Arc<Self>,
        target: Arc<Self>,
    ) -> Result<Relocated, BrokerError> {
        let vault = self.store.opened_interactive().await?;
        let there = target.store.opened_interactive().await?;
        if vault.id() == there.id() {
            return Err(BrokerError::InvalidArgument(
                "to: that is the vault that the accounts are in".to_owned(),
            ));
        }
        let to = place(&there);
        let changes = blocking({
            let (here, target, to) = (self.clone(), target.clone(), to.clone());
            let (vault, there) = (vault.clone(), there.clone());
            move || here.relocate_now(&vault, (&target, &there), &to)
        })
        .await?;
        self.left(&vault, changes.here).await?;
        target.arrived(&there, &changes.there).await?;
        blocking(move || target.store.close(limits::EXIT_TIMEOUT)).await;
        Ok(Relocated {
            to,
            imported: changes.imported,
        })
    }

    fn relocate_now(
        self: &Arc<Self>,
        vault: &Arc<Vault>,
        target: (&Arc<Self>, &Arc<Vault>),
        to: &str,
    ) -> Result<Changes, BrokerError> {
        let mut changes = Changes::default();
        if let Some(under_way) = moved_bundle::moved_to(vault)?.filter(|to| to.is_under_way) {
            if under_way.place != to {
                return Err(under_way.into());
            }
            if let Some(kept) = vault.moved()? {
                self.deliver(vault, kept.plaintext(), target, &mut changes)?;
            }
        }
        let plain = |bundle: &Bundle| Ok(bundle.plaintext());
        let (bundle, left) = self.pack_as(vault, Logins::Move, Some(to), plain)?;
        let label = Label::of(left.iter().map(|(id, _)| id), Some(to));
        changes.here.extend(left);
        self.deliver(vault, &label.before(&bundle), target, &mut changes)?;
        Ok(changes)
    }

    /// Brings what has left this vault into the other one. What is kept of it here goes once all of it
    /// is there.
    fn deliver(
        self: &Arc<Self>,
        vault: &Arc<Vault>,
        content: &[u8],
        (target, there): (&Arc<Self>, &Arc<Vault>),
        changes: &mut Changes,
    ) -> Result<(), BrokerError> {
        let (Some(label), bundle) = moved_bundle::parse(content) else {
            return Ok(());
        };
        let mut bundle = Bundle::read(bundle)?;
        let may_go = self.may_go(vault, &label, &bundle)?;
        bundle
            .accounts
            .retain(|packed| matches!(packed, Packed::Account(item) if may_go.contains(&item.id)));
        let logins: Vec<Option<(String, Credential)>> = bundle.accounts.iter().map(login).collect();
        let (imported, written) = target.unpack(there, bundle)?;
        changes.there.extend(written);
        for (login, outcome) in logins.into_iter().zip(&imported.accounts) {
            // Refused there, so it stays here.
            if let Some((id, credential)) = login
                && outcome.id.is_none()
            {
                let guard = self.store.lock_record(vault, &record_id(&id)?)?;
                let generation = vault.overwrite(&guard, &credential.plaintext(), 0)?;
                changes.here.push((id.as_str().into(), generation));
            }
        }
        changes.imported.accounts.extend(imported.accounts);
        // Where they went.
        let note = label.before(&[]);
        vault.replace_moved(&mut |kept| kept == Some(content), &note)?;
        moved_bundle::settle(vault);
        Ok(())
    }

    /// Which accounts of a bundle are to arrive: a login that has left, and a key that is here still.
    fn may_go(
        &self,
        vault: &Vault,
        label: &Label,
        bundle: &Bundle,
    ) -> Result<BTreeSet<String>, BrokerError> {
        let mut may_go = BTreeSet::new();
        for packed in &bundle.accounts {
            let Packed::Account(item) = packed else {
                continue;
            };
            // Whoever erases its tokens has the lock.
            let guard = self.store.lock_record(vault, &record_id(&item.id)?)?;
            let Some(record) = vault.reread(&guard)? else {
                continue;
            };
            let is_key = item.account.lasting().is_some();
            // One that was not erased before a kill serves here, and leaves with the next bundle.
            let has_left = label.accounts.contains(&item.id)
                && Credential::open(&record).is_some_and(|here| here.moved_at.is_some());
            if is_key || has_left {
                may_go.insert(item.id.clone());
            }
        }
        Ok(may_go)
    }
}

/// What people call a vault.
fn place(vault: &Vault) -> String {
    let folder = || vault.dir().display().to_string();
    vault
        .store_status()
        .map_or_else(folder, |store| store.place)
}

fn record_id(id: &str) -> Result<RecordId, BrokerError> {
    crate::store::accounts::record_id(&id.into())
}

fn login(packed: &Packed) -> Option<(String, Credential)> {
    match packed {
        Packed::Account(item) if item.account.lasting().is_none() => {
            Some((item.id.clone(), item.account.clone()))
        }
        _ => None,
    }
}

impl From<MovedTo> for BrokerError {
    fn from(under_way: MovedTo) -> Self {
        Self::InvalidArgument(format!(
            "logins are on their way to {}: finish that move first",
            under_way.place
        ))
    }
}
