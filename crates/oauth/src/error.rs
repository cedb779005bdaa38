//! What can go wrong, by what the caller can do about it. Of a server's body only the cleaned error
//! name and description are kept.

use secrecy::SecretString;

use crate::{HttpError, limits, secret::reveal, text::redaction::hidden};

/// Why a token, device, discovery or revocation request brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OauthError {
    /// The code or refresh token is expired, revoked or used: only a new login helps.
    #[error("the grant is no longer valid{}", because(.description))]
    InvalidGrant {
        /// The server's own words.
        description: Option<String>,
    },
    /// The user, or the server for them, refused the device login.
    #[error("the login was refused")]
    Denied,
    /// The device code ran out before the user was done.
    #[error("the login code has expired")]
    Expired,
    /// The server refused the request itself: client, scope or parameters (RFC 6749 §5.2).
    #[error("the server refused: {}{}", .error.as_deref().unwrap_or("no reason given"), because(.description))]
    Rejected {
        /// HTTP status.
        status: u16,
        /// Error name, as `invalid_client`.
        error: Option<String>,
        /// The server's own words.
        description: Option<String>,
    },
    /// The server is busy or broken; the same request may work later.
    #[error("the server answered {status}; it may work later")]
    Transient {
        /// HTTP status: 408, 429 or 5xx.
        status: u16,
        /// The `retry-after` header as sent: reading a date in it takes a clock.
        retry_after: Option<String>,
        /// The `date` header as sent: a date is by the server's clock.
        date: Option<String>,
    },
    /// No answer came.
    #[error("{0}")]
    Http(HttpError),
    /// The answer is not a JSON object: a proxy, a firewall page, a wrong URL.
    #[error("the server answered {status} with {} instead of JSON", .content_type.as_deref().unwrap_or("nothing"))]
    NotJson {
        /// HTTP status.
        status: u16,
        /// What it says it is.
        content_type: Option<String>,
    },
    /// The answer is JSON but lacks what makes it one, or holds it in a form that cannot be used.
    #[error("the server's answer has no usable {field}")]
    Malformed {
        /// Name of the field.
        field: &'static str,
    },
    /// The key by which the client authenticates cannot sign.
    #[error("the client's private key cannot sign")]
    UnusableKey,
    /// The answer is larger than any honest one.
    #[error("the server's answer is too large")]
    TooLarge,
    /// The token is of a type that cannot be sent as a bearer token.
    #[error("the server issued a token that is not a bearer token")]
    NotBearer,
    /// The id token answers another login than this one.
    #[error("the id token belongs to another login (nonce mismatch)")]
    WrongNonce,
    /// The id token's signature, issuer, audience or time is wrong, or the server sent no id token
    /// where one is required.
    #[error("the id token cannot be trusted: {why}")]
    UntrustedIdToken {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The user, or the server, left out a scope without which the login is of no use.
    #[error("the login was granted without the scope {scope}, which is required")]
    MissingScope {
        /// The scope.
        scope: String,
    },
    /// Neither configuration nor discovery names the endpoint.
    #[error("the {which} of this provider is not known")]
    MissingEndpoint {
        /// Name of the endpoint, as `token endpoint`.
        which: &'static str,
    },
    /// No client id is configured.
    #[error("no client id is configured")]
    MissingClientId,
    /// The discovery document is another issuer's.
    #[error("discovery of {expected} describes {found}")]
    IssuerMismatch {
        /// The issuer that was asked for.
        expected: String,
        /// The issuer that answered.
        found: String,
    },
    /// A description of a protected resource is another resource's (RFC 9728 §3.3).
    #[error("the description of {expected} is that of {found}")]
    ResourceMismatch {
        /// The resource that was asked for.
        expected: String,
        /// The resource that it describes.
        found: String,
    },
    /// A server elsewhere names a place on this machine or in its local network.
    #[error("{server} names {url}, an address on this machine or its local network")]
    OutOfBounds {
        /// Origin of the server.
        server: String,
        /// The origin that it names.
        url: String,
    },
    /// The server does not say that it knows PKCE with S256, without which a code could be used by
    /// anybody who sees it.
    #[error(
        "the login server {issuer} does not announce PKCE with S256 (code_challenge_methods_supported)"
    )]
    NoPkce {
        /// Its issuer.
        issuer: String,
    },
    /// The page of a login server brings parameters that are the login's own to set.
    #[error(
        "the authorization endpoint at {url} already has parameters that say where the code goes"
    )]
    PageWithParameters {
        /// Its origin.
        url: String,
    },
    /// An endpoint is neither https nor http on loopback.
    #[error("{url} is neither https nor http on this machine")]
    InsecureEndpoint {
        /// Its origin.
        url: String,
    },
}

impl OauthError {
    /// Whether the same request may succeed later, so that nothing must be given up for it.
    ///
    /// An answer that is not OAuth at all counts: it came from something between us and the server.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Transient { .. }
                | Self::Http(_)
                | Self::NotJson { .. }
                | Self::Malformed { .. }
                | Self::TooLarge
        )
    }
}

impl OauthError {
    /// Returns the name by which the server called its error, if it is a plain word: for a person
    /// to see.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        let name = match self {
            Self::InvalidGrant { .. } => "invalid_grant",
            Self::Denied => "access_denied",
            Self::Expired => "expired_token",
            Self::Rejected { error, .. } => error.as_deref()?,
            _ => return None,
        };
        is_code(name).then_some(name)
    }

    /// Returns the error without any of `secrets`, in whatever form a server's words repeat them:
    /// it may know more of them than it was sent.
    #[must_use]
    pub fn without(mut self, secrets: &[&SecretString]) -> Self {
        let secrets: Vec<&str> = secrets.iter().map(|secret| reveal(secret)).collect();
        let hide = |text: &mut Option<String>| {
            if let Some(text) = text {
                *text = hidden(text, &secrets);
            }
        };
        match &mut self {
            Self::InvalidGrant { description } => hide(description),
            Self::Rejected {
                error, description, ..
            } => {
                hide(error);
                hide(description);
            }
            Self::NotJson { content_type, .. } => hide(content_type),
            Self::Transient {
                retry_after, date, ..
            } => {
                hide(retry_after);
                hide(date);
            }
            Self::IssuerMismatch { found, .. } | Self::ResourceMismatch { found, .. } => {
                *found = hidden(found, &secrets);
            }
            _ => {}
        }
        self
    }
}

/// Whether a text is an error code as the standards have them (RFC 6749 §4.1.2.1), and so nothing
/// but a word.
pub(crate) fn is_code(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !text.is_empty() && text.len() <= limits::ERROR_NAME_CHARS && text.chars().all(is_part)
}

impl From<HttpError> for OauthError {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::TooLarge => Self::TooLarge,
            HttpError::Insecure(url) => Self::InsecureEndpoint { url },
            other => Self::Http(other),
        }
    }
}

/// Why a callback or a pasted text does not finish the login.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallbackError {
    /// It answers another login: a stale tab, or a forged request.
    #[error("this answer belongs to another login (state mismatch)")]
    WrongState,
    /// It does not say which login it answers.
    #[error("this answer has no state parameter, so it cannot be matched to this login")]
    MissingState,
    /// A parameter comes twice (RFC 6749 §3.1 forbids it).
    #[error("this answer has a parameter twice")]
    RepeatedParameter,
    /// It comes from another server than the one that was asked (RFC 9207).
    #[error("this answer comes from another server (iss or redirect URI mismatch, RFC 9207)")]
    WrongIssuer,
    /// The server ended the login. The one error that is an answer to this login.
    #[error("the provider ended the login: {error}{}", because(.description))]
    Denied {
        /// Error name, as `access_denied`.
        error: String,
        /// The server's own words.
        description: Option<String>,
    },
    /// It has no code.
    #[error("this answer has no authorization code")]
    MissingCode,
    /// It names another client than the one that asked.
    #[error("this answer is meant for another client (client_id mismatch)")]
    WrongClient,
    /// The server was to issue a client with it, and did not.
    #[error(
        "this answer has no client_id, which the server issues with the first login; paste the whole address that the browser ends on"
    )]
    MissingClient,
}

fn because(description: &Option<String>) -> String {
    description
        .as_deref()
        .map(|text| format!(" ({text})"))
        .unwrap_or_default()
}
