//! The keys of `config.jsonc` and `provider-auth.jsonc`: of the file, of a provider, and of the
//! objects in it.

use std::collections::BTreeMap;

use provider_auth_oauth::ClientAuth;
use provider_auth_policy::{LimitRule, Mode, Reach, Reason, Strategy};
use url::Url;

use super::dialect::DialectKeys;
use super::error::ConfigError;
use super::keys::{Context, FirstMatch, keys};
use super::limits::{LONGEST_WAIT, MOST_ATTEMPTS};
use super::origin::Origin;
use super::parameters::parameters;
use super::provider::Grant;
use super::secret::SecretRef;
use super::tree::Node;
use super::values::{
    by_name, choice, endpoint, header, headers, issuer, list, millis, name, origins, pointer,
    redirect_uri, resource, scheme, scope, secret, word,
};
use crate::providers::{self, Descriptor, OwnShape};

/// The keys of a file.
pub(super) const ROOT: &[&str] = &[
    PROVIDERS,
    STATS,
    STORE,
    STORE_PASSWORD_COMMAND,
    OFFLINE,
    "$schema",
];

/// The key that names a vault for many machines.
pub(super) const STORE: &str = "store";

/// The key with the command that prints the store's password.
pub(super) const STORE_PASSWORD_COMMAND: &str = "storePasswordCommand";

/// The key that says how long API keys serve while the store is away.
pub(super) const OFFLINE: &str = "offlineMs";

/// The key that says whether what happens is counted.
pub(super) const STATS: &str = "stats";

/// The key under which the providers stand.
pub(super) const PROVIDERS: &str = "providers";

keys! {
    /// What a layer sets for one provider.
    ProviderKeys(node, context) {
        /// Start from this built-in descriptor. Default: the provider's own id if built in, else
        /// generic.
        "extends" extends: Option<&'static Descriptor> = base(node);
        /// Address of an MCP server, with "extends": "mcp" only: a login finds out there where one
        /// signs in.
        "resource" resource: Option<Url> = resource(node);
        /// OIDC issuer: endpoints that are not set are discovered from it.
        "issuer" issuer: Option<Url> = issuer(node), OfLogin;
        /// Page where the user signs in.
        "authorizationEndpoint" authorization_endpoint: Option<Url> = endpoint(node);
        /// Exchanges codes and refresh tokens.
        "tokenEndpoint" token_endpoint: Option<Url> = endpoint(node);
        /// Starts a device login (RFC 8628).
        "deviceAuthorizationEndpoint" device_authorization_endpoint: Option<Url> = endpoint(node);
        /// Ends tokens (RFC 7009).
        "revocationEndpoint" revocation_endpoint: Option<Url> = endpoint(node);
        /// Asked who signed in, where the tokens do not say.
        "userinfoEndpoint" userinfo_endpoint: Option<Url> = endpoint(node);
        /// Exchanges the token of a login for the one that the API takes.
        "exchangeEndpoint" exchange_endpoint: Option<Url> = endpoint(node);
        /// Publishes the keys that id tokens are signed with.
        "jwksUri" jwks_uri: Option<Url> = endpoint(node), OfLogin;
        /// Where a token of your own issuer is, for a login without a person (RFC 7523).
        "assertion" assertion: Option<SecretRef> = secret(node, context.from), OfLogin;
        /// The client that you registered.
        "clientId" client_id: Option<String> = word(node), OfLogin;
        /// Its secret. Leave it out for a public client.
        "clientSecret" client_secret: Option<SecretRef> = secret(node, context.from), OfLogin;
        /// The client's private key, for private_key_jwt: a PEM.
        "privateKey" private_key: Option<SecretRef> = secret(node, context.from), OfLogin;
        /// Which of the client's keys that is (kid).
        "privateKeyId" private_key_id: Option<String> = word(node), OfLogin;
        /// How the client authenticates at the token endpoint. Default: private_key_jwt with a key,
        /// basic with a secret (post of google), else none.
        "clientAuth" client_auth: Option<ClientAuth> = choice(node, CLIENT_AUTH), OfLogin;
        /// The grants that a login may use. Default: every one but client_credentials that server
        /// and client allow.
        "grants" grants: Option<Vec<Grant>> = list(node, |grant| choice(grant, GRANTS)), OfLogin;
        /// Scopes that a login asks for.
        "scopes" scopes: Option<Vec<String>> = list(node, scope), OfLogin;
        /// Extra parameters per step, for servers that want them; null leaves out one that the
        /// login would send by itself, as resource for an MCP server.
        "params" params: Vec<(&'static str, BTreeMap<String, Option<String>>)>
            = by_name(node, STEPS, context.warnings, |step, of_step| parameters(of_step, step)), OfLogin, ShapesRequests;
        /// How the server differs from the standards.
        "dialect" dialect: DialectKeys = DialectKeys::read(node, context), OfLogin, ShapesRequests;
        /// Exact redirect URI registered with the server. Default: /callback of 127.0.0.1, on a
        /// free port.
        "redirectUri" redirect_uri: Option<Url> = redirect_uri(node), OfLogin;
        /// Further registered redirect URIs, tried in this order when the port of redirectUri is
        /// busy.
        "fallbackRedirectUris" fallback_redirect_uris: Option<Vec<Url>> = list(node, redirect_uri), OfLogin;
        /// Origins that may receive this provider's credentials. A request elsewhere gets none.
        "origins" origins: Option<Vec<Origin>> = origins(node);
        /// Further origins that may receive this provider's credentials, such as that of a gateway
        /// in front of a built-in provider: added to its own, where origins replaces them.
        "extraOrigins" extra_origins: Vec<Origin> = origins(node);
        /// Header that carries the credential.
        "header" header: Option<String> = header(node), ShapesRequests;
        /// Word before the credential; empty for a bare key.
        "scheme" scheme: Option<String> = scheme(node), ShapesRequests;
        /// Further headers beside the credential. None may hold a credential.
        "headers" headers: BTreeMap<String, String> = headers(node), ShapesRequests;
        /// Further headers to delete first: where an SDK puts a key beside the usual places.
        "strip" strip: Vec<String> = list(node, header), ShapesRequests;
        /// Where the models are listed, on one of the origins. Default: /models, then /v1/models on
        /// the first origin.
        "modelsUrl" models_url: Option<Url> = endpoint(node);
        /// The form of that list, where it is not one of the known ones, as JSON pointers.
        "modelsShape" models_shape: Option<OwnShape> = models_shape(node, context);
        /// What refusals of the API mean, before what is known of them; the first that fits
        /// decides.
        "limits" limits: FirstMatch<LimitRule> = list(node, |rule| limit(rule, context));
        /// The pool of requests, logins and added keys that do not name one.
        "namespace" namespace: Option<String> = name(node), ChoosesAccounts;
        /// The account, by id or label, of requests that name neither an account nor a pool.
        "account" account: Option<String> = name(node), ChoosesAccounts;
        /// How the accounts of a pool rotate.
        "rotation" rotation: RotationKeys = RotationKeys::read(node, context), ChoosesAccounts;
    }
}

keys! {
    /// What a layer sets for the rotation of a pool.
    RotationKeys(node, context) {
        /// auto uses OAuth accounts and then API keys; the other two use one kind only.
        "mode" mode: Option<Mode> = choice(node, MODES);
        /// Which account serves next.
        "strategy" strategy: Option<Strategy> = choice(node, STRATEGIES);
        /// Whether a request may move to another account of the same pool. Default: true; of
        /// openai, for API keys only.
        "rotate" rotate: Option<bool> = node.flag();
        /// Attempts of one request, all accounts together. Default: min(2 * eligible + 2, 8).
        "maxAttempts" max_attempts: Option<u64> = node.whole(1, MOST_ATTEMPTS);
        /// Total time in milliseconds that one request may spend waiting for cooldowns.
        "maxWaitMs" max_wait_ms: Option<u64> = node.whole(0, millis(LONGEST_WAIT));
        /// Wait until the soonest reset instead of failing when every account is exhausted.
        "holdUntilReset" hold_until_reset: Option<bool> = node.flag();
    }
}

keys! {
    /// The form of a list of models.
    ModelsShapeKeys(node, context) {
        /// Where the list is in the answer; empty where it is the answer. Default: /data.
        "entries" entries: Option<String> = pointer_or_whole(node);
        /// Where an entry has what requests name it by; empty where it is the entry. Default: /id.
        "id" id: Option<String> = pointer_or_whole(node);
        /// Where an entry has its name for people.
        "name" name: Option<String> = pointer(node);
        /// Where an entry has the tokens that a request may hold.
        "contextWindow" context_window: Option<String> = pointer(node);
        /// Where an entry says whose model it is.
        "ownedBy" owned_by: Option<String> = pointer(node);
    }
}

keys! {
    /// What a refusal means.
    LimitKeys(node, context) {
        /// HTTP status; any of a refusal when left out.
        "status" status: Option<u64> = node.whole(400, 599);
        /// JSON pointer into the body.
        "path" path: Option<String> = pointer(node);
        /// What stands there; a number counts as its digits.
        "value" value: Option<String> = word(node);
        /// The reason that the refusal gets.
        "means" means: Option<Reason> = choice(node, REASONS);
        /// What it is about. Default: what is usual for the reason.
        "scope" scope: Option<Reach> = choice(node, REACHES);
        /// JSON pointer to how long to stay away: seconds, a span such as 6m0s, a Unix time, or a
        /// date and time.
        "waitPath" wait_path: Option<String> = pointer(node);
    }
}

/// The steps of a login that take extra parameters.
pub(super) const STEPS: &[&str] = &["authorize", "device", "token", "refresh", "assertion"];

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
    let choices: Vec<_> = providers::all().map(|known| (known.id, known)).collect();
    choice(node, &choices)
}

/// The form of a list of models. An empty pointer means the whole: the answer is the list, or the
/// entry is the id.
fn models_shape(node: &Node, context: &mut Context<'_>) -> Result<OwnShape, ConfigError> {
    let keys = ModelsShapeKeys::read(node, context)?;
    let usual = OwnShape::default();
    Ok(OwnShape {
        entries: keys.entries.unwrap_or(usual.entries),
        id: keys.id.unwrap_or(usual.id),
        name: keys.name,
        context_window: keys.context_window,
        owned_by: keys.owned_by,
    })
}

fn pointer_or_whole(node: &Node) -> Result<String, ConfigError> {
    match node.text()? {
        "" => Ok(String::new()),
        _ => pointer(node),
    }
}

/// What the user says that a refusal means. A rule must say of which, or it would mean every one.
fn limit(node: &Node, context: &mut Context<'_>) -> Result<LimitRule, ConfigError> {
    let keys = LimitKeys::read(node, context)?;
    let missing = |key: &str| node.place.missing(key).fault("missing");
    let body = match (keys.path, keys.value) {
        (Some(path), Some(value)) => Some((path, value)),
        (Some(_), None) => return Err(missing("value")),
        (None, Some(_)) => return Err(missing("path")),
        (None, None) if keys.status.is_none() => {
            let why =
                "expected a status, a path with its value, or both: this would mean every refusal";
            return Err(node.place.fault(why));
        }
        (None, None) => None,
    };
    Ok(LimitRule {
        status: keys.status.and_then(|status| u16::try_from(status).ok()),
        body,
        reason: keys.means.ok_or_else(|| missing("means"))?,
        reach: keys.scope,
        wait: keys.wait_path,
    })
}
