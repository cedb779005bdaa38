//! An authorization server that rotates refresh tokens and takes each of them once, or answers from
//! a script.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Request, Response};
use parking_lot::Mutex;
use provider_auth_broker::{Clock, FromLocalNetwork, Http, HttpError, LastLook, Reach};
use serde_json::{Value, json};
use tokio::sync::watch;
use url::form_urlencoded;

use crate::world::{MARK, START};

type Sending<'a> =
    std::pin::Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, HttpError>> + Send + 'a>>;

/// The server.
pub(crate) struct Server {
    state: Mutex<State>,
    /// Requests so far.
    arrived: watch::Sender<usize>,
    /// Whether answers are held back.
    held: watch::Sender<bool>,
    /// From which request on.
    held_from: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    requests: Vec<HashMap<String, String>>,
    /// Whose each refresh token is, as long as it is good.
    grants: HashMap<String, String>,
    issued: u64,
    script: VecDeque<Answer>,
    life: Lifetime,
    extra: Value,
    without_refresh_token: bool,
    clock: Option<ServerClock>,
    documents: HashMap<String, Value>,
    nearby: HashSet<String>,
}

/// A clock that runs by itself, and by how much it is off.
struct ServerClock {
    clock: Arc<dyn Clock>,
    off_by: i64,
}

impl ServerClock {
    fn unix_seconds(&self) -> u64 {
        (START + self.clock.uptime().as_secs()).saturating_add_signed(self.off_by)
    }
}

/// What the server says about a token's life.
#[derive(Clone, Copy)]
pub(crate) enum Lifetime {
    In(u64),
    At(u64),
    /// Like `In`, but said as `expires_at`, by the server's own clock.
    EndsIn(u64),
}

impl Default for Lifetime {
    fn default() -> Self {
        Self::In(3600)
    }
}

/// A scripted answer.
pub(crate) enum Answer {
    Status(u16, &'static [(&'static str, &'static str)], Vec<u8>),
    Failure(HttpError),
    /// After this long, what an unscripted request would get.
    After(Duration),
    /// What an unscripted request would get, once this has been done.
    Once(Box<dyn FnOnce() + Send>),
}

impl Server {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
            arrived: watch::Sender::new(0),
            held: watch::Sender::new(false),
            held_from: watch::Sender::new(usize::MAX),
        }
    }

    /// How many refreshes were asked for.
    pub(crate) fn refreshes(&self) -> usize {
        let is_refresh = |request: &&HashMap<String, String>| {
            request
                .get("grant_type")
                .is_some_and(|kind| kind == "refresh_token")
        };
        self.state.lock().requests.iter().filter(is_refresh).count()
    }

    pub(crate) fn requests(&self) -> usize {
        *self.arrived.borrow()
    }

    /// The parameter of this name that came last.
    pub(crate) fn last(&self, name: &str) -> String {
        let state = self.state.lock();
        let mut values = state
            .requests
            .iter()
            .rev()
            .filter_map(|form| form.get(name));
        values.next().cloned().unwrap_or_default()
    }

    /// The parameter of this name in the last request with this grant.
    pub(crate) fn sent(&self, grant: &str, name: &str) -> Option<String> {
        let state = self.state.lock();
        let mut requests = state.requests.iter().rev();
        let last = requests.find(|form| form.get("grant_type").is_some_and(|kind| kind == grant));
        last.expect("a request with this grant").get(name).cloned()
    }

    /// Waits until so many requests have come in all.
    pub(crate) async fn arrived(&self, count: usize) {
        let mut arrived = self.arrived.subscribe();
        arrived.wait_for(|so_far| *so_far >= count).await.unwrap();
    }

    /// Keeps answers back until [`Server::release`].
    pub(crate) fn hold(&self) {
        self.held.send_replace(true);
    }

    /// Never answers the request of this number, nor a later one.
    pub(crate) fn hold_from(&self, request: usize) {
        self.held_from.send_replace(request);
    }

    pub(crate) fn release(&self) {
        self.held.send_replace(false);
    }

    /// Answers the next requests so.
    pub(crate) fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state.lock().script.extend(answers);
    }

    pub(crate) fn tokens_live(&self, life: Lifetime) {
        self.state.lock().life = life;
    }

    /// Says in each answer what its clock shows, which is off by this many seconds.
    pub(crate) fn shows_time(&self, clock: Arc<dyn Clock>, off_by: i64) {
        self.state.lock().clock = Some(ServerClock { clock, off_by });
    }

    /// What its clock shows in so many seconds, as headers write it.
    pub(crate) fn date_in(&self, seconds: u64) -> &'static str {
        let state = self.state.lock();
        let clock = state.clock.as_ref().expect("the server shows its time");
        let at = UNIX_EPOCH + Duration::from_secs(clock.unix_seconds() + seconds);
        httpdate::fmt_http_date(at).leak()
    }

    /// Says this too in each token response.
    pub(crate) fn adds(&self, extra: Value) {
        self.state.lock().extra = extra;
    }

    /// Answers with this document at a path.
    pub(crate) fn serves(&self, path: &str, document: Value) {
        self.state
            .lock()
            .documents
            .insert(path.to_owned(), document);
    }

    /// From now on these hosts, and no others, lead to this machine or its network.
    pub(crate) fn nearby(&self, hosts: &[&str]) {
        self.state.lock().nearby = hosts.iter().map(ToString::to_string).collect();
    }

    pub(crate) fn issues_no_refresh_tokens(&self) {
        self.state.lock().without_refresh_token = true;
    }

    /// Takes this refresh token for one of its own.
    pub(crate) fn grants(&self, refresh_token: &str, subject: &str) {
        let mut state = self.state.lock();
        state
            .grants
            .insert(refresh_token.to_owned(), subject.to_owned());
    }

    /// Ends every login.
    pub(crate) fn revoke_all(&self) {
        self.state.lock().grants.clear();
    }

    async fn answer(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError> {
        let host = request.uri().host().unwrap_or_default();
        let is_nearby = self.state.lock().nearby.contains(host);
        let reach = request.extensions().get::<Reach>();
        if is_nearby && reach == Some(&Reach::PublicOnly) {
            return Err(HttpError::Local(format!("https://{host}")));
        }
        let look = request.extensions().get::<LastLook>();
        if look.is_some_and(|look| !(look.0)()) {
            return Err(HttpError::TooLate);
        }
        let form: HashMap<String, String> = form_urlencoded::parse(request.body())
            .into_owned()
            .collect();
        self.state.lock().requests.push(form.clone());
        self.arrived.send_modify(|count| *count += 1);
        if self.requests() >= *self.held_from.borrow() {
            return std::future::pending().await;
        }
        self.held.subscribe().wait_for(|held| !held).await.unwrap();
        let scripted = self.state.lock().script.pop_front();
        match scripted {
            Some(Answer::Status(status, headers, body)) => {
                let mut response = Response::builder().status(status);
                for (name, value) in headers {
                    response = response.header(*name, *value);
                }
                return Ok(response.body(body).unwrap());
            }
            Some(Answer::Failure(error)) => return Err(error),
            Some(Answer::After(delay)) => tokio::time::sleep(delay).await,
            Some(Answer::Once(act)) => act(),
            None => {}
        }
        let mut answer = self.state.lock().respond(request.uri().path(), &form);
        let clock = self.state.lock().clock.is_some();
        if clock {
            let date = self.date_in(0).parse().unwrap();
            answer.headers_mut().insert("date", date);
        }
        if is_nearby && reach.is_some() {
            answer.extensions_mut().insert(FromLocalNetwork);
        }
        Ok(answer)
    }
}

impl Http for Server {
    fn send(&self, request: Request<Vec<u8>>) -> Sending<'_> {
        Box::pin(self.answer(request))
    }
}

impl State {
    fn respond(&mut self, path: &str, form: &HashMap<String, String>) -> Response<Vec<u8>> {
        if path == "/revoke" {
            return answer(200, &json!({}));
        }
        if let Some(document) = self.documents.get(path) {
            return answer(200, document);
        }
        if path == "/device" {
            let page = "https://id.acme.example/enter";
            return answer(
                200,
                &json!({ "device_code": "code-of-dora", "user_code": "ABCD", "verification_uri": page, "interval": 5 }),
            );
        }
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let subject = match field("grant_type") {
            "refresh_token" => self.grants.remove(field("refresh_token")),
            "authorization_code" => field("code").strip_prefix("code-of-").map(str::to_owned),
            _ => field("device_code")
                .strip_prefix("code-of-")
                .map(str::to_owned),
        };
        match subject {
            Some(subject) => self.issue(&subject),
            None => answer(
                400,
                &json!({ "error": "invalid_grant", "error_description": "used" }),
            ),
        }
    }

    fn issue(&mut self, subject: &str) -> Response<Vec<u8>> {
        self.issued += 1;
        let number = self.issued;
        let claims = json!({ "iss": "https://id.acme.example", "sub": subject, "email": format!("{subject}@acme.example") });
        let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
        let mut body = json!({
            "access_token": format!("{MARK}-access-{subject}-{number}"),
            "token_type": "Bearer",
            "id_token": format!("e30.{claims}.{MARK}"),
        });
        match self.life {
            Lifetime::In(seconds) => body["expires_in"] = seconds.into(),
            Lifetime::At(unix_seconds) => body["expires_at"] = unix_seconds.into(),
            Lifetime::EndsIn(seconds) => {
                let clock = self.clock.as_ref().expect("the server shows its time");
                body["expires_at"] = (clock.unix_seconds() + seconds).into();
            }
        }
        if !self.without_refresh_token {
            let refresh = format!("{MARK}-refresh-{number}");
            body["refresh_token"] = refresh.as_str().into();
            self.grants.insert(refresh, subject.to_owned());
        }
        for (name, value) in self.extra.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        answer(200, &body)
    }
}

fn answer(status: u16, body: &Value) -> Response<Vec<u8>> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(body.to_string().into_bytes())
        .unwrap()
}
