//! The device login: a code on one screen, typed in on another (RFC 8628).

use std::{
    fmt,
    future::Future,
    ops::Add,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use oauth2::{DeviceAuthorizationUrl, Scope, StandardDeviceAuthorizationResponse, TokenUrl};
use secrecy::SecretString;
use url::Url;

use crate::{
    Client, Http, LoginSecrets, OauthError, Server, Tokens, limits, request::adapter::Adapter,
    secret::reveal, server::dialect::Step, text::clean,
};

/// A device login under way: what to show to the user, and what to poll with.
#[derive(Clone)]
pub struct DeviceGrant {
    /// Code that the user types in.
    pub user_code: String,
    /// Page where it is typed in.
    pub verification_uri: Url,
    /// The same page with the code filled in, where the server gives one.
    pub verification_uri_complete: Option<Url>,
    /// Life of the code.
    pub expires_in: Duration,
    /// Pause between two polls.
    pub interval: Duration,
    answer: StandardDeviceAuthorizationResponse,
    verifier: Option<SecretString>,
}

impl fmt::Debug for DeviceGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceGrant")
            .field("verification_uri", &self.verification_uri.as_str())
            .field("expires_in", &self.expires_in)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

/// Asks the server for a code to show to the user. Of `secrets`, the PKCE verifier is used where
/// the dialect says so.
pub async fn start_device(
    http: &dyn Http,
    server: &Server,
    client: &Client,
    scopes: &[String],
    secrets: &LoginSecrets,
) -> Result<DeviceGrant, OauthError> {
    let adapter = Adapter::new(http, server, client, Step::Device)?;
    let client = adapter
        .oauth2_client()?
        .set_device_authorization_url(DeviceAuthorizationUrl::from_url(adapter.endpoint().clone()));
    let mut request = client
        .exchange_device_code()
        .add_scopes(scopes.iter().cloned().map(Scope::new));
    let with_pkce = server.dialect.device_pkce;
    if with_pkce {
        request = request
            .add_extra_param("code_challenge", secrets.challenge())
            .add_extra_param("code_challenge_method", "S256");
    }
    let answer = request.request_async(&adapter).await;
    let answer: StandardDeviceAuthorizationResponse = adapter.settle(answer)?;
    let complete = answer
        .verification_uri_complete()
        .and_then(|url| page(url.secret()));
    Ok(DeviceGrant {
        user_code: clean(answer.user_code().secret(), limits::ERROR_NAME_CHARS)
            .ok_or(OauthError::Malformed { field: "user_code" })?,
        verification_uri: page(answer.verification_uri()).ok_or(OauthError::Malformed {
            field: "verification_uri",
        })?,
        verification_uri_complete: complete,
        expires_in: answer.expires_in(),
        interval: answer.interval(),
        answer,
        verifier: with_pkce.then(|| secrets.verifier().secret().as_str().into()),
    })
}

/// Polls until the user is done, the server refuses, or the code has run out.
///
/// Network trouble and a busy server only make the pauses longer. `sleep` waits; what it waited is
/// all the time that counts here, so a caller that wants an end on the clock bounds this future.
pub async fn poll_device<S, F>(
    http: &dyn Http,
    server: &Server,
    client: &Client,
    grant: &DeviceGrant,
    sleep: S,
) -> Result<Tokens, OauthError>
where
    S: Fn(Duration) -> F + Send + Sync,
    F: Future<Output = ()> + Send,
{
    let adapter = Adapter::new(http, server, client, Step::Poll)?;
    let client = adapter
        .oauth2_client()?
        .set_token_uri(TokenUrl::from_url(adapter.endpoint().clone()));
    let waited = AtomicU64::new(0);
    let sleep = |pause: Duration| {
        let pause = adapter.paced(pause);
        waited.fetch_add(pause.as_secs(), Ordering::Relaxed);
        sleep(pause)
    };
    // A person takes time to type a code: an immediate poll would only be the first `slow_down`.
    sleep(grant.interval).await;
    let rest = grant.expires_in.saturating_sub(grant.interval);
    let mut request = client
        .exchange_device_access_token(&grant.answer)
        .set_time_fn(|| since_epoch(Duration::from_secs(waited.load(Ordering::Relaxed))))
        .set_max_backoff_interval(limits::LONGEST_POLL_BACKOFF.max(grant.interval));
    if let Some(verifier) = &grant.verifier {
        request = request.add_extra_param("code_verifier", reveal(verifier));
    }
    let answer = request.request_async(&adapter, sleep, Some(rest)).await;
    adapter.settle(answer).map(Tokens::from)
}

/// A page that a browser may be sent to.
fn page(url: &str) -> Option<Url> {
    Url::parse(url)
        .ok()
        .filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
}

/// The moment `span` after the type's zero. It stands in for a clock: only differences count.
fn since_epoch<T: Default + Add<Duration, Output = T>>(span: Duration) -> T {
    T::default() + span
}
