//! Whom we talk to, and as whom.

use std::{fmt, sync::Arc};

use oauth2::ClientId;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::{Dialect, Discovery, Metadata, OauthError, SignsForClient};

/// An authorization server: its endpoints and its dialect. What is not known is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Server {
    /// Issuer, as the server names itself.
    pub issuer: Option<Url>,
    /// Page where the user signs in.
    pub authorization_endpoint: Option<Url>,
    /// Exchanges codes and refresh tokens.
    pub token_endpoint: Option<Url>,
    /// Starts a device login (RFC 8628).
    pub device_authorization_endpoint: Option<Url>,
    /// Revokes tokens (RFC 7009).
    pub revocation_endpoint: Option<Url>,
    /// Says who signed in (OpenID Connect).
    pub userinfo_endpoint: Option<Url>,
    /// Publishes the keys that id tokens are signed with.
    pub jwks_uri: Option<Url>,
    /// Exchanges the token of a login for the one that is sent to the API (Copilot, Cursor).
    pub exchange_endpoint: Option<Url>,
    /// Whether the callback must carry `iss` (RFC 9207). When it carries one unasked, that is checked all the same.
    pub issuer_in_response: bool,
    /// Differences from the standard.
    pub dialect: Dialect,
}

impl Server {
    /// Returns the server with what is missing filled from its discovery document; what is set stays.
    #[must_use]
    pub fn complete_with(self, metadata: Metadata) -> Self {
        Self {
            issuer: self.issuer.or(Some(metadata.issuer)),
            authorization_endpoint: self
                .authorization_endpoint
                .or(metadata.authorization_endpoint),
            token_endpoint: self.token_endpoint.or(metadata.token_endpoint),
            device_authorization_endpoint: self
                .device_authorization_endpoint
                .or(metadata.device_authorization_endpoint),
            revocation_endpoint: self.revocation_endpoint.or(metadata.revocation_endpoint),
            userinfo_endpoint: self.userinfo_endpoint.or(metadata.userinfo_endpoint),
            jwks_uri: self.jwks_uri.or(metadata.jwks_uri),
            exchange_endpoint: self.exchange_endpoint,
            issuer_in_response: self.issuer_in_response || metadata.issuer_in_response,
            dialect: self.dialect,
        }
    }

    /// The places that are named here, be it as an endpoint or as where endpoints are looked up.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Url> {
        let document = match &self.dialect.discovery {
            Discovery::Document { url, .. } => url.as_ref(),
            Discovery::Standard | Discovery::Never => None,
        };
        let endpoints = [
            &self.issuer,
            &self.authorization_endpoint,
            &self.token_endpoint,
            &self.device_authorization_endpoint,
            &self.revocation_endpoint,
            &self.userinfo_endpoint,
            &self.jwks_uri,
            &self.exchange_endpoint,
        ];
        endpoints.into_iter().flatten().chain(document)
    }

    /// The hosts of these.
    #[must_use]
    pub fn hosts(&self) -> Vec<String> {
        let hosts = self.places().filter_map(Url::host_str);
        hosts.map(str::to_owned).collect()
    }

    /// Whether the server calls itself so.
    pub(crate) fn is_called(&self, issuer: &str) -> bool {
        if self.dialect.any_issuer {
            return true;
        }
        let names = self.issuer.iter().chain(&self.dialect.issuers);
        names
            .into_iter()
            .any(|name| same_issuer(issuer, name.as_str()))
    }
}

/// The client that the user registered with the server.
#[derive(Clone)]
pub struct Client {
    /// Client id.
    pub id: String,
    /// Client secret, of a confidential client.
    pub secret: Option<SecretString>,
    /// How the client authenticates.
    pub auth: ClientAuth,
    /// What signs for it, where it authenticates by a key.
    pub signer: Option<Arc<dyn SignsForClient>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.id)
            .field("secret", &self.secret)
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Returns a client without a secret.
    #[must_use]
    pub fn public(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            secret: None,
            auth: ClientAuth::None,
            signer: None,
        }
    }

    /// Returns the id, or says that there is none.
    pub(crate) fn checked_id(&self) -> Result<ClientId, OauthError> {
        if self.id.trim().is_empty() {
            return Err(OauthError::MissingClientId);
        }
        Ok(ClientId::new(self.id.clone()))
    }
}

/// How a client authenticates at the token endpoint (RFC 6749 §2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// By its id alone; a secret is not sent.
    #[default]
    None,
    /// By an `authorization: Basic` header.
    Basic,
    /// By `client_secret` in the body.
    Post,
    /// By a token that a key of the client's own signs (RFC 7523 §2.2).
    #[serde(rename = "private_key_jwt")]
    PrivateKeyJwt,
}

impl ClientAuth {
    /// Returns the way of this name (RFC 7591 §2), if a client that is registered on the spot can go it: it has no key.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "none" => Some(Self::None),
            "client_secret_basic" => Some(Self::Basic),
            "client_secret_post" => Some(Self::Post),
            _ => None,
        }
    }

    /// Returns the name under which servers know it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }
}

/// Whether `url` is https, or http to this very machine: elsewhere a secret could be read on its way.
#[must_use]
pub fn is_https_or_loopback(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(url),
        _ => false,
    }
}

/// Whether `url` names this very machine.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Returns the endpoint, or says that it is not known or not safe.
pub(crate) fn endpoint<'a>(
    url: Option<&'a Url>,
    which: &'static str,
) -> Result<&'a Url, OauthError> {
    let url = url.ok_or(OauthError::MissingEndpoint { which })?;
    require_secure(url)?;
    Ok(url)
}

/// Refuses a URL that is neither https nor loopback.
pub(crate) fn require_secure(url: &Url) -> Result<(), OauthError> {
    if is_https_or_loopback(url) {
        return Ok(());
    }
    Err(OauthError::InsecureEndpoint {
        url: format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default()),
    })
}

/// Whether two issuers are the same: equal but for one slash at the end, which people leave out and `Url` puts in.
pub(crate) fn same_issuer(one: &str, other: &str) -> bool {
    fn bare(issuer: &str) -> String {
        let whole = Url::parse(issuer).map_or_else(|_| issuer.to_owned(), String::from);
        whole.strip_suffix('/').map(str::to_owned).unwrap_or(whole)
    }
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_loopback_are_safe() {
        for (url, safe) in [
            ("https://id.example/token", true),
            ("http://127.0.0.1:8080/token", true),
            ("http://127.8.9.1/token", true),
            ("http://[::1]:8080/token", true),
            ("http://localhost/token", true),
            // Not every resolver keeps names below `localhost` on this machine (RFC 6761 §6.3 only asks for it).
            ("http://app.localhost/token", false),
            ("http://id.example/token", false),
            ("http://127.0.0.1.example/token", false),
            ("http://localhost.example/token", false),
            ("http://0.0.0.0/token", false),
            ("http://192.168.0.1/token", false),
            ("ftp://localhost/token", false),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(is_https_or_loopback(&url.parse().unwrap()), safe, "{url}");
        }
    }

    #[test]
    fn an_issuer_may_lack_its_last_slash_and_nothing_else() {
        for (one, other, same) in [
            ("https://id.example", "https://id.example/", true),
            ("https://id.example:443/", "https://id.example", true),
            ("https://id.example/a", "https://id.example/a/", true),
            ("https://id.example/a", "https://id.example/b", false),
            ("https://id.example", "http://id.example", false),
            ("https://id.example", "https://id.example.evil", false),
        ] {
            assert_eq!(same_issuer(one, other), same, "{one} {other}");
        }
    }
}
