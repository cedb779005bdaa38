//! What stands between a host and the server: TLS, and poolers.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use provider_auth_backend_postgres::{BackendError, Brought, Change, Claimed, Options, Outcome};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::support::{
    NO_PATIENCE, Server, added, as_nobody, claimed, give_away, is_held, note, sealed, trusting,
    wait_until,
};

#[test]
fn only_a_server_that_proves_its_name_is_spoken_to() {
    let Some(server) = Server::start() else {
        return;
    };
    // The certificate's own hash is what SCRAM is bound to.
    for hash in ["-sha256", "-sha384"] {
        let root = speak_tls(&server, hash);
        let at = |name: &str, tls: &Arc<ClientConfig>| Options {
            url: format!(
                "postgres://ci@{name}:{}/postgres?vault=team&channel_binding=require",
                server.port()
            )
            .into(),
            tls: tls.clone(),
            ..server.options("ci", 1)
        };
        let trusted = Arc::new(trusting(root));
        wait_until("TLS is spoken", || {
            server.open(at("localhost", &trusted)).header().is_ok()
        });
        let host = server.open(at("localhost", &trusted));
        host.header().unwrap();
        let in_tls = "select bool_and(ssl) from pg_stat_ssl join pg_stat_activity using (pid) where usename = 'ci'";
        assert_eq!(server.sql(in_tls), "t");
        let nobody = Arc::new(trusting(RootCertStore::empty()));
        for options in [at("localhost", &nobody), at("127.0.0.1", &trusted)] {
            let Err(BackendError::Refused { why }) = server.open(options).header() else {
                panic!("it was trusted")
            };
            assert!(why.contains("certificate"), "{why}");
        }
        let mut wrong = at("localhost", &trusted);
        wrong.password = Arc::new(|| Ok(Some("wrong".into())));
        let Err(BackendError::Refused { why }) = server.open(wrong).header() else {
            panic!("it was let in")
        };
        assert!(why.contains("password"), "{why}");
        let mut none = at("localhost", &trusted);
        none.password = Arc::new(|| Ok(None));
        assert!(matches!(
            server.open(none).header(),
            Err(BackendError::Refused { .. })
        ));
    }
}

#[test]
fn a_server_without_tls_is_refused_unless_that_is_said() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut options = server.options("ci", 1);
    options.url = server
        .url("ci")
        .replace("&sslmode=disable", "")
        .replace("127.0.0.1", "localhost")
        .into();
    let Err(BackendError::Refused { why }) = server.open(options).header() else {
        panic!("it spoke in clear")
    };
    assert!(why.contains("TLS"), "{why}");
}

/// Gives the server a certificate for `localhost`, and returns what trusts it.
fn speak_tls(server: &Server, hash: &str) -> RootCertStore {
    let data = server.folder().join("data");
    let request = server.folder().join("request");
    fs::write(
        &request,
        "[req]\ndistinguished_name = name\nx509_extensions = more\nprompt = no\n[name]\nCN = localhost\n[more]\n\
         subjectAltName = DNS:localhost\nbasicConstraints = critical, CA:FALSE\n",
    )
    .unwrap();
    let (key, certificate) = (data.join("server.key"), data.join("server.crt"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            hash,
        ])
        .arg("-config")
        .arg(&request)
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    fs::write(
        data.join("pg_hba.conf"),
        "host all postgres 127.0.0.1/32 trust\nhostssl all all all scram-sha-256\n",
    )
    .unwrap();
    give_away(&data);
    server.sql("alter system set ssl = on");
    server.sql("select pg_reload_conf()");
    let mut root = RootCertStore::empty();
    root.add(CertificateDer::from_pem_file(&certificate).unwrap())
        .unwrap();
    root
}

#[test]
fn a_transaction_pooler_is_found_out_and_everything_works_behind_it() {
    let Some(server) = Server::start() else {
        return;
    };
    let Some(pooler) = Pooler::start(&server) else {
        return;
    };
    let at = |host| {
        let mut options = server.options("ci", host);
        options.url = server
            .url("ci")
            .replace(&server.port().to_string(), &pooler.port.to_string())
            .into();
        let backend = server.open(options);
        backend.header().unwrap();
        assert_eq!(
            (backend.is_direct(), backend.is_listening()),
            (Some(false), Some(false))
        );
        backend
    };
    let (one, other) = (at(1), at(2));
    let id = added(&one);
    std::thread::scope(|scope| {
        for backend in [&one, &other] {
            scope.spawn(move || {
                let mut known = 1;
                while known < 40 {
                    match backend
                        .claim(id, known, &note("one"), Duration::from_secs(5))
                        .unwrap()
                    {
                        Claimed::Ours(claim, there) => {
                            assert_eq!(there.sealed.generation, known);
                            assert_eq!(
                                backend
                                    .bring(id, known, &sealed(known + 1), Change::Tokens)
                                    .unwrap(),
                                Brought::Stored
                            );
                            backend.release(claim, Outcome::Answered).unwrap();
                            known += 1;
                        }
                        Claimed::Moved(there) => known = there.sealed.generation,
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
    });
    let generation = one.records(&[id]).unwrap()[0].sealed.generation;
    let _claim = claimed(&one, id, generation, &note("one"));
    drop(one);
    assert!(
        is_held(other.claim(id, generation, &note("other"), NO_PATIENCE)),
        "its end proves nothing"
    );
}

/// A PgBouncer in front of a server.
struct Pooler {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Pooler {
    fn start(server: &Server) -> Option<Self> {
        let program = Path::new("/usr/sbin/pgbouncer");
        if !program.exists() {
            crate::support::lacks("PgBouncer", "pgbouncer");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let port = crate::support::free_port();
        let settings = folder.path().join("pgbouncer.ini");
        fs::write(
            &settings,
            format!(
                "[databases]\npostgres = host=127.0.0.1 port={} user=ci\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
                 unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n",
                server.port()
            ),
        )
        .unwrap();
        give_away(folder.path());
        let mut command = Command::new(program);
        command.arg(&settings).current_dir(folder.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = as_nobody(&mut command).spawn().unwrap();
        wait_until("the pooler is up", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Some(Self {
            process,
            port,
            _folder: folder,
        })
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
