//! Logs an account in: browser with a loopback callback, device code, paste (RFC 8252, 7636, 8628).
//!
//! A login runs in a task of its own from `start_login` on; `finish_login` waits for it and may bring a pasted code.
//! It ends by an answer, by a refusal, by its deadline or when the user calls it off, and then holds no port.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use provider_auth_oauth::{
    Callback, Client, ClientAuth, DeviceGrant, LoginSecrets, Server, Tokens, authorization_url,
    discover, exchange_code, identity, poll_device, read_callback, read_pasted, start_device,
};
use provider_auth_policy::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use url::Url;

use crate::accounts::{Account, DEFAULT_NAMESPACE, checked_name};
use crate::broker::Broker;
use crate::callback::CallbackServer;
use crate::config::{Provenance, Provider, SecretRef, SecretSource, resolve_secret};
use crate::credential::{Belongs, Credential, Secret};
use crate::error::BrokerError;
use crate::headers::HeaderSet;
use crate::limits;

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
}

impl Method {
    /// The name in JavaScript.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Device => "device",
            Self::Paste => "paste",
            Self::ApiKey => "api-key",
        }
    }
}

/// What a login is asked for.
#[derive(Clone, Debug, Default)]
pub struct LoginOptions {
    /// Provider id.
    pub provider: String,
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
    if let Some(server) = &provider.server
        && provider.client_id.is_some()
    {
        if server.authorization_endpoint.is_some() || server.issuer.is_some() {
            methods.extend([Method::Browser, Method::Paste]);
        }
        if server.device_authorization_endpoint.is_some() || server.issuer.is_some() {
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
        let provider = self.provider(&options.provider)?.clone();
        let namespace = checked_name("namespace", options.namespace)?
            .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        let label = checked_name("label", options.label)?;
        if options.method == Some(Method::ApiKey) {
            return Err(BrokerError::InvalidArgument(
                "method: an API key needs no steps; use `login` or `addApiKey`".to_owned(),
            ));
        }
        // A vault that cannot be written would turn up only after the user has signed in.
        self.opened().await?;
        let (server, client) = self.login_server(&provider).await?;
        let method = self.login_method(options.method, &server)?;
        let patience = options.timeout.unwrap_or(limits::LOGIN_PATIENCE);
        let number = self.next_serial();
        let made = Making {
            provider,
            server,
            client,
            namespace,
            label,
        };

        let (outcome_in, outcome) = watch::channel(None);
        let (pasted, pasted_out) = mpsc::channel(1);
        let (cancel, cancelled) = watch::channel(false);
        let began = self.now();
        let (prompt, work) = match method {
            // A device login would send the secret before anybody has seen what is read and where it goes.
            Method::Device if made.reads_for_the_project() => {
                return Err(BrokerError::InvalidArgument(format!(
                    "method: the client secret of {} is named by a project file, and is sent only once you have agreed on the \
                     provider's page: use browser or paste, or move the provider to your own config file",
                    made.provider.id
                )));
            }
            Method::Device => self.begin_device(number, &made).await?,
            _ => {
                self.begin_page(number, &made, method, options.login_hint.as_deref())
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
            let _ = outcome_in.send(Some(ended.map_err(Arc::new)));
        });
        Ok(LoginPrompt {
            expires_at,
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

    /// The server, with what discovery adds, and the user's client.
    async fn login_server(&self, provider: &Provider) -> Result<(Server, Client), BrokerError> {
        let missing = || BrokerError::ClientIdRequired {
            provider: provider.id.to_string(),
            terms: provider.terms,
        };
        let id = provider.client_id.clone().ok_or_else(missing)?;
        let Some(server) = provider.server.clone() else {
            return Err(BrokerError::InvalidArgument(format!(
                "no login server of {} is known; set providers.{0}.issuer, or authorizationEndpoint and tokenEndpoint",
                provider.id
            )));
        };
        let client = match &provider.client_secret {
            Some(secret) if !secret.needs_consent() => self.confidential(provider, id)?,
            _ => Client {
                id,
                secret: None,
                auth: ClientAuth::None,
            },
        };
        let server = match &server.issuer {
            Some(issuer) => {
                let found = discover(&*self.host.http, issuer).await.map_err(|error| {
                    BrokerError::LoginFailed(format!(
                        "the login server {issuer} cannot be asked for its endpoints: {error}"
                    ))
                })?;
                server.complete_with(found)
            }
            None => server,
        };
        Ok((server, client))
    }

    /// The client with its secret.
    fn confidential(&self, provider: &Provider, id: String) -> Result<Client, BrokerError> {
        let secret = provider
            .client_secret
            .as_ref()
            .map(|secret| resolve_secret(secret, &*self.host.env))
            .transpose()?;
        let auth = if secret.is_some() {
            provider.client_auth
        } else {
            ClientAuth::None
        };
        Ok(Client { id, secret, auth })
    }

    fn login_method(&self, wanted: Option<Method>, server: &Server) -> Result<Method, BrokerError> {
        let has_device = server.device_authorization_endpoint.is_some();
        let has_page = server.authorization_endpoint.is_some();
        let method = wanted.unwrap_or_else(|| match (self.has_display(), has_page, has_device) {
            (true, true, _) => Method::Browser,
            (_, _, true) => Method::Device,
            _ => Method::Paste,
        });
        let possible = if method == Method::Device {
            has_device
        } else {
            has_page
        };
        if !possible {
            return Err(BrokerError::InvalidArgument(format!(
                "method: this provider has no endpoint for a {} login",
                method.as_str()
            )));
        }
        Ok(method)
    }

    /// Whether a browser window would be seen: on a remote shell it would open on the wrong desk.
    fn has_display(&self) -> bool {
        let set = |name: &str| {
            self.host
                .env
                .var(name)
                .is_some_and(|value| !value.is_empty())
        };
        if set("SSH_CONNECTION") {
            return false;
        }
        cfg!(any(windows, target_os = "macos")) || set("DISPLAY") || set("WAYLAND_DISPLAY")
    }

    async fn begin_device(
        &self,
        login: u64,
        made: &Making,
    ) -> Result<(LoginPrompt, Work), BrokerError> {
        let grant = start_device(
            &*self.host.http,
            &made.server,
            &made.client,
            &made.provider.scopes,
        )
        .await
        .map_err(BrokerError::from_login)?;
        let url = grant
            .verification_uri_complete
            .clone()
            .unwrap_or_else(|| grant.verification_uri.clone());
        let prompt = LoginPrompt {
            login,
            method: Method::Device,
            url: url.to_string(),
            instructions: made.explain(&format!(
                "Open {} on any device and enter the code {}",
                grant.verification_uri, grant.user_code
            )),
            user_code: Some(grant.user_code.clone()),
            expires_at: self.now() + grant.expires_in,
        };
        Ok((prompt, Work::Device(grant)))
    }

    async fn begin_page(
        &self,
        login: u64,
        made: &Making,
        method: Method,
        hint: Option<&str>,
    ) -> Result<(LoginPrompt, Work), BrokerError> {
        let configured = made.provider.redirect_uri.as_ref();
        let server = match method {
            Method::Browser => Some(CallbackServer::bind(configured).await?),
            _ => None,
        };
        let redirect = match (&server, configured) {
            (Some(server), _) => server.redirect_uri().clone(),
            (None, Some(configured)) => configured.clone(),
            // Nobody listens there: the user copies the address from the page that cannot be shown.
            (None, None) => Url::parse("http://127.0.0.1:8976/callback").expect("a constant URL"),
        };
        let entropy = self.host.entropy.clone();
        let secrets = LoginSecrets::new(&mut |bytes| entropy.fill(bytes));
        let url = authorization_url(
            &made.server,
            &made.client,
            &made.provider.scopes,
            &redirect,
            &secrets,
            hint,
        )
        .map_err(BrokerError::from_login)?;
        let instructions = match method {
            Method::Browser => "Sign in on the page that opens; it comes back here by itself",
            _ => {
                "Open the page, sign in, and paste the code, or the address that the browser ends on"
            }
        };
        let prompt = LoginPrompt {
            login,
            method,
            url: url.to_string(),
            user_code: None,
            instructions: made.explain(instructions),
            expires_at: Timestamp::from_millis(u64::MAX),
        };
        Ok((
            prompt,
            Work::Page {
                server,
                secrets,
                redirect,
            },
        ))
    }

    /// Runs a login to its end. Once the user has answered, nothing calls it off: what follows is bounded by itself, and
    /// a code is good for one use.
    async fn run(
        self: &Arc<Self>,
        work: Work,
        made: &Making,
        mut pasted: mpsc::Receiver<Pasted>,
        given_up: impl Future<Output = BrokerError>,
    ) -> Result<Account, BrokerError> {
        tokio::pin!(given_up);
        match work {
            Work::Device(grant) => {
                // A poll is sent when a pause ends, and the token's life counts from then.
                let asked_at = AtomicU64::new(self.now().as_millis());
                let pause = |span| {
                    let (broker, asked_at) = (self, &asked_at);
                    async move {
                        tokio::time::sleep(span).await;
                        asked_at.store(broker.now().as_millis(), Ordering::Relaxed);
                    }
                };
                let http = &*self.host.http;
                let tokens = tokio::select! {
                    tokens = poll_device(http, &made.server, &made.client, &grant, pause) => {
                        tokens.map_err(BrokerError::from_login)?
                    }
                    error = &mut given_up => return Err(error),
                };
                let asked_at = Timestamp::from_millis(asked_at.into_inner());
                self.keep(made, made.client.clone(), tokens, asked_at).await
            }
            Work::Page {
                server,
                secrets,
                redirect,
            } => {
                let read = |query: &str| read_callback(query, &secrets, &made.server);
                let mut server = server;
                let callback: Callback = loop {
                    tokio::select! {
                        answer = answered(server.as_mut(), read) => break answer?,
                        Some((text, refuse)) = pasted.recv() => match read_pasted(&text, &secrets, &made.server) {
                            Ok(callback) => break callback,
                            Err(error @ provider_auth_oauth::CallbackError::Denied { .. }) => return Err(error.into()),
                            Err(error) => { let _ = refuse.send(error.into()); }
                        },
                        error = &mut given_up => return Err(error),
                    }
                };
                // The user has seen the prompt and has gone on: now a secret that the project names is read.
                let client = self.confidential(&made.provider, made.client.id.clone())?;
                let asked_at = self.now();
                let tokens = exchange_code(
                    &*self.host.http,
                    &made.server,
                    &client,
                    callback,
                    &secrets,
                    &redirect,
                )
                .await
                .map_err(BrokerError::from_login);
                let account = match tokens {
                    Ok(tokens) => self.keep(made, client, tokens, asked_at).await,
                    Err(error) => Err(error),
                };
                if let Some(server) = server {
                    // The page is on its way before anybody is told, since the process may end then.
                    let _ = server
                        .close(account.as_ref().map(|account| account.label.as_str()).ok())
                        .await;
                }
                account
            }
        }
    }

    /// Stores what a login brought.
    async fn keep(
        self: &Arc<Self>,
        made: &Making,
        client: Client,
        tokens: Tokens,
        asked_at: Timestamp,
    ) -> Result<Account, BrokerError> {
        HeaderSet::check_key(&tokens.access).map_err(|_| {
            BrokerError::LoginFailed("the access token cannot be part of a header".to_owned())
        })?;
        let identity = identity(&tokens, &made.server);
        let now = self.now();
        let client_secret = made
            .provider
            .client_secret
            .as_ref()
            .filter(|secret| secret.from_project)
            .and(client.secret);
        self.store(Credential {
            provider: made.provider.id.to_string(),
            namespace: made.namespace.clone(),
            label: made.label.clone().unwrap_or_default(),
            enabled: true,
            priority: 0,
            created_at: now,
            updated_at: now,
            identity,
            belongs: Belongs {
                origins: made.provider.origins.iter().cloned().collect(),
                issuer: made.server.issuer.clone(),
                token_endpoint: made.server.token_endpoint.clone(),
                revocation_endpoint: made.server.revocation_endpoint.clone(),
                client_id: Some(client.id),
                client_auth: client.auth,
            },
            secret: Secret::from_login(tokens, client_secret, asked_at),
            other: serde_json::Map::new(),
        })
        .await
    }
}

/// What a login is made of, once it is known to be possible.
struct Making {
    provider: Arc<Provider>,
    server: Server,
    client: Client,
    namespace: String,
    label: Option<String>,
}

impl Making {
    /// Whether the client secret is one that a project file says where to find.
    fn reads_for_the_project(&self) -> bool {
        self.provider
            .client_secret
            .as_ref()
            .is_some_and(SecretRef::needs_consent)
    }

    /// The instructions; a project's own provider is named with its file, the host and what is read for it, so that
    /// going on is an informed choice.
    fn explain(&self, instructions: &str) -> String {
        let Provenance::Project(file) = &self.provider.origin_of_definition else {
            return instructions.to_owned();
        };
        let host = self
            .server
            .token_endpoint
            .as_ref()
            .and_then(Url::host_str)
            .unwrap_or("an unknown host");
        let reads = match self
            .provider
            .client_secret
            .as_ref()
            .map(|secret| &secret.source)
        {
            Some(SecretSource::File(path)) => format!(
                ", and sends it the contents of {} as client secret",
                path.display()
            ),
            Some(SecretSource::Env(name)) => {
                format!(", and sends it the variable {name} as client secret")
            }
            _ => String::new(),
        };
        format!(
            "The project file {} defines this login; it goes to {host}{reads}. Go on only if you trust that file. {instructions}",
            file.display()
        )
    }
}

enum Work {
    Device(DeviceGrant),
    Page {
        server: Option<CallbackServer>,
        secrets: LoginSecrets,
        redirect: Url,
    },
}

/// The callback's answer; never, where there is no callback server.
async fn answered(
    server: Option<&mut CallbackServer>,
    read: impl FnMut(&str) -> Result<Callback, provider_auth_oauth::CallbackError>,
) -> Result<Callback, BrokerError> {
    match server {
        Some(server) => Ok(server.wait(read).await?),
        None => std::future::pending().await,
    }
}

async fn called_off(mut cancelled: watch::Receiver<bool>) {
    if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
        // The login was dropped from the list without being cancelled: it goes on to its own end.
        std::future::pending().await
    }
}
