//! The server and the client that a credential was made with: it is renewed and revoked there, and
//! nowhere else.

pub(crate) mod api_origin;
pub(crate) mod bounds;
pub(crate) mod mcp_parameters;
pub(crate) mod mcp_server;

use std::sync::Arc;

use provider_auth_oauth::{
    Client, ClientAuth, ClientKey, OauthError, Server, SignsForClient, TokenHint, revoke,
};
use secrecy::SecretString;
use url::Url;

use crate::config::{Provider, resolve_secret};
use crate::error::BrokerError;
use crate::host::{Clock, Entropy};
use crate::printable::visible_text;
use crate::store::Store;
use crate::store::credential::Credential;
use crate::store::secret::Secret;
use bounds::Bounds;
use mcp_parameters::name_resource;

/// Finds the server and the client of a stored credential.
pub(crate) struct OauthEndpoints {
    store: Arc<Store>,
}

/// A client's key, and what a signature takes beside it.
struct Signer {
    key: ClientKey,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl SignsForClient for Signer {
    fn assertion(&self, client_id: &str, audience: &Url) -> Result<SecretString, OauthError> {
        let mut jti = [0; 16];
        self.entropy.fill(&mut jti);
        let now = self.clock.now().as_millis() / 1000;
        let jti = uuid::Builder::from_random_bytes(jti).into_uuid();
        self.key
            .assertion(client_id, audience, now, &jti.to_string())
    }
}

impl OauthEndpoints {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    /// The server that a credential was made at. It is not looked up again: a refresh token goes
    /// where it came from.
    pub(crate) fn server_of(&self, credential: &Credential) -> Result<Server, BrokerError> {
        let provider = self.store.provider(&credential.provider)?;
        if let Some(file) = credential.audience.project.as_deref()
            && !credential.audience.fits(&provider)
        {
            return Err(BrokerError::OriginNotAllowed(format!(
                "this account of {} was made under the project file {}, and serves under that very file only; sign in here too",
                provider.id,
                visible_text(file)
            )));
        }
        if !credential.audience.fits(&provider) {
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
        if let Some(resource) = credential.audience.resource_id() {
            name_resource(&mut dialect, &resource);
        }
        Ok(Server {
            issuer: credential.audience.issuer.clone(),
            token_endpoint: credential.audience.token_endpoint.clone(),
            exchange_endpoint: credential.audience.exchange_endpoint.clone(),
            dialect,
            ..Server::default()
        })
    }

    /// The client that a credential was made with.
    pub(crate) fn client_of(&self, credential: &Credential) -> Result<Client, BrokerError> {
        let provider = self.store.provider(&credential.provider)?;
        let sealed: Option<SecretString> = match &credential.secret {
            Secret::Oauth { client_secret, .. } => client_secret.clone(),
            _ => None,
        };
        let secret = match sealed {
            Some(secret) => Some(secret),
            None => provider
                .client_secret
                .as_ref()
                .map(|secret| resolve_secret(secret, &*self.store.host.env))
                .transpose()?,
        };
        let id = credential
            .audience
            .client_id
            .clone()
            .ok_or_else(|| BrokerError::client_id_required(&provider))?;
        let auth = credential.audience.client_auth;
        Ok(Client {
            signer: self.signer(&provider, auth)?,
            id,
            secret,
            auth,
        })
    }

    /// What signs for a client that authenticates by a key.
    pub(crate) fn signer(
        &self,
        provider: &Provider,
        auth: ClientAuth,
    ) -> Result<Option<Arc<dyn SignsForClient>>, BrokerError> {
        let (ClientAuth::PrivateKeyJwt, Some(place)) = (auth, &provider.private_key) else {
            return Ok(None);
        };
        let pem = resolve_secret(place, &*self.store.host.env)?;
        let key = ClientKey::read(&pem, provider.private_key_id.clone()).ok_or_else(|| {
            place.fault("expected a private key in PEM: PKCS#8 of RSA or P-256, or PKCS#1 of RSA")
        })?;
        Ok(Some(Arc::new(Signer {
            key,
            clock: self.store.host.clock.clone(),
            entropy: self.store.host.entropy.clone(),
        })))
    }

    /// Ends a login at its provider (RFC 7009).
    pub(crate) async fn revoke(&self, credential: &Credential) -> Result<(), BrokerError> {
        let credential = &self
            .resolve_token_endpoint(credential.clone())
            .await
            .map_err(kept)?;
        let (
            Some(endpoint),
            Secret::Oauth {
                access, refresh, ..
            },
        ) = (&credential.audience.revocation_endpoint, &credential.secret)
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
        let provider = self.store.provider(&credential.provider)?;
        let http =
            Bounds::of(&provider, credential.audience.is_elsewhere).client(&*self.store.host.http);
        revoke(&http, &server, &client, token, hint)
            .await
            .map_err(|error| kept(error.without(&credential.held())))
    }
}

fn kept(error: OauthError) -> BrokerError {
    BrokerError::Network(format!("the login was not revoked, and is kept: {error}"))
}
