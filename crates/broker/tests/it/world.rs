//! One vault folder, one server, one clock; and any number of brokers on them, each as in a process
//! of its own.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use provider_auth_broker::config::Inline;
use provider_auth_broker::{
    AuthRequest, Broker, BrokerError, Clock, Entropy, Env, Event, Events, Host, Lease,
    LoginOptions, Method, Report, Timestamp, Verdict,
};
use provider_auth_vault::{
    Engine, KeySecrets, KeySource, Options, RecordId, Vault, default_engine,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;
use url::Url;

use crate::api::Api;
use crate::server::Server;

/// Marks every secret of the tests, so that a leak is found by looking for it.
pub(crate) const MARK: &str = "S3CRET";

/// Where the provider of the tests is called.
pub(crate) const API: &str = "https://api.acme.example/v1/chat";

/// When each test begins, in Unix seconds.
pub(crate) const START: u64 = 1_800_000_000;

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// What all processes of a test share.
pub(crate) struct World {
    folder: TempDir,
    engine: Arc<dyn Engine>,
    pub(crate) server: Arc<Server>,
    pub(crate) api: Arc<Api>,
    clock: Arc<TurnedClock>,
    processes: AtomicU64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::on(default_engine())
    }

    /// The same with another engine than folders.
    pub(crate) fn on(engine: Arc<dyn Engine>) -> Self {
        Self {
            engine,
            folder: TempDir::new().unwrap(),
            server: Arc::new(Server::new()),
            api: Arc::new(Api::new()),
            clock: Arc::new(TurnedClock {
                began: Instant::now(),
                set_off_by: AtomicI64::new(0),
            }),
            processes: AtomicU64::new(0),
        }
    }

    /// A process with the usual configuration.
    pub(crate) fn process(&self) -> Process {
        self.process_with(config(json!({})))
    }

    /// A process in which no request waits.
    pub(crate) fn impatient_process(&self) -> Process {
        self.process_with(config(json!({ "rotation": { "maxWaitMs": 0 } })))
    }

    /// The same with another engine than the world's.
    pub(crate) fn impatient_process_on(&self, engine: Arc<dyn Engine>) -> Process {
        let home = self.folder.path().join("home");
        let config = config(json!({ "rotation": { "maxWaitMs": 0 } }));
        self.process_of(engine, &home, config, "env", &[])
    }

    pub(crate) fn process_with(&self, config: Value) -> Process {
        self.process_in(config, "env", &[])
    }

    pub(crate) fn process_in(
        &self,
        config: Value,
        key_source: &str,
        variables: &[(&str, &str)],
    ) -> Process {
        let home = self.folder.path().join("home");
        self.process_from(&home, config, key_source, variables)
    }

    /// A process in another folder, once `prepare` has put there what it finds.
    pub(crate) fn process_at(
        &self,
        folder: &str,
        config: Value,
        prepare: impl FnOnce(&Path),
    ) -> Process {
        let folder = self.folder.path().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        prepare(&folder);
        self.process_from(&folder, config, "env", &[])
    }

    fn process_from(
        &self,
        here: &Path,
        config: Value,
        key_source: &str,
        variables: &[(&str, &str)],
    ) -> Process {
        self.process_of(self.engine.clone(), here, config, key_source, variables)
    }

    fn process_of(
        &self,
        engine: Arc<dyn Engine>,
        here: &Path,
        config: Value,
        key_source: &str,
        variables: &[(&str, &str)],
    ) -> Process {
        let mut env = HashMap::from([("PROVIDER_AUTH_KEY".to_owned(), KEY.to_owned())]);
        env.extend(
            variables
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string())),
        );
        let env_names_a_vault = env.contains_key("PROVIDER_AUTH_DIR");
        let host = Host {
            clock: self.clock.clone(),
            entropy: Arc::new(Counted(AtomicU64::new(
                self.processes.fetch_add(1, Ordering::Relaxed) << 32,
            ))),
            env: Arc::new(Variables {
                env,
                home: self.folder.path().join("home"),
                here: here.to_owned(),
            }),
            http: self.server.clone(),
            lists: self.api.clone(),
            engine,
            store_clock: Arc::default(),
        };
        let inline = Inline {
            // Unless a variable names another vault.
            dir: (!env_names_a_vault).then(|| self.vault_dir()),
            key_source: Some(key_source.to_owned()),
            config: Some(config),
            ..Inline::default()
        };
        let events = Arc::new(Events::default());
        let seen = Arc::new(Mutex::new(Vec::new()));
        events.subscribe(Arc::new({
            let seen = seen.clone();
            move |event: &Event| seen.lock().push(event.clone())
        }));
        Process {
            broker: Broker::new(host, &inline, events).unwrap(),
            seen,
        }
    }

    pub(crate) fn vault_dir(&self) -> PathBuf {
        self.folder.path().join("vault")
    }

    /// Where OpenCode keeps a file.
    pub(crate) fn legacy_file(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join("home/.local/share/opencode");
        std::fs::create_dir_all(&folder).unwrap();
        folder.join(name)
    }

    pub(crate) fn record_file(&self, id: &str) -> PathBuf {
        self.vault_dir().join(format!("rec/{id}.rec"))
    }

    /// Writes the config file of the project that is worked on.
    pub(crate) fn project_says(&self, config: Value) {
        self.project_reads(&config.to_string());
    }

    /// The same, of any text.
    pub(crate) fn project_reads(&self, text: &str) {
        let home = self.folder.path().join("home");
        std::fs::create_dir_all(&home).unwrap();
        std::fs::write(self.project_file(), text).unwrap();
    }

    pub(crate) fn project_is_gone(&self) {
        std::fs::remove_file(self.project_file()).unwrap();
    }

    pub(crate) fn project_is_writable_by_all(&self) {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(0o666);
        std::fs::set_permissions(self.project_file(), mode).unwrap();
    }

    fn project_file(&self) -> PathBuf {
        self.folder.path().join("home/provider-auth.jsonc")
    }

    /// The vault, opened by somebody who is no broker.
    pub(crate) fn vault(&self) -> Vault {
        self.vault_on(self.engine.clone())
    }

    /// The same with another engine than the world's.
    pub(crate) fn vault_on(&self, engine: Arc<dyn Engine>) -> Vault {
        let options = Options {
            key: KeySource::Env,
            secrets: KeySecrets {
                key: Some(KEY.into()),
                ..KeySecrets::default()
            },
            ..Options::new(self.vault_dir())
        };
        let entropy = Counted(AtomicU64::new(u64::MAX / 2));
        Vault::open(
            options,
            engine,
            Arc::new(move |bytes: &mut [u8]| entropy.fill(bytes)),
        )
        .unwrap()
    }

    /// How often the record was written.
    pub(crate) fn generation(&self, id: &str) -> u64 {
        self.vault()
            .read(&record_id(id))
            .unwrap()
            .unwrap()
            .generation
    }

    pub(crate) fn has_note(&self, id: &str) -> bool {
        self.vault_dir().join(format!("rec/{id}.pending")).exists()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Has the server say in each answer what its clock shows, which is off by this many seconds.
    pub(crate) fn server_shows_time(&self, off_by: i64) {
        self.server.shows_time(self.clock.clone(), off_by);
    }

    /// Sets the clock of this machine forward or, below zero, back.
    pub(crate) fn set_clock(&self, by_seconds: i64) {
        self.clock
            .set_off_by
            .fetch_add(by_seconds * 1000, Ordering::Relaxed);
    }

    /// Every file in the vault's folder.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        fn walk(folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => walk(&path, files),
                    false => files.push((path.clone(), std::fs::read(&path).unwrap())),
                }
            }
        }
        let mut files = Vec::new();
        walk(&self.vault_dir(), &mut files);
        files.sort();
        files
    }
}

/// Turns the clock, without a wait.
pub(crate) async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

/// Gives what was just started the time to come to where it waits, on whatever thread. No test
/// passes or fails by it: without it, another order of events is tested.
pub(crate) async fn let_others_run() {
    for _ in 0..1_000 {
        tokio::task::spawn_blocking(std::thread::yield_now)
            .await
            .unwrap();
    }
}

pub(crate) fn record_id(id: &str) -> RecordId {
    id.parse().unwrap()
}

/// The usual provider `acme`, with some keys replaced.
pub(crate) fn config(changes: Value) -> Value {
    let mut acme = json!({
        "authorizationEndpoint": "https://id.acme.example/authorize",
        "tokenEndpoint": "https://id.acme.example/token",
        "deviceAuthorizationEndpoint": "https://id.acme.example/device",
        "clientId": "client",
        "origins": ["https://api.acme.example"],
    });
    for (key, value) in changes.as_object().unwrap() {
        acme[key] = value.clone();
    }
    json!({ "providers": { "acme": acme } })
}

/// A request to the usual provider.
pub(crate) fn request() -> AuthRequest {
    AuthRequest {
        provider: "acme".to_owned(),
        url: Some(API.to_owned()),
        ..AuthRequest::default()
    }
}

/// A login by paste.
pub(crate) fn login_options() -> LoginOptions {
    LoginOptions {
        provider: "acme".to_owned(),
        method: Some(Method::Paste),
        ..LoginOptions::default()
    }
}

/// The request that follows an attempt.
pub(crate) fn retry_of(lease: &Lease) -> AuthRequest {
    AuthRequest {
        retry_of: Some(lease.attempt.clone()),
        ..request()
    }
}

/// One broker, as in a process of its own.
pub(crate) struct Process {
    broker: Arc<Broker>,
    seen: Arc<Mutex<Vec<Event>>>,
}

impl Deref for Process {
    type Target = Arc<Broker>;

    fn deref(&self) -> &Self::Target {
        &self.broker
    }
}

impl Process {
    /// Logs in by paste and returns the account's id.
    pub(crate) async fn log_in(&self, subject: &str) -> String {
        let (number, pasted) = self.started_login(subject).await;
        self.finish_login(number, Some(pasted)).await.unwrap().id
    }

    /// Starts a login by paste; returns its number, and what the user would paste.
    pub(crate) async fn started_login(&self, subject: &str) -> (u64, String) {
        self.started_login_with(subject, login_options()).await
    }

    pub(crate) async fn started_login_with(
        &self,
        subject: &str,
        options: LoginOptions,
    ) -> (u64, String) {
        let prompt = self.start_login(options).await.unwrap();
        let url = Url::parse(&prompt.url).unwrap();
        let state = url
            .query_pairs()
            .find(|(name, _)| name == "state")
            .unwrap()
            .1;
        (
            prompt.login,
            format!("http://127.0.0.1:8976/callback?code=code-of-{subject}&state={state}"),
        )
    }

    /// Adds an API key and returns the account's id.
    pub(crate) async fn add_key(&self, name: &str) -> String {
        let key = format!("{MARK}-key-{name}").into();
        self.add_api_key("acme", key, None, Some(name.to_owned()), None)
            .await
            .unwrap()
            .id
    }

    /// Headers for the usual request.
    pub(crate) async fn lend(&self) -> Result<Lease, BrokerError> {
        self.headers(&request()).await
    }

    /// The access token or key that serves the usual request, answered with 200.
    pub(crate) async fn token(&self) -> String {
        let lease = self.lend().await.unwrap();
        self.answer(&lease, 200, &[]).await;
        bearer(&lease)
    }

    /// Reports a response.
    pub(crate) async fn answer(
        &self,
        lease: &Lease,
        status: u16,
        headers: &[(&str, &str)],
    ) -> Verdict {
        self.report(&Report {
            attempt: lease.attempt.clone(),
            status: Some(status),
            headers: headers
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect::<BTreeMap<_, _>>(),
            ..Report::default()
        })
        .await
        .unwrap()
    }

    /// Says that the key of an attempt is dead.
    pub(crate) async fn refuse_key(&self, lease: &Lease) -> Verdict {
        self.report(&Report {
            attempt: lease.attempt.clone(),
            status: Some(401),
            body: Some(r#"{"error":{"code":"invalid_api_key"}}"#.to_owned()),
            ..Report::default()
        })
        .await
        .unwrap()
    }

    /// How the account stands.
    pub(crate) async fn state_of(&self, id: &str) -> &'static str {
        let filter = provider_auth_broker::Filter {
            account: Some(id.to_owned()),
            ..Default::default()
        };
        let accounts = self.list_accounts(&filter).await.unwrap();
        accounts.first().map_or("absent", |account| account.state)
    }

    /// Waits until nothing is under way in the background, as the end of a process does.
    pub(crate) async fn rest(&self) {
        let broker = self.broker.clone();
        tokio::task::spawn_blocking(move || broker.close())
            .await
            .unwrap();
    }

    /// The names of the events so far, in order, save those that each attempt has; forgets them.
    pub(crate) fn events(&self) -> Vec<&'static str> {
        self.seen
            .lock()
            .drain(..)
            .map(|event| event.kind.as_str())
            .filter(|kind| !matches!(*kind, "chosen" | "failed"))
            .collect()
    }

    /// The events so far.
    pub(crate) fn seen(&self) -> Vec<Event> {
        self.seen.lock().clone()
    }
}

/// The credential in the headers, without its scheme.
pub(crate) fn bearer(lease: &Lease) -> String {
    let (_, value) = lease
        .headers()
        .iter()
        .find(|(name, _)| *name == "authorization")
        .unwrap();
    value.strip_prefix("Bearer ").unwrap().to_owned()
}

/// A clock that goes with the runtime's, which tests turn.
struct TurnedClock {
    began: Instant,
    /// Milliseconds by which somebody has set it forward or, below zero, back.
    set_off_by: AtomicI64,
}

impl Clock for TurnedClock {
    fn now(&self) -> Timestamp {
        let off = self.set_off_by.load(Ordering::Relaxed);
        let now = (START * 1000).saturating_add_signed(off);
        Timestamp::from_millis(now) + self.began.elapsed()
    }

    fn uptime(&self) -> Duration {
        self.began.elapsed()
    }
}

/// Entropy that can be told in advance: a counter, stirred so that no two bytes look alike.
struct Counted(AtomicU64);

impl Entropy for Counted {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let count = self.0.fetch_add(1, Ordering::Relaxed);
            let mixed = count.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31) ^ count;
            chunk.copy_from_slice(&mixed.to_le_bytes()[..chunk.len()]);
        }
    }
}

struct Variables {
    env: HashMap<String, String>,
    home: PathBuf,
    here: PathBuf,
}

impl Env for Variables {
    fn var(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }

    fn home_dir(&self) -> Option<PathBuf> {
        Some(self.home.clone())
    }

    fn current_dir(&self) -> Option<PathBuf> {
        Some(self.here.clone())
    }
}
