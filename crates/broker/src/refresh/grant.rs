//! With what the next access token of a credential is asked for, and whom.

use std::sync::Arc;

use provider_auth_oauth::{
    Client, Http, HttpError, LastLook, OauthError, Renewal, Server, Tokens, Watched,
    answers_from_local_network, client_credentials, exchange_assertion, exchange_token,
};
use provider_auth_vault::SendBy;
use secrecy::SecretString;
use url::Url;

use crate::config::resolve_secret;
use crate::error::BrokerError;
use crate::oauth_endpoints::bounds::Bounds;
use crate::refresh::Refresher;
use crate::store::credential::Credential;
use crate::store::secret::Secret;

/// One request for the next access token, ready to be sent.
pub(crate) struct TokenRequest {
    server: Server,
    means: Means,
    bounds: Bounds,
    /// The MCP server whose word for its login server counts.
    resource: Option<Url>,
}

/// What is presented.
enum Means {
    RefreshToken(SecretString, Client),
    Exchange(SecretString),
    Assertion(SecretString),
    /// The client itself, what it proves that by, and for which scopes.
    Client(Client, SecretString, Vec<String>),
}

impl TokenRequest {
    /// What is presented, and may be good for one use.
    pub(crate) fn presented(&self) -> &SecretString {
        match &self.means {
            Means::RefreshToken(secret, _)
            | Means::Exchange(secret)
            | Means::Assertion(secret)
            | Means::Client(_, secret, _) => secret,
        }
    }

    /// Whether a refusal is the end of the login. An assertion is another issuer's, which issues
    /// the next one soon; a client holds no grant that could be dead.
    pub(crate) fn ends_with_refusal(&self) -> bool {
        !matches!(self.means, Means::Assertion(_) | Means::Client(..))
    }
}

impl Refresher {
    /// What to ask, and whom; `None` when the credential has nothing to ask with.
    pub(crate) fn token_request(
        &self,
        credential: &Credential,
    ) -> Result<Option<TokenRequest>, BrokerError> {
        let server = self.endpoints.server_of(credential)?;
        let means = match &credential.secret {
            Secret::Oauth {
                by_assertion: true, ..
            } => {
                let provider = self.store.provider(&credential.provider)?;
                let Some(assertion) = &provider.assertion else {
                    return Err(BrokerError::InvalidArgument(format!(
                        "this login was made with an assertion, and none is configured now: set providers.{}.assertion",
                        provider.id
                    )));
                };
                Means::Assertion(resolve_secret(assertion, &*self.store.host.env)?)
            }
            Secret::Oauth {
                by_client: true, ..
            } => {
                let client = self.endpoints.client_of(credential)?;
                let secret = client.secret.clone().unwrap_or_default();
                let scopes = self.store.provider(&credential.provider)?.scopes.clone();
                Means::Client(client, secret, scopes)
            }
            Secret::Oauth {
                refresh: Some(token),
                ..
            } => match server.dialect.renewal {
                renewal if !credential.may_be_renewed(Some(renewal)) => return Ok(None),
                Renewal::RefreshToken => {
                    Means::RefreshToken(token.clone(), self.endpoints.client_of(credential)?)
                }
                Renewal::Exchange | Renewal::ExchangeLogin => Means::Exchange(token.clone()),
            },
            _ => return Ok(None),
        };
        let audience = &credential.audience;
        let provider = self.store.provider(&credential.provider)?;
        Ok(Some(TokenRequest {
            server,
            means,
            bounds: Bounds::of(&provider, audience.is_elsewhere),
            resource: audience.resource.clone(),
        }))
    }

    /// Sends it, unless that is too late by now.
    pub(crate) async fn send(
        &self,
        request: &TokenRequest,
        by: SendBy,
    ) -> Result<Tokens, OauthError> {
        let look = LastLook(Arc::new(move || !by.has_passed()));
        let http = &Watched::new(&*self.store.host.http, look);
        let bounded = request.bounds.client(http);
        match (send(&bounded, request).await, &request.resource) {
            // Nothing was sent. A machine that has come home finds there what it found elsewhere
            // before: the MCP server itself says so, by answering from there.
            (Err(OauthError::Http(HttpError::Local(_))), Some(url))
                if answers_from_local_network(http, url).await =>
            {
                send(http, request).await
            }
            (outcome, _) => outcome,
        }
    }
}

async fn send(http: &dyn Http, request: &TokenRequest) -> Result<Tokens, OauthError> {
    let server = &request.server;
    match &request.means {
        Means::RefreshToken(token, client) => {
            provider_auth_oauth::refresh(http, server, client, token, None).await
        }
        Means::Exchange(token) => exchange_token(http, server, token).await,
        Means::Client(client, _, scopes) => client_credentials(http, server, client, scopes).await,
        Means::Assertion(assertion) => exchange_assertion(http, server, assertion).await,
    }
}
