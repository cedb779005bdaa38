//! Between the `oauth2` crate and the HTTP client: applies the dialect to the request, brings the answer into standard
//! form, and keeps what the crate's own errors do not tell (status, `retry-after`, content type).

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
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
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
    Client, ClientAuth, Encoding, Http, OauthError, Server, Tokens,
    answer::{self, Refusal},
    dialect::StepDialect,
    limits,
    server::endpoint,
    tokens::{TokenAnswer, reveal},
};

/// The type of a token by which a client authenticates (RFC 7523 §2.2).
const CLIENT_ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The kinds of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Start of a device login.
    Device,
    /// Poll of a device login.
    Poll,
    /// Code exchange.
    Token,
    /// Refresh.
    Refresh,
    /// Exchange of an assertion.
    Assertion,
    /// Revocation.
    Revoke,
}

impl Step {
    /// Returns the name of the endpoint that serves this step.
    pub(crate) fn endpoint(self) -> &'static str {
        match self {
            Self::Device => "device authorization endpoint",
            Self::Poll | Self::Token | Self::Refresh | Self::Assertion => "token endpoint",
            Self::Revoke => "revocation endpoint",
        }
    }
}

/// The `oauth2` crate's client, without endpoints.
pub(crate) type Speaker = oauth2::Client<
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
    pub(crate) fn speaker(&self) -> Result<Speaker, OauthError> {
        let speaker = Speaker::new(self.client.checked_id()?);
        let secret = |secret| ClientSecret::new(reveal(secret).to_owned());
        Ok(match (self.client.auth, &self.client.secret) {
            (ClientAuth::Basic, Some(kept)) => speaker.set_client_secret(secret(kept)),
            (ClientAuth::Post, Some(kept)) => speaker
                .set_auth_type(AuthType::RequestBody)
                .set_client_secret(secret(kept)),
            _ => speaker.set_auth_type(AuthType::RequestBody),
        })
    }

    /// Turns the crate's result into ours: the failure that was seen here says more than the crate's.
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

    /// The pause before the next poll: the crate's own, which grows by 5 s with each `slow_down`, or as the dialect has it.
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
        let dialect = &self.server.dialect;
        match self.step {
            Step::Device => &dialect.device,
            Step::Poll | Step::Token => &dialect.token,
            Step::Refresh => &dialect.refresh,
            Step::Assertion => &dialect.assertion,
            Step::Revoke => &dialect.revoke,
        }
    }

    /// Adds the token by which a client with a key authenticates. Servers know themselves by their token endpoint, whichever
    /// one is asked (OpenID Connect Core §9).
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
        sent.0
            .extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
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
    /// For the crate, an `Err` while polling means "wait longer and go on", and every refusal but two means "stop".
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

/// Whether polling goes on after this. A page instead of JSON with a refusing status is a wrong URL, and stays one.
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

/// The parameters of a request body.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads the form that the crate wrote and adds the extra ones that it did not set.
    fn of(form: &[u8], extra: &[(String, String)]) -> Self {
        let mut pairs: Vec<(String, String)> = form_urlencoded::parse(form).into_owned().collect();
        for (name, value) in extra {
            if !pairs.iter().any(|(set, _)| set == name) {
                pairs.push((name.clone(), value.clone()));
            }
        }
        Self(pairs)
    }

    fn encode(&self, encoding: Encoding) -> (&'static str, Vec<u8>) {
        match encoding {
            Encoding::Form => {
                let form = form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(&self.0)
                    .finish();
                ("application/x-www-form-urlencoded", form.into_bytes())
            }
            Encoding::Json => {
                let body: Map<String, Value> = self
                    .0
                    .iter()
                    .map(|(name, value)| (name.clone(), value.as_str().into()))
                    .collect();
                (
                    "application/json",
                    Value::Object(body).to_string().into_bytes(),
                )
            }
        }
    }

    /// Returns the values that must not come back in an error message: all but those that the standards define and that
    /// anybody may know.
    fn secrets(&self) -> impl Iterator<Item = &str> {
        const SECRET: [&str; 8] = [
            "assertion",
            "client_assertion",
            "code",
            "code_verifier",
            "device_code",
            "refresh_token",
            "token",
            "client_secret",
        ];
        const PUBLIC: [&str; 12] = [
            "audience",
            "client_assertion_type",
            "client_id",
            "code_challenge",
            "code_challenge_method",
            "grant_type",
            "redirect_uri",
            "requested_token_type",
            "resource",
            "scope",
            "subject_token_type",
            "token_type_hint",
        ];
        self.0
            .iter()
            .filter(|(name, value)| {
                let name = name.as_str();
                SECRET.contains(&name) || (!PUBLIC.contains(&name) && is_secret_value(value))
            })
            .map(|(_, value)| value.as_str())
    }
}

/// Adds the headers that a dialect has for a step.
pub(crate) fn add_headers(request: &mut Request<Vec<u8>>, headers: &[(String, String)]) {
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            request.headers_mut().insert(name, value);
        }
    }
}

/// Whether a header that the user has set may hold a secret, by its name.
fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["auth", "cookie", "key", "secret", "token"]
        .iter()
        .any(|word| name.contains(word))
}

/// Whether a value is long enough to be one.
fn is_secret_value(value: &str) -> bool {
    value.len() >= limits::SHORTEST_PARAMETER_BYTES
}
