//! Seals the accounts into a bundle: API keys are copied, logins leave.

use std::sync::Arc;

use provider_auth_policy::{AccountId, Standing, refreshed};
use provider_auth_vault::{
    Purpose, RecordGuard, Vault, VaultError, is_guessable, line, seal_bundle,
};
use secrecy::SecretString;

use super::content::{Bundle, Item};
use super::{TransferService, Written};
use crate::error::BrokerError;
use crate::host::blocking;
use crate::notifier::EventKind;
use crate::store::accounts::record_id;
use crate::store::credential::Credential;
use crate::store::entry::Entry;
use crate::store::locks::read_locked;
use crate::store::moved_bundle;

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

/// A login under its lock, on its way into a bundle.
struct Leaving {
    id: AccountId,
    guard: RecordGuard,
    credential: Credential,
    generation: u64,
}

impl TransferService {
    /// Returns a bundle of all API keys, and with [`Logins::Move`] of the logins; the stock `age`
    /// command opens it too.
    ///
    /// The logins leave only once the bundle is sealed and a copy of it is on the disk, and all of
    /// them or none. A login that has ended stays, and so does one that may be an old copy.
    pub(crate) async fn export_vault(
        self: &Arc<Self>,
        passphrase: SecretString,
        rule: PassphraseRule,
        logins: Logins,
    ) -> Result<Vec<u8>, BrokerError> {
        if rule == PassphraseRule::HardToGuess && is_guessable(&passphrase) {
            return Err(VaultError::GuessablePassphrase.into());
        }
        let vault = self.store.opened_interactive().await?;
        let (bundle, moved) = blocking({
            let (transfer, vault) = (self.clone(), vault.clone());
            move || transfer.pack(&vault, &passphrase, logins)
        })
        .await?;
        self.store.reread(&vault).await?;
        for (id, generation) in moved {
            self.store.note(&vault, &refreshed(&id, generation)).await;
            self.store.tell_account(EventKind::NeedsLogin, &id, None);
        }
        Ok(bundle)
    }

    fn pack(
        self: &Arc<Self>,
        vault: &Arc<Vault>,
        passphrase: &SecretString,
        logins: Logins,
    ) -> Result<(Vec<u8>, Written), BrokerError> {
        self.store.reread_now(vault)?;
        let accounts = self.store.whole_accounts(vault)?;
        let (keys, oauth): (Vec<_>, Vec<_>) = accounts
            .entries()
            .partition(|entry| entry.credential.lasting().is_some());
        let leaving = match logins {
            Logins::Stay => Vec::new(),
            Logins::Move => self.lock_for_export(vault, &oauth)?,
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
        let bundle = Bundle::of(keys.chain(moved), self.store.now());
        let sealed = seal_bundle(
            passphrase,
            &bundle.plaintext(),
            &*self.store.vault_entropy(),
        )?;
        if !leaving.is_empty() {
            let ids = leaving.iter().map(|login| &login.id);
            vault.keep_moved(&moved_bundle::labelled(ids, &sealed))?;
            let logins = leaving.iter().map(|login| (&login.id, &login.credential));
            // Before the accounts let go: killed in between, they still have their tokens.
            self.migration
                .erase_kept(vault, &logins.collect::<Vec<_>>())?;
        }
        match self.erase_tokens(vault, &leaving) {
            Ok(moved) => Ok((sealed, moved)),
            Err(error) => {
                // With the locks gone, it shows that nothing left with the bundle.
                drop(leaving);
                moved_bundle::settle(vault);
                Err(error)
            }
        }
    }

    /// Locks the logins that can be moved. They are not refreshed from here on.
    fn lock_for_export(
        &self,
        vault: &Vault,
        logins: &[&Arc<Entry>],
    ) -> Result<Vec<Leaving>, BrokerError> {
        let mut leaving = Vec::new();
        for entry in logins {
            let id = record_id(&entry.view.id)?;
            let guard = self.store.lock_record(vault, &id)?;
            let (credential, generation) = read_locked(vault, &guard)?;
            let standing = self
                .store
                .state
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

    /// Erases the tokens of logins that a bundle holds now; where one cannot be written, all get
    /// theirs back.
    fn erase_tokens(&self, vault: &Vault, leaving: &[Leaving]) -> Result<Written, BrokerError> {
        let mut moved = Vec::new();
        for login in leaving {
            let emptied = login.credential.without_tokens(self.store.now());
            let brought = vault.bring(
                &login.guard,
                login.generation,
                Purpose::Other,
                &emptied.plaintext(),
            );
            // What was sealed of one that has moved on is spent.
            let erased = brought.map_err(BrokerError::from).and_then(|brought| {
                brought.ok_or_else(|| BrokerError::RefreshFailed {
                    provider: emptied.provider.clone(),
                    account: login.id.clone(),
                    why: "it was renewed while it was exported; export it again".to_owned(),
                    retry_at: None,
                })
            });
            match erased {
                Ok(generation) => moved.push((login.id.clone(), generation)),
                Err(error) => {
                    for login in &leaving[..moved.len()] {
                        let restored = vault.replace(&login.guard, &login.credential.plaintext());
                        if let Err(error) = restored {
                            line!(
                                ERROR,
                                account = login.id,
                                error = error,
                                "a login that was to be moved could not be kept"
                            );
                        }
                    }
                    return Err(error);
                }
            }
        }
        Ok(moved)
    }
}
