//! What a definition by a project's file comes to: every host by what it gets, every file and variable that is read.

use std::collections::BTreeSet;

use provider_auth_oauth::{Discovery, is_loopback};
use serde::Serialize;
use url::Url;

use super::provider::Provider;
use super::secret::SecretRef;
use crate::host::Env;
use crate::login::{Method, methods};
use crate::shown::visible_text;

/// What a project's file says of one provider.
#[derive(Clone, Debug, Serialize)]
pub struct Want {
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
    /// Why it will not be read, trusted or not. No part of what is trusted, since it only ever takes away.
    #[serde(skip)]
    pub refusal: Option<String>,
}

/// Works out what a definition comes to.
pub(super) fn want(
    provider: &Provider,
    known: bool,
    sets: Vec<&'static str>,
    env: &dyn Env,
) -> Want {
    Want {
        provider: visible_text(&provider.id),
        known,
        sets,
        hosts: hosts(provider),
        reads: reads(provider, env),
        methods: methods(provider).into_iter().map(Method::as_str).collect(),
    }
}

/// Every host that gets something worth having under this definition, or says who does.
fn hosts(provider: &Provider) -> Vec<HostUse> {
    let mut hosts: Vec<HostUse> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut add = |url: Option<&Url>, role, gets| {
        let Some(url) = url else { return };
        let host = HostUse {
            origin: url.origin().ascii_serialization(),
            role,
            gets,
        };
        if seen.insert((host.role, host.origin.clone())) {
            hosts.push(host);
        }
    };
    for origin in &provider.origins {
        let url = Url::parse(origin.as_str()).ok();
        add(
            url.as_ref(),
            "origins",
            "the access token or API key, with each request",
        );
    }
    add(
        provider.resource.as_ref(),
        "resource",
        "the access token; says where codes, secrets and tokens go",
    );
    if let Some(server) = &provider.server {
        let endpoint = &mut add;
        let names = "says where codes, secrets and tokens go";
        if provider.discovers {
            endpoint(server.issuer.as_ref(), "issuer", names);
        }
        if let Discovery::Document { url, .. } = &server.dialect.discovery {
            endpoint(url.as_ref(), "dialect.discovery.url", names);
        }
        endpoint(
            server.authorization_endpoint.as_ref(),
            "authorizationEndpoint",
            "the page where you sign in",
        );
        endpoint(
            server.token_endpoint.as_ref(),
            "tokenEndpoint",
            match provider.assertion {
                Some(_) => "codes, the client secret, the assertion and refresh tokens",
                None => "codes, the client secret and refresh tokens",
            },
        );
        endpoint(
            server.device_authorization_endpoint.as_ref(),
            "deviceAuthorizationEndpoint",
            "the client's name and secret",
        );
        endpoint(
            server.exchange_endpoint.as_ref(),
            "exchangeEndpoint",
            "the token of the login",
        );
        endpoint(
            server.userinfo_endpoint.as_ref(),
            "userinfoEndpoint",
            "the access token",
        );
        endpoint(
            server.revocation_endpoint.as_ref(),
            "revocationEndpoint",
            "the tokens of a login that ends, and the client secret",
        );
        let keys = match server.dialect.jwks_needs_token {
            true => "the access token",
            false => "vouches for who signed in",
        };
        endpoint(server.jwks_uri.as_ref(), "jwksUri", keys);
    }
    let elsewhere = provider.redirect_uris().filter(|url| !is_loopback(url));
    for redirect in elsewhere {
        add(Some(redirect), "redirectUri", "the code of a login");
    }
    hosts
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
