//! Makes a provider of its descriptor and what the layers set.

use std::collections::{BTreeMap, BTreeSet};

use provider_auth_policy::{Gather as _, Rotation, Signals};
use url::Url;

use super::server::{client_auth, is_to_be_asked, redirect_uris, server};
use crate::config::error::ConfigError;
use crate::config::layer::ProviderPatch;
use crate::config::origin::Origin;
use crate::config::provider::{HeaderTemplate, Provenance, Provider};
use crate::config::unused_keys::unused_keys;
use crate::providers::{self, CredentialForm, Descriptor, KEY_HEADERS, Template};

/// Makes the provider of this id.
pub(super) fn build(
    id: &str,
    patch: ProviderPatch,
    provenance: Provenance,
) -> Result<Provider, ConfigError> {
    let base = patch
        .keys
        .extends
        .or_else(|| providers::built_in(id))
        .unwrap_or(&providers::GENERIC);
    check_resource(base, &patch)?;
    let server = server(base, &patch)?;
    let origins = origins(
        base,
        &patch,
        server.is_some() || providers::built_in(id).is_none(),
    )?;
    let models_urls = models_urls(base, &patch, &origins)?;
    let client_auth = client_auth(base, &patch)?;
    let oauth_header = header(base.oauth_header, &patch);
    let api_header = header(base.api_header, &patch);
    let strip: BTreeSet<String> = [oauth_header.name.as_str(), &api_header.name]
        .into_iter()
        .chain(KEY_HEADERS.iter().copied())
        .chain(patch.keys.strip.iter().map(String::as_str))
        .map(str::to_owned)
        .gather();
    let mut redirect_uris = redirect_uris(base, &patch).into_iter();
    let ProviderPatch {
        keys,
        places,
        shape,
        searched,
        fault,
        ..
    } = patch;
    let mut provider = Provider {
        id: id.into(),
        resource: keys.resource,
        client_id: keys.client_id,
        client_secret: keys.client_secret,
        private_key: keys.private_key,
        private_key_id: keys.private_key_id,
        client_auth,
        scopes: keys.scopes.unwrap_or_else(|| owned(base.scopes)),
        redirect_uri: redirect_uris.next(),
        fallback_redirect_uris: redirect_uris.collect(),
        assertion: keys.assertion,
        grants: keys.grants,
        discovers: keys.issuer.is_some() && server.as_ref().is_some_and(is_to_be_asked),
        oauth_extra: extra(base.oauth_extra, &keys.headers),
        api_extra: extra(base.api_extra, &keys.headers),
        strip: strip.into_iter().collect(),
        rotation: keys.rotation.over(&Rotation {
            pool_logins: base.pool_logins,
            ..Rotation::default()
        }),
        namespace: keys.namespace,
        account: keys.account,
        shape,
        signals: Signals {
            rules: (!keys.limits.0.is_empty()).then(|| keys.limits.0.into()),
            ..base.signals.clone()
        },
        bound_items: base.bound_items,
        streams: base.streams,
        key_parameters: base.key_parameters,
        models: base.models,
        models_shape: keys.models_shape,
        terms: base.terms,
        registration: base.registration,
        origin_of_definition: provenance,
        server,
        origins,
        oauth_header,
        api_header,
        models_urls,
        extra_origins: keys.extra_origins,
        searched,
        fault,
        unused_keys: Vec::new(),
    };
    provider.unused_keys = unused_keys(&places, &provider);
    Ok(provider)
}

/// An MCP server has an address; other providers have none.
fn check_resource(base: &Descriptor, patch: &ProviderPatch) -> Result<(), ConfigError> {
    let is_mcp = base.id == providers::MCP.id;
    match patch.places.get("resource") {
        Some(place) if !is_mcp => Err(place.fault(
            "the address of an MCP server is of use to a provider with \"extends\": \"mcp\" only",
        )),
        None if is_mcp && patch.keys.resource.is_none() => Err(patch
            .place
            .missing("resource")
            .fault("add the address of the MCP server, such as \"https://mcp.example.com/mcp\"")),
        _ => Ok(()),
    }
}

fn origins(
    base: &Descriptor,
    patch: &ProviderPatch,
    required: bool,
) -> Result<Vec<Origin>, ConfigError> {
    let mut origins: Vec<Origin> = match &patch.keys.origins {
        Some(origins) => origins.clone(),
        None => base
            .origins
            .iter()
            .filter_map(|origin| Origin::parse(origin).ok())
            .chain(patch.keys.resource.as_ref().and_then(Origin::of))
            .collect(),
    };
    // Behind the others: what the provider does at its first origin it does there.
    for extra in &patch.keys.extra_origins {
        if !origins.contains(extra) {
            origins.push(extra.clone());
        }
    }
    if origins.is_empty() && required {
        return Err(patch.place.missing("origins").fault(
            "add the origins that may receive the credentials, such as [\"https://api.example.com\"]: a credential never goes to a \
             host that the configuration does not name",
        ));
    }
    Ok(origins)
}

/// The list of models lies where the descriptor has it, on the first origin. It is fetched with a
/// credential, so it must lie on one of the origins.
fn models_urls(
    base: &Descriptor,
    patch: &ProviderPatch,
    origins: &[Origin],
) -> Result<Vec<Url>, ConfigError> {
    let Some(url) = &patch.keys.models_url else {
        let first = origins
            .first()
            .and_then(|origin| Url::parse(origin.as_str()).ok());
        let on_first = |path: &&str| first.as_ref()?.join(path).ok();
        return Ok(base.models.paths.iter().filter_map(on_first).collect());
    };
    if Origin::of(url).is_some_and(|origin| origins.contains(&origin)) {
        return Ok(vec![url.clone()]);
    }
    let place = patch.place_of("modelsUrl");
    Err(place.fault("the list of models is fetched with a credential, so it must lie on one of the provider's origins"))
}

/// A header of one's own starts from the scheme `Bearer`, as documented, whatever the descriptor's
/// header had.
fn header(base: Template, patch: &ProviderPatch) -> HeaderTemplate {
    let (name, scheme) = match &patch.keys.header {
        Some(name) => (name.as_str(), "Bearer"),
        None => (base.name, base.scheme),
    };
    let form = match (&patch.keys.header, &patch.keys.scheme) {
        (None, None) => base.form,
        _ => CredentialForm::Plain,
    };
    HeaderTemplate {
        name: name.to_owned(),
        scheme: patch.keys.scheme.as_deref().unwrap_or(scheme).to_owned(),
        form,
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// The descriptor's further headers and those of the user, who has the last word.
fn extra(base: &[(&str, &str)], user: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let base = base
        .iter()
        .filter(|(name, _)| !user.contains_key(*name))
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let user = user
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()));
    base.chain(user).collect()
}
