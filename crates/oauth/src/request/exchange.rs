//! Exchanges beside the grants of RFC 6749: a login's token for the one that an API takes, an
//! assertion for a token (RFC 7523).

use http::{Method, Request};
use secrecy::SecretString;
use serde_json::Value;

use crate::{
    Client, Http, OauthError, Renewal, Server, Tokens, limits,
    request::{
        adapter::Adapter,
        add_headers,
        answer::{self, Refusal},
        bearer_request,
    },
    secret::reveal,
    server::{dialect::Step, url_rules::endpoint},
    tokens::TokenAnswer,
};

/// Exchanges a token, sent as a bearer token, for the one that the API takes. An answer without a
/// refresh token leaves `token` good for the next exchange. Where the server says that it exchanges
/// no such token, it is `token` that serves.
pub async fn exchange_token(
    http: &dyn Http,
    server: &Server,
    token: &SecretString,
) -> Result<Tokens, OauthError> {
    let url = endpoint(server.exchange_endpoint.as_ref(), "exchange endpoint")?;
    let method = match server.dialect.renewal {
        Renewal::Exchange => Method::POST,
        _ => Method::GET,
    };
    let mut request = bearer_request(method, url, token)?;
    add_headers(&mut request, &server.dialect.refresh.headers);
    match send_for_tokens(http, server, Step::Refresh, request, token).await {
        // In JSON: a page in between says nothing about the token.
        Err(Refusal::Final(OauthError::Rejected { status, .. }))
            if server.dialect.no_exchange == Some(status) =>
        {
            Ok(Tokens::bare(token.clone(), None))
        }
        outcome => outcome.map_err(not_pending),
    }
}

/// Exchanges an assertion, a token of another issuer that names this machine or program (RFC 7523
/// §2.1). What the server wants to know beside it are parameters of the dialect.
pub async fn exchange_assertion(
    http: &dyn Http,
    server: &Server,
    assertion: &SecretString,
) -> Result<Tokens, OauthError> {
    if reveal(assertion).len() > limits::ASSERTION_BYTES {
        return Err(OauthError::Malformed { field: "assertion" });
    }
    // The server knows the caller by the assertion: no client id is sent.
    let placeholder = Client::public("-");
    let adapter = Adapter::new(http, server, &placeholder, Step::Assertion)?;
    adapter.send_assertion(reveal(assertion)).await
}

/// Sends a request and reads the tokens of its answer.
pub(crate) async fn send_for_tokens(
    http: &dyn Http,
    server: &Server,
    step: Step,
    request: Request<Vec<u8>>,
    sent: &SecretString,
) -> Result<Tokens, Refusal> {
    let response = http
        .send(request)
        .await
        .map_err(|error| Refusal::Final(error.into()))?;
    let secrets = std::iter::once(reveal(sent));
    let body = answer::read(step, &server.dialect, &response, secrets)?;
    serde_json::from_value::<TokenAnswer>(Value::Object(body))
        .map(Tokens::from)
        .map_err(|_| Refusal::Final(OauthError::Malformed { field: "content" }))
}

fn not_pending(refusal: Refusal) -> OauthError {
    match refusal {
        Refusal::Final(error) => error,
        // Outside a poll, `answer` says neither.
        Refusal::Pending | Refusal::SlowDown => OauthError::Malformed { field: "content" },
    }
}
