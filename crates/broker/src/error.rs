//! What can go wrong, by what the caller can do about it.
//!
//! Each error carries a stable code (API) and a sentence (not API). None holds a secret: texts of
//! other parties enter only through types that have cut them down to their harmless fields.

mod sentences;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use provider_auth_oauth::{CallbackError, OauthError};
use provider_auth_policy::{AccountId, AccountView, Standing, Timestamp};
use provider_auth_vault::VaultError;

use crate::config::suggestion;
use crate::config::{ConfigError, Provenance, Provider};
use crate::log::Loggable;
use crate::named;
use crate::printable::visible;
use crate::refusal::LocalRefusal;
use sentences::{as_mcp_server, by, end_it, login_time, looked_for, needs_login, no_account};

impl Loggable for BrokerError {
    fn logged(&self) -> impl tracing::Value {
        tracing::field::display(self)
    }
}

/// Why a call was refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The wait was ended by the caller.
    #[error("the call was aborted")]
    Aborted,
    /// The broker runs with other settings already.
    #[error(
        "provider-auth is configured already, with other settings, and its vault is open; configure it once, before the first call"
    )]
    AlreadyConfigured,
    /// The ports of all redirect URIs are taken.
    #[error("port {port} is in use{}, so the login cannot be called back; {}, or register a further redirect URI and name it in fallbackRedirectUris", by(holder.as_deref()), end_it(*port, holder.as_deref()))]
    CallbackPortBusy {
        /// The port of the first.
        port: u16,
        /// Name and number of the program that listens there, where the system tells.
        holder: Option<String>,
    },
    /// The provider has no client id, and this product ships none.
    #[error("{provider} needs an OAuth client of your own: set providers.{provider}.clientId, and the endpoints of its login where none are built in{}{}", terms.map(|text| format!(". {text}")).unwrap_or_default(), looked_for(searched))]
    ClientIdRequired {
        /// The provider of the login.
        provider: String,
        /// What the provider's terms say, with a link.
        terms: Option<&'static str>,
        /// Where a file that defines the provider was looked for.
        searched: Vec<PathBuf>,
    },
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Every account of the pool is cooling.
    #[error("{}", refusal.message)]
    Exhausted {
        /// The provider of the pool.
        provider: String,
        /// The account that alone can serve what the request holds.
        account: Option<AccountId>,
        /// When the soonest account may serve again, where time helps.
        retry_at: Option<Timestamp>,
        /// Why, in full.
        refusal: Arc<LocalRefusal>,
    },
    /// An argument cannot be used.
    #[error("{0}")]
    InvalidArgument(String),
    /// A file of another program cannot be read or written.
    #[error("{} {why}", visible(path))]
    LegacyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The user called the login off.
    #[error("the login was cancelled")]
    LoginCancelled,
    /// The user or the provider refused.
    #[error("the login was refused: {0}")]
    LoginDenied(String),
    /// The login could not be completed.
    #[error("the login failed: {0}")]
    LoginFailed(String),
    /// The login was not finished in time.
    #[error("the login was not finished {}{}", login_time(*.limit), .last.as_deref().map(|last| format!(". {last}")).unwrap_or_default())]
    LoginTimeout {
        /// How long it was waited for; `None` where the server set the time.
        limit: Option<Duration>,
        /// What came last, and why it did not count.
        last: Option<String>,
    },
    /// No account can serve until a person signs in.
    #[error("{}", needs_login(provider, *standing, *moved_at))]
    NeedsLogin {
        /// The provider of the pool.
        provider: String,
        /// The account that would have served.
        account: Option<AccountId>,
        /// What is wrong with it.
        standing: Standing,
        /// When its login left in a bundle.
        moved_at: Option<Timestamp>,
    },
    /// The other side cannot be reached.
    #[error("{0}")]
    Network(String),
    /// The pool has no account that may serve.
    #[error("{}", no_account(kind, provider, namespace, switched_off))]
    NoAccount {
        /// The provider of the pool.
        provider: String,
        /// The namespace of the pool, without what looks like an address or a key.
        namespace: String,
        /// `""`, `"API key "` or `"subscription "`: what the mode asks for.
        kind: &'static str,
        /// Those that would serve if they were not switched off.
        switched_off: Vec<AccountId>,
    },
    /// The credential does not belong there.
    #[error("{0}")]
    OriginNotAllowed(String),
    /// A project's file would have to be trusted by a person first.
    #[error("the project file {} is not trusted{}, so what it says of {provider} has no effect, and nothing was read or sent for it. It wants: {wants}. If you know this file, trust it: trustProject()", visible(file), if *changed { " in its present form" } else { "" })]
    ProjectNotTrusted {
        /// The provider that it defines.
        provider: String,
        /// The file.
        file: PathBuf,
        /// Whether it was trusted with another content.
        changed: bool,
        /// What it wants.
        wants: String,
    },
    /// The access token could not be renewed; the login is kept.
    #[error("the access token of {provider} could not be renewed: {why}")]
    RefreshFailed {
        /// The provider of the account.
        provider: String,
        /// The account.
        account: AccountId,
        /// What happened.
        why: String,
        /// When the next try is allowed.
        retry_at: Option<Timestamp>,
    },
    /// No such account. Holds how a sentence names it, which repeats nothing but an id.
    #[error("there is no account {0}")]
    UnknownAccount(String),
    /// No such attempt. Holds how a sentence names it, which repeats nothing but a handle.
    #[error("there is no attempt {0} (attempts are forgotten after 10 minutes)")]
    UnknownAttempt(String),
    /// No such provider.
    #[error("the provider {named} is not known: it is neither built in nor configured{hint}")]
    UnknownProvider {
        /// Its id, if that looks like one.
        id: Option<String>,
        /// How it is named.
        named: String,
        /// What may be the reason, as a sentence goes on.
        hint: String,
    },
    /// The vault cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// An error that several callers wait for.
    #[error(transparent)]
    Shared(Arc<Self>),
}

impl BrokerError {
    /// The stable code, as documented in `index.d.ts`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Aborted => "ABORTED",
            Self::AlreadyConfigured => "ALREADY_CONFIGURED",
            Self::CallbackPortBusy { .. } => "CALLBACK_PORT_BUSY",
            Self::ClientIdRequired { .. } => "CLIENT_ID_REQUIRED",
            Self::Config(_) => "INVALID_CONFIG",
            Self::Exhausted { .. } => "EXHAUSTED",
            Self::InvalidArgument(_) => "INVALID_ARGUMENT",
            Self::LegacyFile { .. } => "VAULT_IO",
            Self::LoginCancelled => "LOGIN_CANCELLED",
            Self::LoginDenied(_) => "LOGIN_DENIED",
            Self::LoginFailed(_) => "LOGIN_FAILED",
            Self::LoginTimeout { .. } => "LOGIN_TIMEOUT",
            Self::NeedsLogin { .. } => "NEEDS_LOGIN",
            Self::Network(_) => "NETWORK",
            Self::NoAccount { .. } => "NO_ACCOUNT",
            Self::OriginNotAllowed(_) => "ORIGIN_NOT_ALLOWED",
            Self::ProjectNotTrusted { .. } => "PROJECT_NOT_TRUSTED",
            Self::RefreshFailed { .. } => "REFRESH_FAILED",
            Self::UnknownAccount(_) => "UNKNOWN_ACCOUNT",
            Self::UnknownAttempt(_) => "UNKNOWN_ATTEMPT",
            Self::UnknownProvider { .. } => "UNKNOWN_PROVIDER",
            Self::Vault(error) => error.code(),
            Self::Shared(error) => error.code(),
        }
    }

    /// JSON path of the fault, with `INVALID_CONFIG`.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Config(error) => Some(&error.path),
            Self::Shared(error) => error.path(),
            _ => None,
        }
    }

    /// The provider that the error is about.
    pub fn provider(&self) -> Option<&str> {
        match self {
            Self::ClientIdRequired { provider, .. }
            | Self::Exhausted { provider, .. }
            | Self::NeedsLogin { provider, .. }
            | Self::NoAccount { provider, .. }
            | Self::ProjectNotTrusted { provider, .. }
            | Self::RefreshFailed { provider, .. } => Some(provider),
            Self::UnknownProvider { id, .. } => id.as_deref(),
            Self::Shared(error) => error.provider(),
            _ => None,
        }
    }

    /// The file that the error is about.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Config(error) => error.file.as_deref(),
            Self::ProjectNotTrusted { file, .. } => Some(file),
            Self::Shared(error) => error.file(),
            _ => None,
        }
    }

    /// The account that the error is about.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::NeedsLogin { account, .. } | Self::Exhausted { account, .. } => {
                account.as_ref().map(AccountId::as_str)
            }
            Self::RefreshFailed { account, .. } => Some(account.as_str()),
            Self::NoAccount { switched_off, .. } => switched_off.first().map(AccountId::as_str),
            Self::Shared(error) => error.account(),
            _ => None,
        }
    }

    /// What is answered in the provider's place.
    pub fn refusal(&self) -> Option<&LocalRefusal> {
        match self {
            Self::Exhausted { refusal, .. } => Some(refusal),
            Self::Shared(error) => error.refusal(),
            _ => None,
        }
    }

    /// When the call may succeed.
    pub fn retry_at(&self) -> Option<Timestamp> {
        match self {
            Self::Exhausted { retry_at, .. } | Self::RefreshFailed { retry_at, .. } => *retry_at,
            Self::Vault(VaultError::StoreUnavailable { retry_at }) => {
                Some(Timestamp::from_millis(*retry_at))
            }
            Self::Shared(error) => error.retry_at(),
            _ => None,
        }
    }

    /// Says that the login of this account is in a bundle.
    pub(crate) fn moved(account: &AccountView, moved_at: Timestamp) -> Self {
        Self::NeedsLogin {
            provider: account.provider.to_string(),
            account: Some(account.id.clone()),
            standing: Standing::NeedsLogin,
            moved_at: Some(moved_at),
        }
    }

    /// Says that a call knows no such option, and which one was probably meant.
    pub fn unknown_option(call: &str, written: &str, known: &[&str]) -> Self {
        let meant = match suggestion(written, known) {
            Some(name) => format!("did you mean {name}?"),
            None => format!("it takes {}", known.join(", ")),
        };
        let written = named::option(written);
        Self::InvalidArgument(format!("{call} has no option {written}; {meant}"))
    }

    /// Says that an account is unknown; repeats the name only where it has the form of an id.
    pub(crate) fn unknown_account(id: &str) -> Self {
        Self::UnknownAccount(named::account(id))
    }

    /// Says that an attempt is unknown; repeats the handle only where it has the form of one.
    pub(crate) fn unknown_attempt(handle: &str) -> Self {
        Self::UnknownAttempt(named::attempt(handle))
    }

    /// Says that a provider is unknown, without repeating what looks like an address or a key.
    pub(crate) fn unknown_provider(id: &str) -> Self {
        Self::UnknownProvider {
            id: named::provider(id).map(str::to_owned),
            named: named::unknown_provider(id),
            hint: as_mcp_server(named::provider(id)),
        }
    }

    /// Says that a login needs a client of the user's own.
    pub(crate) fn client_id_required(provider: &Provider) -> Self {
        Self::ClientIdRequired {
            provider: named::name(&provider.id),
            terms: provider.terms,
            // A file that is there lacks no client id.
            searched: match provider.origin_of_definition {
                Provenance::BuiltIn => provider.searched.clone(),
                _ => Vec::new(),
            },
        }
    }

    /// Says that a login failed, keeping the kinds that a caller can tell apart.
    pub(crate) fn from_login(error: OauthError) -> Self {
        match error {
            OauthError::Denied => Self::LoginDenied(error.to_string()),
            OauthError::Expired => Self::LoginTimeout {
                limit: None,
                last: Some("The code that was shown has expired".to_owned()),
            },
            other => Self::LoginFailed(other.to_string()),
        }
    }
}

impl From<CallbackError> for BrokerError {
    fn from(error: CallbackError) -> Self {
        match error {
            CallbackError::Denied { .. } => Self::LoginDenied(error.to_string()),
            other => Self::LoginFailed(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_away_says_when_to_ask_again_also_to_those_who_share_the_error() {
        let away = BrokerError::from(VaultError::StoreUnavailable { retry_at: 7 });
        let shared = BrokerError::Shared(Arc::new(away));
        assert_eq!(shared.retry_at(), Some(Timestamp::from_millis(7)));
        assert_eq!(shared.code(), "STORE_UNAVAILABLE");
    }
}
