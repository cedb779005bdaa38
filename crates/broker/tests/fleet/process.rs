//! A process of a machine: `examples/fleet_process.rs`, driven by lines.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use url::Url;

use crate::database::Database;
use crate::provider::Provider;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// As long as a busy machine may take.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Process {
    child: Child,
    input: RefCell<ChildStdin>,
    lines: Receiver<Value>,
    /// What came while something else was waited for.
    early: RefCell<HashMap<String, Value>>,
    next: Cell<u32>,
}

/// Makes the tables.
pub(crate) fn install(database: &Database) {
    do_once(database, "install", "postgres");
}

/// Makes the vault.
pub(crate) fn found(database: &Database) {
    do_once(database, "found", "ann");
}

fn do_once(database: &Database, deed: &str, role: &str) {
    let done = command(database, deed, role, 100, Value::Null).status();
    assert!(done.unwrap().success(), "{deed}");
}

/// The waits of the store are the real ones, forty times as fast.
fn command(database: &Database, deed: &str, role: &str, machine: u32, config: Value) -> Command {
    let settings = json!({
        "url": database.url(role),
        "dir": database.machine(machine),
        "host": machine,
        "name": format!("machine-{machine}"),
        "member": "ci",
        "times": { "hold": 3000, "suspect": 300, "settle": 400, "send_by": 500, "call": 2000, "poll": 500, "ping": 100 },
        "config": config,
    });
    let mut command = Command::new(program());
    command.arg(deed).arg(settings.to_string());
    command
        .env("PROVIDER_AUTH_KEY", KEY)
        .env("SSL_CERT_FILE", "/dev/null");
    command
}

/// Cargo builds examples before tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap();
    folder.join("examples/fleet_process")
}

impl Process {
    pub(crate) fn start(database: &Database, provider: &Provider, machine: u32) -> Self {
        let mut command = command(database, "serve", "ci", machine, provider.config());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (said, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = said.send(serde_json::from_str(&line).unwrap());
            }
        });
        let process = Self {
            input: child.stdin.take().unwrap().into(),
            child,
            lines,
            early: RefCell::default(),
            next: Cell::new(1),
        };
        process.hear("event", "ready");
        process
    }

    /// Logs somebody in, and returns the account.
    pub(crate) fn log_in(&self) -> String {
        let prompt = self.done("login team");
        let url: Url = prompt["url"].as_str().unwrap().parse().unwrap();
        let of_url = |wanted: &str| {
            let mut pairs = url.query_pairs();
            pairs
                .find(|(name, _)| name == wanted)
                .unwrap()
                .1
                .into_owned()
        };
        let (back, state) = (of_url("redirect_uri"), of_url("state"));
        let login = &prompt["login"];
        let pasted = self.done(&format!("paste {login} {back}?code=code&state={state}"));
        pasted["account"].as_str().unwrap().to_owned()
    }

    /// Whether the process knows of an account.
    pub(crate) fn has(&self, account: &str) -> bool {
        let listed = self.done("list");
        let mut accounts = listed["accounts"].as_array().unwrap().iter();
        accounts.any(|one| one["account"] == account)
    }

    /// The token of an account, as soon as there is one.
    pub(crate) fn token(&self, account: &str) -> Value {
        self.done(&format!("headers {account}"))["token"].clone()
    }

    pub(crate) fn refresh(&self, account: &str) {
        assert_eq!(self.done(&format!("refresh {account}"))["state"], "ready");
    }

    /// Holds the next token request back for so long.
    pub(crate) fn send_slowly(&self, by: Duration) {
        self.done(&format!("slow {}", by.as_millis()));
    }

    /// Waits until a token request is about to leave.
    pub(crate) fn is_sending(&self) {
        self.hear("event", "sending");
    }

    /// Sends a command, and returns its number.
    pub(crate) fn begin(&self, deed: &str, account: &str) -> u32 {
        self.send(&format!("{deed} {account}"))
    }

    /// Waits for the answer to a command.
    pub(crate) fn answer(&self, number: u32) -> Value {
        self.hear("number", &number.to_string())
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        if signal == Signal::KILL {
            self.child.wait().unwrap();
        }
    }

    /// The answer to a command, which is given again while it fails in passing.
    fn done(&self, command: &str) -> Value {
        let begun = Instant::now();
        loop {
            let answer = self.answer(self.send(command));
            if answer.get("error").is_none() {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "{command}: {answer}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn send(&self, command: &str) -> u32 {
        let number = self.next.get();
        self.next.set(number + 1);
        writeln!(self.input.borrow_mut(), "{number} {command}").unwrap();
        number
    }

    /// Waits for the line in which `name` has this value.
    fn hear(&self, name: &str, value: &str) -> Value {
        let key = format!("{name} {value}");
        loop {
            if let Some(line) = self.early.borrow_mut().remove(&key) {
                return line;
            }
            let line = self.lines.recv_timeout(PATIENCE).unwrap();
            for name in ["event", "number"] {
                if let Some(value) = line[name].as_str() {
                    let key = format!("{name} {value}");
                    self.early.borrow_mut().insert(key, line.clone());
                }
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits as long as a busy machine may take.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
