//! What a person is shown of a provider that a project's file defines: every host by what it gets,
//! every file and variable that is read.

use std::collections::BTreeSet;

use provider_auth_oauth::{Discovery, Server, is_loopback};
use serde::Serialize;
use url::Url;

use crate::config::method::Method;
use crate::config::origin::Origin;
use crate::config::provider::Provider;
use crate::config::secret::SecretRef;
use crate::host::Env;
use crate::printable::visible_text;

/// What a project's file says of one provider.
#[derive(Clone, Debug, Serialize)]
pub struct ProjectProvider {
    /// The provider.
    pub provider: String,
    /// Whether the user's configuration or the product knows it without the file.
    pub known: bool,
    /// The keys that it sets.
    pub sets: Vec<&'static str>,
    /// Every host that would get a code, a token or a key, or says which one does.
    pub hosts: Vec<HostUse>,
    /// Every file and variable that would be read.
    pub reads: Vec<SecretUse>,
    /// How accounts of it would be added.
    pub methods: Vec<&'static str>,
}

/// A host, and what it is for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HostUse {
    /// Its origin.
    pub origin: String,
    /// The key that names it.
    pub role: &'static str,
    /// What it gets.
    pub gets: &'static str,
}

/// A secret that would be read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SecretUse {
    /// The key that names it.
    pub role: &'static str,
    /// `file`, `variable`, or `configuration` for what your own configuration has in clear.
    pub kind: &'static str,
    /// The true path, the name of the variable, or which configuration.
    pub name: String,
    /// Why it will not be read, trusted or not. It only ever takes away, so trust does not depend
    /// on it.
    #[serde(skip)]
    pub refusal: Option<String>,
}

/// What a definition comes to.
pub(super) fn disclosed(
    provider: &Provider,
    known: bool,
    sets: Vec<&'static str>,
    env: &dyn Env,
) -> ProjectProvider {
    ProjectProvider {
        provider: visible_text(&provider.id),
        known,
        sets,
        hosts: hosts(provider),
        reads: reads(provider, env),
        methods: provider.methods().into_iter().map(Method::as_str).collect(),
    }
}

/// Every host that gets a code, a token or a key under this definition, or says which host does.
fn hosts(provider: &Provider) -> Vec<HostUse> {
    let no_server = Server::default();
    let server = provider.server.as_ref().unwrap_or(&no_server);
    let document = match &server.dialect.discovery {
        Discovery::Document { url, .. } => url.as_ref(),
        _ => None,
    };
    let origins: Vec<Url> = provider
        .origins
        .iter()
        .filter_map(|origin| Url::parse(origin.as_str()).ok())
        .collect();
    let elsewhere = provider.redirect_uris().filter(|url| !is_loopback(url));
    let names = "says where codes, secrets and tokens go";
    let is_extra =
        |url: &Url| Origin::of(url).is_some_and(|it| provider.extra_origins.contains(&it));
    let of_origins = origins.iter().map(|url| {
        let gets = "the access token or API key, with each request";
        let role = match is_extra(url) {
            true => "extraOrigins",
            false => "origins",
        };
        (Some(url), role, gets)
    });
    let of_server = [
        (
            provider.resource.as_ref(),
            "resource",
            "the access token; says where codes, secrets and tokens go",
        ),
        (
            server.issuer.as_ref().filter(|_| provider.discovers),
            "issuer",
            names,
        ),
        (document, "dialect.discovery.url", names),
        (
            server.authorization_endpoint.as_ref(),
            "authorizationEndpoint",
            "the page where you sign in",
        ),
        (
            server.token_endpoint.as_ref(),
            "tokenEndpoint",
            match provider.assertion {
                Some(_) => "codes, the client secret, the assertion and refresh tokens",
                None => "codes, the client secret and refresh tokens",
            },
        ),
        (
            server.device_authorization_endpoint.as_ref(),
            "deviceAuthorizationEndpoint",
            "the client's name and secret",
        ),
        (
            server.exchange_endpoint.as_ref(),
            "exchangeEndpoint",
            "the token of the login",
        ),
        (
            server.userinfo_endpoint.as_ref(),
            "userinfoEndpoint",
            "the access token",
        ),
        (
            server.revocation_endpoint.as_ref(),
            "revocationEndpoint",
            "the tokens of a login that ends, and the client secret",
        ),
        (
            server.jwks_uri.as_ref(),
            "jwksUri",
            match server.dialect.jwks_needs_token {
                true => "the access token",
                false => "vouches for who signed in",
            },
        ),
    ];
    let back = elsewhere.map(|url| (Some(url), "redirectUri", "the code of a login"));
    let mut seen = BTreeSet::new();
    of_origins
        .chain(of_server)
        .chain(back)
        .filter_map(|(url, role, gets)| {
            let origin = url?.origin().ascii_serialization();
            Some(HostUse { origin, role, gets })
        })
        .filter(|host| seen.insert((host.role, host.origin.clone())))
        .collect()
}

fn reads(provider: &Provider, env: &dyn Env) -> Vec<SecretUse> {
    let secrets = [
        ("clientSecret", &provider.client_secret),
        ("privateKey", &provider.private_key),
        ("assertion", &provider.assertion),
    ];
    let reading = |(role, secret): (&'static str, &Option<SecretRef>)| {
        let reading = secret.as_ref()?.reading(env)?;
        Some(SecretUse {
            role,
            kind: reading.kind,
            name: reading.name,
            refusal: reading.refusal,
        })
    };
    secrets.into_iter().filter_map(reading).collect()
}
