//! Every number that who opens a store does not choose.

use std::time::Duration;

/// Pause before the second try to connect, or to ask again over a line that is busy.
pub(crate) const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

/// How long to wait before asking again after [`Unavailable`](crate::BackendError::Unavailable).
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long a call waits for a connection where another one has waited in vain.
pub(crate) const WAIT_WHILE_AWAY: Duration = Duration::from_millis(100);

/// How often a claim that is waited for is asked for, where nothing is heard of it.
pub(crate) const CLAIM_PAUSE: Duration = Duration::from_millis(250);

/// Hosts of a vault up to which a process listens: each notification wakes each listener, under one
/// lock of the whole server.
pub(crate) const LISTENING_HOSTS: i64 = 100;

/// How many of the changes that a process hears of it asks for by their names, with the question what changed.
pub(crate) const NAMED_AT_ONCE: usize = 100;

/// How long a line of ours may be silent before our kernel asks whether it lives.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(15);
