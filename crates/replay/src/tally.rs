//! What is counted while a scenario is played.

use std::collections::BTreeMap;
use std::time::Duration;

use provider_auth_policy::Timestamp;

use crate::player::Player;
use crate::scenario::Scenario;
use crate::upstream::{Answer, Call};

/// What happened in one play.
#[derive(Debug, Clone)]
pub struct Tally {
    /// Who decided.
    pub player: Player,
    /// Requests that were answered.
    pub served: u32,
    /// Requests that ended without an answer.
    pub refused: u32,
    /// Those of them that some account would have answered at that moment.
    pub refused_needlessly: u32,
    /// Good requests that were refused without asking the provider.
    pub good_refused_here: u32,
    /// 429s that the provider sent.
    pub limits_met: u32,
    /// 5xx that the provider sent.
    pub failures_met: u32,
    /// Turns of a warm conversation on another account than before, which could not serve it.
    pub switches_with_cause: u32,
    /// The same although the account before would have served.
    pub switches_without_cause: u32,
    /// Turns on an account without the conversation's prompt cache, while it was warm elsewhere.
    pub cold_turns: u32,
    /// Time that requests waited, in all.
    pub waited: Duration,
    /// The longest wait of one request.
    pub longest_wait: Duration,
    /// Time from a refused request to the next answered one, in all.
    pub exhausted_for: Duration,
    /// The longest time over which requests were refused while some account would have answered.
    pub longest_unused: Duration,
    /// Blocks that were set where none stood, if the player keeps such.
    pub blocks_set: Option<u32>,
    /// Every attempt: when after the start, to whom, and how it ended.
    pub attempts: Vec<Attempt>,
    /// When requests ended without an answer, after the start.
    pub refusals: Vec<Duration>,
    start: Timestamp,
    exhausted_since: Option<Timestamp>,
    unused_since: Option<Timestamp>,
    cache_life: Duration,
    conversations: BTreeMap<(String, String), Conversation>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it was sent, after the start.
    pub after: Duration,
    /// To which account, by its place in the list.
    pub account: usize,
    /// The status that it met.
    pub status: u16,
    /// The conversation.
    pub session: String,
    /// The model that it asked for.
    pub model: String,
}

/// Why a conversation changed its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The account that it left could not serve it.
    Named,
    None,
}

/// A conversation with one model.
#[derive(Debug, Clone, Default)]
struct Conversation {
    /// The account that answered last.
    account: Option<usize>,
    /// When each account last served it.
    served_at: BTreeMap<usize, Timestamp>,
}

impl Tally {
    pub(crate) fn new(scenario: &Scenario, player: Player, start: Timestamp) -> Self {
        Self {
            player,
            served: 0,
            refused: 0,
            refused_needlessly: 0,
            good_refused_here: 0,
            limits_met: 0,
            failures_met: 0,
            switches_with_cause: 0,
            switches_without_cause: 0,
            cold_turns: 0,
            waited: Duration::ZERO,
            longest_wait: Duration::ZERO,
            exhausted_for: Duration::ZERO,
            longest_unused: Duration::ZERO,
            blocks_set: None,
            attempts: Vec::new(),
            refusals: Vec::new(),
            start,
            exhausted_since: None,
            unused_since: None,
            cache_life: scenario.cache_life(),
            conversations: BTreeMap::new(),
        }
    }

    pub(crate) fn sent(&mut self, call: &Call, account: usize, answer: &Answer, now: Timestamp) {
        self.attempts.push(Attempt {
            after: self.start.until(now),
            account,
            status: answer.status,
            session: call.session.clone(),
            model: call.model.clone(),
        });
        match answer.status {
            429 => self.limits_met += 1,
            500.. => self.failures_met += 1,
            _ => {}
        }
    }

    /// Counts a turn that an account takes; `cause` judges leaving the one that answered last.
    pub(crate) fn turn(
        &mut self,
        call: &Call,
        account: usize,
        now: Timestamp,
        mut cause: impl FnMut(usize) -> Cause,
    ) {
        let key = (call.session.clone(), call.model.clone());
        let conversation = self.conversations.entry(key).or_default();
        let cache_life = self.cache_life;
        let is_warm = |served_at: &Timestamp| now < *served_at + cache_life;
        let left = conversation.account.filter(|left| *left != account);
        // Whoever has no warm cache has nothing to leave.
        let left = left.filter(|left| conversation.served_at.get(left).is_some_and(is_warm));
        if let Some(left) = left {
            match cause(left) {
                Cause::Named => self.switches_with_cause += 1,
                Cause::None => self.switches_without_cause += 1,
            }
        }
        let here = conversation.served_at.get(&account).is_some_and(is_warm);
        if !here && conversation.served_at.values().any(is_warm) {
            self.cold_turns += 1;
        }
    }

    pub(crate) fn served(&mut self, call: &Call, account: usize, waited: Duration, now: Timestamp) {
        let key = (call.session.clone(), call.model.clone());
        let conversation = self.conversations.entry(key).or_default();
        conversation.account = Some(account);
        conversation.served_at.insert(account, now);
        self.served += 1;
        self.count_wait(waited);
        if let Some(since) = self.exhausted_since.take() {
            self.exhausted_for += since.until(now);
        }
        self.unused_since = None;
    }

    pub(crate) fn refused(&mut self, waited: Duration, now: Timestamp, could_be_served: bool) {
        self.refused += 1;
        self.refusals.push(self.start.until(now));
        self.refused_needlessly += u32::from(could_be_served);
        self.count_wait(waited);
        self.exhausted_since.get_or_insert(now);
        if could_be_served {
            let since = *self.unused_since.get_or_insert(now);
            self.longest_unused = self.longest_unused.max(since.until(now));
        } else {
            self.unused_since = None;
        }
    }

    fn count_wait(&mut self, waited: Duration) {
        self.waited += waited;
        self.longest_wait = self.longest_wait.max(waited);
    }
}
