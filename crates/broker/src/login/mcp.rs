//! Logins to MCP servers: of which provider, and as which client.

use provider_auth_vault::line;
use std::sync::Arc;

use provider_auth_oauth::{Client, ClientAuth, Server, register, resource_uri};
use provider_auth_policy::{Timestamp, rewritten};
use secrecy::SecretString;
use url::Url;

use super::LoginService;
use super::plan::McpServer;
use super::remedy::remedy;
use crate::config::{Origin, Provider};
use crate::error::BrokerError;
use crate::host::blocking;
use crate::oauth_endpoints::bounds::Bounds;
use crate::oauth_endpoints::mcp_parameters::{
    OFFLINE_ACCESS, add_to_page, name_resource, with_offline_access,
};
use crate::oauth_endpoints::mcp_server::Found;
use crate::store::accounts::record_id;
use crate::store::audience::Registration;
use crate::store::credential::Credential;
use crate::store::entry::Entry;
use crate::store::locks::change_locked;
use crate::store::secret::Secret;
use crate::{limits, named};

impl LoginService {
    /// The provider of a login: an MCP server that is named by its address needs no configuration.
    pub(super) fn provider_of_login(
        &self,
        id: &str,
        resource: Option<&Url>,
    ) -> Result<Arc<Provider>, BrokerError> {
        let invalid = |text: String| Err(BrokerError::InvalidArgument(text));
        let of_server = |resource: &Url| {
            Provider::of_mcp_server(id, resource.clone())
                .map(Arc::new)
                .map_err(BrokerError::from)
        };
        match (self.store.configured_provider(id).transpose()?, resource) {
            (Some(_), None) => self.store.provider(id),
            (Some(known), Some(resource)) => match &known.resource {
                Some(own) if resource_uri(own) == resource_uri(resource) => Ok(known.clone()),
                Some(own) => invalid(format!(
                    "resource: {id} is configured as the MCP server {}",
                    named::name(own.as_str())
                )),
                // What is signed in to there must not serve the requests of that provider.
                None => invalid(format!(
                    "provider: {id} is the name of a provider that is no MCP server; give the MCP server another"
                )),
            },
            (None, Some(resource)) => {
                let origin = Origin::of(resource);
                let elsewhere = |entry: &&Arc<Entry>| {
                    let mut origins = entry.credential.audience.origins.iter();
                    entry.credential.provider == id
                        && !origins.any(|known| Some(known) == origin.as_ref())
                };
                if self
                    .store
                    .accounts()
                    .entries()
                    .any(|entry| elsewhere(&entry))
                {
                    return invalid(format!(
                        "provider: {id} is the name of accounts that belong elsewhere; remove them, or give this MCP server another name"
                    ));
                }
                of_server(resource)
            }
            (None, None) => {
                let accounts = self.store.accounts();
                let of_name = accounts.entries().map(|entry| &entry.credential);
                let newest = of_name
                    .filter(|credential| {
                        credential.provider == id && credential.audience.resource.is_some()
                    })
                    .max_by_key(|credential| credential.updated_at);
                match newest.and_then(|credential| credential.audience.resource.as_ref()) {
                    Some(resource) => of_server(resource),
                    None => self.store.provider(id),
                }
            }
        }
    }

    /// Finds where one signs in to an MCP server, and as which client. One that is still to be
    /// registered has no id.
    pub(super) async fn mcp_login(
        &self,
        provider: &mut Provider,
        url: &Url,
    ) -> Result<(Server, Client, McpServer), BrokerError> {
        let found = self.endpoints.find_server(provider, url).await.map_err(|error| {
            BrokerError::LoginFailed(format!(
                "the MCP server {} does not say how to sign in to it in a way that can be used: {error}{}",
                named::name(url.as_str()),
                remedy(&error, provider)
            ))
        })?;
        let Found {
            id,
            scopes,
            mut server,
            metadata,
            is_elsewhere,
        } = found;
        if provider.scopes.is_empty() {
            provider.scopes = with_offline_access(scopes, metadata.as_ref());
        }
        name_resource(&mut server.dialect, &id);
        let asks_for = |wanted: &str| provider.scopes.iter().any(|scope| scope == wanted);
        let configured = provider.server.as_ref();
        let is_configured = configured.is_some_and(|server| server.userinfo_endpoint.is_some());
        if !asks_for("openid") && !is_configured {
            // The token is for the MCP server, and tells its issuer nothing about who asks.
            server.userinfo_endpoint = None;
        }
        if asks_for(OFFLINE_ACCESS) {
            // OpenID Connect Core §11: without it, the scope is ignored.
            add_to_page(&mut server.dialect, "prompt", "consent");
        }
        let mut mcp = McpServer {
            url: url.clone(),
            id,
            metadata,
            is_elsewhere,
            registration: None,
        };
        let can_register = mcp
            .metadata
            .as_ref()
            .is_some_and(|metadata| metadata.registration_endpoint.is_some());
        let client = match (&provider.client_id, &server.issuer) {
            (Some(id), _) => self.confidential(provider, id.clone())?,
            (None, Some(issuer)) if can_register => {
                match self.registered_client(provider, &mcp.id, issuer).await? {
                    Some((client, registration)) => {
                        mcp.registration = Some(registration);
                        client
                    }
                    None => Client::public(""),
                }
            }
            _ => {
                return Err(BrokerError::ClientIdRequired {
                    provider: named::name(&provider.id),
                    terms: provider.terms.or(crate::providers::MCP.terms),
                    searched: Vec::new(),
                });
            }
        };
        Ok((server, client, mcp))
    }

    /// Registers the client of a login that comes back to `redirect_uri`.
    pub(super) async fn register_client(
        &self,
        provider: &Provider,
        mcp: &mut McpServer,
        redirect_uri: &Url,
    ) -> Result<Client, BrokerError> {
        let metadata = mcp
            .metadata
            .as_ref()
            .expect("it said where clients are registered");
        let http = Bounds::of(provider, mcp.is_elsewhere).client(&*self.store.host.http);
        let registered = register(&http, metadata, redirect_uri, &provider.scopes)
            .await
            .map_err(|error| {
                BrokerError::LoginFailed(format!(
                    "the login server of {} registers no client for us: {error}; register one there and set providers.{}.clientId",
                    named::name(mcp.url.as_str()),
                    named::name(&provider.id)
                ))
            })?;
        let ends_at = registered.secret_ends_at;
        mcp.registration = Some(Registration {
            redirect_uri: redirect_uri.clone(),
            secret_ends_at: ends_at.map(|at| Timestamp::from_millis(at.saturating_mul(1000))),
        });
        Ok(registered.client)
    }

    /// The client that was registered for an earlier login at this server, as long as it can be
    /// used again: it comes back to the same address, since not all servers let the port differ
    /// (RFC 8252 §7.3).
    async fn registered_client(
        &self,
        provider: &Provider,
        resource: &str,
        issuer: &Url,
    ) -> Result<Option<(Client, Registration)>, BrokerError> {
        let soon = self.store.now() + limits::LOGIN_TIMEOUT;
        let wanted: Vec<&Url> = provider.redirect_uris().collect();
        let fits = |registration: &Registration| {
            registration
                .secret_ends_at
                .is_none_or(|ends_at| ends_at > soon)
                && (wanted.is_empty() || wanted.contains(&&registration.redirect_uri))
        };
        let accounts = self.store.accounts();
        let usable = accounts.entries().filter(|entry| {
            let audience = &entry.credential.audience;
            audience.issuer.as_ref() == Some(issuer)
                && audience.resource_id().as_deref() == Some(resource)
                && audience.registration.as_ref().is_some_and(fits)
                && !audience
                    .client_id
                    .as_deref()
                    .is_some_and(|id| self.open.doubts(id))
        });
        let Some(newest) = usable.max_by_key(|entry| entry.updated_at) else {
            return Ok(None);
        };
        let (vault, record) = (self.store.vault(), record_id(&newest.view.id)?);
        let record = blocking(move || vault.read(&record)).await?;
        let credential = record.and_then(|record| Credential::open(&record));
        Ok(credential.and_then(|credential| {
            let audience = Arc::unwrap_or_clone(credential.audience);
            let Secret::Oauth { client_secret, .. } = credential.secret else {
                return None;
            };
            let client = Client {
                id: audience.client_id?,
                secret: client_secret,
                auth: audience.client_auth,
                signer: None,
            };
            // A login that has left in a bundle took the secret with it.
            let is_whole = client.auth == ClientAuth::None || client.secret.is_some();
            audience
                .registration
                .filter(|_| is_whole)
                .map(|registration| (client, registration))
        }))
    }

    /// Forgets a registration with which a login failed: the server may have forgotten it too, and
    /// says so to the browser at most.
    pub(super) async fn forget_registration(self: &Arc<Self>, client_id: &str) {
        let vault = self.store.vault();
        let accounts = self.store.accounts();
        let of_client = accounts.entries().filter(|entry| {
            let audience = &entry.credential.audience;
            audience.registration.is_some() && audience.client_id.as_deref() == Some(client_id)
        });
        for entry in of_client {
            let Ok(id) = record_id(&entry.view.id) else {
                continue;
            };
            let (broker, disk) = (self.clone(), vault.clone());
            let sealed = blocking(move || {
                let guard = broker.store.lock_record(&disk, &id)?;
                let forget = |credential: &mut Credential| {
                    Arc::make_mut(&mut credential.audience).registration = None;
                };
                change_locked(&disk, &guard, forget).map(|(generation, ())| generation)
            });
            match sealed.await {
                Ok(generation) => {
                    let id = &entry.view.id;
                    let change = self
                        .store
                        .state
                        .read(|state| rewritten(state, id, generation));
                    self.store.note(&vault, &change).await;
                }
                Err(error) => {
                    line!(
                        WARN,
                        account = entry.view.id,
                        error = error,
                        "a client that may be gone is tried again at the next login"
                    );
                }
            }
        }
    }
}

/// The secret of a client is sealed with its login where no configuration has it.
pub(super) fn sealed_secret(
    provider: &Provider,
    mcp: Option<&McpServer>,
    secret: Option<SecretString>,
) -> Option<SecretString> {
    let registered = mcp.is_some_and(|mcp| mcp.registration.is_some());
    let from_project = provider
        .client_secret
        .as_ref()
        .is_some_and(|secret| secret.from_project);
    secret.filter(|_| registered || from_project)
}
