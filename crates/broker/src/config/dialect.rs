//! How a server differs from the standard, as the key `dialect` says it.

use std::collections::BTreeMap;
use std::time::Duration;

use provider_auth_oauth::{
    Dialect, Discovery, Encoding, ErrorRule, IdTokenCheck, IssuedClient, Meaning, Renewal,
    StepDialect,
};
use url::Url;

use super::error::ConfigError;
use super::keys::{Context, FirstMatch, Lay as _, keys};
use super::limits::{LONGEST_POLL_PAUSE, SHORTEST_POLL_PAUSE};
use super::parameters::parameters;
use super::tree::{Content, Node};
use super::values::{
    by_name, choice, endpoint, headers, issuer, list, millis, pointer, scope, word,
};

keys! {
    /// What a layer sets for the dialect of a server.
    DialectKeys(node, context) {
        /// Where the endpoints are looked up: nowhere (false), at the standard places (true), or in
        /// a document of its own.
        "discovery" discovery: Option<Discovery> = discovery(node, context);
        /// Further names under which the server calls itself, or any.
        "issuers" issuers: Option<Issuers> = issuers(node);
        /// Encoding of the request bodies. Default: form.
        "encoding" encoding: Vec<(&'static str, Encoding)>
            = by_name(node, STEPS, context.warnings, |_, of_step| choice(of_step, ENCODINGS));
        /// Further headers of these requests. None may hold a credential.
        "headers" headers: Vec<(&'static str, BTreeMap<String, String>)>
            = by_name(node, STEPS, context.warnings, |_, of_step| headers(of_step));
        /// Send state in the code exchange too.
        "stateInTokenBody" state_in_token_body: Option<bool> = node.flag();
        /// What is checked of an id token: nothing, its nonce, also issuer, audience and time, or
        /// its signature too.
        "idToken" id_token: Option<IdTokenCheck> = choice(node, ID_TOKEN_CHECKS);
        /// Send the access token to jwksUri, for a server that shows its keys only to its users.
        "jwksNeedsToken" jwks_needs_token: Option<bool> = node.flag();
        /// The server issues the client with the first login.
        "issuedClient" issued_client: Option<IssuedClient> = issued_client(node, context);
        /// Send a PKCE challenge with the start of a device login, and the verifier with each poll.
        "devicePkce" device_pkce: Option<bool> = node.flag();
        /// What refusals mean, before the standard's names; the first that fits decides.
        "errors" errors: FirstMatch<ErrorRule> = list(node, |rule| error_rule(rule, context));
        /// The pauses of a device login, in milliseconds; rounded up to whole seconds.
        "poll" poll: PollKeys = PollKeys::read(node, context);
        /// Names of the fields of a token response: the standard's, then the server's.
        "fields" fields: Vec<(&'static str, String)>
            = by_name(node, FIELDS, context.warnings, |_, theirs| word(theirs));
        /// How the next access token is obtained.
        "renewal" renewal: Option<Renewal> = choice(node, RENEWALS);
        /// A field that, when it is true in a good answer, says that the login is over.
        "endedField" ended_field: Option<String> = word(node);
        /// JSON pointer in a token response to the address of the API, which must be one of
        /// origins.
        "apiUrl" api_url: Option<String> = pointer(node);
        /// JSON pointers to who signed in.
        "identity" identity: IdentityKeys = IdentityKeys::read(node, context);
        /// A scope without which a login is of no use.
        "requiredScope" required_scope: Option<String> = scope(node);
    }
}

keys! {
    /// Where the metadata of a server lie.
    DiscoveryKeys(node, context) {
        /// Where the document lies. Default: the standard places.
        "url" url: Option<Url> = endpoint(node);
        /// The key under which the metadata stand in it.
        "key" key: Option<String> = word(node);
    }
}

keys! {
    /// A client that the server issues.
    IssuedClientKeys(node, context) {
        /// The client id that asks for the first login.
        "firstId" first_id: Option<String> = word(node);
        /// Name of the parameter that says which installation asks, as a UUID.
        "installation" installation: Option<String> = word(node);
        /// Further parameters of the first page.
        "params" params: BTreeMap<String, Option<String>> = parameters(node, "authorize");
    }
}

keys! {
    /// What a refusal means.
    ErrorKeys(node, context) {
        /// HTTP status; any when left out.
        "status" status: Option<u64> = node.whole(200, 599);
        /// Error name; any when left out.
        "error" error: Option<String> = word(node);
        /// All but invalid_grant are of device polls.
        "means" means: Option<Meaning> = choice(node, MEANINGS);
    }
}

keys! {
    /// The pauses of a device login.
    PollKeys(node, context) {
        /// Between two polls, where the server names no pause.
        "intervalMs" interval: Option<Duration> = pause(node, SHORTEST_POLL_PAUSE);
        /// What each slow_down adds.
        "slowDownMs" slow_down: Option<Duration> = pause(node, Duration::ZERO);
    }
}

keys! {
    /// Where an answer says who signed in.
    IdentityKeys(node, context) {
        /// Tried in this order.
        "subject" subject: Option<Vec<String>> = list(node, pointer);
        /// Tried in this order.
        "organization" organization: Option<Vec<String>> = list(node, pointer);
        /// Tried in this order.
        "email" email: Option<Vec<String>> = list(node, pointer);
        /// Tried in this order.
        "plan" plan: Option<Vec<String>> = list(node, pointer);
    }
}

/// The names that a server may use for itself.
#[derive(Clone)]
pub(super) enum Issuers {
    Any,
    Named(Vec<Url>),
}

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

impl DialectKeys {
    /// Writes the differences into a descriptor's own dialect.
    pub(super) fn apply(self, dialect: &mut Dialect) {
        fn set<T>(to: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *to = value;
            }
        }
        set(&mut dialect.discovery, self.discovery);
        match self.issuers {
            None => {}
            Some(Issuers::Any) => (dialect.any_issuer, dialect.issuers) = (true, Vec::new()),
            Some(Issuers::Named(issuers)) => {
                (dialect.any_issuer, dialect.issuers) = (false, issuers);
            }
        }
        for (name, encoding) in self.encoding {
            step(dialect, name).encoding = encoding;
        }
        for (name, headers) in self.headers {
            let to = &mut step(dialect, name).headers;
            to.retain(|(name, _)| !headers.contains_key(name));
            to.extend(headers);
        }
        set(&mut dialect.state_in_token_body, self.state_in_token_body);
        set(&mut dialect.id_token, self.id_token);
        set(&mut dialect.jwks_needs_token, self.jwks_needs_token);
        set(&mut dialect.device_pkce, self.device_pkce);
        // Before those of the descriptor, since the first rule that fits decides.
        dialect.errors.splice(0..0, self.errors.0);
        for (ours, theirs) in self.fields {
            dialect.rename.retain(|(_, name)| name != ours);
            dialect.rename.push((theirs, ours.to_owned()));
        }
        set(&mut dialect.renewal, self.renewal);
        let identity = &mut dialect.identity;
        set(&mut identity.subject, self.identity.subject);
        set(&mut identity.organization, self.identity.organization);
        set(&mut identity.email, self.identity.email);
        set(&mut identity.plan, self.identity.plan);
        dialect.issued_client.lay(self.issued_client);
        dialect.poll_interval.lay(self.poll.interval);
        dialect.slow_down.lay(self.poll.slow_down);
        dialect.ended.lay(self.ended_field);
        dialect.api_url.lay(self.api_url);
        dialect.required_scope.lay(self.required_scope);
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

fn discovery(node: &Node, context: &mut Context<'_>) -> Result<Discovery, ConfigError> {
    match node.value {
        Content::Flag(true) => Ok(Discovery::Standard),
        Content::Flag(false) => Ok(Discovery::Never),
        _ => {
            let DiscoveryKeys { url, key } = DiscoveryKeys::read(node, context)?;
            Ok(Discovery::Document { url, key })
        }
    }
}

fn error_rule(node: &Node, context: &mut Context<'_>) -> Result<ErrorRule, ConfigError> {
    let keys = ErrorKeys::read(node, context)?;
    if keys.status.is_none() && keys.error.is_none() {
        return Err(node
            .place
            .fault("expected a status, an error, or both: this would mean every refusal"));
    }
    let missing = || node.place.missing("means").fault("missing");
    Ok(ErrorRule {
        status: keys.status.and_then(|status| u16::try_from(status).ok()),
        error: keys.error,
        meaning: keys.means.ok_or_else(missing)?,
    })
}

fn issued_client(node: &Node, context: &mut Context<'_>) -> Result<IssuedClient, ConfigError> {
    let keys = IssuedClientKeys::read(node, context)?;
    let missing = |key: &str| node.place.missing(key).fault("missing");
    let params = keys.params.into_iter();
    Ok(IssuedClient {
        first_id: keys.first_id.ok_or_else(|| missing("firstId"))?,
        params: params
            .filter_map(|(name, value)| Some((name, value?)))
            .collect(),
        installation: keys.installation.ok_or_else(|| missing("installation"))?,
    })
}

fn issuers(node: &Node) -> Result<Issuers, ConfigError> {
    match node.value {
        Content::Text(_) => choice(node, ANY_ISSUER).map(|()| Issuers::Any),
        _ => list(node, issuer).map(Issuers::Named),
    }
}

fn pause(node: &Node, shortest: Duration) -> Result<Duration, ConfigError> {
    let pause = node.whole(millis(shortest), millis(LONGEST_POLL_PAUSE))?;
    // Servers count in seconds.
    Ok(Duration::from_secs(pause.div_ceil(1000)))
}
