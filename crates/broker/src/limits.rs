//! The broker's numbers, each with unit and reason. Those of the policy stand in `policy`.

use std::time::Duration;

/// Bytes of the file with warnings, which has one of the same size before it: a thousand lines each,
/// months of a machine on which little goes wrong.
pub(crate) const RING_FILE: u64 = 256 * 1024;

/// Bytes of a log file that the user names, which has one before it, too: together below 10 MiB, at
/// level `trace` some thousand requests.
pub(crate) const LOG_FILE: u64 = 4 * 1024 * 1024;

/// Bytes of one text in a log line: a server's sentence or a list of headers, not a page.
pub(crate) const LOG_TEXT: usize = 2048;

/// Log lines that wait until they can be written: the first ones of a process, and the last ones
/// before a person makes room on the disk.
pub(crate) const LOG_WAITING: usize = 64;

/// Bytes of the state from which on what changes is written beside it: some hundred cooldowns, which
/// are written whole in well under a millisecond.
pub(crate) const NEWS_FROM: usize = 128 * 1024;

/// Bytes of the news of a long state before they go into it: with ten thousand cooldowns one write in
/// a hundred is of the whole, and the others together cost about as much.
pub(crate) const NEWS_LONGEST: usize = 32 * 1024;

/// Delay of a state write that nothing urgent waits for: one write a second costs little, and a lost
/// second no loss.
pub(crate) const FLUSH_AFTER: Duration = Duration::from_secs(1);

/// How long a call waits until many machines know what it learned: some round trips to a store that is
/// far and busy. A store that is away says so at once.
pub(crate) const STATE_STORED_WITHIN: Duration = Duration::from_secs(2);

/// Least delay of a write that no other process waits for: counts, and times that slide. Three times
/// as long at most, so that processes take turns.
pub(crate) const FLUSH_COUNTS_AFTER: Duration = Duration::from_secs(10);

/// Delay of reading what other processes have added to the history: one reading a second costs
/// little, however many write.
pub(crate) const READ_HISTORY_AFTER: Duration = Duration::from_millis(500);

/// For how long one question to the vault's pulse counts for calls on the path of every request: no
/// file can be changed, and somebody be told of it who then calls, in so short a time.
pub(crate) const ASK_AGAIN: Duration = Duration::from_micros(5);

/// How far behind the history may be for a conversation that it knows: the pause before it is read,
/// the second in which the disk is not looked at, and a machine that is busy.
pub(crate) const HISTORY_LAG: Duration = Duration::from_secs(4);

/// How long after a renewal the keychain hears of it: one call for all logins that are renewed
/// together.
pub(crate) const MARK_AFTER: Duration = Duration::from_secs(10);

/// How long a keychain that did not take the marks is left alone: a screen that is locked stays so
/// for a while.
pub(crate) const MARK_AGAIN: Duration = Duration::from_mins(5);

/// Pause before new tokens that the disk refused are written again: a person makes room, and a try
/// costs nothing.
pub(crate) const SAVE_AGAIN: Duration = Duration::from_secs(1);

/// How long the end of the process waits for a token exchange under way and for the last writes.
pub(crate) const EXIT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the last writes may take in any case.
pub(crate) const LAST_WRITES: Duration = Duration::from_millis(200);

/// What a program may take that prints the password of a store: it asks a cloud at most.
#[cfg(feature = "postgres")]
pub(crate) const PASSWORD_COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of what it prints: tokens of clouds are some kilobytes.
#[cfg(feature = "postgres")]
pub(crate) const LONGEST_PASSWORD: usize = 64 * 1024;

/// How long a refresh waits for another process that refreshes the same account: its request (30 s)
/// and its writes.
pub(crate) const LOCK_TIMEOUT: Duration = Duration::from_secs(40);

/// Pause before a record is looked at again that another host is renewing.
pub(crate) const CLAIM_AGAIN: Duration = Duration::from_millis(100);

/// Age at which an attempt that was never reported is forgotten: longer than any response takes to
/// begin.
pub(crate) const ATTEMPT_LIFE: Duration = Duration::from_mins(10);

/// Attempts that are kept after they were answered, for a stream that breaks later.
pub(crate) const ANSWERED_ATTEMPTS: usize = 4096;

/// Requests that can be asked for again by a number: the conversations of a busy server, in 3 MB at
/// most.
pub(crate) const ASKED_REQUESTS: u64 = 4096;

/// Bytes of an error body that are looked at (`index.d.ts` promises 64 KiB).
pub(crate) const BODY_LIMIT: usize = 64 * 1024;

/// How long logins that leave a vault of many machines may take until they are erased: well within the
/// time after which another machine may take a claim over.
pub(crate) const EXPORT_CLAIM: Duration = Duration::from_secs(90);

/// Bytes of a bundle that is imported: thousands of accounts, and no more memory than a browser's
/// page.
pub(crate) const BUNDLE_LIMIT: usize = 16 * 1024 * 1024;

/// Bytes of another program's file of credentials: tens of thousands of entries, and its sealed
/// copy fits a record.
pub(crate) const LEGACY_LIMIT: u64 = 10 * 1024 * 1024;

/// How long a login may take before it is given up, unless the caller says otherwise.
pub(crate) const LOGIN_TIMEOUT: Duration = Duration::from_mins(5);

/// Logins that are kept after they ended, so that their outcome can be asked for.
pub(crate) const ENDED_LOGINS: usize = 64;

/// How often a request that waits looks whether another process has changed the pool: a person who
/// lifts a cooldown sees it work, and a stat a second is nothing.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Pause between two background refreshes of one account that found it locked or failed.
pub(crate) const BACKGROUND_PAUSE: Duration = Duration::from_secs(5);

/// How long a connection to an authorization server may take to stand: three lost packets, not a
/// dead route.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one request to an authorization server may take, its answer included: slow ones need 10
/// s.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of an authorization server's answer: no honest one comes near.
pub(crate) const ANSWER_LIMIT: usize = 1024 * 1024;

/// Bytes of one page of a list of models: the longest seen, of a gateway to hundreds, is under 1
/// MiB.
pub(crate) const MODELS_LIMIT: usize = 4 * 1024 * 1024;

/// Pages of a list of models: at a thousand entries each, no provider has a second one.
pub(crate) const MODEL_PAGES: usize = 20;

/// How long a list of models serves without a question to the provider.
pub(crate) const MODELS_LIFE: Duration = Duration::from_hours(12);

/// How long a list of models may take in all, with rotation, refresh and waits: a person does not
/// look at a menu for longer.
pub(crate) const MODELS_TIMEOUT: Duration = Duration::from_mins(1);

/// Lists that are kept for one pool, the newest: each is of another account.
pub(crate) const MODEL_LISTS: usize = 16;

/// Bytes of a model's id or name; a person does not choose from longer ones.
pub(crate) const MODEL_TEXT_LIMIT: usize = 256;

/// How long a browser's launcher is watched for a failure: one that cannot open a page says so at
/// once.
pub(crate) const BROWSER_TIMEOUT: Duration = Duration::from_millis(250);

/// Bytes of a callback's request line and headers, which hold a code and the browser's cookies for
/// this host.
pub(crate) const CALLBACK_HEAD_LIMIT: usize = 8 * 1024;

/// How long a client of the callback port may take to ask, and again to take its answer: it is on
/// this machine.
pub(crate) const CALLBACK_CLIENT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections to the callback port that are open at one time. A browser opens six, some of them
/// only in advance; the rest is room in which a flood does not reach the browser's.
pub(crate) const CALLBACK_CONNECTIONS: usize = 256;

/// Connections beyond these that have been told to close and are about to.
pub(crate) const CALLBACK_CLOSING_CONNECTIONS: usize = 16;

/// How long a connection to the callback port stays at least before another one takes its place: a
/// browser has sent its request by then, and a flood that comes again at once is not worth the
/// processor's time.
pub(crate) const CALLBACK_LEAST_STAY: Duration = Duration::from_millis(20);

/// Connections that the system keeps for the callback port until they are accepted; what comes
/// beyond has to ask again after a second. Some systems keep fewer.
pub(crate) const CALLBACK_BACKLOG: u32 = 4096;

/// Bytes that a client of the callback port may send after its request: a browser sends none.
pub(crate) const CALLBACK_UNREAD_LIMIT: u64 = 64 * 1024;

/// Bytes of a proxy's refusal that are read: its head.
pub(crate) const PROXY_HEAD_LIMIT: u64 = 8 * 1024;

/// How long a login that is given up may take to free its port before it is told: not felt by a
/// person.
pub(crate) const LOGIN_ENDING: Duration = Duration::from_millis(20);

/// How long the callback port says that one is signed in already: a browser loads a page twice, and
/// people reload it.
pub(crate) const CALLBACK_LINGER: Duration = Duration::from_secs(3);

/// How long the callback port may take to close once the login has ended, so that the browser gets
/// its last page.
pub(crate) const CALLBACK_CLOSING: Duration = Duration::from_secs(1);

/// Pause after a connection could not be accepted: the usual cause, no free file handle, does not
/// pass at once.
pub(crate) const CALLBACK_ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bytes of an issuer's digest in the path that its logins come back to: two issuers that share one
/// cannot be made.
pub(crate) const REDIRECT_PATH_BYTES: usize = 16;

/// Free ports that are tried until one is free on both loopback addresses: a second clash is rare,
/// a third a fault.
pub(crate) const CALLBACK_PORT_TRIES: usize = 3;

/// Longest name that an error repeats of what a call passed in, in bytes: ids of providers are
/// under 40.
pub(crate) const SHOWN_NAME_CHARS: usize = 64;

/// Bytes of what another program keeps beside an API key: ids, a handful.
pub(crate) const METADATA_LIMIT: usize = 16 * 1024;

/// The shortest API key, in bytes, whose last four are shown in its label: a fifth of it at most,
/// and what is left of a random key cannot be guessed.
pub(crate) const SHORTEST_SHOWN_KEY: usize = 20;

/// The age up to which a diagnosis tells of warnings in the log: what a person complains of is
/// mostly of the same day.
pub(crate) const RECENT_LOG: Duration = Duration::from_secs(86_400);

/// How long one check of a diagnosis may take: a keychain that hangs takes 2 s for each of the ways
/// to the key.
pub(crate) const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a diagnosis waits for a lock that is held for milliseconds, before it says that it is
/// held.
pub(crate) const HELD_LOCK_PATIENCE: Duration = Duration::from_secs(1);

/// A refresh that takes longer than this hangs: its request ends after 30 s.
pub(crate) const LONG_REFRESH: Duration = Duration::from_mins(1);

/// How often, and after which pauses, a diagnosis looks whether a refresh that was cut short is
/// over: 5 s in all, and most servers answer within one.
pub(crate) const RECOVERY_LOOKS: usize = 25;
pub(crate) const RECOVERY_LOOK: Duration = Duration::from_millis(200);

/// Bytes and files of a disk that counts as full: a few records, each written beside the old one.
pub(crate) const FULL_DISK: u64 = 1024 * 1024;
pub(crate) const FULL_DISK_FILES: u64 = 32;

/// Bytes and files of a disk that will be full soon: a log or a build away from it.
pub(crate) const LOW_DISK: u64 = 64 * 1024 * 1024;
pub(crate) const LOW_DISK_FILES: u64 = 1000;

/// How far clocks may be apart: tokens are renewed a minute before their end, and servers grant as
/// much.
pub(crate) const CLOCK_OFF: Duration = Duration::from_secs(30);

/// How far this machine's clock may be from that of the vault's store: machines that are set by NTP
/// are closer, and more shows in logs of several.
pub(crate) const STORE_CLOCK_OFF: Duration = Duration::from_secs(5);

/// When a caller may ask again whom a store that is away keeps from serving: it is looked for as
/// often.
pub(crate) const STORE_AGAIN: Duration = Duration::from_secs(5);

/// Clocks that are further apart than most servers tolerate in a signed token.
pub(crate) const CLOCK_WRONG: Duration = Duration::from_mins(5);

/// Hosts that a diagnosis asks, all at the same time: two for each of a dozen providers.
pub(crate) const ASKED_HOSTS: usize = 32;

/// How long a diagnosis waits for a host: healthy ones answer within a second.
pub(crate) const HOST_TIMEOUT: Duration = Duration::from_secs(8);

/// Logins that are renewed at a time once a host was revoked: a server that does not answer holds up
/// these, and no server is asked for all at once.
pub(crate) const REFRESHED_AT_ONCE: usize = 8;

/// Accounts that are described in one look at the shared state, which takes about 0.2 ms: a request
/// that comes meanwhile waits for it.
pub(crate) const ACCOUNTS_AT_ONCE: usize = 256;

/// Records that are read on several threads when so many are to be read: reading one takes about 15
/// µs, and starting a thread as long as three.
pub(crate) const READ_SIDE_BY_SIDE: usize = 256;

/// Accounts from which on an index of them is kept: reading so many records takes 5 ms.
pub(crate) const INDEXED_FROM: usize = 256;

/// The part of the accounts that the index may lack before it is written anew: one in so many. To
/// read those takes about as long as all that the index has.
pub(crate) const INDEX_MAY_LACK: usize = 16;

/// How long after the first reading the index is written, so that it takes nothing from the call that
/// the accounts were read for.
pub(crate) const INDEX_AFTER: Duration = Duration::from_millis(250);

/// Threads that read records at most: beyond that they wait for one another in the kernel.
pub(crate) const READERS: usize = 4;

/// Names of providers and pools, and places where credentials belong, that many accounts share: so many are
/// known again when one more account has them.
pub(crate) const NAMES_KEPT_ONCE: usize = 10_000;
pub(crate) const AUDIENCES_KEPT_ONCE: usize = 16;

/// Days of which counts are kept, those of the hours apart: a month, and what is left of it.
pub(crate) const STATS_DAYS: usize = 35;

/// Accounts and models that are counted apart in one day: what a person looks at, and 100 KB.
pub(crate) const STATS_ROWS: usize = 500;

/// The same in one hour, of which there are 48.
pub(crate) const STATS_ROWS_OF_HOUR: usize = 100;

/// Accounts whose quota windows are kept by the hour, those that were last used: each takes up to 40
/// KB.
pub(crate) const STATS_ACCOUNTS: usize = 50;

/// Seconds until a window resets, at most, in the file of counts: 10 years. The longest that is
/// known is a month.
pub(crate) const STATS_RESET: u64 = 10 * 366 * 24 * 3_600;

/// Bytes of the file of counts: what every process reads and writes twice a minute, in 20 ms at
/// most.
pub(crate) const STATS_FILE: usize = 4 * 1024 * 1024;
