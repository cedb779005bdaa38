//! A token endpoint on loopback that takes each refresh token once, and ends the login when one comes again.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use url::form_urlencoded;

use crate::process::wait_until;

/// Seconds of the first access token's life; those that follow live for an hour.
const SHORT_LIFE: u64 = 1;

/// The access token of a login.
pub(crate) const FIRST_TOKEN: &str = "access-0";

pub(crate) struct Provider {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    count: Count,
    /// Whether each refresh token was spent.
    tokens: HashMap<String, bool>,
    has_ended: bool,
    delay: Duration,
}

/// What became of refresh tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) sent: usize,
    pub(crate) twice: usize,
    pub(crate) refused: usize,
}

impl Provider {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let provider = Self {
            port: listener.local_addr().unwrap().port(),
            state: Arc::default(),
        };
        let state = provider.state.clone();
        // It ends with the test.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = state.clone();
                std::thread::spawn(move || serve(&stream, &state));
            }
        });
        provider
    }

    pub(crate) fn config(&self) -> Value {
        let at = |path: &str| format!("http://127.0.0.1:{}/{path}", self.port);
        json!({ "providers": { "local": {
            "authorizationEndpoint": at("authorize"),
            "tokenEndpoint": at("token"),
            "clientId": "client",
            "origins": ["https://api.local.example"],
        } } })
    }

    /// From now on an answer leaves so long after its tokens were made.
    pub(crate) fn answer_after(&self, delay: Duration) {
        self.state.lock().unwrap().delay = delay;
    }

    pub(crate) fn count(&self) -> Count {
        self.state.lock().unwrap().count.clone()
    }

    /// Waits until a refresh token has come.
    pub(crate) fn is_asked(&self) {
        wait_until("the provider is asked", || self.count().sent > 0);
    }

    pub(crate) fn wait_for_the_end_of_tokens(&self) {
        std::thread::sleep(Duration::from_secs(SHORT_LIFE));
    }
}

fn serve(stream: &TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        // Whoever was killed says nothing more.
        let Ok(1..) = reader.read_line(&mut line) else {
            return;
        };
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let form: HashMap<_, _> = form_urlencoded::parse(&body).into_owned().collect();
    let (status, answer, delay) = {
        let mut state = state.lock().unwrap();
        let (status, answer) = state.answer(form.get("refresh_token"));
        (status, answer.to_string(), state.delay)
    };
    std::thread::sleep(delay);
    let length = answer.len();
    let head = format!(
        "HTTP/1.1 {status} .\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    // Nobody may be there any more.
    let _ = (&*stream).write_all((head + &answer).as_bytes());
}

impl State {
    fn answer(&mut self, spent: Option<&String>) -> (u16, Value) {
        if let Some(token) = spent {
            self.count.sent += 1;
            let was_spent = self.tokens.insert(token.clone(), true);
            if was_spent == Some(true) {
                self.count.twice += 1;
            }
            self.has_ended |= was_spent != Some(false);
            if self.has_ended {
                self.count.refused += 1;
                return (400, json!({ "error": "invalid_grant" }));
            }
        }
        let number = self.tokens.len();
        let refresh = format!("refresh-{number}");
        self.tokens.insert(refresh.clone(), false);
        let life = if spent.is_some() { 3600 } else { SHORT_LIFE };
        let tokens = json!({
            "access_token": format!("access-{number}"),
            "refresh_token": refresh,
            "token_type": "Bearer",
            "expires_in": life,
        });
        (200, tokens)
    }
}
