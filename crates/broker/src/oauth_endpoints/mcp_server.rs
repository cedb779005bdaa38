//! Where one signs in to an MCP server: it says so itself (RFC 9728), unless the user's own
//! configuration does.
//!
//! It is asked at login; and once more by the first refresh of a login that was brought in from
//! elsewhere without saying where it was made. What was found is sealed with the login from then
//! on.

use std::sync::Arc;

use provider_auth_oauth::{
    ClientAuth, Discovery, HttpError, Metadata, OauthError, Server, discover_of, discover_resource,
    resource_uri,
};
use url::Url;

use super::OauthEndpoints;
use super::mcp_parameters::with_secret;
use crate::config::{Provenance, Provider};
use crate::limits;
use crate::store::credential::Credential;
use crate::store::secret::Secret;

/// Where one signs in to an MCP server.
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) server: Server,
    pub(crate) metadata: Option<Metadata>,
    /// Whether the server said it, and is neither on this machine nor in its network.
    pub(crate) is_elsewhere: bool,
}

impl OauthEndpoints {
    /// The credential, with where it is renewed: found out where it does not say so yet.
    pub(crate) async fn resolve_token_endpoint(
        &self,
        mut credential: Credential,
    ) -> Result<Credential, OauthError> {
        let audience = &mut credential.audience;
        let Some(url) = audience
            .resource
            .clone()
            .filter(|_| audience.lacks_token_endpoint())
        else {
            return Ok(credential);
        };
        let missing = || OauthError::MissingEndpoint { which: "resource" };
        let provider = self
            .store
            .provider(&credential.provider)
            .map_err(|_| missing())?;
        // Its refresh token goes to the server found here, and a project must not be the one to say
        // which.
        let provider = match provider.origin_of_definition {
            Provenance::Project(_) => {
                Arc::new(Provider::of_mcp_server(&provider.id, url.clone()).map_err(|_| missing())?)
            }
            _ => provider,
        };
        let searching = self.find_server(&provider, &url);
        let found = tokio::time::timeout(limits::REQUEST_TIMEOUT, searching)
            .await
            .map_err(|_| OauthError::Http(HttpError::Timeout))??;
        let audience = Arc::make_mut(audience);
        audience.issuer = found.server.issuer;
        audience.token_endpoint = found.server.token_endpoint;
        audience.revocation_endpoint = found.server.revocation_endpoint;
        audience.is_elsewhere = found.is_elsewhere;
        audience.resource_id = (found.id != resource_uri(&url)).then_some(found.id);
        if audience.client_id.is_none() {
            audience.client_id = provider.client_id.clone();
            audience.client_auth = provider.client_auth;
        } else if let Secret::Oauth {
            client_secret: Some(_),
            ..
        } = credential.secret
            && audience.client_auth == ClientAuth::None
        {
            audience.client_auth = with_secret(found.metadata.as_ref());
        }
        Ok(credential)
    }

    /// Where one signs in to an MCP server: as configured, else as the server says.
    pub(crate) async fn find_server(
        &self,
        provider: &Provider,
        url: &Url,
    ) -> Result<Found, OauthError> {
        let http = &*self.store.host.http;
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
