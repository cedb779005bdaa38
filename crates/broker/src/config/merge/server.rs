//! The authorization server of a provider, and how a client speaks to it.

use std::collections::BTreeMap;

use provider_auth_oauth::{ClientAuth, Discovery, IdTokenCheck, Server};
use url::Url;

use crate::config::dialect;
use crate::config::error::ConfigError;
use crate::config::layer::ProviderPatch;
use crate::config::origin::safe_url;
use crate::providers::Descriptor;

/// The authorization server, where the descriptor or the user names one; that of an MCP server is
/// known at login.
///
/// An issuer of one's own is another server: of the descriptor's endpoints only those are mixed in
/// that are paths on it.
pub(super) fn server(
    base: &Descriptor,
    patch: &ProviderPatch,
) -> Result<Option<Server>, ConfigError> {
    let (keys, endpoints) = (&patch.keys, base.endpoints);
    let built_in = |text: Option<&str>| {
        let text = text?;
        match (&keys.issuer, text.starts_with('/')) {
            (Some(issuer), true) => issuer.join(text).ok(),
            (None, false) => safe_url(text).ok(),
            _ => None,
        }
    };
    let mut dialect = (base.dialect)();
    keys.dialect.clone().apply(&mut dialect);
    let mut params: BTreeMap<&str, BTreeMap<&String, &Option<String>>> = BTreeMap::new();
    for (step, of_layer) in &keys.params {
        params.entry(step).or_default().extend(of_layer);
    }
    for (step, params) in params {
        let (to, left_out) = match step {
            "authorize" => (&mut dialect.authorize, &mut dialect.authorize_left_out),
            step => {
                let step = dialect::step(&mut dialect, step);
                (&mut step.params, &mut step.left_out)
            }
        };
        to.retain(|(name, _)| !params.contains_key(name));
        for (name, value) in params {
            match value {
                Some(value) => to.push((name.clone(), value.clone())),
                None => left_out.push(name.clone()),
            }
        }
    }
    let either = |set: &Option<Url>, text| set.clone().or_else(|| built_in(text));
    let server = Server {
        issuer: either(&keys.issuer, endpoints.issuer),
        authorization_endpoint: either(&keys.authorization_endpoint, endpoints.authorization),
        token_endpoint: either(&keys.token_endpoint, endpoints.token),
        device_authorization_endpoint: either(
            &keys.device_authorization_endpoint,
            endpoints.device,
        ),
        revocation_endpoint: either(&keys.revocation_endpoint, endpoints.revocation),
        userinfo_endpoint: either(&keys.userinfo_endpoint, endpoints.userinfo),
        exchange_endpoint: either(&keys.exchange_endpoint, endpoints.exchange),
        jwks_uri: either(&keys.jwks_uri, endpoints.jwks),
        dialect,
        ..Server::default()
    };
    let is_found = keys.issuer.is_some() && server.dialect.discovery != Discovery::Never;
    if is_found || server.token_endpoint.is_some() || keys.resource.is_some() {
        return Ok(Some(server));
    }
    let is_endpoint = |key: &str| key.ends_with("Endpoint") && !key.contains('.');
    match patch.places.iter().find(|(key, _)| is_endpoint(key)) {
        Some((key, place)) => Err(place.fault(format!(
            "{key} is of no use alone; add tokenEndpoint, or the issuer"
        ))),
        None => Ok(None),
    }
}

/// Those of the user, else the descriptor's: its own port first, and any other where that one is
/// busy.
pub(super) fn redirect_uris(base: &Descriptor, patch: &ProviderPatch) -> Vec<Url> {
    let fallbacks = patch.keys.fallback_redirect_uris.iter().flatten().cloned();
    let users: Vec<Url> = patch
        .keys
        .redirect_uri
        .iter()
        .cloned()
        .chain(fallbacks)
        .collect();
    let wished = base.callback.and_then(|url| safe_url(url).ok());
    match wished {
        Some(wished) if users.is_empty() => {
            let mut anywhere = wished.clone();
            anywhere
                .set_port(None)
                .expect("a URL with a host takes a port");
            vec![wished, anywhere]
        }
        _ => users,
    }
}

pub(super) fn client_auth(
    base: &Descriptor,
    patch: &ProviderPatch,
) -> Result<ClientAuth, ConfigError> {
    let has_secret = patch.keys.client_secret.is_some();
    match patch.keys.client_auth {
        Some(auth @ (ClientAuth::Basic | ClientAuth::Post)) if !has_secret => {
            let place = patch.place_of("clientAuth");
            let name = if auth == ClientAuth::Basic {
                "basic"
            } else {
                "post"
            };
            Err(place.fault(format!(
                "{name} needs a clientSecret; add one, or set none for a public client"
            )))
        }
        Some(ClientAuth::PrivateKeyJwt) if patch.keys.private_key.is_none() => {
            let place = patch.place_of("clientAuth");
            Err(place.fault("private_key_jwt needs a privateKey; add one"))
        }
        Some(auth) => Ok(auth),
        None if patch.keys.private_key.is_some() => Ok(ClientAuth::PrivateKeyJwt),
        None if has_secret => Ok(base.client_auth),
        None => Ok(ClientAuth::None),
    }
}

/// Whether discovery is wanted and could add something to it.
pub(super) fn is_to_be_asked(server: &Server) -> bool {
    let needs_keys = server.dialect.id_token == IdTokenCheck::Signature;
    let is_complete = server.authorization_endpoint.is_some()
        && server.token_endpoint.is_some()
        && server.device_authorization_endpoint.is_some()
        && server.revocation_endpoint.is_some()
        && server.userinfo_endpoint.is_some()
        && (server.jwks_uri.is_some() || !needs_keys);
    server.dialect.discovery != Discovery::Never && !is_complete
}
