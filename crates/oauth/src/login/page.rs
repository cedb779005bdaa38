//! A login on a page whose outcome is polled for (Cursor).

use std::{fmt, future::Future, time::Duration};

use secrecy::SecretString;
use url::Url;

use crate::{
    Http, LoginSecrets, OauthError, Server, Tokens, limits,
    request::{answer::Refusal, exchange::send_for_tokens, get_json},
    server::{dialect::Step, url_rules::endpoint},
};

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
        let request = get_json(&login.poll, "token endpoint")?;
        match send_for_tokens(http, server, Step::Poll, request, &login.verifier).await {
            Err(Refusal::Pending) => {}
            Err(Refusal::SlowDown) => pause = limits::LONGEST_PAGE_POLL,
            Err(Refusal::Final(error)) if error.is_transient() => {}
            Err(Refusal::Final(error)) => return Err(error),
            Ok(tokens) => return Ok(tokens),
        }
    }
}
