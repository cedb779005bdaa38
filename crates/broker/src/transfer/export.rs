//! Seals the accounts into a bundle: API keys are copied, logins leave.

use std::sync::Arc;

use provider_auth_policy::{AccountId, Standing, Timestamp, refreshed};
use provider_auth_vault::{
    Claimed, Need, Outcome as ClaimOutcome, Pending, Purpose, RecordGuard, SendBy, Vault,
    VaultError, is_guessable, line, seal_bundle,
};
use secrecy::SecretString;

use super::content::{Bundle, Item};
use super::{TransferService, Written};
use crate::error::BrokerError;
use crate::host::{blocking, boot_id};
use crate::limits;
use crate::notifier::EventKind;
use crate::store::accounts::record_id;
use crate::store::credential::Credential;
use crate::store::entry::Entry;
use crate::store::locks::read_locked;
use crate::store::moved_bundle::{self, Label};
use crate::store::secret::fingerprint;

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
    /// Until when no other machine takes its claim over.
    until: SendBy,
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
        self.left(&vault, moved).await?;
        Ok(bundle)
    }

    /// Has this process, and those who listen to it, know of logins that left.
    pub(super) async fn left(
        self: &Arc<Self>,
        vault: &Arc<Vault>,
        moved: Written,
    ) -> Result<(), BrokerError> {
        self.store.reread(vault).await?;
        for (id, generation) in moved {
            self.store.note(vault, &refreshed(&id, generation)).await;
            self.store.tell_account(EventKind::NeedsLogin, &id, None);
        }
        Ok(())
    }

    fn pack(
        self: &Arc<Self>,
        vault: &Arc<Vault>,
        passphrase: &SecretString,
        logins: Logins,
    ) -> Result<(Vec<u8>, Written), BrokerError> {
        let seal = |bundle: &Bundle| {
            seal_bundle(
                passphrase,
                &bundle.plaintext(),
                &*self.store.vault_entropy(),
            )
        };
        self.pack_as(vault, logins, None, seal)
    }

    /// Packs the accounts; what `seal` makes of them is kept before logins leave. `to` names the vault
    /// that they are on their way to, where no passphrase protects them but this vault's key.
    pub(super) fn pack_as<B: AsRef<[u8]>>(
        self: &Arc<Self>,
        vault: &Arc<Vault>,
        logins: Logins,
        to: Option<&str>,
        seal: impl FnOnce(&Bundle) -> Result<B, VaultError>,
    ) -> Result<(B, Written), BrokerError> {
        self.store.reread_now(vault)?;
        let accounts = self.store.whole_accounts(vault)?;
        let (keys, oauth): (Vec<_>, Vec<_>) = accounts
            .entries()
            .partition(|entry| entry.credential.lasting().is_some());
        let mut leaving = Vec::new();
        let packed = match logins {
            Logins::Stay => Ok(()),
            Logins::Move => self.lock_for_export(vault, &oauth, &mut leaving),
        };
        let packed = packed.and_then(|()| self.pack_locked(vault, &keys, &leaving, to, seal));
        for login in &leaving {
            // The claims; nothing was spent.
            vault.release(&login.guard, ClaimOutcome::Unsent)?;
        }
        if packed.is_err() && !leaving.is_empty() {
            // With the locks gone, it shows that nothing left with the bundle.
            drop(leaving);
            moved_bundle::settle(vault);
        }
        packed
    }

    fn pack_locked<B: AsRef<[u8]>>(
        &self,
        vault: &Vault,
        keys: &[&Arc<Entry>],
        leaving: &[Leaving],
        to: Option<&str>,
        seal: impl FnOnce(&Bundle) -> Result<B, VaultError>,
    ) -> Result<(B, Written), BrokerError> {
        let keys = keys.iter().map(|entry| Item {
            id: entry.view.id.to_string(),
            generation: entry.view.generation,
            account: entry.known_credential(),
        });
        let moved = leaving.iter().map(|login| Item {
            id: login.id.to_string(),
            // That of the account without tokens, which takes its place here.
            generation: login.generation + 1,
            account: login.credential.clone(),
        });
        let sealed = seal(&Bundle::of(keys.chain(moved), self.store.now()))?;
        if !leaving.is_empty() {
            let label = Label::of(leaving.iter().map(|login| &login.id), to);
            if let Some(under_way) = moved_bundle::keep(vault, &label.before(sealed.as_ref()))? {
                return Err(under_way.into());
            }
            let logins = leaving.iter().map(|login| (&login.id, &login.credential));
            // Before the accounts let go: killed in between, they still have their tokens.
            self.migration
                .erase_kept(vault, &logins.collect::<Vec<_>>())?;
        }
        let moved = self.erase_tokens(vault, leaving)?;
        Ok((sealed, moved))
    }

    /// Locks the logins that can be moved. They are not refreshed from here on.
    fn lock_for_export(
        &self,
        vault: &Vault,
        logins: &[&Arc<Entry>],
        leaving: &mut Vec<Leaving>,
    ) -> Result<(), BrokerError> {
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
            let login = Leaving {
                id: entry.view.id.clone(),
                guard,
                credential,
                generation,
                until: SendBy::within(limits::EXPORT_CLAIM),
            };
            // The lock keeps other processes of this machine from it, and not other machines.
            if vault.has_rows() {
                claim(vault, &login, self.store.now())?;
            }
            leaving.push(login);
        }
        Ok(())
    }

    /// Erases the tokens of logins that a bundle holds now; where one cannot be written, all get
    /// theirs back.
    fn erase_tokens(&self, vault: &Vault, leaving: &[Leaving]) -> Result<Written, BrokerError> {
        let mut moved = Vec::new();
        for login in leaving {
            let emptied = login.credential.without_tokens(self.store.now());
            let brought = match login.until.has_passed() && vault.has_rows() {
                true => Ok(None),
                false => vault.bring(
                    &login.guard,
                    login.generation,
                    Purpose::Other,
                    &emptied.plaintext(),
                ),
            };
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

/// Claims a login, so that no other machine renews it while it leaves.
fn claim(vault: &Vault, login: &Leaving, now: Timestamp) -> Result<(), BrokerError> {
    // Of a login the refresh token, where it has one.
    let spent = *login
        .credential
        .held()
        .get(1)
        .unwrap_or(&login.credential.bearer());
    let note = Pending {
        generation: login.generation,
        refresh_hash: fingerprint(spent),
        started_at: now.as_millis(),
        pid: std::process::id(),
        boot_id: boot_id(),
    };
    let why = match vault.claim(&login.guard, Need::Now, &note)? {
        Claimed::Yes(_) => return Ok(()),
        Claimed::Moved => "it was renewed while it was exported; export it again".to_owned(),
        Claimed::Held(holder) => format!("it is being renewed by {}; export it again", holder.by),
    };
    Err(BrokerError::RefreshFailed {
        provider: login.credential.provider.clone(),
        account: login.id.clone(),
        why,
        retry_at: None,
    })
}
