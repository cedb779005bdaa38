//! The requests that bring tokens, and the one that ends them (RFC 6749 §4.1.3 and §6, RFC 7009).

use std::borrow::Cow;

use oauth2::{
    AccessToken, AuthorizationCode, RedirectUrl, RefreshToken, RevocationUrl, Scope,
    StandardRevocableToken, TokenUrl,
};
use secrecy::SecretString;
use url::Url;

use crate::{
    Callback, Client, Http, IdTokenCheck, LoginSecrets, OauthError, Server, Tokens,
    request::adapter::Adapter, secret::reveal, server::dialect::Step, tokens::claims,
};

/// Which kind of token is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenHint {
    /// An access token.
    Access,
    /// A refresh token: most servers end the whole grant with it.
    Refresh,
}

/// Exchanges the code of a login for tokens.
///
/// `redirect_uri` is the one that the authorization URL named. An id token of another login is
/// refused.
pub async fn exchange_code(
    http: &dyn Http,
    server: &Server,
    client: &Client,
    callback: Callback,
    secrets: &LoginSecrets,
    redirect_uri: &Url,
) -> Result<Tokens, OauthError> {
    let adapter = Adapter::new(http, server, client, Step::Token)?;
    let client = adapter
        .oauth2_client()?
        .set_token_uri(TokenUrl::from_url(adapter.endpoint().clone()));
    let mut request = client
        .exchange_code(AuthorizationCode::new(reveal(&callback.code).to_owned()))
        .set_pkce_verifier(secrets.verifier())
        .set_redirect_uri(Cow::Owned(RedirectUrl::from_url(redirect_uri.clone())));
    if server.dialect.state_in_token_body {
        request = request.add_extra_param("state", &secrets.state);
    }
    let answer = request.request_async(&adapter).await;
    let tokens = Tokens::from(adapter.settle(answer)?);
    match tokens
        .id_token
        .as_ref()
        .and_then(claims)
        .as_ref()
        .and_then(|claims| claims.get("nonce"))
    {
        _ if server.dialect.id_token == IdTokenCheck::Off => Ok(tokens),
        Some(nonce) if nonce != &secrets.nonce => Err(OauthError::WrongNonce),
        None if server.dialect.id_token >= IdTokenCheck::Claims => Err(OauthError::WrongNonce),
        _ => Ok(tokens),
    }
}

/// Exchanges a refresh token for new tokens. Without `scopes`, the granted ones stay.
///
/// The refresh token may be good for one use only: when no answer comes, it may or may not have
/// been used.
pub async fn refresh(
    http: &dyn Http,
    server: &Server,
    client: &Client,
    refresh_token: &SecretString,
    scopes: Option<&[String]>,
) -> Result<Tokens, OauthError> {
    let adapter = Adapter::new(http, server, client, Step::Refresh)?;
    let client = adapter
        .oauth2_client()?
        .set_token_uri(TokenUrl::from_url(adapter.endpoint().clone()));
    let token = RefreshToken::new(reveal(refresh_token).to_owned());
    let request = client
        .exchange_refresh_token(&token)
        .add_scopes(scopes.unwrap_or_default().iter().cloned().map(Scope::new));
    let answer = request.request_async(&adapter).await;
    adapter.settle(answer).map(Tokens::from)
}

/// Asks for a token in the client's own name, without a person (RFC 6749 §4.4). Its parameters and
/// encoding are those of the code exchange.
pub async fn client_credentials(
    http: &dyn Http,
    server: &Server,
    client: &Client,
    scopes: &[String],
) -> Result<Tokens, OauthError> {
    let adapter = Adapter::new(http, server, client, Step::Token)?;
    let client = adapter
        .oauth2_client()?
        .set_token_uri(TokenUrl::from_url(adapter.endpoint().clone()));
    let request = client
        .exchange_client_credentials()
        .add_scopes(scopes.iter().cloned().map(Scope::new));
    let answer = request.request_async(&adapter).await;
    adapter.settle(answer).map(Tokens::from)
}

/// Revokes a token. Fine too when the server did not know it (RFC 7009 §2.2).
pub async fn revoke(
    http: &dyn Http,
    server: &Server,
    client: &Client,
    token: &SecretString,
    hint: TokenHint,
) -> Result<(), OauthError> {
    let adapter = Adapter::new(http, server, client, Step::Revoke)?;
    // The `oauth2` crate insists on https here, loopback or not. The adapter sends to the true
    // endpoint.
    let mut endpoint = adapter.endpoint().clone();
    endpoint
        .set_scheme("https")
        .map_err(|()| OauthError::MissingEndpoint {
            which: Step::Revoke.endpoint(),
        })?;
    let client = adapter
        .oauth2_client()?
        .set_revocation_url(RevocationUrl::from_url(endpoint));
    let token = reveal(token).to_owned();
    let token: StandardRevocableToken = match hint {
        TokenHint::Access => AccessToken::new(token).into(),
        TokenHint::Refresh => RefreshToken::new(token).into(),
    };
    let request = client
        .revoke_token(token)
        .map_err(|_| OauthError::MissingEndpoint {
            which: Step::Revoke.endpoint(),
        })?;
    let answer = request.request_async(&adapter).await;
    adapter.settle(answer)
}
