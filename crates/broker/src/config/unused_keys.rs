//! Keys that are set and have no effect where they stand. Each is a warning that names it: a key
//! that is accepted and ignored looks like one that works.

use std::collections::BTreeMap;

use provider_auth_oauth::{ClientAuth, Discovery, IdTokenCheck, Meaning, Renewal, Server};

use super::error::{ConfigError, Place};
use super::keys::{Role, Table as _};
use super::provider::{Grant, Provider};
use super::provider_keys::ProviderKeys;

/// Those of the keys that are set (`jwksUri`, `dialect.issuers`, `params.device`) which have no
/// effect for this provider.
pub(super) fn unused_keys(set: &BTreeMap<String, Place>, provider: &Provider) -> Vec<ConfigError> {
    let without_effect = without_effect(provider, set.contains_key("issuer"));
    let faults = without_effect.into_iter().filter_map(|(key, why)| {
        let place = set.get(key)?;
        Some(place.fault(format!("without effect: {why}")))
    });
    faults.collect()
}

/// The keys that have no effect for this provider, set or not.
pub(super) fn without_effect(provider: &Provider, has_issuer: bool) -> Vec<Unused> {
    let mut found = match &provider.server {
        None => without_login(),
        Some(server) => Login::of(provider, server, has_issuer).unused(),
    };
    if provider.models_urls.is_empty() {
        found.push(("modelsShape", "it has no list of models; set modelsUrl"));
    }
    found
}

/// A key, and why it has no effect.
pub(super) type Unused = (&'static str, &'static str);

/// Of a provider that has no login, every key of a login.
fn without_login() -> Vec<Unused> {
    let why = "no login server of this provider is known, so only API keys serve; set issuer, or authorizationEndpoint and \
               tokenEndpoint";
    let of_login = ProviderKeys::KEYS
        .iter()
        .filter(|key| key.has(Role::OfLogin));
    of_login.map(|key| (key.name, why)).collect()
}

/// The ways in which a login at a provider can go.
struct Login<'a> {
    provider: &'a Provider,
    server: &'a Server,
    is_mcp: bool,
    /// Whether endpoints that the configuration leaves out are looked up.
    looks_up: bool,
    has_page: bool,
    has_device: bool,
    has_assertion: bool,
    has_client: bool,
    /// Whether its outcome is asked for at a page of its own.
    polls_page: bool,
    has_issuer: bool,
}

impl<'a> Login<'a> {
    fn of(provider: &'a Provider, server: &'a Server, has_issuer: bool) -> Self {
        let is_mcp = provider.resource.is_some();
        let is_named = server.authorization_endpoint.is_some() && server.token_endpoint.is_some();
        let is_wanted = server.dialect.discovery != Discovery::Never;
        let looks_up = provider.discovers || (is_mcp && is_wanted && !is_named);
        let polls_page = server.dialect.page_poll.is_some();
        let has =
            |endpoint: bool, grant| (endpoint || looks_up) && !polls_page && provider.allows(grant);
        Self {
            has_page: has(
                server.authorization_endpoint.is_some(),
                Grant::AuthorizationCode,
            ),
            has_device: has(
                server.device_authorization_endpoint.is_some(),
                Grant::DeviceCode,
            ),
            has_client: has(server.token_endpoint.is_some(), Grant::ClientCredentials),
            has_assertion: provider.assertion.is_some()
                && has(server.token_endpoint.is_some(), Grant::JwtBearer),
            provider,
            server,
            is_mcp,
            looks_up,
            polls_page,
            has_issuer,
        }
    }

    fn unused(&self) -> Vec<Unused> {
        let mut found = Vec::new();
        let mut note = |is_unused: bool, keys: &[&'static str], why: &'static str| {
            found.extend(keys.iter().filter(|_| is_unused).map(|key| (*key, why)));
        };
        let dialect = &self.server.dialect;
        let checks_signature = dialect.id_token == IdTokenCheck::Signature;
        let as_client = self.has_page || self.has_device || self.has_client;
        let allows = |grant| self.provider.allows(grant) && !self.polls_page;
        note(
            !self.has_page && !self.is_mcp,
            &["redirectUri", "fallbackRedirectUris"],
            "no login of this provider comes back to an address",
        );
        note(
            !self.has_page,
            &["dialect.stateInTokenBody"],
            "no login of this provider exchanges a code of a page",
        );
        note(
            !self.has_page && !self.polls_page,
            &["params.authorize"],
            "no login of this provider opens a page",
        );
        note(
            !allows(Grant::AuthorizationCode) && !self.polls_page,
            &["authorizationEndpoint"],
            "grants leaves out authorization_code",
        );
        note(
            !allows(Grant::DeviceCode),
            &["deviceAuthorizationEndpoint"],
            "this provider has no device login, or grants leaves out device_code",
        );
        note(
            !self.has_device,
            &[
                "params.device",
                "dialect.encoding.device",
                "dialect.headers.device",
                "dialect.devicePkce",
                "dialect.poll",
            ],
            "this provider has no device login; set deviceAuthorizationEndpoint, or see grants",
        );
        note(
            !as_client,
            &[
                "clientId",
                "clientSecret",
                "privateKey",
                "privateKeyId",
                "clientAuth",
                "scopes",
                "params.token",
                "dialect.encoding.token",
                "dialect.headers.token",
            ],
            "no login of this provider is made by a client",
        );
        note(
            self.provider.client_auth == ClientAuth::None,
            &["clientSecret"],
            "clientAuth is none, so no secret is sent",
        );
        note(
            self.provider.client_auth == ClientAuth::PrivateKeyJwt,
            &["clientSecret"],
            "the client authenticates by privateKey",
        );
        note(
            self.provider.client_auth != ClientAuth::PrivateKeyJwt,
            &["privateKey", "privateKeyId"],
            "the client does not authenticate by private_key_jwt; see clientAuth and privateKey",
        );
        note(
            !self.has_assertion,
            &[
                "assertion",
                "params.assertion",
                "dialect.encoding.assertion",
                "dialect.headers.assertion",
            ],
            "no login is made by an assertion; set assertion and tokenEndpoint, or see grants",
        );
        note(
            dialect.renewal == Renewal::RefreshToken,
            &["exchangeEndpoint"],
            "tokens are renewed by refresh token; set dialect.renewal to exchange or exchange_login",
        );
        note(
            dialect.renewal != Renewal::RefreshToken,
            &["params.refresh", "dialect.encoding.refresh"],
            "tokens are renewed at exchangeEndpoint, not by refresh token",
        );
        note(
            !checks_signature,
            &["jwksUri", "dialect.jwksNeedsToken"],
            "signatures of id tokens are not checked; set dialect.idToken to full",
        );
        note(
            !self.has_page && !self.has_device && !self.polls_page,
            &["dialect.idToken"],
            "no login of this provider brings an id token",
        );
        note(
            self.server.revocation_endpoint.is_none() && !self.looks_up,
            &["dialect.encoding.revoke", "dialect.headers.revoke"],
            "no revocationEndpoint is known",
        );
        note(
            self.is_mcp,
            &["dialect.issuedClient"],
            "the client of an MCP server's login is clientId, or registered with its login server",
        );
        note(
            !self.looks_up && dialect.discovery != Discovery::Never,
            &["dialect.discovery"],
            match self.has_issuer || self.is_mcp {
                true => "every endpoint is named, so no lookup is made",
                false => "no endpoint is looked up without an issuer; set issuer",
            },
        );
        note(
            self.server.issuer.is_none()
                && !self.looks_up
                && dialect.id_token < IdTokenCheck::Claims,
            &["dialect.issuers"],
            "the name of the login server is not checked; set issuer",
        );
        let are_of_polls = dialect
            .errors
            .iter()
            .all(|rule| rule.meaning != Meaning::InvalidGrant);
        note(
            are_of_polls && !self.has_device && !self.polls_page,
            &["dialect.errors"],
            "every rule is about polls, and this provider has no device login",
        );
        found
    }
}
