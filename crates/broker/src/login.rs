//! Logs an account in: browser with a loopback callback, device code, paste (RFC 8252, 7636, 8628).
//!
//! A login runs in a task of its own from `start_login` on; `finish_login` waits for it and may bring a pasted code.
//! It ends by an answer, by a refusal, by its deadline or when the user calls it off, and then holds no port.

mod begin;
mod mix_up;
mod run;
mod way_back;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use provider_auth_policy::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use url::Url;

use crate::accounts::{Account, checked_name};
use crate::broker::Broker;
use crate::config::{Grant, Provider, mcp_server};
use crate::error::BrokerError;
use crate::limits;

pub(crate) use self::begin::Making;

/// How a person proves who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A page that answers on a loopback port (RFC 8252).
    Browser,
    /// A code that is entered on another device (RFC 8628).
    Device,
    /// A page whose answer is pasted here.
    Paste,
    /// A key that was made on the provider's page.
    ApiKey,
    /// Nobody does: a token of another issuer names this machine or program (RFC 7523).
    Assertion,
    /// Nobody does: the client signs in for itself (RFC 6749 §4.4).
    ClientCredentials,
}

impl Method {
    /// The name in JavaScript.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Device => "device",
            Self::Paste => "paste",
            Self::ApiKey => "api-key",
            Self::Assertion => "assertion",
            Self::ClientCredentials => "client-credentials",
        }
    }
}

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
}

#[derive(Clone)]
struct Login {
    outcome: watch::Receiver<Option<Result<Account, Arc<BrokerError>>>>,
    pasted: mpsc::Sender<Pasted>,
    cancel: Arc<watch::Sender<bool>>,
}

impl Logins {
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

/// The ways to log in that a provider has under this configuration.
pub(crate) fn methods(provider: &Provider) -> Vec<Method> {
    let mut methods = Vec::new();
    // A try says what is wrong with its file.
    if provider.fault.is_some() {
        return vec![Method::Browser];
    }
    if let Some(server) = &provider.server
        && server.dialect.page_poll.is_some()
    {
        methods.push(Method::Device);
    } else if let Some(server) = &provider.server
        && (provider.client_id.is_some()
            || server.dialect.issued_client.is_some()
            || provider.resource.is_some())
    {
        let discovers = provider.discovers || provider.resource.is_some();
        let knows = |endpoint: &Option<Url>| endpoint.is_some() || discovers;
        if knows(&server.authorization_endpoint) && provider.allows(Grant::AuthorizationCode) {
            methods.extend([Method::Browser, Method::Paste]);
        }
        if knows(&server.device_authorization_endpoint) && provider.allows(Grant::DeviceCode) {
            methods.push(Method::Device);
        }
    }
    if !provider.origins.is_empty() {
        methods.push(Method::ApiKey);
    }
    methods
}

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
        let namespace = checked_name("namespace", options.namespace)?;
        let label = checked_name("label", options.label)?;
        if options.method == Some(Method::ApiKey) {
            return Err(BrokerError::InvalidArgument(
                "method: an API key needs no steps; use `login` or `addApiKey`".to_owned(),
            ));
        }
        // A vault that cannot be written would turn up only after the user has signed in.
        self.opened_by_hand().await?;
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
        let patience = options.timeout.unwrap_or(limits::LOGIN_PATIENCE);
        let number = self.next_serial();
        let reserve = self.reserve_notice(&provider, &namespace);
        let mut made = Making {
            provider,
            server,
            client,
            mcp,
            method,
            namespace,
            label,
        };

        let (outcome_in, outcome) = watch::channel(None);
        let (pasted, pasted_out) = mpsc::channel(1);
        let (cancel, cancelled) = watch::channel(false);
        let began = self.now();
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
        let expires_at = prompt.expires_at.min(began + patience);
        let login = Login {
            outcome,
            pasted,
            cancel: Arc::new(cancel),
        };
        self.logins.keep(number, login);

        let broker = self.clone();
        tokio::spawn(async move {
            let given_up = async {
                tokio::select! {
                    () = tokio::time::sleep(broker.now().until(expires_at)) => BrokerError::LoginTimeout,
                    () = called_off(cancelled) => BrokerError::LoginCancelled,
                }
            };
            let ended = broker.run(work, &made, pasted_out, given_up).await;
            if ended.is_err() && made.is_registered() {
                broker.forget_registration(&made.client.id).await;
            }
            let _ = outcome_in.send(Some(ended.map_err(Arc::new)));
        });
        Ok(LoginPrompt {
            expires_at,
            instructions: prompt.instructions + &reserve,
            ..prompt
        })
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

async fn called_off(mut cancelled: watch::Receiver<bool>) {
    if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
        // The login was dropped from the list without being cancelled: it goes on to its own end.
        std::future::pending().await
    }
}
