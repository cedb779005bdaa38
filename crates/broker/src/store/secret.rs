//! The secret part of a credential. This is the only place where secrets are written out, and only
//! into the zeroized buffer that the vault seals.

use provider_auth_oauth::{Tokens, unix_seconds, whole};
use provider_auth_policy::{Timestamp, server_time};
use provider_auth_vault::wiping_stack;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// The secret part.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "lowercase",
    rename_all_fields = "camelCase"
)]
pub(crate) enum Secret {
    /// A login.
    Oauth {
        #[serde(serialize_with = "sealed::one")]
        access: SecretString,
        #[serde(
            default,
            serialize_with = "sealed::maybe",
            skip_serializing_if = "Option::is_none"
        )]
        refresh: Option<SecretString>,
        /// Kept where the client secret came from a file of the project, which is read for a login
        /// only.
        #[serde(
            default,
            serialize_with = "sealed::maybe",
            skip_serializing_if = "Option::is_none"
        )]
        client_secret: Option<SecretString>,
        obtained_at: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
        /// A refresh before this time would end the login (Sign in with ChatGPT).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        earliest_refresh_at: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scopes: Option<Vec<String>>,
        /// Whether it came by an assertion, which brings the next one too.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        by_assertion: bool,
        /// Whether it came by the client's own credentials, which bring the next one too.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        by_client: bool,
        #[serde(flatten)]
        other: Unknown,
    },
    /// An API key.
    Api {
        #[serde(serialize_with = "sealed::one")]
        key: SecretString,
        #[serde(flatten)]
        other: Unknown,
    },
    /// A token that a host gave out beside its configuration, under `/.well-known/opencode`.
    Wellknown {
        #[serde(serialize_with = "sealed::one")]
        token: SecretString,
        /// The variable in which that host's configuration looks for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        variable: Option<String>,
        #[serde(flatten)]
        other: Unknown,
    },
}

impl Secret {
    /// Takes over the tokens of a refresh; what the answer leaves out stays as it was (RFC 6749
    /// §6).
    pub(super) fn renew(&mut self, tokens: Tokens, asked_at: Timestamp) {
        let lifetime = TokenLife::of(&tokens, asked_at);
        if let Self::Oauth {
            access,
            refresh,
            obtained_at,
            expires_at,
            earliest_refresh_at,
            scopes,
            ..
        } = self
        {
            *access = tokens.access;
            if tokens.refresh.is_some() {
                *refresh = tokens.refresh;
            }
            if tokens.scopes.is_some() {
                *scopes = tokens.scopes;
            }
            *obtained_at = asked_at;
            *expires_at = lifetime.expires_at;
            *earliest_refresh_at = lifetime.earliest_refresh_at;
        }
    }

    /// All of it that is not secret; empty texts stand for what is.
    pub(super) fn without_secrets(&self) -> Self {
        let nothing = SecretString::default;
        match self {
            Self::Oauth {
                refresh,
                obtained_at,
                expires_at,
                earliest_refresh_at,
                scopes,
                by_assertion,
                by_client,
                ..
            } => Self::Oauth {
                access: nothing(),
                refresh: refresh.as_ref().map(|_| nothing()),
                client_secret: None,
                obtained_at: *obtained_at,
                expires_at: *expires_at,
                earliest_refresh_at: *earliest_refresh_at,
                scopes: scopes.clone(),
                by_assertion: *by_assertion,
                by_client: *by_client,
                other: Unknown::default(),
            },
            Self::Api { .. } => Self::Api {
                key: nothing(),
                other: Unknown::default(),
            },
            Self::Wellknown { variable, .. } => Self::Wellknown {
                token: nothing(),
                variable: variable.clone(),
                other: Unknown::default(),
            },
        }
    }

    /// The tokens of a login that was asked for at `asked_at`.
    pub(crate) fn from_login(
        tokens: Tokens,
        client_secret: Option<SecretString>,
        asked_at: Timestamp,
    ) -> Self {
        let lifetime = TokenLife::of(&tokens, asked_at);
        Self::Oauth {
            access: tokens.access,
            refresh: tokens.refresh,
            client_secret,
            obtained_at: asked_at,
            expires_at: lifetime.expires_at,
            earliest_refresh_at: lifetime.earliest_refresh_at,
            scopes: tokens.scopes,
            by_assertion: false,
            by_client: false,
            other: Unknown::default(),
        }
    }
}

/// A hash that tells two secrets apart and reveals neither; never leaves the vault folder's
/// `.pending` notes.
pub(crate) fn fingerprint(secret: &SecretString) -> [u8; 32] {
    wiping_stack(|| Sha256::digest(secret.expose_secret()).into())
}

/// Whether both are one secret; how long it takes to tell says nothing of where they differ.
pub(crate) fn is_same_secret(one: &SecretString, other: &SecretString) -> bool {
    let (one, other) = (one.expose_secret(), other.expose_secret());
    let pairs = one.bytes().zip(other.bytes());
    one.len() == other.len() && pairs.fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// Fields that a newer version, or another program, added: kept as they are, and never printed,
/// since any of them may be a secret.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Unknown(Map<String, Value>);

impl Unknown {
    pub(crate) fn of(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn fields(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl std::fmt::Debug for Unknown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// When a token ends and when it may be renewed, by our clock. `expires_in` counts from before the
/// request was sent; absolute times are by the server's clock, which the answer's `Date` shows.
struct TokenLife {
    expires_at: Option<Timestamp>,
    earliest_refresh_at: Option<Timestamp>,
}

impl TokenLife {
    fn of(tokens: &Tokens, asked_at: Timestamp) -> Self {
        let server_asked_at = server_time(tokens.date.as_deref(), asked_at);
        let by_our_clock =
            |millis| Timestamp::from_millis(millis).by_clock(server_asked_at, asked_at);
        // A token that had ended when it was asked for tells of two clocks that differ, not of its
        // life: taken by the letter, each request would refresh.
        let expires_at = tokens
            .ends_at(server_asked_at.as_millis())
            .map(by_our_clock)
            .filter(|ends_at| *ends_at > asked_at);
        // Nothing but a refresh follows the end of a token, so no later time is believed.
        let earliest_refresh_at = tokens
            .extra
            .get("earliest_refresh_at")
            .and_then(whole)
            .map(unix_seconds)
            .map(|seconds| by_our_clock(seconds.saturating_mul(1000)))
            .map(|at| expires_at.map_or(at, |ends_at| at.min(ends_at)));
        Self {
            expires_at,
            earliest_refresh_at,
        }
    }
}

/// Writes secrets into the plaintext of a record, and nowhere else.
mod sealed {
    use secrecy::{ExposeSecret as _, SecretString};
    use serde::{Serialize as _, Serializer};

    pub(super) fn one<S: Serializer>(
        secret: &SecretString,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        secret.expose_secret().serialize(serializer)
    }

    pub(super) fn maybe<S: Serializer>(
        secret: &Option<SecretString>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        secret
            .as_ref()
            .map(SecretString::expose_secret)
            .serialize(serializer)
    }
}
