//! The shape of the configuration: reads a tree into typed values, key by key.
//!
//! What is read here is one layer, a file or an inline value, with every key optional. What the layers make together
//! is decided in `merge`.

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderName;
use provider_auth_oauth::ClientAuth;
use provider_auth_policy::{Mode, Strategy};
use url::Url;

use super::error::{ConfigError, Place};
use super::limits::{LONGEST_WAIT, MOST_ATTEMPTS};
use super::nearest::nearest;
use super::origin::{Origin, mcp_server, safe_url};
use super::provider::Provenance;
use super::secret::{SecretRef, SecretSource, is_reference};
use super::tree::{Content, Entry, Node};
use crate::providers::{self, Descriptor};

/// What one file or inline value says about providers.
pub(super) struct Layer {
    pub(super) provenance: Provenance,
    pub(super) providers: BTreeMap<String, ProviderPatch>,
}

/// What a layer says about one provider.
#[derive(Default)]
pub(super) struct ProviderPatch {
    pub(super) place: Place,
    /// Where each key that is set stands.
    pub(super) keys: BTreeMap<&'static str, Place>,
    pub(super) extends: Option<&'static Descriptor>,
    pub(super) resource: Option<Url>,
    pub(super) issuer: Option<Url>,
    pub(super) authorization_endpoint: Option<Url>,
    pub(super) token_endpoint: Option<Url>,
    pub(super) device_authorization_endpoint: Option<Url>,
    pub(super) revocation_endpoint: Option<Url>,
    pub(super) userinfo_endpoint: Option<Url>,
    pub(super) exchange_endpoint: Option<Url>,
    pub(super) jwks_uri: Option<Url>,
    pub(super) assertion: Option<SecretRef>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<SecretRef>,
    pub(super) client_auth: Option<ClientAuth>,
    pub(super) scopes: Option<Vec<String>>,
    pub(super) params: BTreeMap<&'static str, BTreeMap<String, String>>,
    pub(super) redirect_uri: Option<Url>,
    pub(super) fallback_redirect_uris: Option<Vec<Url>>,
    pub(super) origins: Option<Vec<Origin>>,
    pub(super) header: Option<String>,
    pub(super) scheme: Option<String>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) models_url: Option<Url>,
    pub(super) rotation: RotationPatch,
}

/// What a layer says about rotation.
#[derive(Default)]
pub(super) struct RotationPatch {
    pub(super) mode: Option<Mode>,
    pub(super) strategy: Option<Strategy>,
    pub(super) rotate: Option<bool>,
    pub(super) max_attempts: Option<u32>,
    pub(super) max_wait: Option<Duration>,
    pub(super) hold_until_reset: Option<bool>,
}

/// The key under which each provider keeps how it rotates.
pub(super) const ROTATION: &str = "rotation";

const ROOT_KEYS: &[&str] = &["providers", "$schema"];
const PROVIDER_KEYS: &[&str] = &[
    "extends",
    "resource",
    "issuer",
    "authorizationEndpoint",
    "tokenEndpoint",
    "deviceAuthorizationEndpoint",
    "revocationEndpoint",
    "userinfoEndpoint",
    "exchangeEndpoint",
    "jwksUri",
    "assertion",
    "clientId",
    "clientSecret",
    "clientAuth",
    "scopes",
    "params",
    "redirectUri",
    "fallbackRedirectUris",
    "origins",
    "header",
    "scheme",
    "headers",
    "modelsUrl",
    ROTATION,
];
const ROTATION_KEYS: &[&str] = &[
    "mode",
    "strategy",
    "rotate",
    "maxAttempts",
    "maxWaitMs",
    "holdUntilReset",
];
const STEPS: &[&str] = &["authorize", "device", "token", "refresh", "assertion"];

/// Parameters that the flow itself sets, and whose meaning for its safety a config must not change.
const RESERVED_PARAMS: &[&str] = &[
    "assertion",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "device_code",
    "grant_type",
    "nonce",
    "redirect_uri",
    "refresh_token",
    "scope",
    "state",
];

/// Headers that no credential can stand in, since the connection itself needs them.
const RESERVED_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Reads one layer. An unknown key is a warning: it may belong to a newer version.
pub(super) fn read(
    root: &Node,
    provenance: Provenance,
    warnings: &mut Vec<String>,
) -> Result<Layer, ConfigError> {
    let mut patches = BTreeMap::new();
    for (key, entry) in known(root, ROOT_KEYS, warnings)? {
        if key == "providers" {
            for entry in entry.node.object()? {
                patches.insert(
                    provider_id(entry)?,
                    provider(&entry.node, &provenance, warnings)?,
                );
            }
        }
    }
    Ok(Layer {
        provenance,
        providers: patches,
    })
}

fn provider_id(entry: &Entry) -> Result<String, ConfigError> {
    let id = &entry.key;
    if let Some(base) = providers::BASES.iter().find(|base| base.id == id) {
        let base = base.id;
        return Err(entry.place.fault(format!(
            "{base} is what other providers extend; give yours an id of its own"
        )));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if id.is_empty() || id.len() > 64 || !id.chars().all(fits) {
        return Err(entry
            .place
            .fault("a provider id has 1 to 64 letters, digits, dashes, underscores and dots"));
    }
    Ok(id.clone())
}

fn provider(
    node: &Node,
    from: &Provenance,
    warnings: &mut Vec<String>,
) -> Result<ProviderPatch, ConfigError> {
    let mut patch = ProviderPatch {
        place: node.place.clone(),
        ..ProviderPatch::default()
    };
    for (key, Entry { node, .. }) in known(node, PROVIDER_KEYS, warnings)? {
        match key {
            "extends" => patch.extends = Some(base(node)?),
            "resource" => patch.resource = Some(resource(node)?),
            "issuer" => patch.issuer = Some(issuer(node)?),
            "authorizationEndpoint" => patch.authorization_endpoint = Some(endpoint(node)?),
            "tokenEndpoint" => patch.token_endpoint = Some(endpoint(node)?),
            "deviceAuthorizationEndpoint" => {
                patch.device_authorization_endpoint = Some(endpoint(node)?)
            }
            "revocationEndpoint" => patch.revocation_endpoint = Some(endpoint(node)?),
            "userinfoEndpoint" => patch.userinfo_endpoint = Some(endpoint(node)?),
            "exchangeEndpoint" => patch.exchange_endpoint = Some(endpoint(node)?),
            "jwksUri" => patch.jwks_uri = Some(endpoint(node)?),
            "assertion" => patch.assertion = Some(assertion(node, from)?),
            "clientId" => patch.client_id = Some(word(node)?.to_owned()),
            "clientSecret" => patch.client_secret = Some(secret(node, from)?),
            "clientAuth" => patch.client_auth = Some(choice(node, CLIENT_AUTH)?),
            "scopes" => {
                patch.scopes = Some(node.list()?.iter().map(scope).collect::<Result<_, _>>()?)
            }
            "params" => patch.params = params(node, warnings)?,
            "redirectUri" => patch.redirect_uri = Some(redirect_uri(node)?),
            "fallbackRedirectUris" => {
                let uris: Result<_, _> = node.list()?.iter().map(redirect_uri).collect();
                patch.fallback_redirect_uris = Some(uris?);
            }
            "origins" => patch.origins = Some(origins(node)?),
            "header" => patch.header = Some(header(node)?),
            "scheme" => patch.scheme = Some(scheme(node)?),
            "headers" => patch.headers = headers(node)?,
            "modelsUrl" => patch.models_url = Some(endpoint(node)?),
            _ => patch.rotation = rotation(node, warnings)?,
        }
        patch.keys.insert(key, node.place.clone());
    }
    Ok(patch)
}

fn rotation(node: &Node, warnings: &mut Vec<String>) -> Result<RotationPatch, ConfigError> {
    let mut patch = RotationPatch::default();
    for (key, Entry { node, .. }) in known(node, ROTATION_KEYS, warnings)? {
        match key {
            "mode" => patch.mode = Some(choice(node, MODES)?),
            "strategy" => patch.strategy = Some(choice(node, STRATEGIES)?),
            "rotate" => patch.rotate = Some(node.flag()?),
            "maxAttempts" => patch.max_attempts = u32::try_from(node.whole(1, MOST_ATTEMPTS)?).ok(),
            "maxWaitMs" => {
                let longest = u64::try_from(LONGEST_WAIT.as_millis()).unwrap_or(u64::MAX);
                patch.max_wait = Some(Duration::from_millis(node.whole(0, longest)?));
            }
            _ => patch.hold_until_reset = Some(node.flag()?),
        }
    }
    Ok(patch)
}

const CLIENT_AUTH: &[(&str, ClientAuth)] = &[
    ("none", ClientAuth::None),
    ("basic", ClientAuth::Basic),
    ("post", ClientAuth::Post),
];
const MODES: &[(&str, Mode)] = &[
    ("auto", Mode::Auto),
    ("subscription", Mode::Subscription),
    ("api", Mode::Api),
];
const STRATEGIES: &[(&str, Strategy)] = &[
    ("sticky", Strategy::Sticky),
    ("earliest-reset", Strategy::EarliestReset),
    ("balanced", Strategy::Balanced),
    ("round-robin", Strategy::RoundRobin),
    ("fill-first", Strategy::FillFirst),
];

fn base(node: &Node) -> Result<&'static Descriptor, ConfigError> {
    let all = providers::BUILT_IN.iter().chain(providers::BASES).copied();
    let choices: Vec<(&str, &'static Descriptor)> =
        all.map(|descriptor| (descriptor.id, descriptor)).collect();
    choice(node, &choices)
}

fn endpoint(node: &Node) -> Result<Url, ConfigError> {
    let url = safe_url(node.text()?).map_err(|bad| node.place.fault(bad.to_string()))?;
    if url.fragment().is_some() {
        return Err(node.place.fault("expected a URL without a fragment (#…)"));
    }
    Ok(url)
}

/// What stands before the query names the server; the query may hold a secret, and chooses no more than tools.
fn resource(node: &Node) -> Result<Url, ConfigError> {
    mcp_server(node.text()?).map_err(|bad| node.place.fault(bad.to_string()))
}

fn issuer(node: &Node) -> Result<Url, ConfigError> {
    let url = endpoint(node)?;
    if url.query().is_some() {
        return Err(node.place.fault("expected an issuer without a query (?…)"));
    }
    if url.path().contains("/.well-known/") {
        return Err(node
            .place
            .fault("expected the issuer itself, which is what stands before /.well-known/"));
    }
    Ok(url)
}

/// Servers compare redirect URIs letter by letter, so one that we would send in another spelling is refused.
fn redirect_uri(node: &Node) -> Result<Url, ConfigError> {
    let url = endpoint(node)?;
    if url.as_str() != node.text()? {
        return Err(node.place.fault(
            "expected the URI in its normal form, since servers compare it letter by letter: lower-case host, no default port, \
             a path, if only /; register it with the server in that form too",
        ));
    }
    Ok(url)
}

fn origins(node: &Node) -> Result<Vec<Origin>, ConfigError> {
    let items = node.list()?;
    if items.is_empty() {
        return Err(node
            .place
            .fault("expected at least one origin: without one, no request gets a credential"));
    }
    let origin =
        |item: &Node| Origin::parse(item.text()?).map_err(|bad| item.place.fault(bad.to_string()));
    items.iter().map(origin).collect()
}

fn secret(node: &Node, from: &Provenance) -> Result<SecretRef, ConfigError> {
    let text = node.text()?;
    if text.is_empty() {
        return Err(node.place.fault("expected a secret, found an empty string"));
    }
    let mut source = SecretSource::parse(text).map_err(|why| node.place.fault(why))?;
    if let (SecretSource::File(path), Some(folder)) =
        (&mut source, from.file().and_then(|file| file.parent()))
        && !path.starts_with("~")
    {
        // A relative path starts from the folder of the file that names it.
        *path = folder.join(&path);
    }
    let from_project = matches!(from, Provenance::Project(_));
    Ok(SecretRef {
        source,
        from_project,
        place: node.place.clone(),
    })
}

/// An assertion is presented without a person at hand to see what is read and where it goes.
fn assertion(node: &Node, from: &Provenance) -> Result<SecretRef, ConfigError> {
    if matches!(from, Provenance::Project(_)) {
        return Err(node.place.fault(
            "an assertion may be named by your own config file only, since it is sent without asking",
        ));
    }
    secret(node, from)
}

/// Further headers of each request. A credential is none of them: it would go unsealed.
fn headers(node: &Node) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut headers = BTreeMap::new();
    for Entry { key, place, node } in node.object()? {
        let name = HeaderName::from_bytes(key.as_bytes())
            .map_err(|_| place.fault("expected the name of an HTTP header"))?;
        if RESERVED_HEADERS.contains(&name.as_str())
            || providers::KEY_HEADERS.contains(&name.as_str())
            || matches!(name.as_str(), "cookie" | "proxy-authorization")
        {
            return Err(place.fault(
                "expected a header that the connection does not need and that holds no credential",
            ));
        }
        let value = node.text()?;
        if value.is_empty() || !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(node
                .place
                .fault("expected visible ASCII characters for the value of a header"));
        }
        headers.insert(name.as_str().to_owned(), value.to_owned());
    }
    Ok(headers)
}

fn scope(node: &Node) -> Result<String, ConfigError> {
    let scope = node.text()?;
    // RFC 6749 §3.3: printable ASCII but for the space, the double quote and the backslash.
    if scope.is_empty()
        || !scope
            .chars()
            .all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\'))
    {
        return Err(node
            .place
            .fault("expected one scope: printable characters, no space, quote or backslash"));
    }
    Ok(scope.to_owned())
}

fn params(
    node: &Node,
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<&'static str, BTreeMap<String, String>>, ConfigError> {
    let mut steps = BTreeMap::new();
    for (step, Entry { node, .. }) in known(node, STEPS, warnings)? {
        let mut params = BTreeMap::new();
        for Entry { key, place, node } in node.object()? {
            if RESERVED_PARAMS.contains(&key.as_str())
                || (key == "response_type" && step == "authorize")
            {
                return Err(place.fault("this parameter is set by the login itself; remove it"));
            }
            params.insert(key.clone(), node.text()?.to_owned());
        }
        steps.insert(step, params);
    }
    Ok(steps)
}

fn header(node: &Node) -> Result<String, ConfigError> {
    let name = HeaderName::from_bytes(node.text()?.as_bytes())
        .map_err(|_| node.place.fault("expected the name of an HTTP header"))?;
    if RESERVED_HEADERS.contains(&name.as_str()) {
        return Err(node
            .place
            .fault("expected a header of the request, not one that the connection itself needs"));
    }
    Ok(name.as_str().to_owned())
}

fn scheme(node: &Node) -> Result<String, ConfigError> {
    let scheme = node.text()?;
    if !scheme
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
    {
        return Err(node
            .place
            .fault("expected one word such as Bearer, or an empty string for a bare key"));
    }
    Ok(scheme.to_owned())
}

/// A text that is not empty and no reference: a reference here would be sent as it stands.
fn word(node: &Node) -> Result<&str, ConfigError> {
    let text = node.text()?;
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(node
            .place
            .fault("expected a string without control characters that is not empty"));
    }
    if is_reference(text) {
        return Err(node
            .place
            .fault("{env:…} and {file:…} are read in clientSecret only"));
    }
    Ok(text)
}

fn choice<T: Copy>(node: &Node, choices: &[(&str, T)]) -> Result<T, ConfigError> {
    one_of(&node.place, node.text()?, choices)
}

/// The choice of this name. The fault says what would fit, without repeating what was written.
pub(super) fn one_of<T: Copy>(
    place: &Place,
    written: &str,
    choices: &[(&str, T)],
) -> Result<T, ConfigError> {
    if let Some((_, value)) = choices.iter().find(|(name, _)| *name == written) {
        return Ok(*value);
    }
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    Err(place.fault(format!(
        "expected one of {}{}",
        names.join(", "),
        hint(written, &names)
    )))
}

fn hint(written: &str, names: &[&str]) -> String {
    nearest(written, names)
        .map(|name| format!("; did you mean {name}?"))
        .unwrap_or_default()
}

/// The entries whose key is known; of the others, a warning that names the nearest one.
fn known<'a>(
    node: &'a Node,
    keys: &[&'static str],
    warnings: &mut Vec<String>,
) -> Result<Vec<(&'static str, &'a Entry)>, ConfigError> {
    let mut found = Vec::new();
    for entry in node.object()? {
        if let Some(key) = keys.iter().find(|key| **key == entry.key) {
            found.push((*key, entry));
        } else {
            warnings.push(
                entry
                    .place
                    .fault(format!("unknown key{}", hint(&entry.key, keys)))
                    .to_string(),
            );
        }
    }
    Ok(found)
}

impl Node {
    fn text(&self) -> Result<&str, ConfigError> {
        match &self.value {
            Content::Text(text) => Ok(text),
            _ => Err(self.expected("a string")),
        }
    }

    fn flag(&self) -> Result<bool, ConfigError> {
        match self.value {
            Content::Flag(flag) => Ok(flag),
            _ => Err(self.expected("true or false")),
        }
    }

    fn list(&self) -> Result<&[Self], ConfigError> {
        match &self.value {
            Content::List(items) => Ok(items),
            _ => Err(self.expected("a list")),
        }
    }

    fn object(&self) -> Result<&[Entry], ConfigError> {
        match &self.value {
            Content::Object(entries) => Ok(entries),
            _ => Err(self.expected("an object")),
        }
    }

    fn whole(&self, least: u64, most: u64) -> Result<u64, ConfigError> {
        match self.value {
            Content::Number(number)
                if number.fract() == 0.0 && number >= least as f64 && number <= most as f64 =>
            {
                Ok(number as u64)
            }
            Content::Number(_) => Err(self
                .place
                .fault(format!("expected a whole number from {least} to {most}"))),
            _ => Err(self.expected("a number")),
        }
    }

    fn expected(&self, what: &str) -> ConfigError {
        self.place
            .fault(format!("expected {what}, found {}", self.kind()))
    }
}
