//! A PostgreSQL of its own for each test: on a free port of loopback, in a folder of its own.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use provider_auth_backend_postgres::{
    Added, BackendError, Claim, Claimed, Mark, Note, Options, PostgresBackend, Sealed, Times,
    admit, create_vault, install,
};
use provider_auth_vault::RecordId;
use rustix::process::{Pid, Signal, kill_process};
use rustls::{ClientConfig, RootCertStore};
use secrecy::SecretString;
use tokio::runtime::Runtime;
use uuid::Uuid;

/// The waits of the tests: as the real ones, forty times as fast.
pub(crate) const TIMES: Times = Times {
    hold: Duration::from_secs(3),
    suspect: Duration::from_millis(300),
    settle: Duration::from_millis(400),
    send_by: Duration::from_millis(500),
    call: Duration::from_secs(2),
    poll: Duration::from_millis(500),
    ping: Duration::from_millis(100),
};

/// What no log of the server may hold.
pub(crate) const PASSWORD: &str = "planted-marker-a2c4";

/// A running server with the tables, the vault `team` and the roles `ann` (an administrator), `ci` (a host) and
/// `eve` (a host of no vault).
pub(crate) struct Server {
    folder: tempfile::TempDir,
    port: u16,
    postmaster: Child,
    pub(crate) runtime: Arc<Runtime>,
}

/// Says why a test is skipped; CI skips none.
pub(crate) fn lacks(what: &str, package: &str) {
    let reason = format!("{what} is not installed: apt-get install {package}");
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{reason}");
    eprintln!("skipped: {reason}");
}

impl Server {
    /// Starts one; `None`, with a printed reason, where PostgreSQL is not installed.
    pub(crate) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            lacks("PostgreSQL", "postgresql");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        copy(&template(&programs), &folder.path().join("data"));
        let server = Self::launch(&programs, folder);
        // As if it had been made on this start of the server.
        server.sql("update pa.vault set incarnation = pa.incarnation()");
        Some(server)
    }

    /// Starts the server whose data lies in a folder.
    fn launch(programs: &Path, folder: tempfile::TempDir) -> Self {
        give_away(folder.path());
        let port = free_port();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let server = Self {
            postmaster: launch(programs, folder.path(), port),
            folder,
            port,
            runtime: Arc::new(runtime),
        };
        server.wait_until_up();
        server
    }

    /// Makes tables, roles and a vault.
    fn furnish(&self) {
        install(&self.options("postgres", 0), self.runtime.handle()).unwrap();
        self.sql(&format!(
            "create role ann login in role pa_admin; create role ci login password '{PASSWORD}' in role pa_host;
             create role eve login in role pa_host;"
        ));
        let ann = self.options("ann", 0);
        let runtime = self.runtime.handle();
        assert!(create_vault(&ann, runtime, VAULT, 1, b"header one").unwrap());
        assert!(admit(&ann, runtime, "ci").unwrap());
    }

    pub(crate) fn url(&self, role: &str) -> String {
        format!(
            "postgres://{role}@127.0.0.1:{}/postgres?vault=team&sslmode=disable",
            self.port
        )
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Like [`Server::options`] of the role `ci`, as if a pooler stood before the server.
    pub(crate) fn options_behind_pooler(&self, host: u128) -> Options {
        let mut options = self.options("ci", host);
        options.url = format!("{}&pooler=transaction", self.url("ci")).into();
        options
    }

    /// Options of one of several hosts.
    pub(crate) fn options(&self, role: &str, host: u128) -> Options {
        Options {
            url: self.url(role).into(),
            password: Arc::new(|| Ok(Some(SecretString::from(PASSWORD)))),
            tls: Arc::new(trusting(RootCertStore::empty())),
            host: Uuid::from_u128(host),
            name: format!("host-{host}"),
            times: TIMES,
        }
    }

    /// A host's process: its connection is up.
    pub(crate) fn host(&self, host: u128) -> PostgresBackend {
        let backend = self.open(self.options("ci", host));
        backend.header().unwrap();
        backend
    }

    pub(crate) fn open(&self, options: Options) -> PostgresBackend {
        PostgresBackend::open(options, self.runtime.handle().clone()).unwrap()
    }

    /// Runs statements as the superuser; returns the last value of the last row.
    pub(crate) fn sql(&self, statements: &str) -> String {
        self.sql_as("postgres", statements).unwrap()
    }

    pub(crate) fn sql_as(
        &self,
        role: &str,
        statements: &str,
    ) -> Result<String, tokio_postgres::Error> {
        self.runtime.block_on(async {
            let client = self.client(role).await?;
            let messages = client.simple_query(statements).await?;
            let values = messages.iter().filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => {
                    row.get(row.len() - 1).map(str::to_owned)
                }
                _ => None,
            });
            Ok(values.last().unwrap_or_default())
        })
    }

    /// A connection of the test's own.
    pub(crate) async fn client(
        &self,
        role: &str,
    ) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.user(role).dbname("postgres").password(PASSWORD);
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port))
            .await
            .unwrap();
        let (client, connection) = config.connect_raw(stream, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Ends the connections of the hosts at the server's side.
    pub(crate) fn drop_lines(&self) {
        self.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'provider-auth'");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Stops the postmaster and all of its processes, or lets them go on.
    pub(crate) fn signal_all(&self, signal: Signal) {
        for pid in self.children() {
            let _ = kill_process(pid, signal);
        }
        self.signal(signal);
    }

    fn children(&self) -> Vec<Pid> {
        let children = format!("/proc/{0}/task/{0}/children", self.postmaster.id());
        let listed = fs::read_to_string(children).unwrap();
        listed
            .split_whitespace()
            .filter_map(|pid| Pid::from_raw(pid.parse().unwrap()))
            .collect()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.postmaster.id()).unwrap()).unwrap()
    }

    pub(crate) fn shut_down(&mut self) {
        self.signal(Signal::INT);
        self.postmaster.wait().unwrap();
    }

    pub(crate) fn start_again(&mut self) {
        self.postmaster = launch(&programs().unwrap(), self.folder.path(), self.port);
        self.wait_until_up();
    }

    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join("log")).unwrap()).into_owned()
    }

    fn wait_until_up(&self) {
        let is_up = || self.sql_as("postgres", "select 1").is_ok();
        wait_until("the server is up", || {
            std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() && is_up()
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.postmaster.try_wait(), Ok(Some(_))) {
            return;
        }
        self.signal_all(Signal::CONT);
        self.signal(Signal::QUIT);
        let _ = self.postmaster.wait();
    }
}

/// The vault of the tests.
pub(crate) const VAULT: Uuid = Uuid::from_u128(0x7ea0);

fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<_> = versions
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort();
    found.pop()
}

/// PostgreSQL refuses to run as root.
pub(crate) fn as_nobody(command: &mut Command) -> &mut Command {
    if rustix::process::getuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

const NOBODY: u32 = 65534;

pub(crate) fn give_away(folder: &Path) {
    if rustix::process::getuid().is_root() {
        for entry in fs::read_dir(folder)
            .unwrap()
            .flatten()
            .filter(|entry| entry.file_type().unwrap().is_dir())
        {
            give_away(&entry.path());
        }
        for entry in fs::read_dir(folder).unwrap().flatten() {
            chown(entry.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

/// A cluster with tables, roles and a vault, made once for each schema: to copy one takes a tenth of the time.
fn template(programs: &Path) -> PathBuf {
    let version = programs.parent().unwrap().file_name().unwrap();
    let mut schema = DefaultHasher::new();
    (provider_auth_backend_postgres::SCHEMA, version).hash(&mut schema);
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let template = kept.join(format!("postgresql-{:x}", schema.finish()));
    if template.exists() {
        return template;
    }
    let folder = tempfile::tempdir().unwrap();
    give_away(folder.path());
    let data = folder.path().join("data");
    let mut initdb = Command::new(programs.join("initdb"));
    initdb.args(["--no-sync", "--auth=trust", "--username=postgres"]);
    initdb.args(["--wal-segsize=1", "--encoding=UTF8", "--no-locale", "-D"]);
    let made = as_nobody(initdb.arg(&data).current_dir(folder.path()))
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let mut server = Server::launch(programs, folder);
    server.furnish();
    server.shut_down();
    let mine = tempfile::tempdir_in(kept).unwrap();
    copy(
        &server.folder.path().join("data"),
        &mine.path().join("data"),
    );
    // The second one loses nothing: both are the same.
    let _ = fs::rename(mine.path().join("data"), &template);
    template
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp")
        .arg("-rp")
        .arg(from)
        .arg(to)
        .status()
        .unwrap();
    assert!(copied.success());
}

fn launch(programs: &Path, folder: &Path, port: u16) -> Child {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .unwrap();
    let mut postgres = Command::new(programs.join("postgres"));
    postgres
        .arg("-D")
        .arg(folder.join("data"))
        .arg("-k")
        .arg(folder)
        .arg("-p")
        .arg(port.to_string());
    for setting in [
        "listen_addresses=127.0.0.1",
        "fsync=off",
        "shared_buffers=16MB",
        "max_connections=60",
        "log_min_duration_statement=0",
        "log_connections=on",
        "max_wal_senders=0",
        "wal_level=minimal",
        "autovacuum=off",
    ] {
        postgres.arg("-c").arg(setting);
    }
    as_nobody(
        postgres
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log),
    )
    .spawn()
    .unwrap()
}

/// TLS that trusts what it is told to.
pub(crate) fn trusting(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

pub(crate) fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

/// A record's bytes at a generation.
pub(crate) fn sealed(generation: u64) -> Sealed {
    Sealed {
        generation,
        epoch: 1,
        gone: false,
        bytes: format!("sealed {generation}").into_bytes(),
    }
}

pub(crate) fn new_id() -> RecordId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    RecordId::from_parts(NEXT.fetch_add(1, Ordering::Relaxed), [7; 10])
}

/// Adds a record of generation 1.
pub(crate) fn added(backend: &PostgresBackend) -> RecordId {
    let id = new_id();
    let outcome = backend
        .add(Mark::START, &mut |_| Some((id, sealed(1))))
        .unwrap();
    assert_eq!(outcome, Added::Stored);
    id
}

/// What a process says of itself.
pub(crate) fn note(name: &str) -> Note {
    Note {
        holder: name.into(),
        cookie: name.as_bytes().to_vec(),
        dead: Vec::new(),
        is_stale: true,
    }
}

pub(crate) const NO_PATIENCE: Duration = Duration::ZERO;

/// Asks for a claim that is to be had.
pub(crate) fn claimed(
    backend: &PostgresBackend,
    id: RecordId,
    generation: u64,
    note: &Note,
) -> Claim {
    match backend.claim(id, generation, note, NO_PATIENCE).unwrap() {
        Claimed::Ours(claim, _) => claim,
        other => panic!("not ours: {other:?}"),
    }
}

/// Waits until a claim is had, and returns how long that took.
pub(crate) fn claimed_within(
    backend: &PostgresBackend,
    id: RecordId,
    note: &Note,
    longest: Duration,
) -> Duration {
    let begun = Instant::now();
    match backend.claim(id, 1, note, longest).unwrap() {
        Claimed::Ours(..) => begun.elapsed(),
        other => panic!("not ours: {other:?}"),
    }
}

pub(crate) fn is_held(claimed: Result<Claimed, BackendError>) -> bool {
    matches!(claimed, Ok(Claimed::Held(_)))
}

pub(crate) fn pause(time: Duration) {
    let (_never, wait) = std::sync::mpsc::channel::<()>();
    let _ = wait.recv_timeout(time);
}

/// Waits as long as a busy machine may take.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "in vain: {what}");
        pause(Duration::from_millis(20));
    }
}
