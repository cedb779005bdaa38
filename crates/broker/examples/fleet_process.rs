//! A process of a fleet for the tests to torture: a broker on a vault in PostgreSQL.
//!
//! `fleet_process install|found|serve <options as JSON>`. `install` makes tables and roles, `found` the
//! vault, which it lets the role `member` see. `serve` reads commands, one a line, answers each with a
//! line of JSON when it is done, in whatever order that is, and ends with its input:
//!
//! `<number> headers|refresh <account>`, `<number> login <namespace>`, `<number> paste <login> <url>`,
//! `<number> key <namespace> <key>`, `<number> label <account> <label>`, `<number> rest <account>` (its
//! next call is told to come back in a minute), `<number> remove <account>`, `<number> list`,
//! `<number> status`, `<number> move <folder or address>`, `<number> slow <ms>` (the next token request
//! waits so long before it leaves). A token request that is about to leave, or to wait, is told by
//! `{"event":"sending","spent":"<token>","at":<ms>}`, and by `answered` when its answer has come.
//!
//! The vault's key comes from the environment, as for every user of the broker. With `plain` the
//! broker makes its store itself, as for every user, and without `url` its vault is in the folder.

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
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use provider_auth_backend_postgres::{self as store, NewVault, Times};
use provider_auth_broker::{
    Account, AccountChanges, AuthRequest, Broker, BrokerError, Clock, Env, Events, Filter, Force,
    Host, Http, HttpError, LoginOptions, Method, Report, Revoke, SystemClock, SystemEnv, Timestamp,
    config::Inline,
};
use provider_auth_vault::{KeySecrets, KeySource, StoreClock, Vault, default_engine};
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
    #[serde(default)]
    url: String,
    /// How many threads wait for the network.
    #[serde(default = "two")]
    workers: usize,
    #[serde(default)]
    plain: bool,
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

fn two() -> usize {
    2
}

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [deed, settings] = arguments.as_slice() else {
        return Err("fleet_process install|found|serve <options as JSON>".into());
    };
    let settings: Settings = serde_json::from_str(settings)?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(settings.workers)
        .enable_all()
        .build()?;
    match deed.as_str() {
        "install" => Ok(store::install(&settings.options()?, runtime.handle())?),
        "found" => found(&settings, settings.options()?, runtime.handle()),
        "serve" => {
            let process = Process::new(settings, runtime.handle())?;
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
    clock: Arc<StoreClock>,
    new_vault: NewVault,
) -> store::Store {
    store::Store {
        options,
        folder: default_engine(),
        runtime: runtime.clone(),
        clock,
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
    /// The namespaces of accounts that requests were made for: to look through a hundred thousand
    /// for each request would be what a test measures.
    namespaces: Mutex<BTreeMap<String, String>>,
}

impl Process {
    fn new(settings: Settings, runtime: &Handle) -> Outcome<Arc<Self>> {
        let slow = Arc::new(AtomicU64::new(0));
        let mut host = Host::system();
        host.http = Arc::new(Slow {
            http: host.http,
            by: slow.clone(),
        });
        if !settings.plain {
            let clock = host.store_clock.clone();
            let options = settings.options()?;
            host.engine = store::engine(store_of(options, runtime, clock, NewVault::Refused))?;
        }
        let inline = Inline {
            dir: Some(settings.dir),
            key_source: Some("env".to_owned()),
            store: (settings.plain && !settings.url.is_empty()).then_some(settings.url),
            config: Some(settings.config),
            ..Inline::default()
        };
        let broker = Broker::new(host, &inline, Arc::new(Events::default()))?;
        Ok(Arc::new(Self {
            broker,
            slow,
            namespaces: Mutex::default(),
        }))
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
            ["label", account, label] => {
                let changes = AccountChanges {
                    label: Some((*label).to_owned()),
                    ..AccountChanges::default()
                };
                broker.update_account(account, changes).await?;
                json!({})
            }
            ["rest", account] => {
                let lease = broker.headers(&self.request(account).await?).await?;
                let report = Report {
                    attempt: lease.attempt.clone(),
                    status: Some(429),
                    headers: [("retry-after".to_owned(), "60".to_owned())].into(),
                    body: None,
                    failure: None,
                };
                broker.report(&report).await?;
                json!({})
            }
            ["remove", account] => {
                json!({ "removed": broker.remove_account(account, Revoke::Locally).await? })
            }
            ["move", to] => {
                let moved = broker.move_vault(to).await?;
                json!({ "to": moved.to, "accounts": moved.imported.accounts.len() })
            }
            ["list"] => {
                let listed = broker.list_accounts(&Filter::default()).await?;
                let shown = listed.iter().map(|account| {
                    let Account {
                        id,
                        namespace,
                        label,
                        state,
                        ..
                    } = account;
                    json!({ "account": id, "namespace": namespace, "label": label, "state": state })
                });
                json!({ "accounts": shown.collect::<Vec<_>>() })
            }
            ["status"] => {
                let status = broker.vault_status().await?;
                let under_way = status.moved_to.is_some_and(|moved| moved.is_under_way);
                json!({ "state": status.state, "accounts": status.accounts, "quarantined": status.quarantined, "under_way": under_way })
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
        let known = self.namespaces.lock().get(account).cloned();
        let namespace = match known {
            Some(namespace) => Some(namespace),
            None => self.namespace(account).await?,
        };
        let providers = self.broker.providers();
        let provider = providers.iter().find(|known| known.id == PROVIDER);
        Ok(AuthRequest {
            provider: PROVIDER.to_owned(),
            namespace,
            url: provider.and_then(|provider| provider.origins.first().cloned()),
            account: Some(account.to_owned()),
            ..AuthRequest::default()
        })
    }

    /// Looks up the namespace of an account.
    async fn namespace(&self, account: &str) -> Result<Option<String>, BrokerError> {
        let of_account = Filter {
            account: Some(account.to_owned()),
            ..Filter::default()
        };
        let listed = self.broker.list_accounts(&of_account).await?;
        let Some(Account { namespace, .. }) = listed.into_iter().next() else {
            return Ok(None);
        };
        let mut known = self.namespaces.lock();
        known.insert(account.to_owned(), namespace.clone());
        Ok(Some(namespace))
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
            let mut form = url::form_urlencoded::parse(request.body());
            let spent = form.find(|(name, _)| name == "refresh_token");
            let spent = spent.map(|(_, token)| token.into_owned());
            let at = SystemClock.now().as_millis();
            say(&json!({ "event": "sending", "spent": &spent, "at": at }));
            if wait > 0 {
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
            let answer = self.http.send(request).await;
            say(&json!({ "event": "answered", "spent": &spent }));
            answer
        })
    }
}
