//! What a token request brought.

pub(crate) mod id_token;
pub(crate) mod identity;

use std::{fmt, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    OauthError, Server, limits,
    secret::reveal,
    text::lenient::{unix_seconds, whole},
};

/// Tokens, as the server issued them.
#[derive(Clone)]
pub struct Tokens {
    /// Sent with every request.
    pub access: SecretString,
    /// Brings the next tokens. Absent when the server issued none: after a refresh, the old one
    /// stays good.
    pub refresh: Option<SecretString>,
    /// Says who signed in (OpenID Connect).
    pub id_token: Option<SecretString>,
    /// Life of the access token, counted from before the request was sent. Absent when the server
    /// names none that makes sense.
    pub expires_in: Option<Duration>,
    /// When the access token ends, in Unix seconds: from `expires_at`, else from `exp` of an access
    /// token that is a JWT.
    pub expires_at: Option<u64>,
    /// The `date` header of the answer as sent: by that clock `expires_at` is meant.
    pub date: Option<String>,
    /// Scopes that were granted; absent when they are those asked for.
    pub scopes: Option<Vec<String>>,
    /// What else the server said, without fields named like secrets (`earliest_refresh_at`,
    /// `resource_url`, `account`, …).
    pub extra: Map<String, Value>,
}

impl Tokens {
    /// Returns when the access token ends, in Unix milliseconds, given when the request for it was
    /// sent; both by the server's clock.
    ///
    /// `None` when neither the server nor the token says so.
    #[must_use]
    pub fn ends_at(&self, requested_at_ms: u64) -> Option<u64> {
        let life = |life: Duration| u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
        let latest = requested_at_ms.saturating_add(life(limits::LONGEST_LIFE));
        match (self.expires_in, self.expires_at) {
            (Some(expires_in), _) => {
                Some(requested_at_ms.saturating_add(life(expires_in)).min(latest))
            }
            (None, Some(seconds)) => Some(seconds.saturating_mul(1000).min(latest)),
            (None, None) => None,
        }
    }
}

impl Tokens {
    /// Refuses tokens that lack a scope without which the server's logins are of no use. Scopes
    /// that are not named are those asked for (RFC 6749 §5.1).
    pub fn check_scope(&self, server: &Server) -> Result<(), OauthError> {
        match (&server.dialect.required_scope, &self.scopes) {
            (Some(scope), Some(granted)) if !granted.contains(scope) => {
                Err(OauthError::MissingScope {
                    scope: scope.clone(),
                })
            }
            _ => Ok(()),
        }
    }
}

impl Tokens {
    /// Tokens that no answer came with: nothing is known of their life.
    #[must_use]
    pub fn bare(access: SecretString, refresh: Option<SecretString>) -> Self {
        Self {
            access,
            refresh,
            id_token: None,
            expires_in: None,
            expires_at: None,
            date: None,
            scopes: None,
            extra: Map::new(),
        }
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("refreshable", &self.refresh.is_some())
            .field("expires_in", &self.expires_in)
            .field("expires_at", &self.expires_at)
            .field("scopes", &self.scopes)
            .field("extra", &self.extra.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl From<TokenAnswer> for Tokens {
    fn from(answer: TokenAnswer) -> Self {
        use oauth2::TokenResponse;
        let access: SecretString = answer.access_token().secret().as_str().into();
        let Extra {
            id_token,
            expires_at,
            date,
            rest,
        } = answer.extra_fields();
        Self {
            refresh: answer
                .refresh_token()
                .map(|token| token.secret().as_str().into()),
            id_token: id_token.as_deref().map(Into::into),
            expires_in: answer.expires_in(),
            expires_at: expires_at
                .or_else(|| whole(claims(&access)?.get("exp")?).map(unix_seconds)),
            date: date.clone(),
            scopes: answer
                .scopes()
                .map(|scopes| scopes.iter().map(|scope| scope.to_string()).collect()),
            extra: rest.clone(),
            access,
        }
    }
}

/// Returns the claims of a JWT, unverified; `None` when the token is not a JWT.
///
/// Good enough for a token that came straight from the token endpoint over TLS (OpenID Connect Core
/// §3.1.3.7).
pub(crate) fn claims(token: &SecretString) -> Option<Map<String, Value>> {
    let mut parts = reveal(token).split('.');
    let (_header, payload, _signature, None) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next())
    else {
        return None;
    };
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?).ok()
}

/// A token response after `answer` brought it into standard form.
pub(crate) type TokenAnswer = oauth2::StandardTokenResponse<Extra, oauth2::basic::BasicTokenType>;

/// The fields that RFC 6749 does not know.
#[derive(Deserialize, Serialize)]
pub(crate) struct Extra {
    id_token: Option<String>,
    expires_at: Option<u64>,
    date: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl oauth2::ExtraTokenFields for Extra {}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extra").finish_non_exhaustive()
    }
}
