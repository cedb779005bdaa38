//! Every number of this host's side.

use std::time::Duration;

/// How long after a failure the store is asked again.
pub(super) const TRY_AGAIN: Duration = Duration::from_millis(500);

/// How often a process that has a copy of the vault looks whether the store can be reached at all,
/// before it begins with that.
pub(super) const FIRST_TRY: Duration = Duration::from_millis(500);

/// How many copies of records their reader writes itself, in so long; the others are written behind it.
pub(super) const SEEN_AT_ONCE: u32 = 50;
pub(super) const SEEN_WITHIN: Duration = Duration::from_secs(1);

/// Those begin when none came for so long, or they have waited for so long.
pub(super) const SEEN_QUIET: Duration = Duration::from_millis(500);
pub(super) const SEEN_LATEST: Duration = Duration::from_secs(10);

/// How often this host's folder is asked whether another process has bound a conversation.
pub(super) const HISTORY_AGAIN: Duration = Duration::from_millis(250);

/// How often the task that follows the store looks whether anybody needs it.
pub(super) const LOOK_AFTER: Duration = Duration::from_secs(1);

/// Those who heard the same at the same time ask within this.
const LONGEST_JITTER: Duration = Duration::from_millis(50);

/// Records whose bytes are fetched in one question.
pub(super) const FETCHED_AT_ONCE: usize = 500;

/// How long a claim that another host holds is waited for before its holder is named.
pub(super) const CLAIM_PATIENCE: Duration = Duration::from_secs(1);

/// How often a vault that was just made is looked for, each time after [`TRY_AGAIN`].
pub(super) const TRIES_FOR_A_NEW_VAULT: u32 = 20;

/// A random pause.
pub(super) fn jitter() -> Duration {
    let mut random = [0];
    // Without entropy all wait the same.
    let _ = getrandom::fill(&mut random);
    LONGEST_JITTER * u32::from(random[0]) / 255
}
