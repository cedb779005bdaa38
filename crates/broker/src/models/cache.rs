//! The lists of one pool as they lie on the disk: one file per pool, in it one list per account and
//! entitlement.
//!
//! No secret, no address and no name of a person is in it, and the names of files and entries are
//! hashes.

use std::collections::BTreeMap;
use std::sync::Arc;

use provider_auth_policy::Timestamp;
use provider_auth_vault::{Vault, line};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::shape::Model;
use crate::config::{Origin, Provider};
use crate::limits;
use crate::store::entry::Entry;

/// The version of the format that this code writes, and the only one that it reads.
const FORMAT: u32 = 1;

/// A list as one account saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Kept {
    pub(super) fetched_at: Timestamp,
    pub(super) models: Vec<Model>,
}

/// The lists of one pool.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Lists {
    format: u32,
    lists: BTreeMap<String, Kept>,
}

impl Kept {
    /// Whether it serves without a question. One from the future tells of a clock that was set
    /// back.
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        self.fetched_at <= now && self.fetched_at.until(now) < limits::MODELS_LIFE
    }
}

impl Lists {
    /// Reads a pool's lists. A file that cannot be read counts as an empty one.
    pub(super) fn read(vault: &Vault, pool: &[u8; 16]) -> Self {
        let nothing = || Self {
            format: FORMAT,
            lists: BTreeMap::new(),
        };
        let bytes = vault.read_cache(pool).unwrap_or_else(|error| {
            line!(
                WARN,
                error = error,
                "the kept lists of models cannot be read"
            );
            None
        });
        let read = bytes.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        read.filter(|read| read.format == FORMAT)
            .map_or_else(nothing, |mut read| {
                read.lists.retain(|_, kept| !kept.models.is_empty());
                read
            })
    }

    /// Adds a list to those that are on the disk now. A disk that does not take it costs the next
    /// caller a request.
    pub(super) fn add(vault: &Vault, pool: &[u8; 16], entitlement: String, kept: &Kept) {
        let mut lists = Self::read(vault, pool);
        lists.lists.insert(entitlement, kept.clone());
        lists.forget_oldest();
        let bytes = serde_json::to_vec(&lists).expect("a list has only string keys");
        if let Err(error) = vault.write_cache(pool, &bytes) {
            line!(WARN, error = error, "a list of models could not be kept");
        }
    }

    /// The newest list that one of these accounts may be shown.
    pub(super) fn newest(&self, provider: &Provider, entries: &[Arc<Entry>]) -> Option<&Kept> {
        let known = entries
            .iter()
            .filter_map(|entry| self.lists.get(&entitlement(provider, entry)));
        known.max_by_key(|kept| kept.fetched_at)
    }

    fn forget_oldest(&mut self) {
        while self.lists.len() > limits::MODEL_LISTS {
            let oldest = self.lists.iter().min_by_key(|(_, kept)| kept.fetched_at);
            let Some(oldest) = oldest.map(|(entitlement, _)| entitlement.clone()) else {
                return;
            };
            self.lists.remove(&oldest);
        }
    }
}

/// Names the lists of a pool in this vault.
pub(super) fn pool_key(vault: &Vault, provider: &str, namespace: &str) -> [u8; 16] {
    let hash = hash([&vault.id()[..], provider.as_bytes(), namespace.as_bytes()]);
    let mut key = [0; 16];
    key.copy_from_slice(&hash[..16]);
    key
}

/// Names what decides which models an account is shown: the account itself, its organisation, plan
/// and client, and where its lists are and how they are read.
pub(super) fn entitlement(provider: &Provider, entry: &Entry) -> String {
    let identity = &entry.credential.identity;
    let audience = &entry.credential.audience;
    let own = [
        Some(entry.view.id.as_str()),
        identity.organization.as_deref(),
        identity.plan.as_deref(),
        audience.client_id.as_deref(),
        audience.api.as_ref().map(Origin::as_str),
    ];
    let own = own.map(Option::unwrap_or_default);
    let urls = provider.models_urls.iter().map(Url::as_str);
    let shape = format!("{:?}", provider.models_shape);
    let hash = hash(
        own.into_iter()
            .chain(urls)
            .chain([&*shape])
            .map(str::as_bytes),
    );
    hex::encode(hash)
}

/// Each part with its length, so that none can run into the next.
fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn kept_at(millis: u64) -> Kept {
        Kept {
            fetched_at: Timestamp::from_millis(millis),
            models: Vec::new(),
        }
    }

    #[test]
    fn a_list_serves_for_twelve_hours_and_never_before_it_was_made() {
        let made = Timestamp::from_millis(1_800_000_000_000);
        let kept = kept_at(made.as_millis());
        let life = Duration::from_hours(12);
        assert!(kept.is_fresh(made));
        assert!(kept.is_fresh(made + (life - Duration::from_millis(1))));
        assert!(!kept.is_fresh(made + life));
        assert!(!kept.is_fresh(Timestamp::from_millis(made.as_millis() - 1)));
    }

    #[test]
    fn the_oldest_lists_are_forgotten() {
        let most = limits::MODEL_LISTS as u64;
        let mut lists = Lists {
            format: FORMAT,
            lists: (0..most + 3)
                .map(|at| (at.to_string(), kept_at(at)))
                .collect(),
        };
        lists.forget_oldest();
        assert_eq!(lists.lists.len(), limits::MODEL_LISTS);
        assert!((0..3).all(|at: u64| !lists.lists.contains_key(&at.to_string())));
    }

    #[test]
    fn parts_do_not_run_into_one_another() {
        assert_ne!(hash([&b"ab"[..], b"c"]), hash([&b"a"[..], b"bc"]));
    }
}
