//! The server and the client that a credential was made with: it is renewed and revoked there, and nowhere else.

use provider_auth_oauth::{Client, OauthError, Server, TokenHint, revoke};
use secrecy::SecretString;

use crate::broker::Broker;
use crate::config::{SecretRef, resolve_secret};
use crate::credential::{Credential, Secret};
use crate::error::BrokerError;
use crate::resource::name_resource;

impl Broker {
    /// The server that a credential was made at. It is not looked up again: a refresh token goes where it came from.
    pub(crate) fn server_of(&self, credential: &Credential) -> Result<Server, BrokerError> {
        let provider = self.provider(&credential.provider)?;
        if !credential.belongs.fits(&provider) {
            return Err(BrokerError::OriginNotAllowed(format!(
                "the configuration of {} names another token endpoint or client than at the login of this account; if you changed \
                 that yourself, sign in again",
                provider.id
            )));
        }
        let mut dialect = provider
            .server
            .as_ref()
            .map(|server| server.dialect.clone())
            .unwrap_or_default();
        if let Some(resource) = credential.belongs.resource_id() {
            name_resource(&mut dialect, &resource);
        }
        Ok(Server {
            issuer: credential.belongs.issuer.clone(),
            token_endpoint: credential.belongs.token_endpoint.clone(),
            exchange_endpoint: credential.belongs.exchange_endpoint.clone(),
            dialect,
            ..Server::default()
        })
    }

    /// The client that a credential was made with.
    pub(crate) fn client_of(&self, credential: &Credential) -> Result<Client, BrokerError> {
        let provider = self.provider(&credential.provider)?;
        let sealed: Option<SecretString> = match &credential.secret {
            Secret::Oauth { client_secret, .. } => client_secret.clone(),
            _ => None,
        };
        let secret = match sealed {
            Some(secret) => Some(secret),
            None if provider
                .client_secret
                .as_ref()
                .is_some_and(SecretRef::needs_consent) =>
            {
                return Err(BrokerError::OriginNotAllowed(format!(
                    "a project file says where the client secret of {} is, and this account was made without it; sign in again if \
                     you trust that file",
                    provider.id
                )));
            }
            None => provider
                .client_secret
                .as_ref()
                .map(|secret| resolve_secret(secret, &*self.host.env))
                .transpose()?,
        };
        let id = credential
            .belongs
            .client_id
            .clone()
            .ok_or_else(|| BrokerError::client_id_required(&provider))?;
        Ok(Client {
            id,
            secret,
            auth: credential.belongs.client_auth,
        })
    }

    /// Ends a login at its provider (RFC 7009).
    pub(crate) async fn revoke(&self, credential: &Credential) -> Result<(), BrokerError> {
        let credential = &self.with_home(credential.clone()).await.map_err(kept)?;
        let (
            Some(endpoint),
            Secret::Oauth {
                access, refresh, ..
            },
        ) = (&credential.belongs.revocation_endpoint, &credential.secret)
        else {
            return Err(BrokerError::InvalidArgument(format!(
                "{} has no revocation endpoint for this account; remove it without `revoke` and end it on the provider's page",
                credential.provider
            )));
        };
        let server = Server {
            revocation_endpoint: Some(endpoint.clone()),
            ..self.server_of(credential)?
        };
        let client = self.client_of(credential)?;
        let (token, hint) = match refresh {
            Some(refresh) => (refresh, TokenHint::Refresh),
            None => (access, TokenHint::Access),
        };
        revoke(&*self.host.http, &server, &client, token, hint)
            .await
            .map_err(kept)
    }
}

fn kept(error: OauthError) -> BrokerError {
    BrokerError::Network(format!("the login was not revoked, and is kept: {error}"))
}
