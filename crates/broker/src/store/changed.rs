//! Follows the records that changed, so that one write costs as much among ten thousand accounts as
//! among ten.

use std::sync::Arc;

use provider_auth_policy::AccountId;
use provider_auth_vault::{RecordId, Vault, VaultError};

use super::accounts::{Accounts, secret_key};
use super::credential::Credential;
use super::entry::{Entry, Found, defines_provider};
use crate::config::Settings;

/// What the records are that changed since the accounts were read.
pub(super) struct Changed(Vec<(RecordId, AccountId, Found)>);

impl Accounts {
    /// Looks at the records that changed or are to be read, where no other changed. `None` where what
    /// an account is worth can depend on which others there are: then all are to be read.
    pub(super) fn look_at(
        &self,
        changed: &[RecordId],
        vault: &Vault,
        settings: &Settings,
    ) -> Result<Option<Changed>, VaultError> {
        let has_a_say = |entry: &Arc<Entry>| {
            let provider = &entry.credential.provider;
            defines_provider(&entry.credential)
                || settings.project.defined().any(|id| id == provider)
        };
        let mut found = Vec::with_capacity(changed.len());
        for record_id in changed {
            let id = AccountId::from(record_id.to_string());
            let before = self.by_id.get(&id);
            let read = before.filter(|entry| !entry.is_unread);
            let look = Found::look(vault, *record_id, read, settings, &self.taken)?;
            let after = match &look {
                Found::Account(entry) => Some(entry),
                _ => None,
            };
            let is_as_known = before.zip(after).is_some_and(|(before, after)| {
                before.is_unread && before.view.generation == after.view.generation
            });
            if !is_as_known && before.into_iter().chain(after).any(has_a_say) {
                return Ok(None);
            }
            found.push((*record_id, id, look));
        }
        Ok(Some(Changed(found)))
    }

    /// Takes over what changed.
    pub(super) fn follow(&mut self, Changed(changed): Changed, settings: &Settings) {
        for (record_id, id, found) in changed {
            self.put(record_id, &id, found, settings);
        }
    }

    /// Puts what was found of a record in the place of what was known of it.
    fn put(&mut self, record_id: RecordId, id: &AccountId, found: Found, settings: &Settings) {
        self.unread.remove(id);
        self.unreadable.retain(|known| known != id);
        self.kept_files.retain(|known| *known != record_id);
        let after = match found {
            Found::Account(entry) => Some(entry),
            Found::KeptFile => {
                self.kept_files.push(record_id);
                self.kept_files.sort_unstable();
                None
            }
            Found::Unreadable => {
                self.unreadable.push(id.clone());
                self.unreadable.sort_unstable();
                None
            }
            Found::Nothing => None,
        };
        let before = match &after {
            Some(entry) => self.by_id.insert(id.clone(), entry.clone()),
            None => self.by_id.remove(id),
        };
        if let Some(before) = before {
            if let Some(key) = secret_key(&before) {
                self.by_secret.remove(&key);
            }
            let stays = after
                .as_ref()
                .is_some_and(|after| after.is_of_pool_of(&before));
            self.take_from_pool(&before, stays);
        }
        if let Some(entry) = after {
            self.by_secret.extend(secret_key(&entry));
            let Credential {
                provider,
                namespace,
                ..
            } = &*entry.credential;
            let settled = self.settled(provider, settings);
            let pools = self.pools.entry(provider.clone()).or_default();
            let members = pools.entry(namespace.clone()).or_default();
            members.roster.put(entry.view.clone());
            if !entry.goes_everywhere(settled.as_deref()) {
                members.origin_restricted.push(entry);
            }
        }
    }

    /// Takes an account out of its pool, or only its origins where another state of it follows in
    /// the same pool.
    fn take_from_pool(&mut self, entry: &Entry, stays: bool) {
        let Credential {
            provider,
            namespace,
            ..
        } = &*entry.credential;
        let Some(pools) = self.pools.get_mut(provider) else {
            return;
        };
        let Some(members) = pools.get_mut(namespace) else {
            return;
        };
        let id = &entry.view.id;
        members
            .origin_restricted
            .retain(|known| known.view.id != *id);
        if stays {
            return;
        }
        members.roster.remove(id);
        if members.roster.is_empty() {
            pools.remove(namespace);
        }
        if pools.is_empty() {
            self.pools.remove(provider);
        }
    }
}
