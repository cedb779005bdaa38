//! How a server differs from the standard, as the key `dialect` says it.
//!
//! Each key becomes a [`Setting`], and those of all layers are applied to the descriptor's own dialect in their order,
//! so that the last one wins.

use std::time::Duration;

use provider_auth_oauth::{
    Dialect, Discovery, Encoding, ErrorRule, IdTokenCheck, IssuedClient, Meaning, Renewal,
    StepDialect,
};
use url::Url;

use super::error::ConfigError;
use super::limits::{LONGEST_POLL_PAUSE, SHORTEST_POLL_PAUSE};
use super::tree::{Content, Entry, Node};
use super::values::{choice, endpoint, headers, issuer, known, pointer, scope, word};

/// The keys of a dialect.
pub(super) const KEYS: &[&str] = &[
    "apiUrl",
    "devicePkce",
    "discovery",
    "encoding",
    "endedField",
    "errors",
    "fields",
    "headers",
    "idToken",
    "identity",
    "issuedClient",
    "issuers",
    "jwksNeedsToken",
    "poll",
    "renewal",
    "requiredScope",
    "stateInTokenBody",
];

/// The steps whose requests have an encoding and headers of their own.
pub(super) const STEPS: &[&str] = &["device", "token", "refresh", "assertion", "revoke"];

/// The fields of a token response whose names may differ.
pub(super) const FIELDS: &[&str] = &[
    "access_token",
    "refresh_token",
    "id_token",
    "token_type",
    "expires_in",
    "expires_at",
    "scope",
];

pub(super) const DISCOVERY_KEYS: &[&str] = &["url", "key"];
pub(super) const ERROR_KEYS: &[&str] = &["status", "error", "means"];
pub(super) const IDENTITY_KEYS: &[&str] = &["subject", "organization", "email", "plan"];
pub(super) const ISSUED_CLIENT_KEYS: &[&str] = &["firstId", "params", "installation"];
pub(super) const POLL_KEYS: &[&str] = &["intervalMs", "slowDownMs"];

pub(super) const ENCODINGS: &[(&str, Encoding)] =
    &[("form", Encoding::Form), ("json", Encoding::Json)];

pub(super) const ID_TOKEN_CHECKS: &[(&str, IdTokenCheck)] = &[
    ("off", IdTokenCheck::Off),
    ("nonce", IdTokenCheck::Nonce),
    ("claims", IdTokenCheck::Claims),
    ("full", IdTokenCheck::Signature),
];

pub(super) const MEANINGS: &[(&str, Meaning)] = &[
    ("pending", Meaning::Pending),
    ("slow_down", Meaning::SlowDown),
    ("denied", Meaning::Denied),
    ("expired", Meaning::Expired),
    ("invalid_grant", Meaning::InvalidGrant),
];

pub(super) const RENEWALS: &[(&str, Renewal)] = &[
    ("refresh_token", Renewal::RefreshToken),
    ("exchange", Renewal::Exchange),
    ("exchange_login", Renewal::ExchangeLogin),
];

/// The word for a server that may name itself as it likes.
pub(super) const ANY_ISSUER: &[(&str, ())] = &[("any", ())];

/// One difference.
#[derive(Clone)]
pub(super) enum Setting {
    ApiUrl(String),
    DevicePkce(bool),
    Discovery(Discovery),
    Encoding(&'static str, Encoding),
    EndedField(String),
    Errors(Vec<ErrorRule>),
    Field {
        ours: &'static str,
        theirs: String,
    },
    Headers(&'static str, Vec<(String, String)>),
    IdToken(IdTokenCheck),
    Identity(&'static str, Vec<String>),
    IssuedClient(IssuedClient),
    /// `None` is any.
    Issuers(Option<Vec<Url>>),
    JwksNeedsToken(bool),
    PollInterval(Duration),
    SlowDown(Duration),
    Renewal(Renewal),
    RequiredScope(String),
    StateInTokenBody(bool),
}

impl Setting {
    /// Writes the difference into a dialect.
    pub(super) fn apply(self, dialect: &mut Dialect) {
        match self {
            Self::ApiUrl(path) => dialect.api_url = Some(path),
            Self::DevicePkce(wanted) => dialect.device_pkce = wanted,
            Self::Discovery(discovery) => dialect.discovery = discovery,
            Self::Encoding(name, encoding) => step(dialect, name).encoding = encoding,
            Self::EndedField(field) => dialect.ended = Some(field),
            // Before those of the descriptor, since the first rule that fits decides.
            Self::Errors(rules) => {
                dialect.errors.splice(0..0, rules);
            }
            Self::Field { ours, theirs } => {
                dialect.rename.retain(|(_, name)| name != ours);
                dialect.rename.push((theirs, ours.to_owned()));
            }
            Self::Headers(name, headers) => {
                let to = &mut step(dialect, name).headers;
                to.retain(|(name, _)| headers.iter().all(|(new, _)| new != name));
                to.extend(headers);
            }
            Self::IdToken(check) => dialect.id_token = check,
            Self::Identity(name, paths) => {
                let identity = &mut dialect.identity;
                *match name {
                    "subject" => &mut identity.subject,
                    "organization" => &mut identity.organization,
                    "email" => &mut identity.email,
                    _ => &mut identity.plan,
                } = paths;
            }
            Self::IssuedClient(issued) => dialect.issued_client = Some(issued),
            Self::Issuers(issuers) => {
                dialect.any_issuer = issuers.is_none();
                dialect.issuers = issuers.unwrap_or_default();
            }
            Self::JwksNeedsToken(needed) => dialect.jwks_needs_token = needed,
            Self::PollInterval(pause) => dialect.poll_interval = Some(pause),
            Self::SlowDown(growth) => dialect.slow_down = Some(growth),
            Self::Renewal(renewal) => dialect.renewal = renewal,
            Self::RequiredScope(scope) => dialect.required_scope = Some(scope),
            Self::StateInTokenBody(wanted) => dialect.state_in_token_body = wanted,
        }
    }
}

/// The differences of the requests of this step.
pub(super) fn step<'a>(dialect: &'a mut Dialect, name: &str) -> &'a mut StepDialect {
    match name {
        "device" => &mut dialect.device,
        "token" => &mut dialect.token,
        "assertion" => &mut dialect.assertion,
        "revoke" => &mut dialect.revoke,
        _ => &mut dialect.refresh,
    }
}

/// Reads the key `dialect`.
pub(super) fn read(node: &Node, warnings: &mut Vec<String>) -> Result<Vec<Setting>, ConfigError> {
    let mut settings = Vec::new();
    for (key, Entry { node, .. }) in known(node, KEYS, warnings)? {
        settings.extend(match key {
            "apiUrl" => vec![Setting::ApiUrl(pointer(node)?)],
            "devicePkce" => vec![Setting::DevicePkce(node.flag()?)],
            "discovery" => vec![Setting::Discovery(discovery(node, warnings)?)],
            "encoding" => known(node, STEPS, warnings)?
                .into_iter()
                .map(|(step, entry)| Ok(Setting::Encoding(step, choice(&entry.node, ENCODINGS)?)))
                .collect::<Result<_, _>>()?,
            "endedField" => vec![Setting::EndedField(word(node)?.to_owned())],
            "errors" => {
                let rules: Result<_, _> = node
                    .list()?
                    .iter()
                    .map(|item| error_rule(item, warnings))
                    .collect();
                vec![Setting::Errors(rules?)]
            }
            "fields" => known(node, FIELDS, warnings)?
                .into_iter()
                .map(|(ours, entry)| {
                    let theirs = word(&entry.node)?.to_owned();
                    Ok(Setting::Field { ours, theirs })
                })
                .collect::<Result<_, _>>()?,
            "headers" => known(node, STEPS, warnings)?
                .into_iter()
                .map(|(step, entry)| {
                    let headers = headers(&entry.node)?.into_iter().collect();
                    Ok(Setting::Headers(step, headers))
                })
                .collect::<Result<_, _>>()?,
            "idToken" => vec![Setting::IdToken(choice(node, ID_TOKEN_CHECKS)?)],
            "identity" => known(node, IDENTITY_KEYS, warnings)?
                .into_iter()
                .map(|(name, entry)| {
                    let paths: Result<_, _> = entry.node.list()?.iter().map(pointer).collect();
                    Ok(Setting::Identity(name, paths?))
                })
                .collect::<Result<_, _>>()?,
            "issuedClient" => vec![Setting::IssuedClient(issued_client(node, warnings)?)],
            "issuers" => vec![Setting::Issuers(issuers(node)?)],
            "jwksNeedsToken" => vec![Setting::JwksNeedsToken(node.flag()?)],
            "poll" => known(node, POLL_KEYS, warnings)?
                .into_iter()
                .map(|(key, entry)| match key {
                    "intervalMs" => Ok(Setting::PollInterval(pause(
                        &entry.node,
                        SHORTEST_POLL_PAUSE,
                    )?)),
                    _ => Ok(Setting::SlowDown(pause(&entry.node, Duration::ZERO)?)),
                })
                .collect::<Result<_, _>>()?,
            "renewal" => vec![Setting::Renewal(choice(node, RENEWALS)?)],
            "requiredScope" => vec![Setting::RequiredScope(scope(node)?)],
            _ => vec![Setting::StateInTokenBody(node.flag()?)],
        });
    }
    Ok(settings)
}

fn discovery(node: &Node, warnings: &mut Vec<String>) -> Result<Discovery, ConfigError> {
    if let Content::Flag(wanted) = node.value {
        return Ok(match wanted {
            true => Discovery::Standard,
            false => Discovery::Never,
        });
    }
    let (mut url, mut key) = (None, None);
    for (name, Entry { node, .. }) in known(node, DISCOVERY_KEYS, warnings)? {
        match name {
            "url" => url = Some(endpoint(node)?),
            _ => key = Some(word(node)?.to_owned()),
        }
    }
    Ok(Discovery::Document { url, key })
}

fn error_rule(node: &Node, warnings: &mut Vec<String>) -> Result<ErrorRule, ConfigError> {
    let (mut status, mut error, mut means) = (None, None, None);
    for (key, Entry { node, .. }) in known(node, ERROR_KEYS, warnings)? {
        match key {
            "status" => status = u16::try_from(node.whole(200, 599)?).ok(),
            "error" => error = Some(word(node)?.to_owned()),
            _ => means = Some(choice(node, MEANINGS)?),
        }
    }
    if status.is_none() && error.is_none() {
        return Err(node
            .place
            .fault("expected a status, an error, or both: this would mean every refusal"));
    }
    let meaning = means.ok_or_else(|| node.place.missing("means").fault("missing"))?;
    Ok(ErrorRule {
        status,
        error,
        meaning,
    })
}

fn issued_client(node: &Node, warnings: &mut Vec<String>) -> Result<IssuedClient, ConfigError> {
    let (mut first_id, mut params, mut installation) = (None, Vec::new(), None);
    for (key, Entry { node, .. }) in known(node, ISSUED_CLIENT_KEYS, warnings)? {
        match key {
            "firstId" => first_id = Some(word(node)?.to_owned()),
            "installation" => installation = Some(word(node)?.to_owned()),
            _ => {
                params = super::schema::parameters(node, "authorize")?
                    .into_iter()
                    .filter_map(|(name, value)| Some((name, value?)))
                    .collect()
            }
        }
    }
    let missing = |key: &str| node.place.missing(key).fault("missing");
    Ok(IssuedClient {
        first_id: first_id.ok_or_else(|| missing("firstId"))?,
        params,
        installation: installation.ok_or_else(|| missing("installation"))?,
    })
}

fn issuers(node: &Node) -> Result<Option<Vec<Url>>, ConfigError> {
    if matches!(node.value, Content::Text(_)) {
        choice(node, ANY_ISSUER)?;
        return Ok(None);
    }
    node.list()?
        .iter()
        .map(issuer)
        .collect::<Result<_, _>>()
        .map(Some)
}

fn pause(node: &Node, shortest: Duration) -> Result<Duration, ConfigError> {
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let millis = node.whole(millis(shortest), millis(LONGEST_POLL_PAUSE))?;
    // Servers count in seconds.
    Ok(Duration::from_secs(millis.div_ceil(1000)))
}
