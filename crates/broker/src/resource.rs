//! MCP servers: where one signs in to them, and as which client.
//!
//! The server says it (RFC 9728), unless the user's own configuration does. It is asked at login; and once more by the first
//! refresh of a login that was brought in from elsewhere without saying where it was made. What was found is sealed with
//! the login from then on.

mod parameters;
mod remedy;

use std::sync::Arc;

use provider_auth_oauth::{
    Client, ClientAuth, Discovery, HttpError, Metadata, OauthError, Server, discover_of,
    discover_resource, register, resource_uri,
};
use provider_auth_policy::{Timestamp, rewritten};
use secrecy::SecretString;
use url::Url;

use crate::accounts::{Entry, read_locked, record_id};
use crate::bounds::Bounds;
use crate::broker::{Broker, blocking};
use crate::config::{Origin, Provenance, Provider};
use crate::credential::{Credential, Registration, Secret};
use crate::error::BrokerError;
use crate::limits;
use crate::named;

pub(crate) use self::parameters::name_resource;
use self::parameters::{OFFLINE_ACCESS, add_to_page, with_offline_access, with_secret};
pub(crate) use self::remedy::remedy;

/// An MCP server that is signed in to, and where.
#[derive(Clone, Debug)]
pub(crate) struct McpServer {
    /// Its address.
    pub(crate) url: Url,
    /// What it calls itself.
    pub(crate) id: String,
    /// What its login server says about itself; `None` where the configuration names all that is needed.
    metadata: Option<Metadata>,
    /// Whether it named its login server by itself, and is neither on this machine nor in its network.
    pub(crate) is_elsewhere: bool,
    /// How the client of the login was registered.
    pub(crate) registration: Option<Registration>,
}

impl McpServer {
    /// What it calls itself, where it is not its address.
    pub(crate) fn own_id(&self) -> Option<String> {
        (self.id != resource_uri(&self.url)).then(|| self.id.clone())
    }
}

impl Broker {
    /// The provider of a login: an MCP server that is named by its address needs no configuration.
    pub(crate) fn provider_of_login(
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
        match (self.configured_provider(id).transpose()?, resource) {
            (Some(_), None) => self.provider(id),
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
                    let mut origins = entry.credential.belongs.origins.iter();
                    entry.credential.provider == id
                        && !origins.any(|known| Some(known) == origin.as_ref())
                };
                if self.accounts().entries().any(|entry| elsewhere(&entry)) {
                    return invalid(format!(
                        "provider: {id} is the name of accounts that belong elsewhere; remove them, or give this MCP server another name"
                    ));
                }
                of_server(resource)
            }
            (None, None) => {
                let accounts = self.accounts();
                let of_name = accounts.entries().map(|entry| &entry.credential);
                let newest = of_name
                    .filter(|credential| {
                        credential.provider == id && credential.belongs.resource.is_some()
                    })
                    .max_by_key(|credential| credential.updated_at);
                match newest.and_then(|credential| credential.belongs.resource.as_ref()) {
                    Some(resource) => of_server(resource),
                    None => self.provider(id),
                }
            }
        }
    }

    /// Finds where one signs in to an MCP server, and as which client. One that is still to be registered has no id.
    pub(crate) async fn mcp_login(
        &self,
        provider: &mut Provider,
        url: &Url,
    ) -> Result<(Server, Client, McpServer), BrokerError> {
        let found = self.find_server(provider, url).await.map_err(|error| {
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
    pub(crate) async fn register_client(
        &self,
        provider: &Provider,
        mcp: &mut McpServer,
        redirect_uri: &Url,
    ) -> Result<Client, BrokerError> {
        let metadata = mcp
            .metadata
            .as_ref()
            .expect("it said where clients are registered");
        let http = Bounds::of(provider, mcp.is_elsewhere).client(&*self.host.http);
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

    /// The client that was registered for an earlier login at this server, as long as it can be used again: it comes back to
    /// the same address, since not all servers let the port differ (RFC 8252 §7.3).
    async fn registered_client(
        &self,
        provider: &Provider,
        resource: &str,
        issuer: &Url,
    ) -> Result<Option<(Client, Registration)>, BrokerError> {
        let soon = self.now() + limits::LOGIN_PATIENCE;
        let wanted: Vec<&Url> = provider.redirect_uris().collect();
        let fits = |registration: &Registration| {
            registration
                .secret_ends_at
                .is_none_or(|ends_at| ends_at > soon)
                && (wanted.is_empty() || wanted.contains(&&registration.redirect_uri))
        };
        let accounts = self.accounts();
        let usable = accounts.entries().filter(|entry| {
            let belongs = &entry.credential.belongs;
            belongs.issuer.as_ref() == Some(issuer)
                && belongs.resource_id().as_deref() == Some(resource)
                && belongs.registration.as_ref().is_some_and(fits)
                && !belongs
                    .client_id
                    .as_deref()
                    .is_some_and(|id| self.logins.doubts(id))
        });
        let Some(newest) = usable.max_by_key(|entry| entry.credential.updated_at) else {
            return Ok(None);
        };
        let (vault, record) = (self.vault(), record_id(&newest.view.id)?);
        let record = blocking(move || vault.read(&record)).await?;
        let credential = record.and_then(|record| Credential::open(&record));
        Ok(credential.and_then(|credential| {
            let belongs = credential.belongs;
            let Secret::Oauth { client_secret, .. } = credential.secret else {
                return None;
            };
            let client = Client {
                id: belongs.client_id?,
                secret: client_secret,
                auth: belongs.client_auth,
                signer: None,
            };
            // A login that has left in a bundle took the secret with it.
            let is_whole = client.auth == ClientAuth::None || client.secret.is_some();
            belongs
                .registration
                .filter(|_| is_whole)
                .map(|registration| (client, registration))
        }))
    }

    /// Forgets a registration with which a login failed: the server may have forgotten it too, and says so to the browser
    /// at most.
    pub(crate) async fn forget_registration(self: &Arc<Self>, client_id: &str) {
        let vault = self.vault();
        let accounts = self.accounts();
        let of_client = accounts.entries().filter(|entry| {
            let belongs = &entry.credential.belongs;
            belongs.registration.is_some() && belongs.client_id.as_deref() == Some(client_id)
        });
        for entry in of_client {
            let Ok(id) = record_id(&entry.view.id) else {
                continue;
            };
            let (broker, disk) = (self.clone(), vault.clone());
            let sealed = blocking(move || {
                let guard = broker.lock_record(&disk, &id)?;
                let (mut credential, _) = read_locked(&disk, &guard)?;
                credential.belongs.registration = None;
                Ok::<_, BrokerError>(disk.replace(&guard, &credential.plaintext())?)
            });
            match sealed.await {
                Ok(generation) => {
                    let id = &entry.view.id;
                    let change = self.ledger.read(|state| rewritten(state, id, generation));
                    self.note(&vault, &change).await;
                }
                Err(error) => {
                    tracing::warn!(account = %entry.view.id, %error, "a client that may be gone is tried again at the next login");
                }
            }
        }
    }

    /// The credential, with where it is renewed: found out where it does not say so yet.
    pub(crate) async fn with_home(
        &self,
        mut credential: Credential,
    ) -> Result<Credential, OauthError> {
        let belongs = &mut credential.belongs;
        let Some(url) = belongs.resource.clone().filter(|_| belongs.has_no_home()) else {
            return Ok(credential);
        };
        let missing = || OauthError::MissingEndpoint { which: "resource" };
        let provider = self.provider(&credential.provider).map_err(|_| missing())?;
        // Its refresh token goes to the server found here, and a project must not be the one to say which.
        let provider = match provider.origin_of_definition {
            Provenance::Project(_) => {
                Arc::new(Provider::of_mcp_server(&provider.id, url.clone()).map_err(|_| missing())?)
            }
            _ => provider,
        };
        let searching = self.find_server(&provider, &url);
        let found = tokio::time::timeout(limits::REQUEST_PATIENCE, searching)
            .await
            .map_err(|_| OauthError::Http(HttpError::Timeout))??;
        belongs.issuer = found.server.issuer;
        belongs.token_endpoint = found.server.token_endpoint;
        belongs.revocation_endpoint = found.server.revocation_endpoint;
        belongs.is_elsewhere = found.is_elsewhere;
        belongs.resource_id = (found.id != resource_uri(&url)).then_some(found.id);
        if belongs.client_id.is_none() {
            belongs.client_id = provider.client_id.clone();
            belongs.client_auth = provider.client_auth;
        } else if let Secret::Oauth {
            client_secret: Some(_),
            ..
        } = credential.secret
            && belongs.client_auth == ClientAuth::None
        {
            belongs.client_auth = with_secret(found.metadata.as_ref());
        }
        Ok(credential)
    }

    /// Where one signs in to an MCP server: as configured, else as the server says.
    async fn find_server(&self, provider: &Provider, url: &Url) -> Result<Found, OauthError> {
        let http = &*self.host.http;
        let server = provider.server.clone().unwrap_or_default();
        let named = |server, metadata| Found {
            id: resource_uri(url),
            scopes: Vec::new(),
            server,
            metadata,
            is_elsewhere: false,
        };
        match &server.issuer {
            _ if server.authorization_endpoint.is_some() && server.token_endpoint.is_some() => {
                Ok(named(server, None))
            }
            _ if server.dialect.discovery == Discovery::Never => Ok(named(server, None)),
            Some(_) => {
                let metadata = discover_of(http, &server).await?;
                Ok(named(
                    server.complete_with(metadata.clone()),
                    Some(metadata),
                ))
            }
            None => {
                let found = discover_resource(http, url, &server).await?;
                Ok(Found {
                    id: found.id,
                    scopes: found.scopes,
                    server: server.complete_with(found.server.clone()),
                    metadata: Some(found.server),
                    is_elsewhere: found.is_elsewhere,
                })
            }
        }
    }
}

/// Where one signs in to an MCP server.
struct Found {
    id: String,
    scopes: Vec<String>,
    server: Server,
    metadata: Option<Metadata>,
    /// Whether the server said it, and is neither on this machine nor in its network.
    is_elsewhere: bool,
}

/// The secret of a client is sealed with its login where no configuration has it.
pub(crate) fn sealed_secret(
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
