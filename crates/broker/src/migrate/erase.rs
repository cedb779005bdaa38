//! What leaves the vault leaves the kept files too: the entry that an account was made of, and
//! whatever else of it is there.
//!
//! Everything else of a kept file stays as it is, so that an undo still brings it. An entry that is
//! in the file itself stays here too, where an undo would else take it out of the file.

use std::collections::HashSet;
use std::path::Path;

use provider_auth_policy::AccountId;
use provider_auth_vault::{Purpose, RecordId, Vault, VaultError, line};
use secrecy::SecretString;
use serde_json::value::RawValue;

use super::entry::Meaning;
use super::kept::{Kept, digest};
use super::object::Object;
use super::plan::is_same;
use super::source::{Content, read};
use crate::error::BrokerError;
use crate::migrate::MigrationService;
use crate::store::accounts::{Accounts, record_id};
use crate::store::credential::Credential;
use crate::store::record_kind::KEPT_FILE;
use crate::store::secret::{Secret, fingerprint};

/// An account that leaves, with all its secrets.
type Leaving<'a> = (&'a AccountId, &'a Credential);

impl MigrationService {
    /// Takes the entries of accounts that leave the vault out of the files that migrations have
    /// kept.
    pub(crate) fn erase_kept(
        &self,
        vault: &Vault,
        leaving: &[Leaving<'_>],
    ) -> Result<(), BrokerError> {
        self.store.reread_now(vault)?;
        let accounts = self.store.accounts();
        // A record that could not be read may be a kept file.
        let unreadable = accounts
            .unreadable
            .iter()
            .filter_map(|id| record_id(id).ok());
        for id in accounts.kept_files.iter().copied().chain(unreadable) {
            match vault.read(&id) {
                Ok(Some(record)) if record.kind == KEPT_FILE => {
                    self.erase_in(vault, id, leaving, &accounts)?;
                }
                Ok(_) => {}
                Err(error @ (VaultError::Corrupt { .. } | VaultError::NewerFormat { .. })) => {
                    line!(
                        WARN,
                        record = id,
                        error = error,
                        "what cannot be read keeps what it holds"
                    );
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn erase_in(
        &self,
        vault: &Vault,
        id: RecordId,
        leaving: &[Leaving<'_>],
        accounts: &Accounts,
    ) -> Result<(), BrokerError> {
        let guard = self.store.lock_record(vault, &id)?;
        while let Some(record) = vault.reread(&guard)? {
            let kept = Kept::read(id, record.plaintext());
            let rest = kept.and_then(|kept| self.rest_of(kept, leaving, accounts));
            let Some(rest) = rest else { break };
            // Else it has moved on meanwhile.
            if vault
                .bring(&guard, record.generation, Purpose::Other, &rest.plaintext())?
                .is_some()
            {
                break;
            }
        }
        Ok(())
    }

    /// A kept file without what is of accounts that leave; `None` when nothing of it is.
    fn rest_of(&self, kept: Kept, leaving: &[Leaving<'_>], accounts: &Accounts) -> Option<Kept> {
        let source = kept.as_source();
        let entries = self.entries(&source, self.store.now())?;
        let object = Object::parse(&source.text)?;
        let stays: HashSet<&str> = accounts
            .entries()
            .filter(|other| leaving.iter().all(|(id, _)| **id != other.view.id))
            .filter_map(|other| Some(other.credential.taken_from.as_ref()?.fingerprint.as_str()))
            .collect();
        let in_file = names_in_file(&kept);
        let fields = object.fields().iter().zip(&entries);
        let is_gone: Vec<bool> = fields
            .map(|((key, value), entry)| {
                let is_of = |credential: &Credential| match &entry.meaning {
                    Meaning::Account(found) => is_of_account(found, credential, &stays),
                    Meaning::Unclear(_) => {
                        is_entry_of(&source.name, key, credential)
                            || holds(value, &tokens(credential))
                    }
                    Meaning::Ours | Meaning::NotNamed => false,
                };
                !in_file.contains(key) && leaving.iter().any(|(_, credential)| is_of(credential))
            })
            .collect();
        let gone = object.fields().iter().zip(&is_gone);
        let erased: Vec<String> = gone
            .filter(|(_, is_gone)| **is_gone)
            .map(|((key, _), _)| key.clone())
            .collect();
        if erased.is_empty() {
            return None;
        }
        let rest = object.without(&source.text, &is_gone);
        Some(kept.without(rest, erased))
    }
}

/// Whether an entry is of this account: the very one, an older or newer login of it, or another
/// with the same token. One that another account was made of stays.
fn is_of_account(found: &Credential, credential: &Credential, stays: &HashSet<&str>) -> bool {
    let entry = found
        .taken_from
        .as_ref()
        .map(|from| from.fingerprint.as_str());
    let made_of = credential
        .taken_from
        .as_ref()
        .map(|from| from.fingerprint.as_str());
    if entry.is_some() && entry == made_of {
        return true;
    }
    if entry.is_some_and(|entry| stays.contains(entry)) {
        return false;
    }
    let tokens_here = tokens(credential);
    is_same(credential, found)
        || tokens(found)
            .iter()
            .any(|token| tokens_here.contains(token))
}

/// Whether the account was made of an entry of this name, as far as a name tells.
fn is_entry_of(file: &str, key: &str, credential: &Credential) -> bool {
    let from = credential.taken_from.as_ref();
    from.is_some_and(|from| from.file == file && from.key == key)
}

/// Hashes of the tokens and keys of an account.
fn tokens(credential: &Credential) -> Vec<[u8; 32]> {
    let refresh = match &credential.secret {
        Secret::Oauth { refresh, .. } => refresh.as_ref(),
        _ => None,
    };
    let nothing = fingerprint(&SecretString::from(""));
    let tokens = refresh.into_iter().chain([credential.bearer()]);
    tokens
        .map(fingerprint)
        .filter(|token| *token != nothing)
        .collect()
}

/// Whether one of these tokens is a text anywhere in a value.
fn holds(value: &RawValue, tokens: &[[u8; 32]]) -> bool {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<SecretString>(text)
            .is_ok_and(|text| tokens.contains(&fingerprint(&text))),
        Some(b'{') => Object::parse(text).is_some_and(|object| {
            let mut values = object.fields().iter();
            values.any(|(_, value)| holds(value, tokens))
        }),
        Some(b'[') => serde_json::from_str::<Vec<&RawValue>>(text)
            .is_ok_and(|values| values.into_iter().any(|value| holds(value, tokens))),
        _ => false,
    }
}

/// The names of entries in the file itself, where an undo would write over it.
fn names_in_file(kept: &Kept) -> HashSet<String> {
    let found = match read(Path::new(&kept.label.file)) {
        Ok(Content::Text(found)) => found.text,
        _ => return HashSet::new(),
    };
    if kept.is_whole(&found) || kept.label.left != Some(digest(&found)) {
        return HashSet::new();
    }
    let object = Object::parse(&found);
    let names = object.iter().flat_map(|object| object.fields());
    names.map(|(name, _)| name.clone()).collect()
}
