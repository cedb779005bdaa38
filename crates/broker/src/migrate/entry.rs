//! One entry of another program's file, as an account of ours; or why it cannot be one.
//!
//! An account is sealed with where its secret belongs, so an entry whose provider is unknown is
//! left where it is.

use std::collections::HashMap;
use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use provider_auth_oauth::{ClientAuth, Identity, Server, Tokens, identity};
use provider_auth_policy::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::field::{Unclear, enterprise_origin, moment, needed, place, said, secret_of, sendable};
use super::metadata::{holds_only, metadata};
use super::object::Object;
use super::source::{Form, Source};
use crate::config::Provider;
use crate::error::BrokerError;
use crate::migrate::MigrationService;
use crate::providers::of_opencode;
use crate::store::accounts::checked_name;
use crate::store::audience::Audience;
use crate::store::credential::{Credential, TakenFrom};
use crate::store::secret::{self, Secret, Unknown};

/// What the OpenCode plugin (`npm/src/server.ts`) has stored in the place of a key.
const PLACEHOLDER: &str = "kept-by-provider-auth";

/// An entry of a source.
pub(super) struct Entry {
    /// Its name; empty for the only one of a variable.
    pub(super) key: String,
    pub(super) meaning: Meaning,
}

/// What an entry is to us.
pub(super) enum Meaning {
    /// An account.
    Account(Box<Credential>),
    /// A placeholder of our own plugin.
    Ours,
    /// Not among those that are to be taken over.
    NotNamed,
    /// Nothing that could be taken over: why.
    Unclear(String),
}

impl MigrationService {
    /// The entries of a source, in its order; nothing when it holds something else than entries.
    pub(super) fn entries(&self, source: &Source, now: Timestamp) -> Option<Vec<Entry>> {
        if let Form::Key(provider) = source.form {
            let key = source.text.as_str().into();
            return Some(vec![
                self.entry_of(source, "", |_| self.api_key(provider, key, now)),
            ]);
        }
        let object = Object::parse(&source.text)?;
        let places = object.fields().iter().enumerate();
        let last: HashMap<&str, usize> = places
            .clone()
            .map(|(place, (key, _))| (key.as_str(), place))
            .collect();
        let entries = places.map(|(place, (key, value))| {
            self.entry_of(source, key, |key| {
                if last[key] != place {
                    return Err("a later entry has the same name, and that one counts".to_owned());
                }
                let fields = Object::parse(value.get()).ok_or("it is no object")?;
                match source.form {
                    Form::Mcp => self.server_login(key, &fields, now),
                    _ => self.auth_entry(key, &fields, now),
                }
            })
        });
        Some(entries.collect())
    }

    fn entry_of(
        &self,
        source: &Source,
        key: &str,
        read: impl FnOnce(&str) -> Result<Understood, Unclear>,
    ) -> Entry {
        let meaning = match read(key) {
            Ok(Understood::Account(mut credential, metadata)) => {
                credential.taken_from = Some(Box::new(TakenFrom {
                    file: source.name.clone(),
                    key: key.to_owned(),
                    fingerprint: fingerprint(&credential),
                    metadata: Unknown::of(metadata),
                    other: Unknown::default(),
                }));
                Meaning::Account(credential)
            }
            Ok(Understood::Ours) => Meaning::Ours,
            Err(why) => Meaning::Unclear(why),
        };
        Entry {
            key: key.to_owned(),
            meaning,
        }
    }

    fn auth_entry(
        &self,
        key: &str,
        fields: &Object<'_>,
        now: Timestamp,
    ) -> Result<Understood, Unclear> {
        match fields.text("type").map_err(said)?.as_deref() {
            Some("api") => {
                let secret = needed(fields, "key")?;
                if secret.expose_secret() == PLACEHOLDER {
                    return Ok(Understood::Ours);
                }
                holds_only(fields, &["key", "metadata"])?;
                let metadata = metadata(fields)?;
                let understood = self.api_key(key, secret, now)?;
                Ok(understood.with(metadata))
            }
            Some("oauth") => {
                let known = ["access", "refresh", "expires", "accountId", "enterpriseUrl"];
                holds_only(fields, &known)?;
                self.login(key, fields, now)
            }
            Some("wellknown") => {
                holds_only(fields, &["key", "token"])?;
                host_token(key, fields, now)
            }
            Some(_) => Err("it is of a type that is not known".to_owned()),
            None => Err("it has no type".to_owned()),
        }
    }

    fn api_key(
        &self,
        key: &str,
        secret: SecretString,
        now: Timestamp,
    ) -> Result<Understood, Unclear> {
        let provider = self.placed(key)?;
        sendable(&secret, "key")?;
        let secret = Secret::Api {
            key: secret,
            other: Unknown::default(),
        };
        account(&provider.id, Audience::key(&provider), secret, now)
    }

    fn login(&self, key: &str, fields: &Object<'_>, now: Timestamp) -> Result<Understood, Unclear> {
        let provider = self.placed(key)?;
        let enterprise = fields.text("enterpriseUrl").map_err(said)?;
        let origins = match enterprise {
            None => provider.origins.iter().cloned().collect(),
            Some(host) => [enterprise_origin(&provider, &host)?].into(),
        };
        let organization = fields.text("accountId").map_err(said)?;
        let access = fields.secret("access").map_err(said)?;
        let tokens = Tokens::bare(
            access.unwrap_or_default(),
            fields.secret("refresh").map_err(said)?,
        );
        let expires_at = fields.number("expires").map_err(said)?.and_then(moment);
        let no_server = Server::default();
        let server = provider.server.as_ref().unwrap_or(&no_server);
        let mut identity = identity(&tokens, server, None);
        identity.organization = identity.organization.or(organization);
        let audience = Audience {
            origins,
            issuer: server.issuer.clone(),
            token_endpoint: server.token_endpoint.clone(),
            revocation_endpoint: server.revocation_endpoint.clone(),
            client_id: provider.client_id.clone(),
            client_auth: match provider.client_id {
                Some(_) => provider.client_auth,
                None => ClientAuth::default(),
            },
            exchange_endpoint: server.exchange_endpoint.clone(),
            ..Audience::made_under(&provider)
        };
        let secret = secret_of(tokens, None, expires_at, now)?;
        let understood = account(&provider.id, audience, secret, now)?;
        Ok(understood.of(identity))
    }

    fn server_login(
        &self,
        name: &str,
        fields: &Object<'_>,
        now: Timestamp,
    ) -> Result<Understood, Unclear> {
        let told = fields.object("tokens").map_err(said)?;
        let told = told.ok_or("it holds no tokens: the server was never signed in to")?;
        let url = fields.text("serverUrl").map_err(said)?;
        let url = url.ok_or("it does not say which server it is for: sign in to it once more")?;
        let (url, origin) = place(&url)?;
        // A model provider's pool is no place for the login of a server.
        if let Some(Ok(known)) = self.store.configured_provider(name)
            && !known.origins.contains(&origin)
        {
            return Err(format!(
                "a provider is called {name} too, and the server is at none of its origins: give the server another name"
            ));
        }
        let client = fields.object("clientInfo").map_err(said)?;
        let of_client = |field: &str| match &client {
            Some(client) => client.secret(field).map_err(said),
            None => Ok(None),
        };
        let client_secret = of_client("clientSecret")?;
        let audience = Audience {
            origins: [origin].into(),
            client_id: of_client("clientId")?.map(|id| id.expose_secret().to_owned()),
            client_auth: match client_secret {
                Some(_) => ClientAuth::Basic,
                None => ClientAuth::None,
            },
            resource: Some(url),
            ..Audience::default()
        };
        let expires_at = told.number("expiresAt").map_err(said)?.and_then(moment);
        let scope = told.text("scope").map_err(said)?;
        let access = needed(&told, "accessToken")?;
        let kept = Tokens::bare(access, told.secret("refreshToken").map_err(said)?);
        let kept = Tokens {
            scopes: scope.map(|scope| scope.split_whitespace().map(str::to_owned).collect()),
            ..kept
        };
        let secret = secret_of(kept, client_secret, expires_at, now)?;
        account(name, audience, secret, now)
    }

    /// The provider that OpenCode's id stands for, if it is known where its credentials may go.
    fn placed(&self, id: &str) -> Result<Arc<Provider>, Unclear> {
        let found = match self.store.provider(id) {
            Err(BrokerError::UnknownProvider { .. }) => match of_opencode(id) {
                Some(descriptor) => self.store.provider(descriptor.id),
                None => Err(BrokerError::unknown_provider(id)),
            },
            found => found,
        };
        match found {
            Ok(provider) if !provider.origins.is_empty() => Ok(provider),
            Err(error @ BrokerError::ProjectNotTrusted { .. }) => Err(error.to_string()),
            _ => Err(
                "it is not known where its credential may go: configure the origins of this provider, and run this again"
                    .to_owned(),
            ),
        }
    }
}

enum Understood {
    /// And what stood beside it.
    Account(Box<Credential>, Map<String, Value>),
    Ours,
}

impl Understood {
    fn of(mut self, identity: Identity) -> Self {
        if let Self::Account(credential, _) = &mut self {
            credential.identity = identity;
        }
        self
    }

    fn with(mut self, found: Map<String, Value>) -> Self {
        if let Self::Account(_, metadata) = &mut self {
            *metadata = found;
        }
        self
    }
}

fn account(
    provider: &str,
    audience: Audience,
    secret: Secret,
    now: Timestamp,
) -> Result<Understood, Unclear> {
    checked_name("", Some(provider.to_owned())).map_err(|_| "its name can be no provider's")?;
    let credential = Credential {
        method: Some("migrated".to_owned()),
        ..Credential::new(provider, audience, secret, now)
    };
    Ok(Understood::Account(Box::new(credential), Map::new()))
}

/// The token of a host that configures its clients: the entry is named by the host's URL.
fn host_token(key: &str, fields: &Object<'_>, now: Timestamp) -> Result<Understood, Unclear> {
    let (_, origin) = place(key)?;
    let token = needed(fields, "token")?;
    sendable(&token, "token")?;
    let audience = Audience {
        origins: [origin].into(),
        ..Audience::default()
    };
    let secret = Secret::Wellknown {
        token,
        variable: fields.text("key").map_err(said)?,
        other: Unknown::default(),
    };
    account(key.trim_end_matches('/'), audience, secret, now)
}

/// A hash of what makes the entry another one: all its secrets, and when they end.
fn fingerprint(credential: &Credential) -> String {
    let mut hash = Sha256::new();
    for text in [credential.provider.as_str(), credential.kind().as_str()] {
        hash.update(Sha256::digest(text));
    }
    hash.update(secret::fingerprint(credential.bearer()));
    if let Secret::Oauth {
        refresh,
        expires_at,
        access,
        ..
    } = &credential.secret
    {
        let refresh = refresh.as_ref().map(secret::fingerprint);
        hash.update(refresh.unwrap_or_default());
        // Where there is no access token, the time was set by us.
        let ends_at = expires_at.filter(|_| !access.expose_secret().is_empty());
        hash.update(ends_at.map_or(0, Timestamp::as_millis).to_le_bytes());
    }
    STANDARD.encode(hash.finalize())
}
