//! What one sealed record holds: an account, its secret, and where that secret belongs.
//!
//! This is the only place where secrets are written out, and only into the zeroized buffer that the
//! vault seals. Fields that a newer version added are kept as they are.

use std::sync::Arc;

use provider_auth_oauth::{Identity, Renewal, Tokens};
use provider_auth_policy::{AccountId, AccountKind, AccountView, Timestamp};
use provider_auth_vault::Record;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::config::DEFAULT_NAMESPACE;
use crate::providers;
use crate::store::audience::Audience;
use crate::store::once::kept_once;
use crate::store::plaintext;
use crate::store::secret::Secret;
use crate::store::secret::Unknown;
use crate::store::secret::is_same_secret;

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
    #[serde(rename = "belongs")]
    pub(crate) audience: Arc<Audience>,
    pub(crate) secret: Secret,
    /// When its login left in a bundle; what is here has no tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) moved_at: Option<Timestamp>,
    /// What it was last made of, if another program had it before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) taken_from: Option<Box<TakenFrom>>,
    /// How its secret came: a way to log in, or `migrated`. Early records do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) method: Option<String>,
    #[serde(flatten)]
    pub(crate) other: Unknown,
}

/// The entry of another program's file that an account was made of: that very entry is not taken a
/// second time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TakenFrom {
    /// Path of the file, or name of the variable.
    pub(crate) file: String,
    /// Name of the entry.
    pub(crate) key: String,
    /// Hash of its secrets, in base64.
    pub(crate) fingerprint: String,
    /// What that program kept beside an API key and needs to use it, such as ids of accounts and
    /// gateways.
    #[serde(default, skip_serializing_if = "Unknown::is_empty")]
    pub(crate) metadata: Unknown,
    #[serde(flatten)]
    pub(crate) other: Unknown,
}

impl Credential {
    /// A credential that was just made, as the account of a pool that names no other.
    pub(crate) fn new(provider: &str, audience: Audience, secret: Secret, now: Timestamp) -> Self {
        Self {
            provider: provider.to_owned(),
            namespace: DEFAULT_NAMESPACE.to_owned(),
            label: String::new(),
            enabled: true,
            priority: 0,
            created_at: now,
            updated_at: now,
            identity: Identity::default(),
            audience: Arc::new(audience),
            secret,
            moved_at: None,
            taken_from: None,
            method: None,
            other: Unknown::default(),
        }
    }

    /// Reads a record; `None` when it is not one of ours.
    pub(crate) fn open(record: &Record) -> Option<Self> {
        let mut opened: Self = serde_json::from_slice(record.plaintext()).ok()?;
        opened.audience = opened.audience.kept_once();
        Some(opened)
    }

    /// The bytes to seal.
    pub(crate) fn plaintext(&self) -> Zeroizing<Vec<u8>> {
        plaintext::of(self)
    }

    pub(crate) fn kind(&self) -> AccountKind {
        match self.secret {
            Secret::Oauth { .. } if self.audience.resource.is_some() => AccountKind::Mcp,
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

    /// Takes out what only a refresh needs, which reads the record again: an account in memory
    /// holds none of it. That there was a refresh token can still be told.
    pub(crate) fn forget_grant(&mut self) {
        if let Secret::Oauth {
            refresh,
            client_secret,
            ..
        } = &mut self.secret
        {
            *refresh = refresh.take().map(|_| SecretString::default());
            *client_secret = None;
        }
    }

    /// What may be known of it without its record: no secret, and nothing that a newer version or
    /// another program added, since any of that may be one.
    pub(crate) fn without_secrets(&self) -> Self {
        let mut known = Self {
            secret: self.secret.without_secrets(),
            other: Unknown::default(),
            ..self.clone()
        };
        if !known.audience.other.is_empty() {
            Arc::make_mut(&mut known.audience).other = Unknown::default();
        }
        if let Some(from) = &mut known.taken_from {
            from.other = Unknown::default();
        }
        known
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

    /// Whether it is a login that another program made, with a client or at a server that is
    /// unknown here. Those of an MCP server can be found out from it.
    fn is_borrowed(&self) -> bool {
        let audience = &self.audience;
        self.taken_from.is_some()
            && self.kind() == AccountKind::Oauth
            && (audience.client_id.is_none() || audience.token_endpoint.is_none())
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
            provider: kept_once(&self.provider),
            namespace: kept_once(&self.namespace),
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
            // What a project's login server says of who signed in replaces no account made without
            // it.
            || self.audience.project != other.audience.project
        {
            return false;
        }
        match (self.lasting(), other.lasting()) {
            (Some(a), Some(b)) => is_same_secret(a, b),
            // A login is good at one MCP server.
            _ if self.audience.resource_id() != other.audience.resource_id() => false,
            _ if self.has_no_subject_at_its_resource()
                || other.has_no_subject_at_its_resource() =>
            {
                self.name() == other.name()
            }
            // Where the provider does not say who signed in, the user's name for the account does.
            _ if self.identity.subject.is_none() && other.identity.subject.is_none() => {
                !other.label.is_empty()
                    && self.label == other.label
                    && self.audience.client_id == other.audience.client_id
                    && self.audience.token_endpoint == other.audience.token_endpoint
            }
            _ => self.identity.subject.is_some() && self.has_identity_of(other),
        }
    }

    /// Whether it is a login of an MCP server that does not say who signed in. Its client tells
    /// nothing: each registration brings another.
    fn has_no_subject_at_its_resource(&self) -> bool {
        self.audience.resource.is_some() && self.identity.subject.is_none()
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
            (Some(a), Some(b)) => is_same_secret(a, b),
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
            } => is_same_secret(login, token),
            _ => false,
        }
    }

    /// These secrets in the place of those of the same account. What its owner has said about it
    /// stays, and so does who it is where these do not say.
    pub(crate) fn in_place_of(self, current: Self) -> Self {
        let says_who = self.identity.subject.is_some()
            || (current.identity.subject.is_none() && self.identity != Identity::default());
        Self {
            namespace: current.namespace,
            label: current.label,
            enabled: current.enabled,
            priority: current.priority,
            created_at: current.created_at,
            identity: match says_who {
                true => self.identity,
                false => current.identity,
            },
            taken_from: self.taken_from.or(current.taken_from),
            method: self.method.or(current.method),
            other: match self.other.is_empty() {
                true => current.other,
                false => self.other,
            },
            ..self
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

    /// Takes over the tokens of a refresh.
    pub(crate) fn renew(&mut self, tokens: Tokens, asked_at: Timestamp) {
        self.secret.renew(tokens, asked_at);
        self.updated_at = asked_at;
    }
}
