//! Logs an account in: browser with a loopback callback, device code, paste (RFC 8252, 7636, 8628).
//!
//! A login runs in a task of its own from `start_login` on; `finish_login` waits for it and may bring a pasted code.
//! It ends by an answer, by a refusal, by its deadline or when the user calls it off, and then holds no port.

mod begin;
mod deadline;
mod mix_up;
mod run;
mod way_back;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use provider_auth_policy::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinError;
use url::Url;

use crate::accounts::{Account, checked_name};
use crate::broker::Broker;
use crate::config::mcp_server;
use crate::error::BrokerError;
use crate::limits;

pub use crate::config::Method;

pub(crate) use self::begin::Making;
use self::deadline::Deadline;
pub(crate) use self::deadline::LastAnswer;
use self::run::Work;

/// What a login is asked for.
#[derive(Clone, Debug, Default)]
pub struct LoginOptions {
    /// Provider id, or the user's name for an MCP server.
    pub provider: String,
    /// Address of an MCP server that no configuration knows.
    pub resource: Option<String>,
    /// How; chosen by what is there when absent.
    pub method: Option<Method>,
    /// The pool that the account joins.
    pub namespace: Option<String>,
    /// The user's name for the account.
    pub label: Option<String>,
    /// Its place in the pool: the lowest serves first.
    pub priority: Option<i64>,
    /// Which account to offer on the provider's page.
    pub login_hint: Option<String>,
    /// Give up after.
    pub timeout: Option<Duration>,
}

/// What to show to the user.
#[derive(Clone, Debug)]
pub struct LoginPrompt {
    /// Handle of the login.
    pub login: u64,
    /// How it goes on.
    pub method: Method,
    /// The page to open.
    pub url: String,
    /// The code to enter there.
    pub user_code: Option<String>,
    /// A sentence for the user.
    pub instructions: String,
    /// When the code, or our patience, ends.
    pub expires_at: Timestamp,
}

/// The logins under way in this process.
#[derive(Default)]
pub(crate) struct Logins {
    open: Mutex<HashMap<u64, Login>>,
    /// Clients with which a login was given up, until that is on the disk.
    doubtful: Mutex<HashSet<String>>,
}

#[derive(Clone)]
struct Login {
    outcome: watch::Receiver<Option<Outcome>>,
    pasted: mpsc::Sender<Pasted>,
    cancel: Arc<watch::Sender<bool>>,
}

impl Logins {
    /// Whether a login with this client was given up a moment ago.
    pub(crate) fn doubts(&self, client_id: &str) -> bool {
        self.doubtful.lock().contains(client_id)
    }

    /// Keeps a login, and forgets those that ended longest ago.
    fn keep(&self, number: u64, login: Login) {
        let mut open = self.open.lock();
        open.insert(number, login);
        let ended = open
            .iter()
            .filter(|(_, login)| login.outcome.borrow().is_some());
        let mut ended: Vec<u64> = ended.map(|(number, _)| *number).collect();
        ended.sort_unstable();
        let excess = ended.len().saturating_sub(limits::ENDED_LOGINS);
        for number in &ended[..excess] {
            open.remove(number);
        }
    }
}

/// A pasted text, and where to say that it cannot be used.
type Pasted = (String, oneshot::Sender<BrokerError>);

impl Broker {
    /// Begins a login and says what to show to the user.
    pub async fn start_login(
        self: &Arc<Self>,
        options: LoginOptions,
    ) -> Result<LoginPrompt, BrokerError> {
        checked_name("provider", Some(options.provider.clone()))?;
        let resource = options.resource.as_deref().map(mcp_server).transpose();
        let resource =
            resource.map_err(|bad| BrokerError::InvalidArgument(format!("resource: {bad}")))?;
        let namespace = checked_name("namespace", options.namespace.clone())?;
        let label = checked_name("label", options.label.clone())?;
        if options.method == Some(Method::ApiKey) {
            return Err(BrokerError::InvalidArgument(
                "method: an API key needs no steps; use `login` or `addApiKey`".to_owned(),
            ));
        }
        let number = self.next_serial();
        let patience = options.timeout.unwrap_or(limits::LOGIN_PATIENCE);
        let mut deadline = Deadline {
            at: self.now() + patience,
            // While it begins it has no handle: the caller ends it by dropping this call.
            cancelled: watch::channel(false).1,
            last: LastAnswer::default(),
        };
        let beginning = self.begin(
            number,
            &options,
            resource,
            (namespace, label),
            &deadline.last,
        );
        let begun = tokio::select! {
            begun = beginning => begun?,
            // Nothing has been shown yet, so that nothing is lost: requests under way are dropped.
            error = deadline.reached(self) => return Err(error),
        };
        let Begun { made, prompt, work } = begun;
        let expires_at = prompt.expires_at.min(deadline.at);
        let reserve = self.reserve_notice(&made.provider, &made.namespace);
        let (outcome_in, outcome) = watch::channel(None);
        let (pasted, pasted_out) = mpsc::channel(1);
        let (cancel, cancelled) = watch::channel(false);
        deadline.at = expires_at;
        deadline.cancelled = cancelled;
        let login = Login {
            outcome,
            pasted,
            cancel: Arc::new(cancel),
        };
        self.logins.keep(number, login);

        let client = made.is_registered().then(|| made.client.id.clone());
        let (broker, until) = (self.clone(), deadline.clone());
        let mut running = tokio::spawn(async move {
            let ended = broker.run(work, &made, pasted_out, &until).await;
            if ended.is_err() && made.is_registered() {
                broker.forget_registration(&made.client.id).await;
            }
            broker.logins.doubtful.lock().remove(&made.client.id);
            ended.map_err(Arc::new)
        });
        let broker = self.clone();
        tokio::spawn(async move {
            let error = tokio::select! {
                biased;
                ended = &mut running => {
                    let _ = outcome_in.send(Some(whole(ended)));
                    return;
                }
                error = deadline.reached(&broker) => error,
            };
            // The next login registers another one, also if it begins before that is on the disk.
            broker.logins.doubtful.lock().extend(client);
            // What waits ends by itself, and frees its port. What exchanges a code goes on alone: the code is good for one use,
            // and the caller is told now.
            let ended = tokio::time::timeout(limits::LOGIN_ENDING, &mut running).await;
            let _ = outcome_in.send(Some(ended.map_or_else(|_| Err(Arc::new(error)), whole)));
        });
        Ok(LoginPrompt {
            expires_at,
            instructions: prompt.instructions + &reserve,
            ..prompt
        })
    }

    /// All that comes before the prompt: the vault, the server, the client, and the way to go.
    async fn begin(
        self: &Arc<Self>,
        number: u64,
        options: &LoginOptions,
        resource: Option<Url>,
        (namespace, label): (Option<String>, Option<String>),
        last: &LastAnswer,
    ) -> Result<Begun, BrokerError> {
        last.note("The vault had not been opened yet".to_owned());
        // A vault that cannot be written would turn up only after the user has signed in.
        self.opened_by_hand().await?;
        last.note("The login server had not said yet how to go on".to_owned());
        let mut provider = self.provider_of_login(&options.provider, resource.as_ref())?;
        let namespace = provider.pool(namespace.as_deref()).to_owned();
        let (server, client, mcp) = match provider.resource.clone() {
            Some(url) => {
                let provider = Arc::make_mut(&mut provider);
                let (server, client, mcp) = self.mcp_login(provider, &url).await?;
                (server, client, Some(mcp))
            }
            None => {
                let (server, client) = self.login_server(&provider, options.method).await?;
                (server, client, None)
            }
        };
        let method = self.login_method(options.method, &provider, &server)?;
        let mut made = Making {
            provider,
            server,
            client,
            mcp,
            method,
            namespace,
            label,
            last: last.clone(),
            priority: options.priority,
        };
        let (prompt, work) = match method {
            Method::Device if made.server.dialect.page_poll.is_some() => {
                self.begin_page_poll(number, &made)?
            }
            Method::Device => self.begin_device(number, &mut made).await?,
            Method::Assertion => self.begin_assertion(number, &made)?,
            Method::ClientCredentials => self.begin_client(number, &made),
            _ => {
                self.begin_page(number, &mut made, method, options.login_hint.as_deref())
                    .await?
            }
        };
        last.note(work.nothing_came());
        Ok(Begun { made, prompt, work })
    }

    /// Waits for a login to end; a pasted code or redirect URL may end it. A paste that cannot be used leaves it open.
    pub async fn finish_login(
        self: &Arc<Self>,
        number: u64,
        code: Option<String>,
    ) -> Result<Account, BrokerError> {
        let login = self.logins.open.lock().get(&number).cloned();
        let Login {
            mut outcome,
            pasted,
            ..
        } = login.ok_or(BrokerError::LoginCancelled)?;
        let refused = match code {
            Some(code) => {
                let (refuse, refused) = oneshot::channel();
                // A login that has ended takes no more codes; its outcome is waited for below.
                let _ = pasted.send((code, refuse)).await;
                Some(refused)
            }
            None => None,
        };
        let ended = async {
            outcome
                .wait_for(Option::is_some)
                .await
                .ok()
                .and_then(|ended| ended.clone())
        };
        let ended = tokio::select! {
            biased;
            Some(error) = async { match refused { Some(refused) => refused.await.ok(), None => std::future::pending().await } } => return Err(error),
            ended = ended => ended,
        };
        match ended {
            Some(Ok(account)) => Ok(account),
            Some(Err(error)) => Err(BrokerError::Shared(error)),
            None => Err(BrokerError::LoginFailed("it broke off".to_owned())),
        }
    }

    /// Calls a login off and closes its port. Does nothing for one that has ended.
    pub fn cancel_login(&self, number: u64) {
        if let Some(login) = self.logins.open.lock().remove(&number) {
            login.cancel.send_replace(true);
        }
    }
}

/// A login that has something to show.
struct Begun {
    made: Making,
    prompt: LoginPrompt,
    work: Work,
}

type Outcome = Result<Account, Arc<BrokerError>>;

/// How a login ended, be it by a panic.
fn whole(ended: Result<Outcome, JoinError>) -> Outcome {
    let broken = |_| BrokerError::LoginFailed("it broke off".to_owned());
    ended.map_err(broken).map_err(Arc::new).flatten()
}
