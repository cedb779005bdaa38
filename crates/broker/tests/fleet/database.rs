//! A PostgreSQL of its own for each test: on a free port of loopback, in a folder of its own.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::process::{self, wait_until};

/// PostgreSQL refuses to run as root.
const NOBODY: u32 = 65534;

pub(crate) struct Database {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
    postmaster: Child,
}

impl Database {
    /// Starts one with an empty vault that the role `ci` may use; `None`, with a printed reason, where PostgreSQL is
    /// not installed.
    pub(crate) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            let reason = "PostgreSQL is not installed: apt-get install postgresql";
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{reason}");
            eprintln!("skipped: {reason}");
            return None;
        };
        let folder = TempDir::new().unwrap();
        if is_root() {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let mut initdb = Command::new(programs.join("initdb"));
        initdb.args(["--no-sync", "--auth=trust", "--username=postgres"]);
        initdb.args(["--wal-segsize=1", "--encoding=UTF8", "--no-locale", "-D"]);
        initdb.arg(folder.path().join("data"));
        assert!(
            of_nobody(&mut initdb, folder.path())
                .status()
                .unwrap()
                .success()
        );
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let database = Self {
            postmaster: launch(&programs, folder.path(), port),
            folder,
            programs,
            port,
        };
        database.is_up();
        process::install(&database);
        database
            .sql("create role ann login in role pa_admin; create role ci login in role pa_host");
        process::found(&database);
        // As if it had been made on this start of the server.
        database.sql("update pa.vault set incarnation = pa.incarnation()");
        Some(database)
    }

    pub(crate) fn url(&self, role: &str) -> String {
        let port = self.port;
        format!("postgres://{role}@127.0.0.1:{port}/postgres?vault=fleet&sslmode=disable")
    }

    /// Where a machine keeps its side.
    pub(crate) fn machine(&self, number: u32) -> PathBuf {
        self.folder.path().join(format!("machine-{number}"))
    }

    pub(crate) fn stop(&mut self) {
        self.signal(Signal::INT);
        self.postmaster.wait().unwrap();
    }

    pub(crate) fn start_again(&mut self) {
        self.postmaster = launch(&self.programs, self.folder.path(), self.port);
        self.is_up();
    }

    /// Runs statements as the superuser; whether that could be done.
    fn try_sql(&self, statements: &str) -> bool {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-XqU", "postgres", "-p", &self.port.to_string(), "-h"]);
        psql.arg(self.folder.path()).args(["-c", statements]);
        of_nobody(&mut psql, self.folder.path())
            .status()
            .unwrap()
            .success()
    }

    fn sql(&self, statements: &str) {
        assert!(self.try_sql(statements), "{statements}");
    }

    fn is_up(&self) {
        wait_until("the database is up", || self.try_sql("select 1"));
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.postmaster.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if matches!(self.postmaster.try_wait(), Ok(None)) {
            self.signal(Signal::QUIT);
            let _ = self.postmaster.wait();
        }
    }
}

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

fn of_nobody<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let command = command.current_dir(folder).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null())
}

fn launch(programs: &Path, folder: &Path, port: u16) -> Child {
    let mut postgres = Command::new(programs.join("postgres"));
    postgres.arg("-D").arg(folder.join("data"));
    postgres
        .arg("-k")
        .arg(folder)
        .args(["-p", &port.to_string()]);
    for setting in ["listen_addresses=127.0.0.1", "fsync=off", "autovacuum=off"] {
        postgres.args(["-c", setting]);
    }
    let mut log = File::options();
    let log = log.create(true).append(true).open(folder.join("log"));
    of_nobody(&mut postgres, folder)
        .stderr(log.unwrap())
        .spawn()
        .unwrap()
}

fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.flatten().map(|version| version.path().join("bin"));
    folders.filter(|bin| bin.join("initdb").exists()).max()
}
