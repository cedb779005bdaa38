//! Between the `oauth2` crate and the HTTP client: applies the dialect to the request, brings the
//! answer into standard form, and keeps what the crate's own errors do not tell (status,
//! `retry-after`, content type).

use std::{
    future::Future,
    pin::Pin,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{ACCEPT, CONTENT_TYPE},
};
use oauth2::{
    AsyncHttpClient, AuthType, ClientSecret, ErrorResponse, RequestTokenError,
    StandardRevocableToken,
    basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse},
};
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

use crate::{
    Client, ClientAuth, Http, OauthError, Server, StepDialect, Tokens, limits,
    request::{
        add_headers,
        answer::{self, Refusal},
        parameters::{Parameters, is_secret_value},
    },
    secret::reveal,
    server::{dialect::Step, url_rules::endpoint},
    tokens::TokenAnswer,
};

/// The type of a token by which a client authenticates (RFC 7523 §2.2).
const CLIENT_ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The `oauth2` crate's client, without endpoints.
pub(crate) type Oauth2Client = oauth2::Client<
    BasicErrorResponse,
    TokenAnswer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
>;

/// Carries the requests of one step.
pub(crate) struct Adapter<'a> {
    http: &'a dyn Http,
    server: &'a Server,
    client: &'a Client,
    step: Step,
    endpoint: &'a Url,
    uri: Uri,
    failure: OnceLock<OauthError>,
    slow_downs: AtomicU32,
}

impl<'a> Adapter<'a> {
    /// Returns an adapter, once it is sure where to send and as whom.
    pub(crate) fn new(
        http: &'a dyn Http,
        server: &'a Server,
        client: &'a Client,
        step: Step,
    ) -> Result<Self, OauthError> {
        client.checked_id()?;
        let which = step.endpoint();
        let url = match step {
            Step::Device => &server.device_authorization_endpoint,
            Step::Poll | Step::Token | Step::Refresh | Step::Assertion => &server.token_endpoint,
            Step::Revoke => &server.revocation_endpoint,
        };
        let endpoint = endpoint(url.as_ref(), which)?;
        let uri = endpoint
            .as_str()
            .parse()
            .map_err(|_| OauthError::MissingEndpoint { which })?;
        Ok(Self {
            http,
            server,
            client,
            step,
            endpoint,
            uri,
            failure: OnceLock::new(),
            slow_downs: AtomicU32::new(0),
        })
    }

    /// Returns where the requests go.
    pub(crate) fn endpoint(&self) -> &Url {
        self.endpoint
    }

    /// Returns what builds the requests, knowing client and authentication.
    pub(crate) fn oauth2_client(&self) -> Result<Oauth2Client, OauthError> {
        let client = Oauth2Client::new(self.client.checked_id()?);
        let secret = |secret| ClientSecret::new(reveal(secret).to_owned());
        Ok(match (self.client.auth, &self.client.secret) {
            (ClientAuth::Basic, Some(kept)) => client.set_client_secret(secret(kept)),
            (ClientAuth::Post, Some(kept)) => client
                .set_auth_type(AuthType::RequestBody)
                .set_client_secret(secret(kept)),
            _ => client.set_auth_type(AuthType::RequestBody),
        })
    }

    /// Turns the crate's result into ours: the failure that was seen here says more than the
    /// crate's.
    pub(crate) fn settle<T, E>(
        &self,
        result: Result<T, RequestTokenError<NoAnswer, E>>,
    ) -> Result<T, OauthError>
    where
        E: ErrorResponse + 'static,
    {
        result.map_err(|error| match (self.failure.get(), error) {
            (Some(failure), _) => failure.clone(),
            // The one refusal that the crate speaks by itself: it stopped polling.
            (None, RequestTokenError::ServerResponse(_)) => OauthError::Expired,
            (None, _) => OauthError::Malformed { field: "content" },
        })
    }

    /// The pause before the next poll: the crate's own, which grows by 5 s with each `slow_down`,
    /// or as the dialect has it.
    pub(crate) fn paced(&self, pause: Duration) -> Duration {
        let Some(growth) = self.server.dialect.slow_down else {
            return pause;
        };
        let slow_downs = self.slow_downs.load(Ordering::Relaxed);
        (pause + growth * slow_downs)
            .saturating_sub(limits::SLOW_DOWN * slow_downs)
            .max(limits::SHORTEST_POLL_INTERVAL)
    }

    fn dialect(&self) -> &'a StepDialect {
        self.step.dialect(&self.server.dialect)
    }

    /// Adds the token by which a client with a key authenticates. Servers know themselves by their
    /// token endpoint, whichever one is asked (OpenID Connect Core §9).
    fn sign(&self, sent: &mut Parameters) -> Result<(), OauthError> {
        let (ClientAuth::PrivateKeyJwt, Some(signer)) = (self.client.auth, &self.client.signer)
        else {
            return Ok(());
        };
        let audience = self.server.token_endpoint.as_ref().unwrap_or(self.endpoint);
        let assertion = signer.assertion(&self.client.id, audience)?;
        let pairs = [
            ("client_assertion_type", CLIENT_ASSERTION_TYPE),
            ("client_assertion", reveal(&assertion)),
        ];
        sent.extend(pairs);
        Ok(())
    }

    /// Sends one request and reads its answer.
    async fn exchange(&self, mut request: Request<Vec<u8>>) -> Result<Map<String, Value>, Refusal> {
        let mut sent = Parameters::of(request.body(), &self.dialect().params);
        self.sign(&mut sent).map_err(Refusal::Final)?;
        *request.uri_mut() = self.uri.clone();
        let (content_type, body) = sent.encode(self.dialect().encoding);
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        *request.body_mut() = body;
        add_headers(&mut request, &self.dialect().headers);
        let response = self
            .http
            .send(request)
            .await
            .map_err(|error| Refusal::Final(error.into()))?;
        let headers = self.dialect().headers.iter();
        let in_headers = headers
            .filter(|(name, value)| is_secret_header(name) && is_secret_value(value))
            .map(|(_, value)| value.as_str());
        let secrets = sent
            .secrets()
            .chain(in_headers)
            .chain(self.client.secret.as_ref().map(reveal));
        answer::read(self.step, &self.server.dialect, &response, secrets)
    }

    /// Sends the one request that the crate has no words for (RFC 7523 §2.1).
    pub(crate) async fn send_assertion(&self, assertion: &str) -> Result<Tokens, OauthError> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
            .append_pair("assertion", assertion)
            .finish();
        let mut request = Request::new(form.into_bytes());
        *request.method_mut() = Method::POST;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(ACCEPT, json);
        match self.exchange(request).await {
            Ok(body) => serde_json::from_value::<TokenAnswer>(Value::Object(body))
                .map(Tokens::from)
                .map_err(|_| OauthError::Malformed { field: "content" }),
            Err(Refusal::Final(failure)) => Err(failure),
            Err(Refusal::Pending | Refusal::SlowDown) => {
                Err(OauthError::Malformed { field: "content" })
            }
        }
    }

    /// Says to the crate what it can understand, and keeps the rest.
    ///
    /// For the crate, an `Err` while polling means "wait longer and go on", and every refusal but
    /// two means "stop".
    async fn carry(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, NoAnswer> {
        match self.exchange(request).await {
            Ok(body) => Ok(json(StatusCode::OK, body)),
            Err(Refusal::Pending) => Ok(refused("authorization_pending")),
            Err(Refusal::SlowDown) => {
                self.slow_downs.fetch_add(1, Ordering::Relaxed);
                Ok(refused("slow_down"))
            }
            Err(Refusal::Final(failure)) if self.step == Step::Poll && passes(&failure) => {
                Err(NoAnswer)
            }
            Err(Refusal::Final(failure)) => {
                self.failure.get_or_init(|| failure);
                Ok(refused("invalid_request"))
            }
        }
    }
}

/// No answer that the crate could read came: the adapter kept the reason.
#[derive(Debug, thiserror::Error)]
#[error("no usable answer")]
pub(crate) struct NoAnswer;

impl<'c> AsyncHttpClient<'c> for Adapter<'_> {
    type Error = NoAnswer;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, NoAnswer>> + Send + 'c>>;

    fn call(&'c self, request: Request<Vec<u8>>) -> Self::Future {
        Box::pin(self.carry(request))
    }
}

/// Whether polling goes on after this. A page instead of JSON with a refusing status is a wrong
/// URL, and stays one.
fn passes(failure: &OauthError) -> bool {
    match failure {
        OauthError::NotJson { status, .. } => (200..300).contains(status),
        other => other.is_transient(),
    }
}

fn refused(error: &str) -> Response<Vec<u8>> {
    json(
        StatusCode::BAD_REQUEST,
        Map::from_iter([("error".to_owned(), error.into())]),
    )
}

fn json(status: StatusCode, body: Map<String, Value>) -> Response<Vec<u8>> {
    let mut response = Response::new(Value::Object(body).to_string().into_bytes());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Whether a header that the user has set may hold a secret, by its name.
fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["auth", "cookie", "key", "secret", "token"]
        .iter()
        .any(|word| name.contains(word))
}
