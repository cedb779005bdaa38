//! Lays the layers of configuration over the built-in providers; later layers win.
//!
//! Here stands the rule that a repository one has cloned is not the user: its file chooses among the accounts of known
//! providers. What else it says is a definition of its own, which counts once a person has trusted the file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use provider_auth_oauth::{ClientAuth, Discovery, IdTokenCheck, Server};
use provider_auth_policy::{Rotation, Signals};
use url::Url;

use super::dialect;
use super::error::ConfigError;
use super::idle::Said;
use super::oci::{self, OciFile};
use super::origin::{Origin, safe_url};
use super::provider::{HeaderTemplate, Provenance, Provider};
use super::schema::{Layer, ProviderPatch, RotationPatch};
use crate::printable::visible;
use crate::providers::{self, CredentialForm, Descriptor, KEY_HEADERS, Template};

/// What the layers make without anything that needs trust.
pub(super) struct Own {
    pub(super) providers: BTreeMap<String, Arc<Provider>>,
    pub(super) selections: Selections,
}

/// How the accounts of providers are chosen that no configuration defines: their accounts may.
#[derive(Clone, Default)]
pub struct Selections(BTreeMap<String, Vec<ProviderPatch>>);

impl Selections {
    /// The providers that are named.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl fmt::Debug for Selections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The providers that the user's own layers define.
pub(super) fn users(layers: &[Layer]) -> BTreeSet<&str> {
    layers
        .iter()
        .filter(|layer| !is_project(layer))
        .flat_map(|layer| &layer.providers)
        // Which accounts serve may be said of any, also of one that only its accounts define.
        .filter(|(_, patch)| patch.defines() || patch.keys.is_empty())
        .map(|(id, _)| id.as_str())
        .collect()
}

/// Makes the providers of these layers, first the weakest. `oci` lies below them all. Of a project's layer only what chooses
/// among accounts is taken.
pub(super) fn merge(layers: &[Layer], oci: &OciFile) -> Result<Own, ConfigError> {
    let users = users(layers);
    let mut merged: BTreeMap<String, Merged> = providers::BUILT_IN
        .iter()
        .map(|descriptor| (descriptor.id.to_owned(), Merged::default()))
        .collect();
    merged
        .entry(oci::PROVIDER.to_owned())
        .or_default()
        .lay_oci(oci);
    let mut selections = Selections::default();
    for layer in layers {
        for (id, patch) in &layer.providers {
            let patch = match is_project(layer) {
                true => patch.selection(),
                false => patch.clone(),
            };
            if users.contains(id.as_str()) || providers::built_in(id).is_some() {
                merged
                    .entry(id.clone())
                    .or_default()
                    .lay(patch, &layer.provenance);
            } else if !patch.keys.is_empty() {
                selections.0.entry(id.clone()).or_default().push(patch);
            }
        }
    }
    let providers = merged
        .into_iter()
        .map(|(id, merged)| Ok((id.clone(), Arc::new(merged.provider(&id)?))));
    Ok(Own {
        providers: providers.collect::<Result<_, ConfigError>>()?,
        selections,
    })
}

/// Makes the provider that all layers define together, the project's file `file` with all that it says.
pub(super) fn definition(
    id: &str,
    layers: &[Layer],
    oci: &OciFile,
    file: &Path,
) -> Result<Provider, ConfigError> {
    let mut merged = Merged::default();
    if id == oci::PROVIDER {
        merged.lay_oci(oci);
    }
    for layer in layers {
        if let Some(patch) = layer.providers.get(id) {
            merged.lay(patch.clone(), &layer.provenance);
        }
    }
    merged.of_project(id, file)
}

/// Makes the provider of a project's `oci-auth.config.jsonc`, in which the layers choose among accounts.
pub(super) fn oci_definition(
    patch: &ProviderPatch,
    layers: &[Layer],
    file: &Path,
) -> Result<Provider, ConfigError> {
    let mut merged = Merged::default();
    merged.lay(patch.clone(), &Provenance::Project(file.to_owned()));
    for layer in layers {
        if let Some(patch) = layer.providers.get(oci::PROVIDER) {
            merged.lay(patch.selection(), &layer.provenance);
        }
    }
    merged.of_project(oci::PROVIDER, file)
}

pub(super) fn is_project(layer: &Layer) -> bool {
    matches!(layer.provenance, Provenance::Project(_))
}

/// All that the layers say about one provider.
struct Merged {
    patch: ProviderPatch,
    provenance: Provenance,
    searched: Vec<PathBuf>,
    fault: Option<ConfigError>,
}

impl Default for Merged {
    fn default() -> Self {
        Self {
            patch: ProviderPatch::default(),
            provenance: Provenance::BuiltIn,
            searched: Vec::new(),
            fault: None,
        }
    }
}

impl Merged {
    /// Lays what an `oci-auth.config.jsonc` says.
    fn lay_oci(&mut self, file: &OciFile) {
        self.searched = file.searched.clone();
        let Some(found) = &file.found else { return };
        match &found.provider {
            Ok(patch) => self.lay(patch.clone(), &found.provenance),
            Err(fault) => {
                let mut fault = fault.clone();
                let searched: Vec<String> =
                    self.searched.iter().map(|path| visible(path)).collect();
                fault
                    .why
                    .push_str(&format!(". Searched: {}", searched.join(", ")));
                self.fault = Some(fault);
            }
        }
    }

    fn lay(&mut self, later: ProviderPatch, provenance: &Provenance) {
        if later.defines() {
            self.provenance = provenance.clone();
        }
        let patch = &mut self.patch;
        patch.place = later.place;
        patch.keys.extend(later.keys);
        patch.parts.extend(later.parts);
        for (step, params) in later.params {
            patch.params.entry(step).or_default().extend(params);
        }
        take(&mut patch.extends, later.extends);
        take(&mut patch.resource, later.resource);
        take(&mut patch.issuer, later.issuer);
        take(
            &mut patch.authorization_endpoint,
            later.authorization_endpoint,
        );
        take(&mut patch.token_endpoint, later.token_endpoint);
        take(
            &mut patch.device_authorization_endpoint,
            later.device_authorization_endpoint,
        );
        take(&mut patch.revocation_endpoint, later.revocation_endpoint);
        take(&mut patch.userinfo_endpoint, later.userinfo_endpoint);
        take(&mut patch.exchange_endpoint, later.exchange_endpoint);
        take(&mut patch.jwks_uri, later.jwks_uri);
        take(&mut patch.assertion, later.assertion);
        take(&mut patch.client_id, later.client_id);
        take(&mut patch.client_secret, later.client_secret);
        take(&mut patch.private_key, later.private_key);
        take(&mut patch.private_key_id, later.private_key_id);
        take(&mut patch.client_auth, later.client_auth);
        take(&mut patch.grants, later.grants);
        take(&mut patch.scopes, later.scopes);
        patch.dialect.extend(later.dialect);
        patch.strip.extend(later.strip);
        // Before those of earlier layers, since the first rule that fits decides.
        patch.limits.splice(0..0, later.limits);
        take(&mut patch.redirect_uri, later.redirect_uri);
        take(
            &mut patch.fallback_redirect_uris,
            later.fallback_redirect_uris,
        );
        // A list of models that the new origins leave behind is not theirs.
        let stays = |url: &Url, origins: &Vec<Origin>| {
            Origin::of(url).is_some_and(|origin| origins.contains(&origin))
        };
        let extra = &patch.extra_origins;
        patch.models_url = patch.models_url.take().filter(|url| {
            stays(url, extra)
                || later
                    .origins
                    .as_ref()
                    .is_none_or(|origins| stays(url, origins))
        });
        take(&mut patch.origins, later.origins);
        patch.extra_origins.extend(later.extra_origins);
        take(&mut patch.header, later.header);
        take(&mut patch.scheme, later.scheme);
        patch.headers.extend(later.headers);
        take(&mut patch.models_url, later.models_url);
        take(&mut patch.models_shape, later.models_shape);
        take(&mut patch.shape, later.shape);
        // The pin of an earlier layer is of that layer's pool.
        if later.namespace.is_some() {
            patch.account = None;
        }
        take(&mut patch.namespace, later.namespace);
        take(&mut patch.account, later.account);
        let rotation = &mut patch.rotation;
        take(&mut rotation.mode, later.rotation.mode);
        take(&mut rotation.strategy, later.rotation.strategy);
        take(&mut rotation.rotate, later.rotation.rotate);
        take(&mut rotation.max_attempts, later.rotation.max_attempts);
        take(&mut rotation.max_wait, later.rotation.max_wait);
        take(
            &mut rotation.hold_until_reset,
            later.rotation.hold_until_reset,
        );
    }

    /// The provider as a project's file has a part in defining it.
    fn of_project(mut self, id: &str, file: &Path) -> Result<Provider, ConfigError> {
        self.provenance = Provenance::Project(file.to_owned());
        self.provider(id)
    }

    fn provider(self, id: &str) -> Result<Provider, ConfigError> {
        let Self {
            patch,
            provenance,
            searched,
            fault,
        } = self;
        let base = patch
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
        let strip: BTreeSet<&str> = [oauth_header.name.as_str(), &api_header.name]
            .into_iter()
            .chain(KEY_HEADERS.iter().copied())
            .chain(patch.strip.iter().map(String::as_str))
            .collect();
        let mut redirect_uris = redirect_uris(base, &patch).into_iter();
        let said = Said::of(&patch);
        let mut provider = Provider {
            id: id.into(),
            resource: patch.resource,
            client_id: patch.client_id,
            client_secret: patch.client_secret,
            private_key: patch.private_key,
            private_key_id: patch.private_key_id,
            client_auth,
            scopes: patch.scopes.unwrap_or_else(|| owned(base.scopes)),
            redirect_uri: redirect_uris.next(),
            fallback_redirect_uris: redirect_uris.collect(),
            assertion: patch.assertion,
            grants: patch.grants,
            discovers: patch.issuer.is_some() && server.as_ref().is_some_and(is_to_be_asked),
            oauth_extra: extra(base.oauth_extra, &patch.headers),
            api_extra: extra(base.api_extra, &patch.headers),
            strip: strip.into_iter().map(str::to_owned).collect(),
            rotation: rotation(base, &patch.rotation),
            namespace: patch.namespace,
            account: patch.account,
            shape: patch.shape,
            signals: Signals {
                rules: (!patch.limits.is_empty()).then(|| patch.limits.into()),
                ..base.signals.clone()
            },
            bound_items: base.bound_items,
            streams: base.streams,
            key_parameters: base.key_parameters,
            models: base.models,
            models_shape: patch.models_shape,
            terms: base.terms,
            origin_of_definition: provenance,
            server,
            origins,
            oauth_header,
            api_header,
            models_urls,
            extra_origins: patch.extra_origins,
            searched,
            fault,
            idle: Vec::new(),
        };
        provider.idle = said.idle(&provider);
        Ok(provider)
    }
}

impl Provider {
    /// A provider of which no more is known than where the credentials of its accounts may go; `None` if nowhere.
    pub(crate) fn of_accounts(
        id: &str,
        origins: BTreeSet<Origin>,
        selections: &Selections,
    ) -> Option<Self> {
        let mut merged = Merged {
            patch: ProviderPatch {
                extends: Some(&providers::GENERIC),
                origins: Some(origins.into_iter().collect()),
                ..ProviderPatch::default()
            },
            ..Merged::default()
        };
        for patch in selections.0.get(id).into_iter().flatten() {
            merged.lay(patch.clone(), &Provenance::BuiltIn);
        }
        Some(Self {
            server: Some(Server::default()),
            models_urls: Vec::new(),
            ..merged.provider(id).ok()?
        })
    }
}

impl Provider {
    /// An MCP server that no configuration knows, by its address alone.
    pub(crate) fn of_mcp_server(id: &str, resource: Url) -> Result<Self, ConfigError> {
        let merged = Merged {
            patch: ProviderPatch {
                extends: Some(&providers::MCP),
                resource: Some(resource),
                ..ProviderPatch::default()
            },
            ..Merged::default()
        };
        merged.provider(id)
    }
}

/// Overwrites what an earlier layer says, if the later one says anything.
fn take<T>(earlier: &mut Option<T>, later: Option<T>) {
    if later.is_some() {
        *earlier = later;
    }
}

/// An MCP server has an address, and nothing else has.
fn check_resource(base: &Descriptor, patch: &ProviderPatch) -> Result<(), ConfigError> {
    let is_mcp = base.id == providers::MCP.id;
    match patch.keys.get("resource") {
        Some(place) if !is_mcp => Err(place.fault(
            "the address of an MCP server is of use to a provider with \"extends\": \"mcp\" only",
        )),
        None if is_mcp && patch.resource.is_none() => Err(patch
            .place
            .missing("resource")
            .fault("add the address of the MCP server, such as \"https://mcp.example.com/mcp\"")),
        _ => Ok(()),
    }
}

/// The authorization server, where the descriptor or the user names one; that of an MCP server is known at login.
///
/// An issuer of one's own is another server: of the descriptor's endpoints only those are mixed in that are paths on it.
fn server(base: &Descriptor, patch: &ProviderPatch) -> Result<Option<Server>, ConfigError> {
    let endpoints = base.endpoints;
    let built_in = |text: Option<&str>| {
        let text = text?;
        match (&patch.issuer, text.starts_with('/')) {
            (Some(issuer), true) => issuer.join(text).ok(),
            (None, false) => safe_url(text).ok(),
            _ => None,
        }
    };
    let mut dialect = (base.dialect)();
    for setting in &patch.dialect {
        setting.clone().apply(&mut dialect);
    }
    for (step, params) in &patch.params {
        let (to, left_out) = match *step {
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
    let server = Server {
        issuer: patch.issuer.clone().or_else(|| built_in(endpoints.issuer)),
        authorization_endpoint: patch
            .authorization_endpoint
            .clone()
            .or_else(|| built_in(endpoints.authorization)),
        token_endpoint: patch
            .token_endpoint
            .clone()
            .or_else(|| built_in(endpoints.token)),
        device_authorization_endpoint: patch
            .device_authorization_endpoint
            .clone()
            .or_else(|| built_in(endpoints.device)),
        revocation_endpoint: patch
            .revocation_endpoint
            .clone()
            .or_else(|| built_in(endpoints.revocation)),
        userinfo_endpoint: patch
            .userinfo_endpoint
            .clone()
            .or_else(|| built_in(endpoints.userinfo)),
        exchange_endpoint: patch
            .exchange_endpoint
            .clone()
            .or_else(|| built_in(endpoints.exchange)),
        jwks_uri: patch.jwks_uri.clone().or_else(|| built_in(endpoints.jwks)),
        dialect,
        ..Server::default()
    };
    let is_found = patch.issuer.is_some() && server.dialect.discovery != Discovery::Never;
    if is_found || server.token_endpoint.is_some() || patch.resource.is_some() {
        return Ok(Some(server));
    }
    match patch.keys.iter().find(|(key, _)| key.ends_with("Endpoint")) {
        Some((key, place)) => Err(place.fault(format!(
            "{key} is of no use alone; add tokenEndpoint, or the issuer"
        ))),
        None => Ok(None),
    }
}

fn origins(
    base: &Descriptor,
    patch: &ProviderPatch,
    required: bool,
) -> Result<Vec<Origin>, ConfigError> {
    let mut origins: Vec<Origin> = match &patch.origins {
        Some(origins) => origins.clone(),
        None => base
            .origins
            .iter()
            .filter_map(|origin| Origin::parse(origin).ok())
            .chain(patch.resource.as_ref().and_then(Origin::of))
            .collect(),
    };
    // Behind the others: what the provider does at its first origin it does there.
    for extra in &patch.extra_origins {
        if !origins.contains(extra) {
            origins.push(extra.clone());
        }
    }
    if origins.is_empty() && required {
        return Err(patch.place.missing("origins").fault(
            "add the origins that may receive the credentials, such as [\"https://api.example.com\"]: a credential never goes to a \
             host that nobody named",
        ));
    }
    Ok(origins)
}

/// Those of the user, else the descriptor's: its own port first, and any other where that one is busy.
fn redirect_uris(base: &Descriptor, patch: &ProviderPatch) -> Vec<Url> {
    let fallbacks = patch.fallback_redirect_uris.iter().flatten().cloned();
    let users: Vec<Url> = patch
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

/// The list of models lies where the descriptor has it, on the first origin. It is fetched with a credential, so it
/// must lie on one of the origins.
fn models_urls(
    base: &Descriptor,
    patch: &ProviderPatch,
    origins: &[Origin],
) -> Result<Vec<Url>, ConfigError> {
    let Some(url) = &patch.models_url else {
        let first = origins
            .first()
            .and_then(|origin| Url::parse(origin.as_str()).ok());
        let on_first = |path: &&str| first.as_ref()?.join(path).ok();
        return Ok(base.models.paths.iter().filter_map(on_first).collect());
    };
    if Origin::of(url).is_some_and(|origin| origins.contains(&origin)) {
        return Ok(vec![url.clone()]);
    }
    let place = patch.keys.get("modelsUrl").unwrap_or(&patch.place);
    Err(place.fault("the list of models is fetched with a credential, so it must lie on one of the provider's origins"))
}

fn client_auth(base: &Descriptor, patch: &ProviderPatch) -> Result<ClientAuth, ConfigError> {
    let has_secret = patch.client_secret.is_some();
    match patch.client_auth {
        Some(auth @ (ClientAuth::Basic | ClientAuth::Post)) if !has_secret => {
            let place = patch.keys.get("clientAuth").unwrap_or(&patch.place);
            let name = if auth == ClientAuth::Basic {
                "basic"
            } else {
                "post"
            };
            Err(place.fault(format!(
                "{name} needs a clientSecret; add one, or set none for a public client"
            )))
        }
        Some(ClientAuth::PrivateKeyJwt) if patch.private_key.is_none() => {
            let place = patch.keys.get("clientAuth").unwrap_or(&patch.place);
            Err(place.fault("private_key_jwt needs a privateKey; add one"))
        }
        Some(auth) => Ok(auth),
        None if patch.private_key.is_some() => Ok(ClientAuth::PrivateKeyJwt),
        None if has_secret => Ok(base.client_auth),
        None => Ok(ClientAuth::None),
    }
}

/// A header of one's own starts from the scheme `Bearer`, as documented, whatever the descriptor's header had.
fn header(base: Template, patch: &ProviderPatch) -> HeaderTemplate {
    let (name, scheme) = match &patch.header {
        Some(name) => (name.as_str(), "Bearer"),
        None => (base.name, base.scheme),
    };
    let form = match (&patch.header, &patch.scheme) {
        (None, None) => base.form,
        _ => CredentialForm::Plain,
    };
    HeaderTemplate {
        name: name.to_owned(),
        scheme: patch.scheme.as_deref().unwrap_or(scheme).to_owned(),
        form,
    }
}

fn rotation(base: &Descriptor, patch: &RotationPatch) -> Rotation {
    let default = Rotation {
        pool_logins: base.pool_logins,
        ..Rotation::default()
    };
    Rotation {
        mode: patch.mode.unwrap_or(default.mode),
        strategy: patch.strategy.unwrap_or(default.strategy),
        rotate: patch.rotate.unwrap_or(default.rotate),
        // Who says that the pool rotates means its logins too.
        pool_logins: patch.rotate.unwrap_or(default.pool_logins),
        max_attempts: patch.max_attempts.or(default.max_attempts),
        max_wait: patch.max_wait.unwrap_or(default.max_wait),
        hold_until_reset: patch.hold_until_reset.unwrap_or(default.hold_until_reset),
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

/// Whether discovery is wanted and could add something to it.
fn is_to_be_asked(server: &Server) -> bool {
    let needs_keys = server.dialect.id_token == IdTokenCheck::Signature;
    let is_complete = server.authorization_endpoint.is_some()
        && server.token_endpoint.is_some()
        && server.device_authorization_endpoint.is_some()
        && server.revocation_endpoint.is_some()
        && server.userinfo_endpoint.is_some()
        && (server.jwks_uri.is_some() || !needs_keys);
    server.dialect.discovery != Discovery::Never && !is_complete
}
