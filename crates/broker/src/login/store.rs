//! What a login brought, until it is an account: who it is, what the API takes, where it belongs.

use provider_auth_vault::line;
use std::sync::Arc;

use provider_auth_oauth::{
    Client, Http, Identity, Renewal, Server, Tokens, check_id_token, exchange_token, identity,
    userinfo,
};
use provider_auth_policy::{AccountKind, Timestamp};

use super::deadline::LoginStep;
use super::mcp::sealed_secret;
use super::plan::McpServer;
use crate::config::Provider;
use crate::error::BrokerError;
use crate::login::{LoginPlan, LoginService, Method};
use crate::oauth_endpoints::api_origin::named_api;
use crate::store::audience::Audience;
use crate::store::credential::Credential;
use crate::store::secret::Secret;
use crate::store::{Account, HeaderSet};

impl LoginService {
    /// Checks and stores what a login brought. `client` is the one that asked, with its secret.
    pub(super) async fn keep(
        self: &Arc<Self>,
        made: &LoginPlan,
        client: Client,
        tokens: Tokens,
        asked_at: Timestamp,
    ) -> Result<Account, BrokerError> {
        made.last.enter(LoginStep::Storing);
        let (server, http) = (&made.server, &made.http(&self.store.host));
        tokens
            .check_scope(server)
            .map_err(BrokerError::from_login)?;
        let now = self.store.now();
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
        let audience = Audience {
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
            ..Audience::made_under(&made.provider)
        };
        let credential = Credential {
            namespace: made.namespace.clone(),
            label: made.label.clone().unwrap_or_default(),
            priority: made.priority.unwrap_or_default(),
            identity,
            method: Some(made.method.as_str().to_owned()),
            ..Credential::new(&made.provider.id, audience, secret, now)
        };
        self.store.store_account(credential, made.priority).await
    }

    /// Who signed in: by the tokens, else by asking. A server that does not say
    /// costs no login.
    async fn who(&self, http: &dyn Http, server: &Server, tokens: &Tokens) -> Identity {
        let told = identity(tokens, server, None);
        if told.subject.is_some() || server.userinfo_endpoint.is_none() {
            return told;
        }
        match userinfo(http, server, &tokens.access).await {
            Ok(profile) => identity(tokens, server, Some(&profile)),
            Err(error) => {
                line!(
                    WARN,
                    error = error,
                    "the provider does not say who signed in; the account is known by its label"
                );
                told
            }
        }
    }

    /// The client that the server issued to an earlier login of this installation.
    pub(super) fn issued_client(&self, provider: &Provider, server: &Server) -> Option<String> {
        let accounts = self.store.accounts();
        let of_provider = accounts.entries().filter(|entry| {
            let credential = &entry.credential;
            credential.provider == *provider.id
                && credential.kind() == AccountKind::Oauth
                && credential.audience.token_endpoint == server.token_endpoint
                && credential.audience.client_id.is_some()
        });
        let newest = of_provider.max_by_key(|entry| entry.updated_at)?;
        newest.credential.audience.client_id.clone()
    }

    /// How many logins the pool has.
    pub(super) fn logins_of(&self, provider: &str, namespace: &str) -> usize {
        let accounts = self.store.accounts();
        let (roster, _) = accounts.pool(provider, namespace);
        let is_login = |kind| kind == AccountKind::Oauth;
        roster.iter().filter(|view| is_login(view.kind)).count()
    }
}
