//! Every number of the policy, named, with its unit and its reason.

use std::time::Duration;

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

const fn hours(count: u64) -> Duration {
    minutes(60 * count)
}

const fn days(count: u64) -> Duration {
    hours(24 * count)
}

// ── One request ──────────────────────────────────────────────────────────────

/// No request makes more attempts than this, however many accounts there are.
pub const MAX_ATTEMPTS: u32 = 8;
/// Attempts per eligible account: one, and one more after a refresh or a short wait.
pub const ATTEMPTS_PER_ACCOUNT: u32 = 2;
/// Attempts on top of that, so that a single account can still ride out an overload.
pub const SPARE_ATTEMPTS: u32 = 2;
/// Changes of account in one request: beyond this the fault is not the account's.
pub const MAX_SWITCHES: u32 = 3;
/// Changes of account in one request because of an overloaded or failing service.
pub const MAX_OVERLOAD_SWITCHES: u32 = 1;
/// Time that one request may spend waiting: what a person at a prompt will bear.
pub const MAX_WAIT: Duration = Duration::from_secs(30);
/// Longest wait of a request that asked to be held until the reset: one five-hour window and a
/// little.
pub const LONGEST_HOLD: Duration = hours(6);
/// A request waits for the same account up to this: its prompt cache is worth more.
pub const SHORT_WAIT: Duration = Duration::from_secs(5);
/// Shortest rest after a limit: a server that says zero has refused all the same.
pub const SHORTEST_REST: Duration = Duration::from_millis(500);
/// Short waits on one account in one request; a third says that the wait was not the truth.
pub const SHORT_WAITS: u32 = 2;
/// Tries on one account when the service is overloaded, failing or out of reach.
pub const TRIES: u32 = 3;
/// First step of the full-jitter back-off between those tries; it doubles.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(500);
/// Longest step of that back-off.
pub const BACKOFF_LONGEST: Duration = Duration::from_secs(8);
/// Parts of a path that tell one endpoint from another; deeper ones are ids.
pub const PATH_PARTS: usize = 8;
/// Bytes of such a part; a longer one is an id.
pub const PATH_PART_LONGEST: usize = 24;
/// Characters of a code that tell one refusal from another.
pub const CODE_LONGEST: usize = 64;
/// Bytes of an error body that are read; a real one is far smaller.
pub const BODY_BYTES: usize = 64 * 1024;

// ── Blocks ───────────────────────────────────────────────────────────────────

/// A stated wait up to this is a throttle; a longer one is a quota.
pub const THROTTLE_LONGEST: Duration = Duration::from_secs(60);
/// Rests after a limit that states no time, one step per block window.
pub const RATE_LADDER: &[Duration] = &[
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
    minutes(5),
    minutes(15),
];
/// Rests after a spent quota that states no time: quotas do not come back within seconds.
pub const QUOTA_LADDER: &[Duration] = &[minutes(5), minutes(15)];
/// Rests after a token was refused although it was fresh.
pub const REFUSED_LADDER: &[Duration] = &[Duration::from_secs(30), minutes(5), minutes(30)];
/// Rests of an account that a code calls without credit: topping up takes a person, who may do it
/// at once or tomorrow.
pub const CREDIT_LADDER: &[Duration] = &[hours(1), hours(24)];
/// Rests after a 402: it may have been about what this request would cost, so the first is short.
pub const PAYMENT_LADDER: &[Duration] = &[minutes(1), minutes(10), hours(1), hours(24)];
/// A ladder starts again at the bottom after this much quiet.
pub const LADDER_MEMORY: Duration = minutes(10);
/// The credit ladder remembers longer: its first rung is already an hour.
pub const CREDIT_MEMORY: Duration = hours(24);
/// Rest of an account that answered 403 for no reason we know.
pub const FORBIDDEN_REST: Duration = minutes(5);
/// A 403 may be cured by a refresh only when the token is older than this.
pub const FORBIDDEN_TOKEN_AGE: Duration = Duration::from_secs(60);
/// Rest of a model that is not in the account's plan (403): plans change by the day, not by the
/// minute.
pub const NOT_IN_PLAN_REST: Duration = hours(12);
/// Rest of a model that no account has ever served: its name may be new, or will be put right
/// within minutes.
pub const NEVER_SERVED_REST: Duration = minutes(5);
/// Bytes of an answer that is kept; one that says that a model is not there is far smaller.
pub const KEPT_ANSWER_BYTES: usize = 4 * 1024;
/// Models that are known to have been served; the least recently used beyond this are forgotten.
pub const SERVED_KEPT: usize = 1024;
/// That a model was served is noted again after this time, so that it is not written with every
/// answer.
pub const SERVED_NOTE: Duration = hours(24);
/// Rest of a model that the account's endpoint does not know (400, 404).
pub const NOT_SUPPORTED_REST: Duration = hours(6);
/// Two fresh tokens refused within this time mean that the login is dead.
pub const REFUSED_TWICE_WITHIN: Duration = minutes(10);
/// Jitter added to a stated time: this share of it, in percent, so that clients do not return as
/// one.
pub const JITTER_PERCENT: u32 = 5;
/// Jitter added to a stated time never exceeds this.
pub const JITTER_LONGEST: Duration = Duration::from_secs(5);
/// Longest believable reset of a five-hour window.
pub const FIVE_HOURS_LONGEST: Duration = hours(6);
/// Longest believable reset of a daily window, with the longest day of a clock change.
pub const DAILY_LONGEST: Duration = hours(26);
/// Longest believable reset of a weekly window.
pub const WEEKLY_LONGEST: Duration = days(8);
/// Longest believable reset of a monthly window, and of anything at all.
pub const MONTHLY_LONGEST: Duration = days(32);
/// What a reset may lie beyond the length that a window states, in percent.
pub const WINDOW_SLACK_PERCENT: u32 = 20;
/// Longest believable reset of a window that has no name: a broken server cannot keep an account
/// out for ever.
pub const UNKNOWN_LONGEST: Duration = hours(24);

// ── Probing ──────────────────────────────────────────────────────────────────

/// Time from a block, or from the last test of it, to the next real request that may test it; the
/// last one stays.
pub const PROBE_AGES: &[Duration] = &[minutes(5), minutes(10), minutes(20), minutes(60)];
/// The same for a refusal that may have been the request's own fault: the next request is the test,
/// and those that follow keep away for a little while each.
pub const DOUBT_PROBE_AGES: &[Duration] = &[
    Duration::ZERO,
    Duration::from_secs(2),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(60),
    minutes(5),
    minutes(20),
    minutes(60),
];
/// A block with less than this left is not worth a probe.
pub const PROBE_WORTH: Duration = minutes(10);

// ── Choosing ─────────────────────────────────────────────────────────────────

/// Life of a binding, sliding, where the prompt cache is not known to die sooner.
pub const BINDING_LIFE: Duration = hours(1);
/// Life of the binding of requests without a session, from the switch on: as long as a prompt cache
/// lives, so that these do not move back and forth. Then priority decides again.
pub const SWITCH_LIFE: Duration = minutes(5);
/// A session that is resumed within this time is known to be the account's that last served it,
/// should it hold what only that account can serve. Its prompt cache is cold long before.
pub const BINDING_MEMORY: Duration = hours(24);
/// How long the account that made an item is remembered; stored responses live for 30 days at
/// OpenAI.
pub const OWNER_MEMORY: Duration = hours(30 * 24);
/// Owners kept; the least recently used beyond this are forgotten.
pub const OWNERS_KEPT: usize = 1024;
/// That an owner was used is noted again after this time, where many machines share it.
pub const OWNER_NOTE: Duration = hours(1);
/// Owners in one row of a state in rows: eight thousand in all, for many machines.
pub const OWNERS_IN_ROW: usize = 32;
/// A binding with less than this left is renewed on disk at once, not with the next counts: those
/// may take half of it, and another process must not find it ended.
pub const BINDING_ENDS_SOON: Duration = minutes(1);
/// Bindings kept; the least recently used beyond this are forgotten.
pub const BINDINGS_KEPT: usize = 4096;
/// Quota use, in percent, from which an account comes after those with more left.
pub const USE_LATE: u16 = 85;
/// Quota use, in percent, from which an account serves only when no other of its rank can.
pub const USE_LAST: u16 = 95;
/// After a switch, the new account takes one more arrival per this time.
pub const RAMP_STEP: Duration = Duration::from_millis(250);
/// The ramp ends after this, response or not: it must not become an outage.
pub const RAMP_LIFE: Duration = Duration::from_secs(10);

// ── What is shared ───────────────────────────────────────────────────────────

/// Bytes of a file of the shared state: well below the 16 MiB that a vault reads, and ten thousand
/// accounts with five blocks each take 10 MB.
pub const SHARED_LONGEST: usize = 12 * 1024 * 1024;
/// Bytes of one row of a state in rows: all models that are known to have been served take 60 KB, any
/// other row less.
pub const ROW_LONGEST: usize = 128 * 1024;

// ── Many accounts ────────────────────────────────────────────────────────────

/// From so many accounts on, a pool is indexed; looking at fewer takes less than 20 µs.
pub const INDEXED_FROM: usize = 64;
/// Indexes kept, each of one model in one pool; the least recently used beyond this are forgotten.
pub const INDEXES_KEPT: usize = 8;
/// Accounts that a refusal names; of more it names those that can serve soonest, and counts the
/// rest: a person does not read a megabyte of them.
pub const ACCOUNTS_TOLD: usize = 64;
/// Changes of accounts that an index can follow before it has to be made anew.
pub const CHANGES_KEPT: usize = 8192;

// ── Tokens ───────────────────────────────────────────────────────────────────

/// Refresh in the background this long before expiry: longer than a slow token call plus clock
/// skew.
pub const REFRESH_DUE: Duration = Duration::from_secs(120);
/// The same as a share of the token's life, in percent, for tokens that live for minutes.
pub const REFRESH_DUE_PERCENT: u32 = 25;
/// Wait for the refresh this long before expiry: the request must still arrive with a living token.
pub const REFRESH_MUST: Duration = Duration::from_secs(30);
/// The same as a share of the token's life, in percent.
pub const REFRESH_MUST_PERCENT: u32 = 10;
/// First rest after a refresh that failed for a passing reason; it doubles.
pub const REFRESH_REST_FIRST: Duration = Duration::from_secs(5);
/// How far apart two refusals of a refresh token lie that mean its end, where their name does not
/// say so: no fault of a server that restarts, or of a client that is being changed, is taken for
/// it.
pub const REFUSALS_APART: Duration = minutes(1);
/// Longest such rest, unless the server states a longer one.
pub const REFRESH_REST_LONGEST: Duration = minutes(5);

// ── Time ─────────────────────────────────────────────────────────────────────

/// An observation this far in the future was made by a clock that has since been set back: it is
/// void.
pub const CLOCK_JUMP: Duration = Duration::from_secs(30);
/// A `Date` header further off than this tells of a broken server, not of skew.
pub const SKEW_LONGEST: Duration = hours(24);
