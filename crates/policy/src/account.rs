//! Accounts as the policy sees them: what tells them apart and what they may do, never a secret.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::time::Timestamp;

/// The id of an account, cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(Arc<str>);

impl AccountId {
    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for AccountId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

impl From<String> for AccountId {
    fn from(id: String) -> Self {
        Self(id.into())
    }
}

impl Serialize for AccountId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AccountId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// What kind of credential an account holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountKind {
    /// A login with tokens that expire.
    Oauth,
    /// An API key.
    Api,
    /// A credential that a host published under its well-known path.
    Wellknown,
    /// A login of an MCP server.
    Mcp,
}

impl AccountKind {
    /// Returns the name that the public contract uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Oauth => "oauth",
            Self::Api => "api",
            Self::Wellknown => "wellknown",
            Self::Mcp => "mcp",
        }
    }
}

/// One account as the policy sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountView {
    /// The record's id.
    pub id: AccountId,
    /// Provider that it belongs to.
    pub provider: Arc<str>,
    /// Pool within the provider.
    pub namespace: Arc<str>,
    /// The user's name for it.
    pub label: String,
    /// What kind of credential it holds.
    pub kind: AccountKind,
    /// False when the user switched it off.
    pub enabled: bool,
    /// The lowest serves first.
    pub priority: i64,
    /// How often the record was written: tells an old token from a new one.
    pub generation: u64,
    /// When the account was added.
    pub created_at: Timestamp,
    /// When the access token ends; `None` when it does not.
    pub expires_at: Option<Timestamp>,
    /// When the access token was asked for.
    pub obtained_at: Option<Timestamp>,
    /// True when a new access token can be had without the user.
    pub refreshable: bool,
    /// True for a login that took no person, by an assertion or the client's own credentials.
    pub unattended: bool,
    /// False when the record could not be decrypted.
    pub readable: bool,
}

impl AccountView {
    /// Logins serve before API keys, which are paid for by the request.
    pub(crate) fn tier(&self) -> u8 {
        u8::from(self.kind == AccountKind::Api)
    }

    /// Orders accounts as the user does: by priority, then by age.
    pub(crate) fn seniority(&self) -> (i64, Timestamp, AccountId) {
        (self.priority, self.created_at, self.id.clone())
    }

    /// Tells whether the token has ended and no other can be had without the user.
    pub(crate) fn is_lapsed(&self, now: Timestamp) -> bool {
        !self.refreshable && self.expires_at.is_some_and(|at| at <= now)
    }
}

/// How much life an access token has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Use it.
    Fresh,
    /// Use it, and refresh it in the background.
    Due,
    /// Wait for a refresh first.
    Stale {
        /// False while the token still lives: it may serve when the refresh fails for a passing
        /// reason.
        expired: bool,
    },
}

/// Judges an access token: refresh is due at min(120 s, 25 % of its life) before expiry, and
/// mandatory at min(30 s, 10 %).
///
/// A token without expiry is always fresh. Without `obtained_at` its life is taken to be long. One
/// from a time in the future is due at once: the clock has been set back, so how much of its life
/// is left is unknown.
pub fn freshness(
    expires_at: Option<Timestamp>,
    obtained_at: Option<Timestamp>,
    now: Timestamp,
) -> Freshness {
    let Some(expires_at) = expires_at else {
        return Freshness::Fresh;
    };
    let life = obtained_at.map_or(Duration::MAX, |from| from.until(expires_at));
    let left = now.until(expires_at);
    let share = |longest: Duration, percent: u32| longest.min(life / 100 * percent);
    if left <= share(limits::REFRESH_MUST, limits::REFRESH_MUST_PERCENT) {
        Freshness::Stale {
            expired: left.is_zero(),
        }
    } else if left <= share(limits::REFRESH_DUE, limits::REFRESH_DUE_PERCENT)
        || clock_was_set_back(obtained_at, now)
    {
        Freshness::Due
    } else {
        Freshness::Fresh
    }
}

/// Tells whether the clock has been set back since this time was noted.
pub fn clock_was_set_back(noted_at: Option<Timestamp>, now: Timestamp) -> bool {
    noted_at.is_some_and(|at| at > now + limits::CLOCK_JUMP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expires: Option<u64>, obtained: Option<u64>, now: u64, expect: Freshness) {
        let at = |seconds: u64| Timestamp::from_millis(seconds * 1_000);
        assert_eq!(
            freshness(expires.map(at), obtained.map(at), at(now)),
            expect
        );
    }

    #[test]
    fn a_token_without_expiry_is_always_fresh() {
        check(None, Some(0), u64::MAX / 1_000, Freshness::Fresh);
    }

    #[test]
    fn a_long_token_is_due_two_minutes_and_stale_half_a_minute_before_expiry() {
        let (start, end) = (1_000, 4_600);
        check(Some(end), Some(start), end - 121, Freshness::Fresh);
        check(Some(end), Some(start), end - 120, Freshness::Due);
        check(Some(end), Some(start), end - 31, Freshness::Due);
        let stale = |expired| Freshness::Stale { expired };
        check(Some(end), Some(start), end - 30, stale(false));
        check(Some(end), Some(start), end, stale(true));
        check(Some(end), Some(start), end + 9_999, stale(true));
    }

    #[test]
    fn a_short_token_is_judged_by_shares_of_its_life() {
        // 40 s of life: due at 10 s, stale at 4 s.
        check(Some(140), Some(100), 129, Freshness::Fresh);
        check(Some(140), Some(100), 130, Freshness::Due);
        check(
            Some(140),
            Some(100),
            136,
            Freshness::Stale { expired: false },
        );
    }

    #[test]
    fn after_the_clock_was_set_back_a_token_serves_and_is_renewed() {
        check(Some(4_600), Some(1_000), 970, Freshness::Fresh);
        check(Some(4_600), Some(1_000), 969, Freshness::Due);
        check(Some(90_000), Some(86_400), 0, Freshness::Due);
    }

    #[test]
    fn without_a_start_the_fixed_margins_hold() {
        check(Some(500), None, 380, Freshness::Due);
        check(Some(500), None, 379, Freshness::Fresh);
    }

    #[test]
    fn a_token_that_ended_before_it_began_is_expired() {
        check(Some(50), Some(100), 60, Freshness::Stale { expired: true });
    }
}
