//! A provider's API, as far as it lists models: answers by path, and remembers who asked for what.

use std::collections::HashMap;

use http::{Request, Response};
use parking_lot::Mutex;
use provider_auth_broker::{Http, HttpError};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::world::MARK;

type Sending<'a> =
    std::pin::Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, HttpError>> + Send + 'a>>;

/// What the API answers.
#[derive(Clone)]
pub(crate) enum Says {
    /// A status, headers and a body.
    Status(u16, &'static [(&'static str, &'static str)], String),
    /// Nothing comes.
    Failure(HttpError),
}

impl Says {
    pub(crate) fn status(status: u16) -> Self {
        Self::Status(status, &[], "{}".to_owned())
    }

    pub(crate) fn json(body: &Value) -> Self {
        Self::Status(200, &[], body.to_string())
    }

    /// A list of OpenAI's form.
    pub(crate) fn list(ids: &[&str]) -> Self {
        let entries = ids.iter().map(|id| json!({ "id": id }));
        Self::json(&json!({ "data": entries.collect::<Vec<_>>() }))
    }

    pub(crate) fn limited() -> Self {
        Self::Status(429, &[("retry-after", "600")], "{}".to_owned())
    }
}

/// The API.
pub(crate) struct Api {
    state: Mutex<State>,
    held: watch::Sender<bool>,
    arrived: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    /// By path and query, by whose credential it is asked with, or by both.
    answers: HashMap<String, Says>,
    asked: Vec<String>,
}

impl Api {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
            held: watch::Sender::new(false),
            arrived: watch::Sender::new(0),
        }
    }

    /// From now on this is what `/models` brings.
    pub(crate) fn says(&self, answer: Says) {
        self.says_at("/models", answer);
    }

    /// The same of another path, of the credential of `who`, or of both: `who path`.
    pub(crate) fn says_at(&self, what: &str, answer: Says) {
        self.state.lock().answers.insert(what.to_owned(), answer);
    }

    /// The requests since the last look, as `who path`.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().asked)
    }

    pub(crate) fn hold(&self) {
        self.held.send_replace(true);
    }

    pub(crate) fn release(&self) {
        self.held.send_replace(false);
    }

    /// Waits until so many requests have come in all.
    pub(crate) async fn arrived(&self, count: usize) {
        let mut arrived = self.arrived.subscribe();
        arrived.wait_for(|so_far| *so_far >= count).await.unwrap();
    }

    async fn answer(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError> {
        assert_eq!(request.headers()["accept"], "application/json");
        assert!(!format!("{request:?}").contains(MARK));
        let credential = request.headers()["authorization"].to_str().unwrap();
        let who = credential
            .rsplit('-')
            .find(|part| part.parse::<u64>().is_err());
        let path = request.uri().path_and_query().unwrap().to_string();
        let asked = format!("{} {path}", who.unwrap());
        let answer = {
            let mut state = self.state.lock();
            state.asked.push(asked.clone());
            let known = [asked.as_str(), who.unwrap(), path.as_str()];
            let mut known = known.iter().filter_map(|what| state.answers.get(*what));
            known.next().cloned().unwrap_or_else(|| Says::status(404))
        };
        self.arrived.send_modify(|count| *count += 1);
        self.held.subscribe().wait_for(|held| !held).await.unwrap();
        match answer {
            Says::Status(status, headers, body) => {
                let mut response = Response::builder().status(status);
                for (name, value) in headers {
                    response = response.header(*name, *value);
                }
                Ok(response.body(body.into_bytes()).unwrap())
            }
            Says::Failure(error) => Err(error),
        }
    }
}

impl Http for Api {
    fn send(&self, request: Request<Vec<u8>>) -> Sending<'_> {
        Box::pin(self.answer(request))
    }
}
