//! What a provider's keys come to where no file sets them.

use serde_json::{Value, json};
use url::Url;

use super::settings::name_of;
use crate::config::origin::Origin;
use crate::config::provider::{DEFAULT_NAMESPACE, Provider};
use crate::config::provider_keys::{CLIENT_AUTH, GRANTS, MODES, STRATEGIES};

/// Those of a provider's keys that have a value, as it is in effect, by name. None of them holds a
/// secret.
pub(super) fn in_effect(provider: &Provider) -> Vec<(&'static str, Value)> {
    let rotation = &provider.rotation;
    let server = provider.server.as_ref();
    let url = |of: fn(&provider_auth_oauth::Server) -> &Option<Url>| {
        server.and_then(|server| of(server).as_ref()).map(shown_url)
    };
    let list = |texts: Vec<Value>| (!texts.is_empty()).then_some(Value::Array(texts));
    let own = provider.origins.iter();
    let own = own.filter(|origin| !provider.extra_origins.contains(origin));
    let (login, key) = (&provider.oauth_header, &provider.api_header);
    let both = |login: &str, key: &str| match login == key {
        true => json!(login),
        false => json!({ "login": login, "apiKey": key }),
    };
    let grants = provider.grants.iter().flatten();
    let rows = [
        ("resource", provider.resource.as_ref().map(shown_url)),
        ("issuer", url(|server| &server.issuer)),
        (
            "authorizationEndpoint",
            url(|server| &server.authorization_endpoint),
        ),
        ("tokenEndpoint", url(|server| &server.token_endpoint)),
        (
            "deviceAuthorizationEndpoint",
            url(|server| &server.device_authorization_endpoint),
        ),
        (
            "revocationEndpoint",
            url(|server| &server.revocation_endpoint),
        ),
        ("userinfoEndpoint", url(|server| &server.userinfo_endpoint)),
        ("exchangeEndpoint", url(|server| &server.exchange_endpoint)),
        ("jwksUri", url(|server| &server.jwks_uri)),
        ("clientId", provider.client_id.as_ref().map(|id| json!(id))),
        (
            "clientAuth",
            server.map(|_| json!(name_of(CLIENT_AUTH, provider.client_auth))),
        ),
        (
            "grants",
            list(grants.map(|grant| json!(name_of(GRANTS, *grant))).collect()),
        ),
        (
            "scopes",
            list(provider.scopes.iter().map(|scope| json!(scope)).collect()),
        ),
        ("redirectUri", provider.redirect_uri.as_ref().map(shown_url)),
        (
            "fallbackRedirectUris",
            list(
                provider
                    .fallback_redirect_uris
                    .iter()
                    .map(shown_url)
                    .collect(),
            ),
        ),
        (
            "origins",
            list(own.map(|origin| json!(Origin::as_str(origin))).collect()),
        ),
        ("header", Some(both(&login.name, &key.name))),
        ("scheme", Some(both(&login.scheme, &key.scheme))),
        ("modelsUrl", provider.models_urls.first().map(shown_url)),
        (
            "namespace",
            Some(json!(
                provider.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE)
            )),
        ),
        ("rotation.mode", Some(json!(name_of(MODES, rotation.mode)))),
        (
            "rotation.strategy",
            Some(json!(name_of(STRATEGIES, rotation.strategy))),
        ),
        (
            "rotation.rotate",
            Some(match rotation.rotate && !rotation.pool_logins {
                true => json!("API keys only"),
                false => json!(rotation.rotate),
            }),
        ),
        (
            "rotation.maxAttempts",
            rotation.max_attempts.map(|most| json!(most)),
        ),
        (
            "rotation.maxWaitMs",
            u64::try_from(rotation.max_wait.as_millis())
                .ok()
                .map(Value::from),
        ),
        (
            "rotation.holdUntilReset",
            Some(json!(rotation.hold_until_reset)),
        ),
    ];
    rows.into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
}

fn shown_url(url: &Url) -> Value {
    json!(shown_text(url.as_str()))
}

/// A text as it is, but a URL without its query, which may hold a secret.
pub(super) fn shown_text(text: &str) -> String {
    match text.find(['?', '#']) {
        Some(end) if text[..end].contains("://") => format!("{}?…", &text[..end]),
        _ => text.to_owned(),
    }
}
