//! A block: the belief that an account, a model, or a whole provider will refuse until some time.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::limits;
use crate::reason::{Reason, Source};
use crate::state::unknown::merge_unknown;
use crate::time::Timestamp;

/// A provider's own answer, kept as long as the belief that it gave rise to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// HTTP status.
    pub status: u16,
    /// Media type of the body.
    pub content_type: String,
    /// The body, whole.
    pub body: String,
}

/// The body may repeat what the user wrote: only its length is shown.
impl fmt::Debug for KeptAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptAnswer")
            .field("status", &self.status)
            .field("content_type", &self.content_type)
            .field("bytes", &self.body.len())
            .finish()
    }
}

/// The belief that a scope will refuse until some time, and why.
///
/// A block whose `until` is not after `observed_at` is a *clear*: the news that the scope serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// When the scope is believed to serve again.
    pub until: Timestamp,
    /// Why it does not.
    pub reason: Reason,
    /// Where `until` came from.
    pub source: Source,
    /// When the response arrived that says so.
    pub observed_at: Timestamp,
    /// Rung of the ladder, from zero.
    #[serde(default)]
    pub level: u8,
    /// Probes sent since the scope last served.
    #[serde(default)]
    pub probes: u8,
    /// When the last of them was claimed.
    #[serde(default)]
    pub probed_at: Timestamp,
    /// When an answer last came to a question from before the block: the scope serves, though not
    /// all that is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Timestamp>,
    /// Set when the request itself may have been at fault: the next one tests the belief.
    #[serde(default, skip_serializing_if = "is_false")]
    pub doubtful: bool,
    /// Status of the response that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// That response, where later requests of the same get it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<KeptAnswer>,
    /// Fields of a newer version, kept.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Block {
    /// Returns a block on the lowest rung.
    pub fn new(until: Timestamp, reason: Reason, source: Source, observed_at: Timestamp) -> Self {
        Self {
            until,
            reason,
            source,
            observed_at,
            level: 0,
            probes: 0,
            probed_at: Timestamp::default(),
            answered_at: None,
            doubtful: false,
            status: None,
            answer: None,
            other: Map::new(),
        }
    }

    /// Returns the news that a scope serves.
    pub fn clear(now: Timestamp) -> Self {
        Self::new(now, Reason::Ok, Source::Ladder, now)
    }

    /// Tells whether this is the news that the scope serves.
    pub fn is_clear(&self) -> bool {
        self.until <= self.observed_at
    }

    /// Returns when the scope may serve, or `None` when it may now.
    ///
    /// No belief outlasts the longest window there is, and one that was observed in the future is
    /// void: the clock has been set back since.
    pub fn live_until(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.ends_at();
        let is_believable = self.observed_at <= now + limits::CLOCK_JUMP;
        (until > now && !self.is_clear() && is_believable).then_some(until)
    }

    /// Returns when one real request may test the belief, or `None` when that is not worth it: a
    /// step after it was formed or last tested, whichever came later.
    pub(crate) fn probe_at(&self) -> Option<Timestamp> {
        let (ages, worth) = match self.doubtful {
            true => (limits::DOUBT_PROBE_AGES, Duration::ZERO),
            false => (limits::PROBE_AGES, limits::PROBE_WORTH),
        };
        let at = self.observed_at.max(self.probed_at) + rung(ages, self.probes);
        (at + worth < self.ends_at()).then_some(at)
    }

    /// Returns the rung that the next block of this reason stands on.
    ///
    /// While a block lives, all its evidence is of one window and counts once. An answer since then
    /// is a success, even to a question from before: a burst that meets a limit halfway does not
    /// climb.
    pub(crate) fn next_level(&self, reason: Reason, now: Timestamp) -> u8 {
        if self.is_clear() || self.reason != reason || self.is_forgotten(now) {
            0
        } else if self.live_until(now).is_some() {
            self.level
        } else if self.answered_at >= Some(self.observed_at) {
            0
        } else {
            self.level.saturating_add(1)
        }
    }

    /// Tells whether the block is over and its ladder has been quiet for long enough to start anew.
    pub(crate) fn is_forgotten(&self, now: Timestamp) -> bool {
        let memory = match self.reason {
            Reason::OutOfCredit => limits::CREDIT_MEMORY,
            _ => limits::LADDER_MEMORY,
        };
        self.live_until(now).is_none()
            && (self.ends_at() + memory <= now || self.observed_at > now + limits::CLOCK_JUMP)
    }

    /// Joins two beliefs about one scope: of a clear and a block the newer, of two blocks the later
    /// end. Order does not matter.
    pub(crate) fn join(&mut self, other: &Self) {
        if self.is_clear() || other.is_clear() {
            match other.news().cmp(&self.news()) {
                Ordering::Greater => *self = other.clone(),
                Ordering::Equal => self.join_twin(other),
                Ordering::Less => {}
            }
            return;
        }
        if other.strength() == self.strength() {
            self.join_twin(other);
            return;
        }
        let answered_at = self.answered_at.max(other.answered_at);
        let weaker = if other.strength() > self.strength() {
            std::mem::replace(self, other.clone())
        } else {
            other.clone()
        };
        self.answered_at = answered_at;
        if weaker.until <= self.observed_at {
            return; // It was over before: another window, another ladder.
        }
        self.observed_at = self.observed_at.max(weaker.observed_at);
        // A probe that failed renews the belief: the next one comes later all the same.
        self.probes = self.probes.max(weaker.probes);
        self.probed_at = self.probed_at.max(weaker.probed_at);
        if self.reason == weaker.reason {
            self.level = self.level.max(weaker.level);
        }
        if self.answer.is_none() && self.reason == weaker.reason {
            self.answer = weaker.answer;
        }
        // What is certain of one of them is certain.
        self.doubtful &= weaker.doubtful;
    }

    /// Joins what two processes noted of one and the same answer.
    fn join_twin(&mut self, twin: &Self) {
        self.probes = self.probes.max(twin.probes);
        self.probed_at = self.probed_at.max(twin.probed_at);
        self.answered_at = self.answered_at.max(twin.answered_at);
        self.level = self.level.max(twin.level);
        self.doubtful &= twin.doubtful;
        self.status = self.status.max(twin.status);
        self.answer = self.answer.take().max(twin.answer.clone());
        merge_unknown(&mut self.other, &twin.other);
    }

    pub(crate) fn ends_at(&self) -> Timestamp {
        self.until.min(self.observed_at + limits::MONTHLY_LONGEST)
    }

    /// Orders beliefs by age; at equal age a clear is the weaker.
    fn news(&self) -> (Timestamp, bool, impl Ord + use<>) {
        (self.observed_at, !self.is_clear(), self.strength())
    }

    fn strength(&self) -> (Timestamp, Source, Reason, Timestamp) {
        (self.until, self.source, self.reason, self.observed_at)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Returns the rest at a rung; the last rung is never left upwards.
pub(crate) fn rung(ladder: &[Duration], level: u8) -> Duration {
    ladder
        .get(usize::from(level))
        .or(ladder.last())
        .copied()
        .unwrap_or_default()
}
