//! The part of the shared state that tells what happened rather than what holds: who served which
//! conversation, and counts. It is large, changes with every answer, and no request has to wait for
//! it, so it is written later than the rest, and by itself.

use crate::account::AccountId;
use crate::affinity;
use crate::limits;
use crate::request::Request;
use crate::state::SharedState;
use crate::state::account_stats::AccountStats;
use crate::state::binding::Binding;
use crate::state::credit::Credit;
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

    /// Returns the bindings alone: what is in no row, where the state is kept in rows.
    #[must_use]
    pub fn only_bindings(self) -> Self {
        Self {
            bindings: self.bindings,
            ..Self::default()
        }
    }

    /// Takes out of a change what is only counted: what `known` is without it does no harm for half a
    /// minute.
    pub fn take_counts(&mut self, known: &Self) -> Self {
        let (counts, accounts) = std::mem::take(&mut self.accounts)
            .into_iter()
            .partition(|(id, stats)| stats.only_counts() && !known.trusts_anew(id, stats));
        self.accounts = accounts;
        Self {
            accounts: counts,
            ..Self::default()
        }
    }

    /// Tells whether a change of the history is more than counts and times that slide: a process
    /// that does not hear of it soon may send a conversation to the wrong account, or hold a
    /// refusal against an account that has served since.
    pub fn is_news(&self, history: &Self) -> bool {
        let mut bindings = history.bindings.iter();
        let binds_anew = bindings.any(|(key, binding)| self.binds_anew(key, binding));
        let owns_anew = history.owners.iter().any(|(key, owner)| {
            let known = self.owners.get(key);
            known.is_none_or(|known| known.account != owner.account)
        });
        let mut accounts = history.accounts.iter();
        let trusts_anew = accounts.any(|(id, account)| self.trusts_anew(id, account));
        binds_anew || owns_anew || trusts_anew
    }

    /// Tells the same of what a plain answer teaches.
    pub fn is_news_of(&self, credit: &Credit<'_>) -> bool {
        let binding = credit.binding.as_ref();
        binding.is_some_and(|(key, binding)| self.binds_anew(key, binding))
            || self.trusts_anew(credit.account, &credit.learned)
    }

    fn binds_anew(&self, key: &str, binding: &Binding) -> bool {
        self.bindings.get(key).is_none_or(|known| {
            let renews = binding.used_at < binding.ends_at();
            let ends_soon = known.ends_at() < binding.used_at + limits::BINDING_ENDS_SOON;
            known.account != binding.account || (renews && ends_soon)
        })
    }

    fn trusts_anew(&self, id: &AccountId, account: &AccountStats) -> bool {
        let known = self.stats(id);
        let is_held_against_it = known.refused.is_some_and(|it| it.at > known.trusted_at);
        is_held_against_it && account.trusted_at > known.trusted_at
    }

    /// Tells whether it says who serves the conversation of a request, and who made its item. Where
    /// it does not, another process may know.
    pub fn knows(&self, request: &Request, now: Timestamp) -> bool {
        let knows_session =
            || request.session.is_none() || self.live_binding(request.binding_key(), now).is_some();
        request.pin.is_some() || (knows_session() && affinity::knows_owner(self, request))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::reason::{Reason, Source};
    use crate::state::account_stats::Refusal;
    use crate::state::binding::Owner;
    use crate::state::block::Block;
    use crate::state::scope::Scope;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const HOUR: Duration = Duration::from_secs(3_600);

    fn id(name: &str) -> AccountId {
        AccountId::from(name.to_owned())
    }

    fn bound(account: &str, used_at: Timestamp) -> SharedState {
        let binding = Binding {
            used_at,
            until: used_at + HOUR,
            account: id(account),
        };
        let mut state = SharedState::default();
        state.bindings.insert("session".to_owned(), binding);
        state
    }

    fn owned(account: &str, used_at: Timestamp) -> SharedState {
        let owner = Owner {
            used_at,
            account: id(account),
        };
        let mut state = SharedState::default();
        state.owners.insert("item".to_owned(), owner);
        state
    }

    fn counted(stats: AccountStats) -> SharedState {
        let mut state = SharedState::default();
        state.accounts.insert(id("a"), stats);
        state
    }

    fn success(at: Timestamp) -> SharedState {
        counted(AccountStats {
            successes: 1,
            last_at: at,
            trusted_at: at,
            ..AccountStats::default()
        })
    }

    #[test]
    fn counts_go_into_the_history_unless_they_come_with_what_others_must_know() {
        let mut answer = success(NOW);
        answer.merge(&bound("a", NOW));
        let mut rest = answer.clone();
        assert_eq!(rest.take_history(), answer);
        assert!(rest.is_empty());

        let block = Block::new(NOW + HOUR, Reason::RateLimited, Source::Header, NOW);
        answer.blocks.insert(Scope::Account(id("a")), block);
        let mut rest = answer.clone();
        assert_eq!(rest.take_history(), bound("a", NOW));
        rest.merge(&bound("a", NOW));
        assert_eq!(rest, answer, "nothing is lost");

        for told in [
            AccountStats {
                trusted_at: NOW,
                ..AccountStats::default()
            },
            AccountStats {
                generation: 2,
                ..AccountStats::default()
            },
        ] {
            let mut told = counted(told);
            assert!(told.take_history().is_empty() && !told.is_empty());
        }
    }

    #[test]
    fn only_what_another_process_would_get_wrong_is_news() {
        let later = NOW + HOUR / 2;
        let nothing = SharedState::default();
        assert!(nothing.is_news(&bound("a", NOW)));
        assert!(!bound("a", NOW).is_news(&bound("a", later)), "it slides");
        assert!(bound("a", NOW).is_news(&bound("b", later)), "it moved");
        let last = NOW + HOUR - Duration::from_secs(59);
        assert!(bound("a", NOW).is_news(&bound("a", last)), "it ends soon");

        assert!(nothing.is_news(&owned("a", NOW)));
        assert!(!owned("a", NOW).is_news(&owned("a", later)));
        assert!(owned("a", NOW).is_news(&owned("b", later)));

        assert!(!nothing.is_news(&success(NOW)));
        let refused = |at| {
            counted(AccountStats {
                trusted_at: NOW,
                refused: Some(Refusal {
                    generation: 1,
                    at,
                    path: None,
                }),
                ..AccountStats::default()
            })
        };
        let before = NOW + Duration::from_secs(1);
        assert!(refused(before).is_news(&success(later)), "it serves again");
        assert!(!refused(NOW).is_news(&success(later)));
    }

    #[test]
    fn a_conversation_is_known_while_its_binding_lives_and_an_item_while_it_has_an_owner() {
        let request = |session: Option<&str>, pin: Option<&str>| {
            let text = |it: &str| it.to_owned();
            Request::new("acme", "default", None, session.map(text), pin.map(text))
        };
        let of_session = request(Some("s"), None);
        let mut state = bound("a", NOW);
        let binding = state.bindings.remove("session").unwrap();
        assert!(!state.knows(&of_session, NOW));
        assert!(state.knows(&request(Some("s"), Some("a")), NOW), "pinned");
        assert!(state.knows(&request(None, None), NOW));
        let with_item = request(None, None).with_item(Some("item".to_owned()));
        assert!(!state.knows(&with_item, NOW));

        let key = of_session.binding_key().to_owned();
        state.bindings.insert(key, binding);
        assert!(state.knows(&of_session, NOW));
        assert!(!state.knows(&of_session, NOW + HOUR));
    }
}
