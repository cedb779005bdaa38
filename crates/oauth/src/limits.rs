//! Every number of this crate, with its unit and reason.

use std::time::Duration;

/// Bytes of randomness in `state`, `nonce` and the PKCE verifier: 43 characters each, the least
/// that RFC 7636 §4.1 allows.
pub const LOGIN_ENTROPY_BYTES: usize = 32;

/// Longest error name that is kept, in characters: registered names are under 30.
pub const ERROR_NAME_CHARS: usize = 64;

/// Longest error description that is kept, in characters: a sentence, not a page.
pub const DESCRIPTION_CHARS: usize = 240;

/// Longest identity claim that is kept, in characters: RFC 5321 allows an e-mail address 254.
pub const CLAIM_CHARS: usize = 256;

/// Largest extra field of a token response that is kept, in bytes of JSON: a sealed record stays
/// small.
pub const EXTRA_FIELD_BYTES: usize = 4096;

/// Longest life of an access token that is believed: ten years. Larger numbers stand for "never"
/// and overflow calendars.
pub const LONGEST_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Absolute times above this are milliseconds, below it seconds: it is the year 5138 in the one and
/// 1973 in the other.
pub const LARGEST_UNIX_SECONDS: u64 = 100_000_000_000;

/// Pause between two polls when the server names none (RFC 8628 §3.5).
pub const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// How much longer each `slow_down` makes the pause (RFC 8628 §3.5).
pub const SLOW_DOWN: Duration = Duration::from_secs(5);

/// Shortest pause between two polls, whatever the server says: 0 has been seen.
pub const SHORTEST_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Longest pause between two polls that a server may ask for: beyond it a user gives up.
pub const LONGEST_POLL_INTERVAL: Duration = Duration::from_secs(60);

/// Longest pause after network trouble while polling: short enough to notice soon that the line is
/// back.
pub const LONGEST_POLL_BACKOFF: Duration = Duration::from_secs(30);

/// Life of a device code when the server names none: what most servers give.
pub const DEVICE_CODE_LIFE: Duration = Duration::from_secs(15 * 60);

/// Longest life of a device code that is believed: users do not wait longer.
pub const LONGEST_DEVICE_CODE_LIFE: Duration = Duration::from_secs(3600);

/// Shortest text that is looked for in a server's description to blot out a secret that it echoes,
/// in bytes.
pub const SHORTEST_ECHO_BYTES: usize = 6;

/// How much of a server's words is read to find what they hide, in characters: much more than is
/// kept, in four layers of encoding.
pub const READ_CHARS: usize = 16 * 1024;

/// Most secrets that an answer issues and its words are searched for: honest ones issue three. The
/// words of others are not kept.
pub const ISSUED_SECRETS: usize = 32;

/// Layers of encoding that are undone in a server's text to find what it hides: a query in JSON in
/// a query is three.
pub const ENCODINGS: usize = 4;

/// Shortest word that counts as a key if it mixes small and large letters with digits, in bytes: 95
/// bits.
pub const SHORTEST_MIXED_KEY_BYTES: usize = 16;

/// Shortest word that counts as a key if it mixes letters with digits, in bytes: 80 bits in hex.
pub const SHORTEST_KEY_BYTES: usize = 20;

/// Shortest value of a parameter of the user's own that counts as a secret, in bytes: `true` and
/// `v1` are not secret.
pub const SHORTEST_PARAMETER_BYTES: usize = 8;

/// Longest pause between two polls for the outcome of a page: what the servers' own programs grow
/// to.
pub const LONGEST_PAGE_POLL: Duration = Duration::from_secs(10);

/// Longest assertion, in bytes: what Anthropic accepts, and four times what anybody else issues.
pub const ASSERTION_BYTES: usize = 16 * 1024;

/// How far the clock of the server that signed an id token may be off: machines without time
/// service drift by minutes.
pub const ID_TOKEN_SKEW: Duration = Duration::from_secs(300);

/// Most scopes that are taken over from a server: they travel in the address of a page.
pub const SCOPES: usize = 64;

/// Longest scope that is taken over from a server, in bytes: Google's, which are URLs, are under
/// 100.
pub const SCOPE_BYTES: usize = 256;

/// Longest identifier of a protected resource, in bytes: what browsers and servers take for an
/// address.
pub const RESOURCE_BYTES: usize = 2048;

/// Longest client id that a registration brings, in bytes: some servers sign what they know of a
/// client into it.
pub const CLIENT_ID_BYTES: usize = 4096;

/// Life of the token by which a client authenticates: one request, and clocks that differ by some
/// seconds.
pub const CLIENT_ASSERTION_LIFE: Duration = Duration::from_secs(60);
