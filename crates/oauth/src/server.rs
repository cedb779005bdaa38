//! An authorization server: its endpoints, and how it differs from the standard.

pub(crate) mod client;
pub(crate) mod client_key;
pub(crate) mod dialect;
pub(crate) mod discovery;
pub(crate) mod metadata;
pub(crate) mod registration;
pub(crate) mod url_rules;

use url::Url;

use crate::{Dialect, Discovery, Metadata};

use self::url_rules::same_issuer;

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
    /// Whether the callback must carry `iss` (RFC 9207). When it carries one unasked, that is
    /// checked all the same.
    pub issuer_in_response: bool,
    /// Differences from the standard.
    pub dialect: Dialect,
}

impl Server {
    /// Returns the server with what is missing filled from its discovery document; what is set
    /// stays.
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

    /// Whether the server calls itself by this issuer.
    pub(crate) fn matches_issuer(&self, issuer: &str) -> bool {
        if self.dialect.any_issuer {
            return true;
        }
        let names = self.issuer.iter().chain(&self.dialect.issuers);
        names
            .into_iter()
            .any(|name| same_issuer(issuer, name.as_str()))
    }
}
