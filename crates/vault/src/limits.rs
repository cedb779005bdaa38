//! Every number of the vault, with its unit and its reason.

use std::time::Duration;

/// How long a keychain may take when no one can answer a prompt: a healthy one answers in
/// milliseconds.
pub const KEYCHAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the keychain may take over the high-water marks, which no call needs: it has just given
/// the key.
pub const HIGH_WATER_TIMEOUT: Duration = Duration::from_millis(500);

/// Records whose high-water marks are kept, the latest to grow: their text is 2,221 bytes, and
/// Windows holds 2,560.
pub const HIGH_WATER_RECORDS: usize = 128;

/// How long a keychain may take when a person can answer a prompt.
pub const KEYCHAIN_PROMPT_TIMEOUT: Duration = Duration::from_secs(60);

/// Keychain calls that may hang at once in this process: each holds a thread that cannot be ended
/// from outside.
pub const HUNG_KEYCHAIN_CALLS: usize = 4;

/// Longest message of the session's bus on Linux, in bytes: what is asked of the keychain is
/// answered in a few hundred.
pub const BUS_MESSAGE: usize = 1 << 20;

/// Longest line that the bus may say before messages begin, in bytes. It says fewer than 50.
pub const BUS_LINE: u64 = 1024;

/// A file that changed less than this long ago may change again without a new time stamp: kernels
/// stamp files with a clock that ticks every 1 to 16 ms.
pub const SETTLING: Duration = Duration::from_millis(50);

/// How long the kernel's word for it that nothing changed in a folder is taken without a look at the
/// files: should a folder above be swapped for another, that shows only there.
pub const COMPARE_AGAIN: Duration = Duration::from_secs(1);

/// How often settled files are looked at before the kernel is asked to watch them. A command asks up
/// to 20 times; the end of a process with a watch takes 5 to 15 ms longer (Linux 6, median).
pub const UNWATCHED_QUESTIONS: u32 = 32;

/// How many changes a process remembers with the records that they were of; a reader who is further
/// behind looks at all records.
pub const NAMED_CHANGES: usize = 1_000;

/// How long to wait for [`Lock::Vault`](crate::Lock), beyond the keychain's timeout: it is held for
/// milliseconds.
pub const VAULT_LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait for [`Lock::Keys`](crate::Lock): a rotation of thousands of records, each of
/// which may be in use, takes its time.
pub const KEYS_LOCK_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a rotation waits for one record: longer than a refresh may hold it.
pub const ROTATED_RECORD_TIMEOUT: Duration = Duration::from_secs(45);

/// A temporary file older than this is left over from a crash.
pub const STALE_AFTER: Duration = Duration::from_secs(3600);

/// A temporary file of a dead process is kept this long: in another PID namespace the process may
/// live.
pub const DEAD_AFTER: Duration = Duration::from_secs(60);

/// Plaintexts are padded to a multiple of this many bytes, so that a file's size tells no token's
/// length.
pub const PADDING: usize = 256;

/// No file of a vault is longer than this, in bytes; a longer one is damage, and is not read into
/// memory.
pub const LONGEST_FILE: u64 = 16 * 1024 * 1024;

/// Argon2id memory in KiB: the second recommended setting of RFC 9106 §4.
pub const ARGON2_MEMORY_KIB: u32 = 64 * 1024;

/// Argon2id passes: RFC 9106 §4.
pub const ARGON2_PASSES: u32 = 3;

/// Argon2id lanes: RFC 9106 §4.
pub const ARGON2_LANES: u32 = 4;

/// Longest name of a host, in bytes: it stands in a line of a table.
pub(crate) const HOST_NAME: usize = 64;

/// How long a vault that several hosts share keeps an old data key, sealed in its header, after the
/// last record has left it: so long may a host that is cut off hold bytes that are under it, and bring
/// them.
pub const OLD_KEY_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A header that asks for more Argon2id memory than this, in KiB, is damaged or hostile.
pub const ARGON2_MEMORY_CEILING_KIB: u32 = 1024 * 1024;

/// A header that asks for more Argon2id passes or lanes than this is damaged or hostile.
pub const ARGON2_WORK_CEILING: u32 = 16;

/// Opened records that a vault keeps for the next reader.
pub(crate) const OPENED_RECORDS: usize = 64;

/// Keys and records in memory that core dumps leave out: each takes one of the 65,530 mappings that
/// Linux gives a process, and the host needs most of them.
#[cfg(target_os = "linux")]
pub(crate) const HIDDEN_PAGES: usize = 1024;

/// Of those, how many are kept for the next ones when they are free.
#[cfg(target_os = "linux")]
pub(crate) const SPARE_PAGES: usize = 16;

/// Base-2 logarithm of the scrypt work for a new bundle: a second and 256 MiB for one guess, as the
/// `age` command has it.
pub const BUNDLE_WORK: u8 = 18;

/// Units of a passphrase that are enough for a bundle: twelve characters of a password manager, or
/// a few words. At a second and 256 MiB a guess, two words out of 20,000 take three processor years
/// on average, and each more takes 20,000 times as long.
pub const PASSPHRASE_UNITS: usize = 12;

/// Characters of a passphrase that are looked at: one that repeats itself for longer is not made
/// better by it.
pub(crate) const PASSPHRASE_LOOKED_AT: usize = 256;

/// A bundle that asks for more scrypt work than this, as a base-2 logarithm, is hostile: it would
/// take 1 GiB.
pub const BUNDLE_WORK_CEILING: u8 = 20;

/// Pauses before trying again when another program on Windows holds a file open: virus scanners do,
/// for a moment.
#[cfg(windows)]
pub const SHARING_PAUSES: [Duration; 5] = [
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
];

/// No record is written this often: a refresh a second for 30,000 years.
pub(crate) const GENERATION_CEILING: u64 = 1_000_000_000_000;
