//! The part of the shared state that tells what happened rather than what holds: who served which
//! conversation, and counts. It is large, changes with every answer, and no request has to wait for
//! it, so it is written later than the rest, and by itself.

use crate::affinity;
use crate::limits;
use crate::request::Request;
use crate::state::SharedState;
use crate::time::Timestamp;

impl SharedState {
    /// Takes the history out of a change. Counts that come with anything else stay with it.
    pub fn take_history(&mut self) -> Self {
        let only_counts = self.blocks.is_empty()
            && self.served.is_empty()
            && self.pools.is_empty()
            && self.accounts.values().all(|account| account.only_counts());
        Self {
            accounts: match only_counts {
                true => std::mem::take(&mut self.accounts),
                false => Default::default(),
            },
            bindings: std::mem::take(&mut self.bindings),
            owners: std::mem::take(&mut self.owners),
            ..Self::default()
        }
    }

    /// Tells whether a change of the history is more than counts and times that slide: a process
    /// that does not hear of it soon may send a conversation to the wrong account, or hold a
    /// refusal against an account that has served since.
    pub fn is_news(&self, history: &Self) -> bool {
        let binds_anew = history.bindings.iter().any(|(key, binding)| {
            self.bindings.get(key).is_none_or(|known| {
                let renews = binding.used_at < binding.ends_at();
                let ends_soon = known.ends_at() < binding.used_at + limits::BINDING_ENDS_SOON;
                known.account != binding.account || (renews && ends_soon)
            })
        });
        let owns_anew = history.owners.iter().any(|(key, owner)| {
            let known = self.owners.get(key);
            known.is_none_or(|known| known.account != owner.account)
        });
        let trusts_anew = history.accounts.iter().any(|(id, account)| {
            let known = self.stats(id);
            let is_held_against_it = known.refused.is_some_and(|it| it.at > known.trusted_at);
            is_held_against_it && account.trusted_at > known.trusted_at
        });
        binds_anew || owns_anew || trusts_anew
    }

    /// Tells whether it says who serves the conversation of a request, and who made its item. Where
    /// it does not, another process may know.
    pub fn knows(&self, request: &Request, now: Timestamp) -> bool {
        let knows_session =
            || request.session.is_none() || self.live_binding(request.binding_key(), now).is_some();
        request.pin.is_some() || (knows_session() && affinity::knows_owner(self, request))
    }
}
