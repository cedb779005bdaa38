//! What a server says about itself (RFC 8414 §2).

use url::Url;

use crate::ClientAuth;

/// What a server says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Issuer, as asked for.
    pub issuer: Url,
    /// Page where the user signs in.
    pub authorization_endpoint: Option<Url>,
    /// Exchanges codes and refresh tokens.
    pub token_endpoint: Option<Url>,
    /// Starts a device login.
    pub device_authorization_endpoint: Option<Url>,
    /// Revokes tokens.
    pub revocation_endpoint: Option<Url>,
    /// Says who signed in.
    pub userinfo_endpoint: Option<Url>,
    /// Publishes the keys that id tokens are signed with.
    pub jwks_uri: Option<Url>,
    /// Registers clients (RFC 7591).
    pub registration_endpoint: Option<Url>,
    /// Whether the callback carries `iss` (RFC 9207).
    pub issuer_in_response: bool,
    /// Whether it says that it knows PKCE with S256 (RFC 7636).
    pub knows_s256: bool,
    /// Scopes that it says it knows.
    pub scopes: Vec<String>,
    /// Those ways of client authentication that we know too; `None` when it does not say.
    pub client_auth: Option<Vec<ClientAuth>>,
}
