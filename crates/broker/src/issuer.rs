//! The server and the client that a credential was made with: it is renewed and revoked there, and nowhere else.

use std::sync::Arc;

use provider_auth_oauth::{
    Client, ClientAuth, ClientKey, OauthError, Server, SignsForClient, TokenHint, revoke,
};
use secrecy::SecretString;
use url::Url;

use crate::bounds::Bounds;
use crate::broker::Broker;
use crate::config::{Provider, resolve_secret};
use crate::credential::{Credential, Secret};
use crate::error::BrokerError;
use crate::host::{Clock, Entropy};
use crate::obtained::uuid;
use crate::printable::visible_text;
use crate::resource::name_resource;

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
        self.key.assertion(client_id, audience, now, &uuid(jti))
    }
}

impl Broker {
    /// The server that a credential was made at. It is not looked up again: a refresh token goes where it came from.
    pub(crate) fn server_of(&self, credential: &Credential) -> Result<Server, BrokerError> {
        let provider = self.provider(&credential.provider)?;
        if let Some(file) = credential.belongs.project.as_deref()
            && !credential.belongs.fits(&provider)
        {
            return Err(BrokerError::OriginNotAllowed(format!(
                "this account of {} was made under the project file {}, and serves under that very file only; sign in here too",
                provider.id,
                visible_text(file)
            )));
        }
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
        let auth = credential.belongs.client_auth;
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
        let pem = resolve_secret(place, &*self.host.env)?;
        let key = ClientKey::read(&pem, provider.private_key_id.clone()).ok_or_else(|| {
            place.fault("expected a private key in PEM: PKCS#8 of RSA or P-256, or PKCS#1 of RSA")
        })?;
        Ok(Some(Arc::new(Signer {
            key,
            clock: self.host.clock.clone(),
            entropy: self.host.entropy.clone(),
        })))
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
        let provider = self.provider(&credential.provider)?;
        let http = Bounds::of(&provider, credential.belongs.is_elsewhere).client(&*self.host.http);
        revoke(&http, &server, &client, token, hint)
            .await
            .map_err(|error| kept(error.without(&credential.held())))
    }
}

fn kept(error: OauthError) -> BrokerError {
    BrokerError::Network(format!("the login was not revoked, and is kept: {error}"))
}
