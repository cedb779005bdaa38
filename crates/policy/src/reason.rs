//! The words of the policy: why an attempt ended as it did, where a time came from, how an account
//! stands.

use serde::{Deserialize, Serialize};

/// Why an attempt ended as it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It was answered.
    Ok,
    /// Too many requests; the wait is short.
    Throttled,
    /// A quota is spent until its window resets.
    QuotaExhausted,
    /// Too many requests; the response does not say for how long.
    RateLimited,
    /// The service has too much to do. Not the account's fault.
    Overloaded,
    /// The access token was not accepted.
    TokenExpired,
    /// The credential is dead until the user logs in again.
    NeedsLogin,
    /// The provider refuses and does not say why.
    Forbidden,
    /// The provider wants the user to verify something.
    NeedsVerification,
    /// The provider closed the account.
    BlockedByProvider,
    /// The account may not use this model.
    NotEntitled,
    /// The account has no money left.
    OutOfCredit,
    /// The service failed. Not the account's fault.
    ServerError,
    /// No response came, or it broke off.
    Network,
    /// The request itself is wrong.
    ClientError,
    /// No account of the pool can serve now.
    Exhausted,
    /// A limit was met, and the request holds what only this account can serve.
    AccountBound,
}

impl Reason {
    /// Returns the reason's public name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Throttled => "throttled",
            Self::QuotaExhausted => "quota_exhausted",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::TokenExpired => "token_expired",
            Self::NeedsLogin => "needs_login",
            Self::Forbidden => "forbidden",
            Self::NeedsVerification => "needs_verification",
            Self::BlockedByProvider => "blocked_by_provider",
            Self::NotEntitled => "not_entitled",
            Self::OutOfCredit => "out_of_credit",
            Self::ServerError => "server_error",
            Self::Network => "network",
            Self::ClientError => "client_error",
            Self::Exhausted => "exhausted",
            Self::AccountBound => "account_bound",
        }
    }

    /// Tells whether it ends with time alone.
    pub const fn passes(self) -> bool {
        matches!(
            self,
            Self::Throttled | Self::QuotaExhausted | Self::RateLimited | Self::Overloaded
        )
    }

    /// Tells whether waiting cures it: such a response carries the time of the next try.
    pub const fn is_limit(self) -> bool {
        matches!(
            self,
            Self::Throttled | Self::QuotaExhausted | Self::RateLimited | Self::OutOfCredit
        )
    }
}

/// Where the time of a block came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Our own guess, longer with each failure.
    Ladder,
    /// The body of the response.
    Body,
    /// A header of the response.
    Header,
}

impl Source {
    /// Returns the source's public name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ladder => "ladder",
            Self::Body => "body",
            Self::Header => "header",
        }
    }
}

/// Whether an account may serve at all; unlike a block, no time cures it.
#[derive(
    Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It serves.
    #[default]
    Serving,
    /// The record is older than one that was seen before: a restored backup or a cloned home.
    RollbackSuspected,
    /// The user must log in again.
    NeedsLogin,
    /// The user must verify something at the provider.
    NeedsVerification,
    /// The provider closed the account.
    BlockedByProvider,
}
