//! The shape of the configuration: reads a tree into typed values, key by key.
//!
//! What is read here is one layer, a file or an inline value, with every key optional. What the layers make together
//! is decided in `merge`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use provider_auth_oauth::ClientAuth;
use provider_auth_policy::{LimitRule, Mode, Reach, Reason, Strategy};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::dialect::{self, Setting};
use super::error::{ConfigError, Place};
use super::limits::{LONGEST_WAIT, MOST_ATTEMPTS, MOST_PROJECT_PROVIDERS};
use super::origin::Origin;
use super::provider::{Grant, Provenance};
use super::secret::SecretRef;
use super::tree::{Content, Entry, Node};
use super::values::{
    choice, endpoint, header, headers, hex, issuer, known, name, origins, pointer, redirect_uri,
    resource, scheme, scope, secret, word,
};
use crate::providers::{self, Descriptor, OwnShape};

/// What one file or inline value says about providers.
#[derive(Clone)]
pub(super) struct Layer {
    pub(super) provenance: Provenance,
    pub(super) providers: BTreeMap<String, ProviderPatch>,
}

/// What a layer says about one provider.
#[derive(Clone, Default)]
pub(super) struct ProviderPatch {
    pub(super) place: Place,
    /// Where each key that is set stands.
    pub(super) keys: BTreeMap<&'static str, Place>,
    /// Where what is set below `params` and `dialect` stands.
    pub(super) parts: BTreeMap<String, Place>,
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
    pub(super) private_key: Option<SecretRef>,
    pub(super) private_key_id: Option<String>,
    pub(super) client_auth: Option<ClientAuth>,
    pub(super) grants: Option<Vec<Grant>>,
    pub(super) scopes: Option<Vec<String>>,
    /// By step and name; `None` leaves out what the kind of login has.
    pub(super) params: BTreeMap<&'static str, BTreeMap<String, Option<String>>>,
    pub(super) dialect: Vec<Setting>,
    pub(super) redirect_uri: Option<Url>,
    pub(super) fallback_redirect_uris: Option<Vec<Url>>,
    pub(super) origins: Option<Vec<Origin>>,
    pub(super) extra_origins: Vec<Origin>,
    pub(super) header: Option<String>,
    pub(super) scheme: Option<String>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) strip: BTreeSet<String>,
    pub(super) models_url: Option<Url>,
    pub(super) models_shape: Option<OwnShape>,
    pub(super) limits: Vec<LimitRule>,
    pub(super) namespace: Option<String>,
    pub(super) account: Option<String>,
    pub(super) rotation: RotationPatch,
    /// A hash of the keys that shape requests and answers; of a project's file only.
    pub(super) shape: Option<String>,
}

impl ProviderPatch {
    /// Whether it says more than which accounts serve, and how they take turns.
    pub(super) fn defines(&self) -> bool {
        self.keys.keys().any(|key| !SELECTING_KEYS.contains(key))
    }

    /// The part of it that only chooses among accounts.
    pub(super) fn selection(&self) -> Self {
        let mut keys = self.keys.clone();
        keys.retain(|key, _| SELECTING_KEYS.contains(key));
        Self {
            place: self.place.clone(),
            keys,
            namespace: self.namespace.clone(),
            account: self.account.clone(),
            rotation: RotationPatch {
                // To let logins stand in for one another is between the user and the provider, whose terms may forbid it.
                rotate: self.rotation.rotate.filter(|rotates| !rotates),
                ..self.rotation.clone()
            },
            ..Self::default()
        }
    }
}

/// What a layer says about rotation.
#[derive(Clone, Default)]
pub(super) struct RotationPatch {
    pub(super) mode: Option<Mode>,
    pub(super) strategy: Option<Strategy>,
    pub(super) rotate: Option<bool>,
    pub(super) max_attempts: Option<u32>,
    pub(super) max_wait: Option<Duration>,
    pub(super) hold_until_reset: Option<bool>,
}

/// The keys that choose among a provider's accounts, and say nothing of where credentials go.
pub(super) const SELECTING_KEYS: &[&str] = &["rotation", "namespace", "account"];

/// The keys that shape requests and answers: a login is made for these, too.
const SHAPING_KEYS: &[&str] = &["dialect", "params", "header", "scheme", "headers", "strip"];

pub(super) const ROOT_KEYS: &[&str] = &["providers", "$schema"];
pub(super) const PROVIDER_KEYS: &[&str] = &[
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
    "privateKey",
    "privateKeyId",
    "clientAuth",
    "grants",
    "scopes",
    "params",
    "dialect",
    "redirectUri",
    "fallbackRedirectUris",
    "origins",
    "extraOrigins",
    "header",
    "scheme",
    "headers",
    "strip",
    "modelsUrl",
    "modelsShape",
    "limits",
    "namespace",
    "account",
    "rotation",
];
pub(super) const ROTATION_KEYS: &[&str] = &[
    "mode",
    "strategy",
    "rotate",
    "maxAttempts",
    "maxWaitMs",
    "holdUntilReset",
];
pub(super) const STEPS: &[&str] = &["authorize", "device", "token", "refresh", "assertion"];

/// Parameters that the flow itself sets, and whose meaning for its safety a config must not change.
pub(super) const RESERVED_PARAMS: &[&str] = &[
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
    "request",
    "request_uri",
    "scope",
    "state",
];

/// Whether a parameter is one of those, as servers read names: some take no notice of case, or know lists by brackets.
pub(super) fn is_reserved(name: &str) -> bool {
    let name = name.split('[').next().unwrap_or(name);
    let name = name.trim().to_ascii_lowercase();
    RESERVED_PARAMS.contains(&name.as_str())
}

/// Reads one layer. An unknown key is a warning: it may belong to a newer version.
pub(super) fn read(
    root: &Node,
    provenance: Provenance,
    warnings: &mut Vec<String>,
) -> Result<Layer, ConfigError> {
    let mut patches = BTreeMap::new();
    for (key, entry) in known(root, ROOT_KEYS, warnings)? {
        if key == "providers" {
            let entries = entry.node.object()?;
            let is_project = matches!(provenance, Provenance::Project(_));
            if is_project && entries.len() > MOST_PROJECT_PROVIDERS {
                return Err(entry.node.place.fault(format!(
                    "a project's file may name {MOST_PROJECT_PROVIDERS} providers at most"
                )));
            }
            for entry in entries {
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
            "assertion" => patch.assertion = Some(secret(node, from)?),
            "clientId" => patch.client_id = Some(word(node)?.to_owned()),
            "clientSecret" => patch.client_secret = Some(secret(node, from)?),
            "privateKey" => patch.private_key = Some(secret(node, from)?),
            "privateKeyId" => patch.private_key_id = Some(word(node)?.to_owned()),
            "clientAuth" => patch.client_auth = Some(choice(node, CLIENT_AUTH)?),
            "grants" => {
                let grants: Result<_, _> = node
                    .list()?
                    .iter()
                    .map(|item| choice(item, GRANTS))
                    .collect();
                patch.grants = Some(grants?);
            }
            "scopes" => {
                patch.scopes = Some(node.list()?.iter().map(scope).collect::<Result<_, _>>()?)
            }
            "params" => patch.params = params(node, warnings)?,
            "dialect" => patch.dialect = dialect::read(node, warnings)?,
            "redirectUri" => patch.redirect_uri = Some(redirect_uri(node)?),
            "fallbackRedirectUris" => {
                let uris: Result<_, _> = node.list()?.iter().map(redirect_uri).collect();
                patch.fallback_redirect_uris = Some(uris?);
            }
            "origins" => patch.origins = Some(origins(node)?),
            "extraOrigins" => patch.extra_origins = origins(node)?,
            "header" => patch.header = Some(header(node)?),
            "scheme" => patch.scheme = Some(scheme(node)?),
            "headers" => patch.headers = headers(node)?,
            "strip" => patch.strip = node.list()?.iter().map(header).collect::<Result<_, _>>()?,
            "modelsUrl" => patch.models_url = Some(endpoint(node)?),
            "modelsShape" => patch.models_shape = Some(models_shape(node, warnings)?),
            "limits" => {
                let rules: Result<_, _> = node
                    .list()?
                    .iter()
                    .map(|item| limit(item, warnings))
                    .collect();
                patch.limits = rules?;
            }
            "namespace" => patch.namespace = Some(name(node)?),
            "account" => patch.account = Some(name(node)?),
            _ => patch.rotation = rotation(node, warnings)?,
        }
        patch.keys.insert(key, node.place.clone());
        if matches!(key, "params" | "dialect") {
            parts(key, node, &mut patch.parts);
        }
    }
    if matches!(from, Provenance::Project(_)) {
        patch.shape = shape(node);
    }
    Ok(patch)
}

/// Notes where the keys below this one stand, and what is said of single steps.
fn parts(key: &str, node: &Node, found: &mut BTreeMap<String, Place>) {
    for entry in node.object().unwrap_or_default() {
        let key = format!("{key}.{}", entry.key);
        if matches!(key.as_str(), "dialect.encoding" | "dialect.headers") {
            parts(&key, &entry.node, found);
        }
        found.insert(key, entry.node.place.clone());
    }
}

/// A hash of the keys that shape requests and answers; `None` where none is set.
fn shape(node: &Node) -> Option<String> {
    let mut entries: Vec<&Entry> = node
        .object()
        .ok()?
        .iter()
        .filter(|entry| SHAPING_KEYS.contains(&entry.key.as_str()))
        .collect();
    entries.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    let mut hash = Sha256::new();
    for Entry { key, node, .. } in &entries {
        hash.update(format!("{key:?}:{}\n", node.canonical()));
    }
    (!entries.is_empty()).then(|| hex(&hash.finalize()))
}

/// The form of a list of models. An empty pointer is the whole: a list that nothing is around, an entry that is the id.
fn models_shape(node: &Node, warnings: &mut Vec<String>) -> Result<OwnShape, ConfigError> {
    let mut shape = OwnShape::default();
    for (key, Entry { node, .. }) in known(node, SHAPE_KEYS, warnings)? {
        match key {
            "entries" => shape.entries = pointer_or_whole(node)?,
            "id" => shape.id = pointer_or_whole(node)?,
            "name" => shape.name = Some(pointer(node)?),
            "contextWindow" => shape.context_window = Some(pointer(node)?),
            _ => shape.owned_by = Some(pointer(node)?),
        }
    }
    Ok(shape)
}

fn pointer_or_whole(node: &Node) -> Result<String, ConfigError> {
    match node.text()? {
        "" => Ok(String::new()),
        _ => pointer(node),
    }
}

/// What the user says that a refusal means. A rule must say of which, or it would mean every one.
fn limit(node: &Node, warnings: &mut Vec<String>) -> Result<LimitRule, ConfigError> {
    let (mut status, mut path, mut value) = (None, None, None);
    let (mut means, mut reach, mut wait) = (None, None, None);
    for (key, Entry { node, .. }) in known(node, LIMIT_KEYS, warnings)? {
        match key {
            "status" => status = u16::try_from(node.whole(400, 599)?).ok(),
            "path" => path = Some(pointer(node)?),
            "value" => value = Some(word(node)?.to_owned()),
            "means" => means = Some(choice(node, REASONS)?),
            "scope" => reach = Some(choice(node, REACHES)?),
            _ => wait = Some(pointer(node)?),
        }
    }
    let missing = |key: &str| node.place.missing(key).fault("missing");
    let body = match (path, value) {
        (Some(path), Some(value)) => Some((path, value)),
        (Some(_), None) => return Err(missing("value")),
        (None, Some(_)) => return Err(missing("path")),
        (None, None) if status.is_none() => {
            let why =
                "expected a status, a path with its value, or both: this would mean every refusal";
            return Err(node.place.fault(why));
        }
        (None, None) => None,
    };
    Ok(LimitRule {
        status,
        body,
        reason: means.ok_or_else(|| missing("means"))?,
        reach,
        wait,
    })
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

pub(super) const CLIENT_AUTH: &[(&str, ClientAuth)] = &[
    ("none", ClientAuth::None),
    ("basic", ClientAuth::Basic),
    ("post", ClientAuth::Post),
    ("private_key_jwt", ClientAuth::PrivateKeyJwt),
];
pub(super) const GRANTS: &[(&str, Grant)] = &[
    ("authorization_code", Grant::AuthorizationCode),
    ("device_code", Grant::DeviceCode),
    ("client_credentials", Grant::ClientCredentials),
    ("jwt_bearer", Grant::JwtBearer),
];
pub(super) const REASONS: &[(&str, Reason)] = &[
    ("throttled", Reason::Throttled),
    ("quota_exhausted", Reason::QuotaExhausted),
    ("rate_limited", Reason::RateLimited),
    ("overloaded", Reason::Overloaded),
    ("token_expired", Reason::TokenExpired),
    ("needs_login", Reason::NeedsLogin),
    ("forbidden", Reason::Forbidden),
    ("needs_verification", Reason::NeedsVerification),
    ("blocked_by_provider", Reason::BlockedByProvider),
    ("not_entitled", Reason::NotEntitled),
    ("out_of_credit", Reason::OutOfCredit),
    ("server_error", Reason::ServerError),
    ("client_error", Reason::ClientError),
];
pub(super) const REACHES: &[(&str, Reach)] = &[
    ("account", Reach::Account),
    ("model", Reach::Model),
    ("provider-model", Reach::ProviderModel),
    ("machine", Reach::Egress),
];
pub(super) const SHAPE_KEYS: &[&str] = &["entries", "id", "name", "contextWindow", "ownedBy"];
pub(super) const LIMIT_KEYS: &[&str] = &["status", "path", "value", "means", "scope", "waitPath"];
pub(super) const MODES: &[(&str, Mode)] = &[
    ("auto", Mode::Auto),
    ("subscription", Mode::Subscription),
    ("api", Mode::Api),
];
pub(super) const STRATEGIES: &[(&str, Strategy)] = &[
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

fn params(
    node: &Node,
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<&'static str, BTreeMap<String, Option<String>>>, ConfigError> {
    let mut steps = BTreeMap::new();
    for (step, Entry { node, .. }) in known(node, STEPS, warnings)? {
        steps.insert(step, parameters(node, step)?);
    }
    Ok(steps)
}

/// Extra parameters of one step; `null` leaves one out that the kind of login has.
pub(super) fn parameters(
    node: &Node,
    step: &str,
) -> Result<BTreeMap<String, Option<String>>, ConfigError> {
    let mut params = BTreeMap::new();
    for Entry { key, place, node } in node.object()? {
        if is_reserved(key)
            || (key.trim().eq_ignore_ascii_case("response_type") && step == "authorize")
        {
            return Err(place.fault("this parameter is set by the login itself; remove it"));
        }
        let value = match node.value {
            Content::Null => None,
            _ => Some(node.text()?.to_owned()),
        };
        params.insert(key.clone(), value);
    }
    Ok(params)
}
