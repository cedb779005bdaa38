//! The numbers of the configuration.

use std::time::Duration;

/// Bytes of a config file: far beyond any real one, small enough to read at once on the calling
/// thread.
pub(super) const LONGEST_CONFIG_FILE: u64 = 1024 * 1024;

/// Bytes of a project's file, which anyone may have written: many times what a person would read
/// before trusting it.
pub(super) const LONGEST_PROJECT_FILE: u64 = 64 * 1024;

/// Providers of a project's file: each is merged and listed before a person trusts it.
pub(super) const MOST_PROJECT_PROVIDERS: usize = 64;

/// Hosts and readings that one error names; `projectTrust` has them all.
pub(super) const MOST_TOLD: usize = 12;

/// Unknown keys for which the nearest known one is looked for: comparing takes time, and a file
/// with more is of another program.
pub(super) const MOST_HINTS: usize = 20;

/// Bytes of a file that holds one secret: the longest private keys are under a tenth of it.
pub(super) const LONGEST_SECRET_FILE: u64 = 64 * 1024;

/// Characters of a name of a pool or an account: more than any address, and still one line in a
/// list.
pub(super) const LONGEST_NAME: usize = 200;

/// Attempts of one request that a user may ask for: more would only hammer a provider that refuses.
pub(super) const MOST_ATTEMPTS: u64 = 100;

/// What a user may let one request wait for cooldowns: as long as the longest wait until a reset.
pub(super) const LONGEST_WAIT: Duration = Duration::from_hours(6);

/// What an API key may serve for while the store is away, unless it is said: so long one that was
/// removed elsewhere may live here.
pub(super) const OFFLINE: Duration = Duration::from_hours(24);

/// The longest that may be said: beyond it a key that was removed is as good as not removed.
pub(super) const LONGEST_OFFLINE: Duration = Duration::from_hours(30 * 24);

/// Edits between an unknown key and the known one it is taken for: two slips of the finger.
pub(super) const NEAREST_KEY: usize = 2;

/// Shortest pause between two polls that a user may ask for: below it a server is hammered.
pub(super) const SHORTEST_POLL_PAUSE: Duration = Duration::from_secs(1);

/// Longest pause between two polls, and longest growth of one: beyond it a user gives up.
pub(super) const LONGEST_POLL_PAUSE: Duration = Duration::from_secs(60);
