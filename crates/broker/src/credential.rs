//! What one sealed record holds: an account, its secret, and where that secret belongs.
//!
//! This is the only place where secrets are written out, and only into the zeroized buffer that the vault seals.
//! Fields that a newer version added are kept as they are.

use std::collections::BTreeSet;

use provider_auth_oauth::{
    ClientAuth, Identity, Renewal, Tokens, resource_uri, unix_seconds, whole,
};
use provider_auth_policy::{AccountId, AccountKind, AccountView, Timestamp, server_time};
use provider_auth_vault::{Record, wiping_stack};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use url::Url;
use zeroize::Zeroizing;

use crate::config::{Origin, Provenance, Provider};
use crate::providers;

/// An account as it lies in the vault.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Credential {
    pub(crate) provider: String,
    pub(crate) namespace: String,
    pub(crate) label: String,
    pub(crate) enabled: bool,
    pub(crate) priority: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    #[serde(default)]
    pub(crate) identity: Identity,
    pub(crate) belongs: Belongs,
    pub(crate) secret: Secret,
    /// When its login left in a bundle; what is here has no tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) moved_at: Option<Timestamp>,
    /// What it was last made of, if another program had it before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) taken_from: Option<TakenFrom>,
    #[serde(flatten)]
    pub(crate) other: Unknown,
}

/// The entry of another program's file that an account was made of: that very entry is not taken a second time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TakenFrom {
    /// Path of the file, or name of the variable.
    pub(crate) file: String,
    /// Name of the entry.
    pub(crate) key: String,
    /// Hash of its secrets, in base64.
    pub(crate) fingerprint: String,
    /// What that program kept beside an API key and needs to use it, such as ids of accounts and gateways.
    #[serde(default, skip_serializing_if = "Unknown::is_empty")]
    pub(crate) metadata: Unknown,
    #[serde(flatten)]
    pub(crate) other: Unknown,
}

/// Fields that a newer version, or another program, added: kept as they are, and never printed, since any of them may be a secret.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Unknown(Map<String, Value>);

impl Unknown {
    pub(crate) fn of(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn fields(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl std::fmt::Debug for Unknown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Where a credential was made for; it goes nowhere else until the user signs in again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Belongs {
    pub(crate) origins: BTreeSet<Origin>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) issuer: Option<Url>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_endpoint: Option<Url>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) revocation_endpoint: Option<Url>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<String>,
    #[serde(default)]
    pub(crate) client_auth: ClientAuth,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) exchange_endpoint: Option<Url>,
    /// Where the provider serves this very account, of the origins above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) api: Option<Origin>,
    /// The MCP server that a login is for (RFC 8707 §2); of other logins, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resource: Option<Url>,
    /// What that server calls itself, where it is not its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resource_id: Option<String>,
    /// Whether that server named where it is renewed, and was neither on this machine nor in its network.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_elsewhere: bool,
    /// How its client was registered, where nobody did it by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) registration: Option<Registration>,
    /// The project's file that defined its provider, where one did: no other file may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<String>,
    /// What that file said of the shape of requests and answers, as a hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shape: Option<String>,
    #[serde(flatten)]
    pub(crate) other: Unknown,
}

/// A client that the login server has registered for us (RFC 7591).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Registration {
    /// Where its logins come back to, exactly.
    pub(crate) redirect_uri: Url,
    /// When its secret ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret_ends_at: Option<Timestamp>,
}

/// The secret part.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "lowercase",
    rename_all_fields = "camelCase"
)]
pub(crate) enum Secret {
    /// A login.
    Oauth {
        #[serde(serialize_with = "sealed::one")]
        access: SecretString,
        #[serde(
            default,
            serialize_with = "sealed::maybe",
            skip_serializing_if = "Option::is_none"
        )]
        refresh: Option<SecretString>,
        /// Kept where the client secret came from a file of the project, which is read for a login only.
        #[serde(
            default,
            serialize_with = "sealed::maybe",
            skip_serializing_if = "Option::is_none"
        )]
        client_secret: Option<SecretString>,
        obtained_at: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
        /// A refresh before this time would end the login (Sign in with ChatGPT).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        earliest_refresh_at: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scopes: Option<Vec<String>>,
        /// Whether it came by an assertion, which brings the next one too.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        by_assertion: bool,
        /// Whether it came by the client's own credentials, which bring the next one too.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        by_client: bool,
        #[serde(flatten)]
        other: Unknown,
    },
    /// An API key.
    Api {
        #[serde(serialize_with = "sealed::one")]
        key: SecretString,
        #[serde(flatten)]
        other: Unknown,
    },
    /// A token that a host gave out beside its configuration, under `/.well-known/opencode`.
    Wellknown {
        #[serde(serialize_with = "sealed::one")]
        token: SecretString,
        /// The variable in which that host's configuration looks for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        variable: Option<String>,
        #[serde(flatten)]
        other: Unknown,
    },
}

impl Credential {
    /// Reads a record; `None` when it is not one of ours.
    pub(crate) fn open(record: &Record) -> Option<Self> {
        serde_json::from_slice(record.plaintext()).ok()
    }

    /// The bytes to seal.
    pub(crate) fn plaintext(&self) -> Zeroizing<Vec<u8>> {
        // Sized ahead, so that growing leaves no copy of a secret behind in freed memory.
        let mut bytes = Zeroizing::new(Vec::with_capacity(16 * 1024));
        serde_json::to_writer(&mut *bytes, self).expect("a credential has only string keys");
        bytes
    }

    pub(crate) fn kind(&self) -> AccountKind {
        match self.secret {
            Secret::Oauth { .. } if self.belongs.resource.is_some() => AccountKind::Mcp,
            Secret::Oauth { .. } => AccountKind::Oauth,
            Secret::Api { .. } => AccountKind::Api,
            Secret::Wellknown { .. } => AccountKind::Wellknown,
        }
    }

    /// The secret that authenticates a request.
    pub(crate) fn bearer(&self) -> &SecretString {
        match &self.secret {
            Secret::Oauth { access, .. } => access,
            Secret::Api { key, .. } => key,
            Secret::Wellknown { token, .. } => token,
        }
    }

    /// Every secret of it: what a server may know, and repeat.
    pub(crate) fn held(&self) -> Vec<&SecretString> {
        let mut held = vec![self.bearer()];
        if let Secret::Oauth {
            refresh,
            client_secret,
            ..
        } = &self.secret
        {
            held.extend(refresh.iter().chain(client_secret));
        }
        held
    }

    /// A secret that stays the same as long as it is good, as a login's does not.
    pub(crate) fn lasting(&self) -> Option<&SecretString> {
        match self.secret {
            Secret::Oauth { .. } => None,
            Secret::Api { .. } | Secret::Wellknown { .. } => Some(self.bearer()),
        }
    }

    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        match self.secret {
            Secret::Oauth { expires_at, .. } => expires_at,
            _ => None,
        }
    }

    /// Takes out what only a refresh needs, which reads the record again: an account in memory holds none of it.
    pub(crate) fn forget_grant(&mut self) {
        if let Secret::Oauth {
            refresh,
            client_secret,
            ..
        } = &mut self.secret
        {
            (*refresh, *client_secret) = (None, None);
        }
    }

    /// When the tokens of a login were asked for.
    pub(crate) fn obtained_at(&self) -> Option<Timestamp> {
        match self.secret {
            Secret::Oauth { obtained_at, .. } => Some(obtained_at),
            _ => None,
        }
    }

    /// Whether the next access token takes no person.
    fn is_refreshable(&self) -> bool {
        match self.secret {
            Secret::Oauth {
                ref refresh,
                by_assertion,
                by_client,
                ..
            } => by_assertion || by_client || refresh.is_some(),
            _ => false,
        }
    }

    /// Whether the login itself took no person.
    fn is_unattended(&self) -> bool {
        matches!(self.secret, Secret::Oauth { by_assertion, by_client, .. } if by_assertion || by_client)
    }

    /// Whether it is a login that another program made, with a client or at a server that nobody here knows. Those of an
    /// MCP server can be found out from it.
    fn is_borrowed(&self) -> bool {
        let belongs = &self.belongs;
        self.taken_from.is_some()
            && self.kind() == AccountKind::Oauth
            && (belongs.client_id.is_none() || belongs.token_endpoint.is_none())
    }

    /// Whether it can be renewed here, where its provider renews in this way.
    pub(crate) fn may_be_renewed(&self, renewal: Option<Renewal>) -> bool {
        let takes_client = renewal.is_none_or(|renewal| renewal == Renewal::RefreshToken);
        !(self.is_borrowed() && takes_client)
    }

    /// What the provider says of logins, for one that another program made.
    pub(crate) fn borrowed_terms(&self) -> Option<&'static str> {
        let descriptor = providers::built_in(&self.provider).filter(|_| self.is_borrowed());
        descriptor.and_then(|descriptor| descriptor.terms)
    }

    /// What the policy may see.
    pub(crate) fn view(&self, id: AccountId, generation: u64) -> AccountView {
        AccountView {
            id,
            provider: self.provider.as_str().into(),
            namespace: self.namespace.as_str().into(),
            label: self.label.clone(),
            kind: self.kind(),
            enabled: self.enabled,
            priority: self.priority,
            generation,
            created_at: self.created_at,
            expires_at: self.expires_at(),
            obtained_at: self.obtained_at(),
            refreshable: self.is_refreshable(),
            unattended: self.is_unattended(),
            readable: true,
        }
    }

    /// Whether both are the same account: the same identity, or the same lasting secret.
    pub(crate) fn is_same_account(&self, other: &Self) -> bool {
        if self.provider != other.provider
            || self.namespace != other.namespace
            || self.kind() != other.kind()
            // What a project's login server says of who signed in replaces no account made without it.
            || self.belongs.project != other.belongs.project
        {
            return false;
        }
        match (self.lasting(), other.lasting()) {
            (Some(a), Some(b)) => fingerprint(a) == fingerprint(b),
            // A login is good at one MCP server.
            _ if self.belongs.resource_id() != other.belongs.resource_id() => false,
            _ if self.knows_nobody_at_its_resource() || other.knows_nobody_at_its_resource() => {
                self.name() == other.name()
            }
            // Where the provider does not say who signed in, the user's name for the account does.
            _ if self.identity.subject.is_none() && other.identity.subject.is_none() => {
                !other.label.is_empty()
                    && self.label == other.label
                    && self.belongs.client_id == other.belongs.client_id
                    && self.belongs.token_endpoint == other.belongs.token_endpoint
            }
            _ => self.identity.subject.is_some() && self.has_identity_of(other),
        }
    }

    /// Whether it is a login of an MCP server that does not say who signed in. Its client tells nothing: each registration
    /// brings another.
    fn knows_nobody_at_its_resource(&self) -> bool {
        self.belongs.resource.is_some() && self.identity.subject.is_none()
    }

    /// The user's name for it; without one, that of its provider, as a first account is called.
    fn name(&self) -> &str {
        match self.label.is_empty() {
            true => &self.provider,
            false => &self.label,
        }
    }

    /// Whether two records of one id are of the same account, in whichever pool it is now.
    pub(crate) fn is_same_record(&self, other: &Self) -> bool {
        if self.provider != other.provider || self.kind() != other.kind() {
            return false;
        }
        match (self.lasting(), other.lasting()) {
            (Some(a), Some(b)) => fingerprint(a) == fingerprint(b),
            _ => self.has_identity_of(other),
        }
    }

    fn has_identity_of(&self, other: &Self) -> bool {
        self.identity.issuer == other.identity.issuer
            && self.identity.subject == other.identity.subject
            && self.identity.organization == other.identity.organization
    }

    /// Whether this is the very token with which the next ones are asked for.
    pub(crate) fn is_login_token(&self, token: &SecretString) -> bool {
        match &self.secret {
            Secret::Oauth {
                refresh: Some(login),
                ..
            } => fingerprint(login) == fingerprint(token),
            _ => false,
        }
    }

    /// What stays of a login that leaves: an account that needs a login, and holds no secret.
    pub(crate) fn without_tokens(&self, now: Timestamp) -> Self {
        Self {
            updated_at: now,
            moved_at: Some(now),
            secret: Secret::Oauth {
                access: SecretString::from(""),
                refresh: None,
                client_secret: None,
                obtained_at: self.obtained_at().unwrap_or(now),
                expires_at: Some(now),
                earliest_refresh_at: None,
                scopes: None,
                by_assertion: false,
                by_client: false,
                other: Unknown::default(),
            },
            ..self.clone()
        }
    }

    /// Takes over the tokens of a refresh; what the answer leaves out stays as it was (RFC 6749 §6).
    pub(crate) fn renew(&mut self, tokens: Tokens, asked_at: Timestamp) {
        let lifetime = TokenLife::of(&tokens, asked_at);
        if let Secret::Oauth {
            access,
            refresh,
            obtained_at,
            expires_at,
            earliest_refresh_at,
            scopes,
            ..
        } = &mut self.secret
        {
            *access = tokens.access;
            if tokens.refresh.is_some() {
                *refresh = tokens.refresh;
            }
            if tokens.scopes.is_some() {
                *scopes = tokens.scopes;
            }
            *obtained_at = asked_at;
            *expires_at = lifetime.expires_at;
            *earliest_refresh_at = lifetime.earliest_refresh_at;
        }
        self.updated_at = asked_at;
    }
}

impl Secret {
    /// The tokens of a login that was asked for at `asked_at`.
    pub(crate) fn from_login(
        tokens: Tokens,
        client_secret: Option<SecretString>,
        asked_at: Timestamp,
    ) -> Self {
        let lifetime = TokenLife::of(&tokens, asked_at);
        Self::Oauth {
            access: tokens.access,
            refresh: tokens.refresh,
            client_secret,
            obtained_at: asked_at,
            expires_at: lifetime.expires_at,
            earliest_refresh_at: lifetime.earliest_refresh_at,
            scopes: tokens.scopes,
            by_assertion: false,
            by_client: false,
            other: Unknown::default(),
        }
    }
}

impl Belongs {
    /// The identifier of the MCP server (RFC 8707).
    pub(crate) fn resource_id(&self) -> Option<String> {
        let own = self.resource_id.clone();
        own.or_else(|| self.resource.as_ref().map(resource_uri))
    }

    /// Whether it still has to be found out where the login is renewed.
    pub(crate) fn has_no_home(&self) -> bool {
        self.resource.is_some() && self.token_endpoint.is_none()
    }

    /// Whether the provider, as configured now, is still the one that the credential was made for.
    pub(crate) fn fits(&self, provider: &Provider) -> bool {
        // What was made under a project's file serves under that very file, and nothing else serves under it.
        if self.project.as_deref() != project_of(provider) || self.shape != provider.shape {
            return false;
        }
        if let (Some(configured), Some(sealed)) = (&provider.resource, &self.resource)
            && resource_uri(configured) != resource_uri(sealed)
        {
            return false;
        }
        if self.client_id.is_none() && self.token_endpoint.is_none() {
            return true;
        }
        let same_client = || {
            let configured = provider.client_id.as_ref();
            configured.is_none_or(|configured| Some(configured) == self.client_id.as_ref())
        };
        // Where it is renewed is still to be found, and the user's own configuration may say it.
        if self.has_no_home() && !matches!(provider.origin_of_definition, Provenance::Project(_)) {
            return self.client_id.is_none() || same_client();
        }
        let Some(server) = &provider.server else {
            return false;
        };
        let same = |configured: &Option<Url>, sealed: &Option<Url>| {
            configured.is_none() || configured == sealed
        };
        same_client()
            && same(&server.token_endpoint, &self.token_endpoint)
            && same(&server.exchange_endpoint, &self.exchange_endpoint)
            && same(&server.issuer, &self.issuer)
    }

    /// Where an API key of `provider` belongs.
    pub(crate) fn key(provider: &Provider) -> Self {
        Self {
            origins: provider.origins.iter().cloned().collect(),
            ..Self::made_under(provider)
        }
    }

    /// Under whose definition a credential is made, and nothing else yet.
    pub(crate) fn made_under(provider: &Provider) -> Self {
        let file = project_of(provider);
        Self {
            project: file.map(str::to_owned),
            shape: provider.shape.clone(),
            ..Self::default()
        }
    }
}

/// The project's file that defines a provider.
fn project_of(provider: &Provider) -> Option<&str> {
    match &provider.origin_of_definition {
        Provenance::Project(file) => file.to_str(),
        _ => None,
    }
}

/// A hash that tells two secrets apart and reveals neither; never leaves the vault folder's `.pending` notes.
pub(crate) fn fingerprint(secret: &SecretString) -> [u8; 32] {
    wiping_stack(|| Sha256::digest(secret.expose_secret()).into())
}

/// When a token ends and when it may be renewed, by our clock. `expires_in` counts from before the request was sent;
/// absolute times are by the server's clock, which the answer's `Date` shows.
struct TokenLife {
    expires_at: Option<Timestamp>,
    earliest_refresh_at: Option<Timestamp>,
}

impl TokenLife {
    fn of(tokens: &Tokens, asked_at: Timestamp) -> Self {
        let server_asked_at = server_time(tokens.date.as_deref(), asked_at);
        let by_our_clock =
            |millis| Timestamp::from_millis(millis).by_clock(server_asked_at, asked_at);
        // A token that had ended when it was asked for tells of two clocks that differ, not of its life: taken by the
        // letter, each request would refresh.
        let expires_at = tokens
            .ends_at(server_asked_at.as_millis())
            .map(by_our_clock)
            .filter(|ends_at| *ends_at > asked_at);
        // Nothing but a refresh follows the end of a token, so no later time is believed.
        let earliest_refresh_at = tokens
            .extra
            .get("earliest_refresh_at")
            .and_then(whole)
            .map(unix_seconds)
            .map(|seconds| by_our_clock(seconds.saturating_mul(1000)))
            .map(|at| expires_at.map_or(at, |ends_at| at.min(ends_at)));
        Self {
            expires_at,
            earliest_refresh_at,
        }
    }
}

/// Writes secrets into the plaintext of a record, and nowhere else.
mod sealed {
    use secrecy::{ExposeSecret as _, SecretString};
    use serde::{Serialize as _, Serializer};

    pub(super) fn one<S: Serializer>(
        secret: &SecretString,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        secret.expose_secret().serialize(serializer)
    }

    pub(super) fn maybe<S: Serializer>(
        secret: &Option<SecretString>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        secret
            .as_ref()
            .map(SecretString::expose_secret)
            .serialize(serializer)
    }
}
