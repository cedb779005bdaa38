//! A process of a fleet for the tests to torture: a broker on a vault in PostgreSQL.
//!
//! `fleet_process install|found|serve <options as JSON>`. `install` makes tables and roles, `found` the
//! vault, which it lets the role `member` see. `serve` reads commands, one a line, answers each with a
//! line of JSON when it is done, in whatever order that is, and ends with its input:
//!
//! `<number> headers|refresh <account>`, `<number> login <namespace>`, `<number> paste <login> <url>`,
//! `<number> key <namespace> <key>`, `<number> list`, `<number> status`, `<number> slow <ms>` (the next
//! token request waits so long before it leaves). A token request that is about to leave, or to wait,
//! is told by `{"event":"sending"}`.
//!
//! The vault's key comes from the environment, as for every user of the broker.

#![expect(
    clippy::print_stdout,
    reason = "standard output is how the test hears from this process"
)]

use std::{
    collections::BTreeMap,
    error::Error,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use provider_auth_backend_postgres::{self as store, NewVault, Times};
use provider_auth_broker::{
    AuthRequest, Broker, BrokerError, Clock, Env, Events, Filter, Force, Host, Http, HttpError,
    LoginOptions, Method, SystemClock, SystemEnv, Timestamp, config::Inline,
};
use provider_auth_vault::{KeySecrets, KeySource, Vault, default_engine};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    runtime::{Builder, Handle},
};
use uuid::Uuid;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Deserialize)]
struct Settings {
    url: String,
    dir: PathBuf,
    /// Of the machine; all of its processes have the same.
    host: u32,
    name: String,
    /// A PEM file with whom to trust at the database.
    roots: Option<PathBuf>,
    /// Whom `found` lets in.
    #[serde(default)]
    member: String,
    /// Each wait in ms, by its name.
    times: BTreeMap<String, u64>,
    /// Configuration, as a file has it.
    #[serde(default)]
    config: Value,
}

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [deed, settings] = arguments.as_slice() else {
        return Err("fleet_process install|found|serve <options as JSON>".into());
    };
    let settings: Settings = serde_json::from_str(settings)?;
    let options = settings.options()?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    match deed.as_str() {
        "install" => Ok(store::install(&options, runtime.handle())?),
        "found" => found(&settings, options, runtime.handle()),
        "serve" => {
            let process = Process::new(settings, options, runtime.handle())?;
            let served = runtime.block_on(process.serve());
            process.broker.close();
            served
        }
        other => Err(format!("what is {other}?").into()),
    }
}

impl Settings {
    fn options(&self) -> Outcome<store::Options> {
        let mut roots = RootCertStore::empty();
        if let Some(file) = &self.roots {
            for certificate in CertificateDer::pem_file_iter(file)? {
                roots.add(certificate?)?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut times = Times::default();
        for (name, ms) in &self.times {
            let time = match name.as_str() {
                "hold" => &mut times.hold,
                "suspect" => &mut times.suspect,
                "settle" => &mut times.settle,
                "send_by" => &mut times.send_by,
                "call" => &mut times.call,
                "poll" => &mut times.poll,
                "ping" => &mut times.ping,
                other => return Err(format!("no such wait: {other}").into()),
            };
            *time = Duration::from_millis(*ms);
        }
        Ok(store::Options {
            url: self.url.as_str().into(),
            password: Arc::new(|| Ok(None)),
            tls: Arc::new(tls),
            host: Uuid::from_u128(self.host.into()),
            name: self.name.clone(),
            times,
        })
    }
}

fn store_of(
    options: store::Options,
    runtime: &Handle,
    clock_offset: Arc<AtomicI64>,
    new_vault: NewVault,
) -> store::Store {
    store::Store {
        options,
        folder: default_engine(),
        runtime: runtime.clone(),
        clock_offset,
        new_vault,
    }
}

fn found(settings: &Settings, options: store::Options, runtime: &Handle) -> Outcome {
    let of_vault = provider_auth_vault::Options {
        key: KeySource::Env,
        secrets: KeySecrets {
            key: SystemEnv.var("PROVIDER_AUTH_KEY").map(SecretString::from),
            ..KeySecrets::default()
        },
        ..provider_auth_vault::Options::new(&settings.dir)
    };
    let store = store_of(options.clone(), runtime, Arc::default(), NewVault::Made);
    let entropy = Host::system().entropy;
    let fill = move |bytes: &mut [u8]| entropy.fill(bytes);
    drop(Vault::open(
        of_vault,
        store::engine(store)?,
        Arc::new(fill),
    )?);
    store::admit(&options, runtime, &settings.member)?;
    Ok(())
}

struct Process {
    broker: Arc<Broker>,
    /// How long the next token request waits before it leaves, in ms.
    slow: Arc<AtomicU64>,
}

impl Process {
    fn new(settings: Settings, options: store::Options, runtime: &Handle) -> Outcome<Arc<Self>> {
        let slow = Arc::new(AtomicU64::new(0));
        let system = Host::system();
        let clock_offset = system.clock_offset.clone();
        let store = store_of(options, runtime, clock_offset, NewVault::Refused);
        let host = Host {
            engine: store::engine(store)?,
            http: Arc::new(Slow {
                http: system.http,
                by: slow.clone(),
            }),
            ..system
        };
        let inline = Inline {
            dir: Some(settings.dir),
            key_source: Some("env".to_owned()),
            config: Some(settings.config),
            ..Inline::default()
        };
        let broker = Broker::new(host, &inline, Arc::new(Events::default()))?;
        Ok(Arc::new(Self { broker, slow }))
    }

    async fn serve(self: &Arc<Self>) -> Outcome {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        say(&json!({ "event": "ready" }));
        while let Some(line) = lines.next_line().await? {
            let process = self.clone();
            tokio::spawn(async move {
                let words: Vec<&str> = line.split(' ').collect();
                let [number, command @ ..] = words.as_slice() else {
                    return;
                };
                let begun = SystemClock.uptime();
                let mut answer = process.act(command).await.unwrap_or_else(refusal);
                answer["number"] = json!(number);
                answer["took_ms"] = json!((SystemClock.uptime() - begun).as_millis() as u64);
                say(&answer);
            });
        }
        Ok(())
    }

    async fn act(&self, command: &[&str]) -> Result<Value, BrokerError> {
        let broker = &self.broker;
        Ok(match command {
            ["headers", account] => {
                let lease = broker.headers(&self.request(account).await?).await?;
                let header = lease.headers().iter().next();
                json!({ "token": header.map(|(_, value)| value.trim_start_matches("Bearer ")) })
            }
            ["refresh", account] => {
                let account = broker.refresh_account(account, Force::EvenIfGood).await?;
                json!({ "state": account.state })
            }
            ["login", namespace] => {
                // As the broker does itself for a store that it is configured with.
                broker.vault_status().await?;
                let prompt = broker.start_login(LoginOptions {
                    provider: PROVIDER.to_owned(),
                    namespace: Some((*namespace).to_owned()),
                    method: Some(Method::Paste),
                    ..LoginOptions::default()
                });
                let prompt = prompt.await?;
                json!({ "login": prompt.login, "url": prompt.url })
            }
            ["paste", login, url] => {
                let login = login.parse().unwrap_or_default();
                let account = broker.finish_login(login, Some((*url).to_owned())).await?;
                json!({ "account": account.id })
            }
            ["key", namespace, key] => {
                let namespace = Some((*namespace).to_owned());
                let added = broker.add_api_key(PROVIDER, (*key).into(), namespace, None, None);
                json!({ "account": added.await?.id })
            }
            ["list"] => {
                let listed = broker.list_accounts(&Filter::default()).await?;
                let shown = listed.iter().map(|account| {
                    json!({ "account": account.id, "namespace": account.namespace, "state": account.state })
                });
                json!({ "accounts": shown.collect::<Vec<_>>() })
            }
            ["status"] => {
                let status = broker.vault_status().await?;
                json!({ "state": status.state, "accounts": status.accounts, "quarantined": status.quarantined })
            }
            ["slow", ms] => {
                let ms = ms.parse().unwrap_or_default();
                self.slow.store(ms, Ordering::Relaxed);
                json!({})
            }
            other => json!({ "error": format!("what is {other:?}?") }),
        })
    }

    /// A request that only this account may serve.
    async fn request(&self, account: &str) -> Result<AuthRequest, BrokerError> {
        let of_account = Filter {
            account: Some(account.to_owned()),
            ..Filter::default()
        };
        let listed = self.broker.list_accounts(&of_account).await?;
        let providers = self.broker.providers();
        let provider = providers.iter().find(|known| known.id == PROVIDER);
        Ok(AuthRequest {
            provider: PROVIDER.to_owned(),
            namespace: listed.first().map(|account| account.namespace.clone()),
            url: provider.and_then(|provider| provider.origins.first().cloned()),
            account: Some(account.to_owned()),
            ..AuthRequest::default()
        })
    }
}

/// Its name in the configuration that the test gives.
const PROVIDER: &str = "local";

fn say(line: &Value) {
    println!("{line}");
}

fn refusal(error: BrokerError) -> Value {
    let retry_at = error.retry_at().map(Timestamp::as_millis);
    json!({ "error": error.code(), "why": error.to_string(), "retry_at": retry_at })
}

type Sending<'a> =
    Pin<Box<dyn Future<Output = Result<http::Response<Vec<u8>>, HttpError>> + Send + 'a>>;

/// Holds a request back, so that a fault can strike before it leaves.
struct Slow {
    http: Arc<dyn Http>,
    by: Arc<AtomicU64>,
}

impl Http for Slow {
    fn send(&self, request: http::Request<Vec<u8>>) -> Sending<'_> {
        Box::pin(async move {
            let wait = self.by.swap(0, Ordering::Relaxed);
            say(&json!({ "event": "sending" }));
            if wait > 0 {
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
            self.http.send(request).await
        })
    }
}
