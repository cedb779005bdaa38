//! Runs a login from the prompt to the stored account.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use provider_auth_oauth::{
    Callback, CallbackError, LoginSecrets, OauthError, Pasted as PastedText, Server,
    client_credentials, exchange_assertion, exchange_code, poll_device, poll_page, read_callback,
};
use provider_auth_policy::Timestamp;
use tokio::sync::mpsc;
use url::Url;

use super::LoginService;
use super::callback::CallbackServer;
use super::deadline::{Deadline, LoginStep};
use super::flow::LoginFlow;
use super::mix_up::check_pasted;
use super::open_logins::Pasted;
use super::plan::LoginPlan;
use crate::error::BrokerError;
use crate::store::Account;

impl LoginService {
    /// Runs a login to its end. What waits for the user ends with the deadline. Once the user has
    /// answered, nothing calls it off: what follows is bounded by itself, and a code is good for
    /// one use.
    pub(super) async fn run(
        self: &Arc<Self>,
        flow: LoginFlow,
        made: &LoginPlan,
        mut pasted: mpsc::Receiver<Pasted>,
        deadline: &Deadline,
    ) -> Result<Account, BrokerError> {
        let given_up = deadline.reached(&self.store);
        tokio::pin!(given_up);
        let http = &made.http(&self.store.host);
        match flow {
            LoginFlow::Assertion(assertion) => {
                made.last.enter(LoginStep::Exchanging);
                let asked_at = self.store.now();
                let tokens = exchange_assertion(http, &made.server, &assertion)
                    .await
                    .map_err(BrokerError::from_login)?;
                self.keep(made, made.client.clone(), tokens, asked_at).await
            }
            LoginFlow::Client => {
                made.last.enter(LoginStep::Exchanging);
                let asked_at = self.store.now();
                let scopes = &made.provider.scopes;
                let tokens = client_credentials(http, &made.server, &made.client, scopes)
                    .await
                    .map_err(BrokerError::from_login)?;
                self.keep(made, made.client.clone(), tokens, asked_at).await
            }
            flow @ (LoginFlow::Device(_) | LoginFlow::PagePoll(_)) => {
                // A poll is sent when a pause ends, and the token's life counts from then.
                let asked_at = AtomicU64::new(self.store.now().as_millis());
                let pause = |span| {
                    let (store, asked_at) = (&self.store, &asked_at);
                    async move {
                        tokio::time::sleep(span).await;
                        asked_at.store(store.now().as_millis(), Ordering::Relaxed);
                    }
                };
                let server = &made.server;
                let outcome = async {
                    match &flow {
                        LoginFlow::Device(grant) => {
                            poll_device(http, server, &made.client, grant, pause).await
                        }
                        LoginFlow::PagePoll(page) => poll_page(http, server, page, pause).await,
                        _ => std::future::pending().await,
                    }
                };
                let tokens = tokio::select! {
                    tokens = outcome => tokens.map_err(BrokerError::from_login)?,
                    error = &mut given_up => return Err(error),
                };
                let asked_at = Timestamp::from_millis(asked_at.into_inner());
                self.keep(made, made.client.clone(), tokens, asked_at).await
            }
            LoginFlow::Page {
                server,
                secrets,
                redirect,
            } => {
                // An answer for another client does not count, so the login stays open for the
                // right one.
                let ours = |callback: Callback| {
                    callback.client(&made.server, &made.client)?;
                    Ok(callback)
                };
                let read = |query: &str| {
                    let read = read_callback(query, &secrets, &made.server).and_then(ours);
                    read.inspect_err(|error| made.last.refused(query, error))
                };
                let mut server = server;
                let (account, code) = loop {
                    let (callback, refuse) = tokio::select! {
                        answer = answered(server.as_mut(), read) => (answer?, None),
                        Some((text, refuse)) = pasted.recv() => match read_pasted(&text, &redirect, &secrets, &made.server)
                            .and_then(ours)
                        {
                            Ok(callback) => (callback, Some(refuse)),
                            Err(error @ CallbackError::Denied { .. }) => return Err(error.into()),
                            Err(error) => {
                                made.last.note(format!("What was pasted last did not count: {error}"));
                                let _ = refuse.send(error.into());
                                continue;
                            }
                        },
                        error = &mut given_up => return Err(error),
                    };
                    // The user has seen the prompt and has gone on: now a secret that the project
                    // names is read.
                    made.last.enter(LoginStep::Exchanging);
                    let client = self.asking_client(made)?;
                    let client = callback.client(&made.server, &client)?;
                    let asked_at = self.store.now();
                    let tokens =
                        exchange_code(http, &made.server, &client, callback, &secrets, &redirect)
                            .await;
                    match (tokens, refuse) {
                        (Ok(tokens), _) => {
                            break (self.keep(made, client, tokens, asked_at).await, None);
                        }
                        // It was the wrong one, perhaps of an earlier page: the right one still can
                        // come.
                        (Err(error), Some(refuse)) if is_of_code(&error) => {
                            made.last.enter(LoginStep::Waiting);
                            made.last.note(format!(
                                "The code that was pasted last was refused: {error}"
                            ));
                            let _ = refuse.send(BrokerError::from_login(error));
                        }
                        (Err(error), _) => {
                            let code = error.code().map(str::to_owned);
                            break (Err(BrokerError::from_login(error)), code);
                        }
                    }
                };
                if let Some(server) = server {
                    // The page is on its way before the caller is told, since the process may end
                    // then.
                    let connected = account.as_ref().map(|account| account.label.as_str());
                    let _ = server.close(connected.map_err(|_| code.as_deref())).await;
                }
                account
            }
        }
    }
}

/// Whether an exchange failed for its code, or for something that passes, so that another code may
/// do.
fn is_of_code(error: &OauthError) -> bool {
    match error {
        OauthError::InvalidGrant { .. } => true,
        OauthError::Rejected { error, .. } => !matches!(
            error.as_deref(),
            Some(
                "invalid_client"
                    | "unauthorized_client"
                    | "unsupported_grant_type"
                    | "invalid_scope"
                    | "invalid_target"
            )
        ),
        other => other.is_transient(),
    }
}

/// A pasted answer, if it is one to this login.
fn read_pasted(
    text: &str,
    redirect: &Url,
    secrets: &LoginSecrets,
    server: &Server,
) -> Result<Callback, CallbackError> {
    let pasted = PastedText::of(text);
    check_pasted(&pasted, redirect)?;
    pasted.read(secrets, server)
}

/// The callback's answer; never, where there is no callback server.
async fn answered(
    server: Option<&mut CallbackServer>,
    read: impl FnMut(&str) -> Result<Callback, CallbackError>,
) -> Result<Callback, BrokerError> {
    match server {
        Some(server) => Ok(server.wait(read).await?),
        None => std::future::pending().await,
    }
}
