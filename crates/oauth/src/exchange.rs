//! Exchanges that are no grant of RFC 6749: a login's token for the one that an API takes, a page's outcome for tokens, an
//! assertion for a token (RFC 7523).

use std::{fmt, future::Future, time::Duration};

use http::{
    HeaderValue, Method, Request,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use crate::{
    Client, Http, LoginSecrets, OauthError, Server, Tokens,
    adapter::{Adapter, Step, add_headers},
    answer::{self, Refusal},
    limits,
    server::endpoint,
    tokens::{TokenAnswer, reveal},
};

/// Exchanges a token, sent as a bearer token, for the one that the API takes. An answer without a refresh token leaves
/// `token` good for the next exchange. Where the server says that it exchanges no such token, it is `token` that serves.
pub async fn exchange_token(
    http: &dyn Http,
    server: &Server,
    token: &SecretString,
) -> Result<Tokens, OauthError> {
    let url = endpoint(server.exchange_endpoint.as_ref(), "exchange endpoint")?;
    let method = match server.dialect.renewal {
        crate::Renewal::Exchange => Method::POST,
        _ => Method::GET,
    };
    let mut request = bearer_request(method, url, token)?;
    add_headers(&mut request, &server.dialect.refresh.headers);
    match tokens(http, server, Step::Refresh, request, token).await {
        // In JSON: a page in between says nothing about the token.
        Err(Refusal::Final(OauthError::Rejected { status, .. }))
            if server.dialect.no_exchange == Some(status) =>
        {
            Ok(Tokens::bare(token.clone(), None))
        }
        outcome => outcome.map_err(not_pending),
    }
}

/// Exchanges an assertion, a token of another issuer that names this machine or program (RFC 7523 §2.1). What the server
/// wants to know beside it are parameters of the dialect.
pub async fn exchange_assertion(
    http: &dyn Http,
    server: &Server,
    assertion: &SecretString,
) -> Result<Tokens, OauthError> {
    if reveal(assertion).len() > limits::ASSERTION_BYTES {
        return Err(OauthError::Malformed { field: "assertion" });
    }
    // The server knows the caller by the assertion: no client id is sent.
    let nobody = Client::public("-");
    let adapter = Adapter::new(http, server, &nobody, Step::Assertion)?;
    adapter.send_assertion(reveal(assertion)).await
}

/// A login on a page whose outcome is polled for.
pub struct PageLogin {
    /// The page.
    pub url: Url,
    poll: Url,
    verifier: SecretString,
}

impl fmt::Debug for PageLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageLogin").finish_non_exhaustive()
    }
}

/// Returns the page of a login whose outcome is polled for. `id` ties page and poll together.
pub fn start_page(
    server: &Server,
    secrets: &LoginSecrets,
    id: &str,
) -> Result<PageLogin, OauthError> {
    let names = server.dialect.page_poll.as_ref();
    let names = names.ok_or(OauthError::MissingEndpoint { which: "poll" })?;
    let mut url = endpoint(
        server.authorization_endpoint.as_ref(),
        "authorization endpoint",
    )?
    .clone();
    url.query_pairs_mut()
        .append_pair(&names.challenge, &secrets.challenge())
        .append_pair(&names.id, id)
        .extend_pairs(&server.dialect.authorize);
    let verifier = secrets.verifier();
    let mut poll = endpoint(server.token_endpoint.as_ref(), "token endpoint")?.clone();
    poll.query_pairs_mut()
        .append_pair(&names.id, id)
        .append_pair(&names.proof, verifier.secret());
    Ok(PageLogin {
        url,
        poll,
        verifier: verifier.secret().as_str().into(),
    })
}

/// Polls until the user is done or the server refuses. The caller bounds the time that this takes.
pub async fn poll_page<S, F>(
    http: &dyn Http,
    server: &Server,
    login: &PageLogin,
    sleep: S,
) -> Result<Tokens, OauthError>
where
    S: Fn(Duration) -> F + Send + Sync,
    F: Future<Output = ()> + Send,
{
    let mut pause = limits::SHORTEST_POLL_INTERVAL;
    loop {
        sleep(pause).await;
        pause = (pause * 6 / 5).min(limits::LONGEST_PAGE_POLL);
        let request = Request::get(login.poll.as_str())
            .header(ACCEPT, "application/json")
            .body(Vec::new())
            .map_err(|_| OauthError::MissingEndpoint {
                which: "token endpoint",
            })?;
        match tokens(http, server, Step::Poll, request, &login.verifier).await {
            Err(Refusal::Pending) => {}
            Err(Refusal::SlowDown) => pause = limits::LONGEST_PAGE_POLL,
            Err(Refusal::Final(error)) if error.is_transient() => {}
            Err(Refusal::Final(error)) => return Err(error),
            Ok(tokens) => return Ok(tokens),
        }
    }
}

/// A request that carries a token; one with a body says `{}`.
pub(crate) fn bearer_request(
    method: Method,
    url: &Url,
    token: &SecretString,
) -> Result<Request<Vec<u8>>, OauthError> {
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", reveal(token)))
        .map_err(|_| OauthError::Malformed { field: "token" })?;
    bearer.set_sensitive(true);
    let request = Request::builder()
        .uri(url.as_str())
        .header(AUTHORIZATION, bearer)
        .header(ACCEPT, "application/json");
    let request = match method {
        Method::POST => request
            .header(CONTENT_TYPE, "application/json")
            .method(method)
            .body(b"{}".to_vec()),
        method => request.method(method).body(Vec::new()),
    };
    request.map_err(|_| OauthError::MissingEndpoint {
        which: "exchange endpoint",
    })
}

async fn tokens(
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
