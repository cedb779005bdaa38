//! A scripted server, and an executor for futures that never wait.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::Mutex,
    task::{Context, Poll, Waker},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Request, Response};
use provider_auth_oauth::{Client, ClientAuth, Http, HttpError, LoginSecrets, Sending, Server};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

/// Marks every secret of the tests, so that a leak is found by looking for it.
pub(crate) const MARK: &str = "S3CRET";

/// Answers each request with the next line of its script, and remembers the requests.
pub(crate) struct Script {
    answers: Mutex<VecDeque<Result<Response<Vec<u8>>, HttpError>>>,
    seen: Mutex<Vec<Request<Vec<u8>>>>,
}

impl Script {
    pub(crate) fn new<A: IntoAnswer>(answers: impl IntoIterator<Item = A>) -> Self {
        let answers = answers.into_iter().map(IntoAnswer::into_answer).collect();
        Self {
            answers: Mutex::new(answers),
            seen: Mutex::default(),
        }
    }

    pub(crate) fn seen(&self) -> Vec<Request<Vec<u8>>> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// The one request that was sent.
    pub(crate) fn only(&self) -> Request<Vec<u8>> {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "one request");
        seen.remove(0)
    }
}

impl Http for Script {
    fn send(&self, request: Request<Vec<u8>>) -> Sending<'_> {
        self.seen.lock().unwrap().push(request);
        let answer = self
            .answers
            .lock()
            .unwrap()
            .pop_front()
            .expect("the script has an answer left");
        Box::pin(async move { answer })
    }
}

/// What a script may hold: a status and a body (JSON unless it looks like a page), an error, a
/// whole response.
pub(crate) trait IntoAnswer {
    fn into_answer(self) -> Result<Response<Vec<u8>>, HttpError>;
}

impl IntoAnswer for (u16, &str) {
    fn into_answer(self) -> Result<Response<Vec<u8>>, HttpError> {
        let (status, body) = self;
        let kind = if body.starts_with('<') {
            "text/html"
        } else {
            "application/json; charset=utf-8"
        };
        let response = Response::builder()
            .status(status)
            .header("content-type", kind);
        Ok(response.body(body.as_bytes().to_vec()).unwrap())
    }
}

impl IntoAnswer for HttpError {
    fn into_answer(self) -> Result<Response<Vec<u8>>, HttpError> {
        Err(self)
    }
}

impl IntoAnswer for Result<Response<Vec<u8>>, HttpError> {
    fn into_answer(self) -> Self {
        self
    }
}

/// Runs a future to its end. All are sendable between threads, and none waits for anything but the
/// script.
pub(crate) fn run<F: Future + Send>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("waits for something that the test did not script"),
    }
}

pub(crate) fn server() -> Server {
    Server {
        issuer: Some(url("https://id.example")),
        authorization_endpoint: Some(url("https://id.example/authorize")),
        token_endpoint: Some(url("https://id.example/token")),
        device_authorization_endpoint: Some(url("https://id.example/device")),
        revocation_endpoint: Some(url("https://id.example/revoke")),
        ..Server::default()
    }
}

pub(crate) fn public() -> Client {
    Client::public("app")
}

pub(crate) fn confidential(auth: ClientAuth) -> Client {
    Client {
        id: "my app".to_owned(),
        secret: Some(format!("{MARK} +/:%&é").into()),
        auth,
        signer: None,
    }
}

/// Secrets drawn from a counter: distinct, and the same every time.
pub(crate) fn secrets() -> LoginSecrets {
    let mut next = 0;
    LoginSecrets::new(&mut |bytes| {
        next += 1;
        bytes.fill(next);
    })
}

pub(crate) fn url(text: &str) -> Url {
    text.parse().unwrap()
}

pub(crate) fn secret(text: &str) -> SecretString {
    format!("{MARK}-{text}").into()
}

pub(crate) fn show(secret: &SecretString) -> &str {
    secret.expose_secret()
}

/// Form parameters in the order of their names, one `name=value` a line.
pub(crate) fn form(body: &[u8]) -> String {
    let mut lines: Vec<String> = form_urlencoded::parse(body)
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    lines.sort();
    lines.join("\n")
}

/// An unsigned token with these claims.
pub(crate) fn jwt(claims: Value) -> String {
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}
