//! What a login brought, until it is an account: who it is, what the API takes, where it belongs.

use std::sync::Arc;

use provider_auth_oauth::{
    Client, Http, Identity, Renewal, Server, Tokens, check_id_token, exchange_token, identity,
    userinfo, without_secrets,
};
use provider_auth_policy::{AccountKind, Timestamp};
use serde_json::Value;
use url::Url;

use crate::accounts::Account;
use crate::broker::Broker;
use crate::config::{Origin, Provider};
use crate::credential::{Belongs, Credential, Secret, Unknown};
use crate::error::BrokerError;
use crate::headers::HeaderSet;
use crate::login::{Making, Method};
use crate::resource::{McpServer, sealed_secret};

impl Broker {
    /// Checks and stores what a login brought. `client` is the one that asked, with its secret.
    pub(crate) async fn keep(
        self: &Arc<Self>,
        made: &Making,
        client: Client,
        tokens: Tokens,
        asked_at: Timestamp,
    ) -> Result<Account, BrokerError> {
        let (server, http) = (&made.server, &made.client_of(self));
        tokens
            .check_scope(server)
            .map_err(BrokerError::from_login)?;
        let now = self.now();
        // Where no person signs in, there is no id token.
        if !matches!(made.method, Method::Assertion | Method::ClientCredentials) {
            check_id_token(http, server, &client, &tokens, now.as_millis())
                .await
                .map_err(BrokerError::from_login)?;
        }
        let identity = self.who(http, server, &tokens).await;
        let tokens = match server.dialect.renewal {
            Renewal::ExchangeLogin => {
                let login = tokens.access;
                let others = tokens.refresh.iter().chain(&tokens.id_token);
                let others: Vec<_> = others.collect();
                let issued = exchange_token(http, server, &login)
                    .await
                    .map_err(|error| BrokerError::from_login(error.without(&others)))?;
                Tokens {
                    refresh: Some(login),
                    ..issued
                }
            }
            _ => tokens,
        };
        HeaderSet::check_key(&tokens.access).map_err(|_| {
            BrokerError::LoginFailed("the access token cannot be part of a header".to_owned())
        })?;
        let api = named_api(&made.provider, server, &tokens).map_err(|host| {
            BrokerError::LoginFailed(format!(
                "the provider names {host} as the address of its API, which is not one of the origins of {}",
                made.provider.id
            ))
        })?;
        let client_secret = sealed_secret(&made.provider, made.mcp.as_ref(), client.secret);
        let mut secret = Secret::from_login(tokens, client_secret, asked_at);
        if let Secret::Oauth {
            by_assertion,
            by_client,
            ..
        } = &mut secret
        {
            *by_assertion = made.method == Method::Assertion;
            *by_client = made.method == Method::ClientCredentials;
        }
        let credential = Credential {
            provider: made.provider.id.to_string(),
            namespace: made.namespace.clone(),
            label: made.label.clone().unwrap_or_default(),
            enabled: true,
            priority: made.priority.unwrap_or_default(),
            created_at: now,
            updated_at: now,
            identity,
            belongs: Belongs {
                origins: made.provider.origins.iter().cloned().collect(),
                issuer: server.issuer.clone(),
                token_endpoint: server.token_endpoint.clone(),
                revocation_endpoint: server.revocation_endpoint.clone(),
                client_id: Some(client.id).filter(|id| !id.is_empty()),
                client_auth: client.auth,
                exchange_endpoint: server.exchange_endpoint.clone(),
                api,
                resource: made.mcp.as_ref().map(|mcp| mcp.url.clone()),
                resource_id: made.mcp.as_ref().and_then(McpServer::own_id),
                is_elsewhere: made.mcp.as_ref().is_some_and(|mcp| mcp.is_elsewhere),
                registration: made.mcp.as_ref().and_then(|mcp| mcp.registration.clone()),
                ..Belongs::made_under(&made.provider)
            },
            secret,
            moved_at: None,
            taken_from: None,
            other: Unknown::default(),
        };
        self.store(credential, made.priority).await
    }

    /// Who signed in: by the tokens, else by asking. A server that does not say is no reason to lose the login.
    async fn who(&self, http: &dyn Http, server: &Server, tokens: &Tokens) -> Identity {
        let told = identity(tokens, server, None);
        if told.subject.is_some() || server.userinfo_endpoint.is_none() {
            return told;
        }
        match userinfo(http, server, &tokens.access).await {
            Ok(profile) => identity(tokens, server, Some(&profile)),
            Err(error) => {
                tracing::warn!(%error, "the provider does not say who signed in; the account is known by its label");
                told
            }
        }
    }

    /// The client that the server issued to an earlier login of this installation.
    pub(crate) fn issued_client(&self, provider: &Provider, server: &Server) -> Option<String> {
        let accounts = self.accounts();
        let of_provider = accounts.entries().filter(|entry| {
            let credential = &entry.credential;
            credential.provider == *provider.id
                && credential.kind() == AccountKind::Oauth
                && credential.belongs.token_endpoint == server.token_endpoint
                && credential.belongs.client_id.is_some()
        });
        let newest = of_provider.max_by_key(|entry| entry.credential.updated_at)?;
        newest.credential.belongs.client_id.clone()
    }

    /// Takes over where the provider serves the account from now on, if it says so in a renewal.
    pub(crate) fn follow_api(&self, credential: &mut Credential, tokens: &Tokens) {
        let Ok(provider) = self.provider(&credential.provider) else {
            return;
        };
        let Some(server) = &provider.server else {
            return;
        };
        match named_api(&provider, server, tokens) {
            Ok(Some(api)) => credential.belongs.api = Some(api),
            // The login's own token serves: the host was named for another one.
            Ok(None) if credential.is_login_token(&tokens.access) => credential.belongs.api = None,
            Ok(None) => {}
            // The token goes where the account was served before, and nowhere else.
            Err(host) => {
                tracing::warn!(provider = %provider.id, %host, "the provider names an address that is none of its origins");
            }
        }
    }

    /// How many logins the pool has.
    pub(crate) fn logins_of(&self, provider: &str, namespace: &str) -> usize {
        let accounts = self.accounts();
        let (roster, _) = accounts.pool(provider, namespace);
        let is_login = |kind| kind == AccountKind::Oauth;
        roster.iter().filter(|view| is_login(view.kind)).count()
    }
}

/// The origin where the provider says that it serves this account; an address that is not one of its origins is an error.
fn named_api(
    provider: &Provider,
    server: &Server,
    tokens: &Tokens,
) -> Result<Option<Origin>, String> {
    let said = Value::Object(tokens.extra.clone());
    let pointer = server.dialect.api_url.as_deref();
    let Some(named) = pointer.and_then(|pointer| said.pointer(pointer)?.as_str()) else {
        return Ok(None);
    };
    // Qwen names the bare host.
    let address = match named.contains("://") {
        true => named.to_owned(),
        false => format!("https://{named}"),
    };
    let url = Url::parse(&address).map_err(|_| "something that is no URL".to_owned())?;
    match Origin::of(&url) {
        Some(origin) if provider.origins.contains(&origin) => Ok(Some(origin)),
        _ => {
            let tokens = tokens.refresh.iter().chain([&tokens.access]);
            let tokens: Vec<_> = tokens.collect();
            let host = url.host_str().unwrap_or("no host");
            Err(without_secrets(host, &tokens))
        }
    }
}

/// A random UUID (RFC 9562 §5.4) of these bytes.
pub(crate) fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = bytes.map(|byte| format!("{byte:02x}")).concat();
    let part = |range: std::ops::Range<usize>| &hex[range];
    [
        part(0..8),
        part(8..12),
        part(12..16),
        part(16..20),
        part(20..32),
    ]
    .join("-")
}
