//! Logs an account in: browser with a loopback callback, device code, paste (RFC 8252, 7636, 8628).
//!
//! A login runs in a task of its own from `start_login` on; `finish_login` waits for it and may
//! bring a pasted code. It ends by an answer, by a refusal, by its deadline or when the user calls
//! it off, and then holds no port.

mod begin;
mod callback;
mod deadline;
mod flow;
mod mcp;
mod mix_up;
mod open_logins;
mod plan;
mod redirect_target;
mod remedy;
mod run;
mod store;

use provider_auth_vault::{RecordId, line};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinError;
use url::Url;

use crate::config::mcp_server;
use crate::error::BrokerError;
use crate::limits;
use crate::log::Shown;
use crate::oauth_endpoints::OauthEndpoints;
use crate::store::accounts::checked_name;
use crate::store::{Account, Store};
use deadline::{Deadline, LastAnswer};
pub use deadline::{LoginProgress, LoginStep};
use flow::LoginFlow;
use open_logins::{Login, OpenLogins, Outcome};
use plan::LoginPlan;

pub use crate::config::Method;
pub use plan::{LoginOptions, LoginPrompt};

/// Logs accounts in to one store.
pub(crate) struct LoginService {
    store: Arc<Store>,
    endpoints: Arc<OauthEndpoints>,
    open: OpenLogins,
}

impl LoginService {
    pub(crate) fn new(store: Arc<Store>, endpoints: Arc<OauthEndpoints>) -> Arc<Self> {
        Arc::new(Self {
            store,
            endpoints,
            open: OpenLogins::default(),
        })
    }

    /// Begins a login and says what to show to the user.
    pub(crate) async fn start_login(
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
        if self.store.settings().store.is_some() {
            // A store that is away is said before anybody signs in, and its clock is the one that counts.
            self.store.opened_interactive().await?;
        }
        let number = self.store.next_serial();
        let timeout = options.timeout.unwrap_or(limits::LOGIN_TIMEOUT);
        let mut deadline = Deadline {
            at: self.store.now() + timeout,
            limit: Some(timeout),
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
            error = deadline.reached(&self.store) => return Err(error),
        };
        let Begun { made, prompt, flow } = begun;
        let expires_at = prompt.expires_at.min(deadline.at);
        let reserve = self.reserve_notice(&made.provider, &made.namespace);
        let (outcome_in, outcome) = watch::channel(None);
        let (pasted, pasted_out) = mpsc::channel(1);
        let (cancel, cancelled) = watch::channel(false);
        if expires_at < deadline.at {
            deadline.limit = None;
        }
        deadline.at = expires_at;
        deadline.cancelled = cancelled;
        let login = Login {
            outcome,
            pasted,
            cancel: Arc::new(cancel),
            last: deadline.last.clone(),
        };
        self.open.keep(number, login);

        let began = self.store.uptime();
        line!(
            INFO,
            login = number,
            provider = Shown(&made.provider.id),
            namespace = Shown(&made.namespace),
            method = made.method.as_str(),
            expires_at = expires_at,
            "a login waits for its answer"
        );
        let client = made.is_registered().then(|| made.client.id.clone());
        let (logins, until) = (self.clone(), deadline.clone());
        let mut running = tokio::spawn(async move {
            let ended = logins.run(flow, &made, pasted_out, &until).await;
            if ended.is_err() && made.is_registered() {
                logins.forget_registration(&made.client.id).await;
            }
            logins.open.doubtful.lock().remove(&made.client.id);
            logins.log_end(number, &made, &ended, began);
            ended.map_err(Arc::new)
        });
        let logins = self.clone();
        tokio::spawn(async move {
            let error = tokio::select! {
                biased;
                ended = &mut running => {
                    let _ = outcome_in.send(Some(whole(ended)));
                    return;
                }
                error = deadline.reached(&logins.store) => error,
            };
            // The next login registers another one, also if it begins before that is on the disk.
            logins.open.doubtful.lock().extend(client);
            // What waits ends by itself, and frees its port. What exchanges a code goes on alone:
            // the code is good for one use, and the caller is told now.
            let ended = tokio::time::timeout(limits::LOGIN_ENDING, &mut running).await;
            let _ = outcome_in.send(Some(ended.map_or_else(|_| Err(Arc::new(error)), whole)));
        });
        Ok(LoginPrompt {
            expires_at,
            instructions: prompt.instructions + &reserve,
            ..prompt
        })
    }

    /// Writes down how a login ended, and how long that took.
    fn log_end(
        &self,
        login: u64,
        made: &LoginPlan,
        ended: &Result<Account, BrokerError>,
        began: Duration,
    ) {
        let took = self.store.uptime().saturating_sub(began);
        line!(
            INFO,
            login = login,
            provider = Shown(&made.provider.id),
            namespace = Shown(&made.namespace),
            method = made.method.as_str(),
            account = ended
                .as_ref()
                .ok()
                .and_then(|account| account.id.parse::<RecordId>().ok()),
            error = ended.as_ref().err().map(BrokerError::code),
            took_ms = took,
            "a login ended"
        );
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
        last.waits("The vault had not been opened yet".to_owned());
        // A vault that cannot be written would turn up only after the user has signed in.
        self.store.opened_interactive().await?;
        last.waits("The login server had not said yet how to go on".to_owned());
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
        let mut made = LoginPlan {
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
        let (prompt, flow) = match method {
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
        last.waits(flow.nothing_came());
        Ok(Begun { made, prompt, flow })
    }

    /// Waits for a login to end; a pasted code or redirect URL may end it. A paste that cannot be
    /// used leaves it open.
    pub(crate) async fn finish_login(
        self: &Arc<Self>,
        number: u64,
        code: Option<String>,
    ) -> Result<Account, BrokerError> {
        let login = self.open.open.lock().get(&number).cloned();
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

    /// How far a login is; `None` for one that is not known any more.
    pub(crate) fn login_progress(&self, number: u64) -> Option<LoginProgress> {
        let open = self.open.open.lock();
        open.get(&number).map(|login| login.last.progress())
    }

    /// Calls a login off and closes its port. Does nothing for one that has ended.
    pub(crate) fn cancel_login(&self, number: u64) {
        if let Some(login) = self.open.open.lock().remove(&number) {
            login.cancel.send_replace(true);
        }
    }
}

/// A login that has something to show.
struct Begun {
    made: LoginPlan,
    prompt: LoginPrompt,
    flow: LoginFlow,
}

/// How a login ended, also by a panic.
fn whole(ended: Result<Outcome, JoinError>) -> Outcome {
    let broken = |_| BrokerError::LoginFailed("it broke off".to_owned());
    ended.map_err(broken).map_err(Arc::new).flatten()
}
