//! What all processes share about accounts: blocks, bindings, counters, pool order. Never a secret.
//!
//! One type is both the whole and a delta of it, so that a change is made by merging. The file that
//! holds it is lossy by design: what cannot be read is dropped, what is unknown is kept.

pub(crate) mod account_stats;
pub(crate) mod binding;
pub(crate) mod block;
mod bound;
pub(crate) mod credit;
pub(crate) mod difference;
mod history;
mod news;
pub(crate) mod pool_order;
mod rows;
pub(crate) mod scope;
pub(crate) mod unknown;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::account::{AccountId, AccountView};
use crate::limits;
use crate::reason::Standing;
use crate::state::account_stats::{AccountStats, Usage};
use crate::state::binding::{Binding, Owner};
use crate::state::block::Block;
use crate::state::credit::Credit;
use crate::state::pool_order::PoolOrder;
use crate::state::scope::{Scope, ScopeKey, Target};
use crate::state::unknown::merge_unknown;
use crate::time::Timestamp;

/// The version of the format that this code writes.
const FORMAT: u32 = 1;

/// The shared state, or a change of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedState {
    /// Version of the format.
    #[serde(default = "format")]
    pub format: u32,
    /// What is known of each account.
    #[serde(default, deserialize_with = "unknown::readable")]
    pub accounts: BTreeMap<AccountId, AccountStats>,
    /// What is believed to refuse, and until when.
    #[serde(default, deserialize_with = "unknown::readable")]
    pub blocks: BTreeMap<Scope, Block>,
    /// Which account serves which session, by a hash of pool, session and model.
    #[serde(default, deserialize_with = "unknown::readable")]
    pub bindings: BTreeMap<String, Binding>,
    /// Which account made what no other can serve, by a hash of pool and item or session.
    #[serde(default, rename = "makers", deserialize_with = "unknown::readable")]
    pub owners: BTreeMap<String, Owner>,
    /// When any account last served a model, by provider and a hash of the model.
    #[serde(default, deserialize_with = "unknown::readable")]
    pub served: BTreeMap<String, Timestamp>,
    /// The order of each pool, by `provider/namespace`.
    #[serde(default, deserialize_with = "unknown::readable")]
    pub pools: BTreeMap<String, PoolOrder>,
    /// Fields of a newer version, kept.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Default for SharedState {
    fn default() -> Self {
        Self {
            format: FORMAT,
            accounts: BTreeMap::new(),
            blocks: BTreeMap::new(),
            bindings: BTreeMap::new(),
            owners: BTreeMap::new(),
            served: BTreeMap::new(),
            pools: BTreeMap::new(),
            other: Map::new(),
        }
    }
}

impl SharedState {
    /// Tells whether merging it would change nothing.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
            && self.blocks.is_empty()
            && self.bindings.is_empty()
            && self.owners.is_empty()
            && self.served.is_empty()
            && self.pools.is_empty()
            && self.other.is_empty()
    }

    /// Adds the counters of `delta` and takes, field by field, the newest of everything else.
    ///
    /// A live block is never shortened by an older or weaker one. It does not matter which of two
    /// takes the other in and, but for the counters, how often. Of three, which two meet first
    /// matters to blocks alone: news that a scope serves ends the blocks it meets, and not those
    /// that come after.
    pub fn merge(&mut self, delta: &Self) {
        self.format = self.format.max(delta.format);
        for (id, account) in &delta.accounts {
            self.merge_account(id, account);
        }
        for (key, block) in &delta.blocks {
            match self.blocks.get_mut(key) {
                Some(known) => known.join(block),
                None => {
                    self.blocks.insert(key.clone(), block.clone());
                }
            }
        }
        for (key, binding) in &delta.bindings {
            self.merge_binding(key, binding);
        }
        for (key, owner) in &delta.owners {
            match self.owners.get_mut(key) {
                Some(known) if *known >= *owner => {}
                Some(known) => *known = owner.clone(),
                None => {
                    self.owners.insert(key.clone(), owner.clone());
                }
            }
        }
        for (key, at) in &delta.served {
            let known = self.served.entry(key.clone()).or_default();
            *known = (*known).max(*at);
        }
        for (key, pool) in &delta.pools {
            match self.pools.get_mut(key) {
                Some(known) => known.merge(pool),
                None => {
                    self.pools.insert(key.clone(), pool.clone());
                }
            }
        }
        merge_unknown(&mut self.other, &delta.other);
    }

    /// Merges what a plain answer teaches.
    pub fn credit(&mut self, credit: &Credit<'_>) {
        self.format = self.format.max(FORMAT);
        self.merge_account(credit.account, &credit.learned);
        if let Some((key, binding)) = &credit.binding {
            self.merge_binding(key, binding);
        }
    }

    fn merge_account(&mut self, id: &AccountId, delta: &AccountStats) {
        match self.accounts.get_mut(id) {
            Some(known) => known.merge(delta),
            None => self.accounts.entry(id.clone()).or_default().merge(delta),
        }
    }

    fn merge_binding(&mut self, key: &str, binding: &Binding) {
        match self.bindings.get_mut(key) {
            Some(known) if *known >= *binding => {}
            Some(known) => *known = binding.clone(),
            None => {
                self.bindings.insert(key.to_owned(), binding.clone());
            }
        }
    }

    /// Returns what is known of one account where a request goes to `target`: all that a decision
    /// about it needs.
    pub(crate) fn of_account(&self, account: &AccountView, target: Target<'_>) -> Self {
        let mut known = Self::default();
        if let Some(stats) = self.accounts.get(&account.id) {
            known.accounts.insert(account.id.clone(), stats.clone());
        }
        for (scope, block) in self.blocks_for(&account.id, &account.provider, target) {
            known.blocks.insert(scope.clone(), block.clone());
        }
        known
    }

    /// Returns a copy of what is known of accounts and pools, without bindings and owners.
    #[must_use]
    pub fn of_accounts(&self) -> Self {
        Self {
            accounts: self.accounts.clone(),
            blocks: self.blocks.clone(),
            pools: self.pools.clone(),
            ..Self::default()
        }
    }

    /// Forgets what no decision needs any more: bindings and owners of long ago, blocks past their
    /// ladder's memory, and what a clock that has been set back since saw in the future, which
    /// would outrank all that is seen from now on.
    pub fn sweep(&mut self, now: Timestamp) {
        let latest = now + limits::CLOCK_JUMP;
        for account in self.accounts.values_mut() {
            account.last_at = account.last_at.min(latest);
            account.trusted_at = account.trusted_at.min(latest);
            account.refused.take_if(|refusal| refusal.at > latest);
            account
                .refresh_rest
                .take_if(|rest| rest.observed_at > latest);
            account.usage.retain(|_, usage| usage.observed_at <= latest);
        }
        for pool in self.pools.values_mut() {
            pool.moved_at = pool.moved_at.min(latest);
        }
        for block in self.blocks.values_mut() {
            block.probed_at = block.probed_at.min(latest);
            block.answered_at = block.answered_at.map(|at| at.min(latest));
        }
        self.blocks.retain(|_, block| !block.is_forgotten(now));
        self.bindings
            .retain(|_, binding| binding.is_remembered(now));
        self.owners.retain(|_, owner| owner.is_remembered(now));
        let used_at = |binding: &Binding| binding.used_at;
        keep_newest(&mut self.bindings, limits::BINDINGS_KEPT, used_at);
        for at in self.served.values_mut() {
            *at = (*at).min(latest);
        }
        keep_newest(&mut self.served, limits::SERVED_KEPT, |at| *at);
        keep_newest(&mut self.owners, limits::OWNERS_KEPT, |owner| owner.used_at);
    }

    /// Returns how an account with a record of this generation stands.
    ///
    /// What was found out about an older record is void: the user has logged in since.
    pub fn standing(&self, id: &AccountId, generation: u64) -> Standing {
        let Some(account) = self.accounts.get(id) else {
            return Standing::Serving;
        };
        match account.standing {
            Some(mark) if mark.generation >= generation && mark.standing != Standing::Serving => {
                mark.standing
            }
            _ if account.generation > generation => Standing::RollbackSuspected,
            _ => Standing::Serving,
        }
    }

    /// Returns what is known of an account: nothing yet is all zero.
    pub fn stats(&self, id: &AccountId) -> &AccountStats {
        static NOTHING: LazyLock<AccountStats> = LazyLock::new(AccountStats::default);
        self.accounts.get(id).unwrap_or(&NOTHING)
    }

    /// Returns how much is used of each quota window of an account that has not been reset since,
    /// by the window's name.
    pub fn quota(&self, id: &AccountId, now: Timestamp) -> Vec<(String, Usage)> {
        let windows = self.stats(id).usage.iter();
        windows
            .filter(|(_, usage)| usage.holds(now))
            .map(|(window, usage)| (window.clone(), *usage))
            .collect()
    }

    /// Returns the live blocks that an account meets, whatever the model.
    pub fn cooldowns(&self, account: &AccountView, now: Timestamp) -> Vec<(Scope, Block)> {
        let (id, provider) = (&account.id, &account.provider);
        let none = String::new;
        let whole = [Scope::Account(id.clone()), Scope::Egress(provider.clone())];
        let whole = whole
            .into_iter()
            .filter_map(|scope| self.blocks.get_key_value(&scope));
        let models = self.blocks.range(Scope::Model(id.clone(), none())..);
        let models =
            models.take_while(|(scope, _)| matches!(scope, Scope::Model(of, _) if of == id));
        let paths = self.blocks.range(Scope::Path(id.clone(), none())..);
        let paths = paths.take_while(|(scope, _)| matches!(scope, Scope::Path(of, _) if of == id));
        let of_provider = self
            .blocks
            .range(Scope::ProviderModel(provider.clone(), none())..);
        let of_provider = of_provider.take_while(
            |(scope, _)| matches!(scope, Scope::ProviderModel(of, _) if of == provider),
        );
        whole
            .chain(models)
            .chain(paths)
            .chain(of_provider)
            .filter(|(_, block)| block.live_until(now).is_some())
            .map(|(scope, block)| (scope.clone(), block.clone()))
            .collect()
    }

    /// Returns the live binding under this key.
    pub fn binding(&self, key: &str, now: Timestamp) -> Option<&AccountId> {
        self.live_binding(key, now).map(|binding| &binding.account)
    }

    pub(crate) fn live_binding(&self, key: &str, now: Timestamp) -> Option<&Binding> {
        self.bindings.get(key).filter(|binding| binding.lives(now))
    }

    /// Returns the blocks, live or over, of every scope that stands in the way of a request to this
    /// account.
    pub(crate) fn blocks_for<'a>(
        &'a self,
        account: &AccountId,
        provider: &str,
        target: Target<'_>,
    ) -> impl Iterator<Item = (&'a Scope, &'a Block)> + Clone + use<'a> {
        // Most of the time nothing is blocked anywhere.
        let scopes = match self.blocks.is_empty() {
            true => [None; 5],
            false => target.scopes(account, provider),
        };
        let found = scopes.map(|scope| {
            let key: &dyn ScopeKey = &scope?;
            self.blocks.get_key_value(key)
        });
        found.into_iter().flatten()
    }
}

/// Forgets what was used least recently, beyond `most` entries.
fn keep_newest<K: Ord, T>(
    map: &mut BTreeMap<K, T>,
    most: usize,
    used_at: impl Fn(&T) -> Timestamp,
) {
    let Some(excess) = map.len().checked_sub(most) else {
        return;
    };
    let mut ages: Vec<_> = map.values().map(&used_at).collect();
    ages.sort_unstable();
    let oldest = ages.get(excess).copied().unwrap_or_default();
    map.retain(|_, entry| used_at(entry) >= oldest);
}

fn format() -> u32 {
    FORMAT
}
