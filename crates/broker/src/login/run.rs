//! Runs a login from the prompt to the stored account.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use provider_auth_oauth::{
    Callback, CallbackError, DeviceGrant, LoginSecrets, PageLogin, Pasted as PastedText, Server,
    client_credentials, exchange_assertion, exchange_code, poll_device, poll_page, read_callback,
};
use provider_auth_policy::Timestamp;
use secrecy::SecretString;
use tokio::sync::mpsc;
use url::Url;

use super::Pasted;
use super::begin::Making;
use super::mix_up::check_pasted;
use crate::accounts::Account;
use crate::broker::Broker;
use crate::callback::CallbackServer;
use crate::error::BrokerError;

/// What a login waits for.
pub(super) enum Work {
    Assertion(SecretString),
    Client,
    Device(DeviceGrant),
    PagePoll(PageLogin),
    Page {
        server: Option<CallbackServer>,
        secrets: LoginSecrets,
        redirect: Url,
    },
}

impl Broker {
    /// Runs a login to its end. Once the user has answered, nothing calls it off: what follows is bounded by itself, and
    /// a code is good for one use.
    pub(super) async fn run(
        self: &Arc<Self>,
        work: Work,
        made: &Making,
        mut pasted: mpsc::Receiver<Pasted>,
        given_up: impl Future<Output = BrokerError>,
    ) -> Result<Account, BrokerError> {
        tokio::pin!(given_up);
        let http = &made.client_of(self);
        match work {
            Work::Assertion(assertion) => {
                let asked_at = self.now();
                let tokens = exchange_assertion(http, &made.server, &assertion)
                    .await
                    .map_err(BrokerError::from_login)?;
                self.keep(made, made.client.clone(), tokens, asked_at).await
            }
            Work::Client => {
                let asked_at = self.now();
                let scopes = &made.provider.scopes;
                let tokens = client_credentials(http, &made.server, &made.client, scopes)
                    .await
                    .map_err(BrokerError::from_login)?;
                self.keep(made, made.client.clone(), tokens, asked_at).await
            }
            work @ (Work::Device(_) | Work::PagePoll(_)) => {
                // A poll is sent when a pause ends, and the token's life counts from then.
                let asked_at = AtomicU64::new(self.now().as_millis());
                let pause = |span| {
                    let (broker, asked_at) = (self, &asked_at);
                    async move {
                        tokio::time::sleep(span).await;
                        asked_at.store(broker.now().as_millis(), Ordering::Relaxed);
                    }
                };
                let server = &made.server;
                let outcome = async {
                    match &work {
                        Work::Device(grant) => {
                            poll_device(http, server, &made.client, grant, pause).await
                        }
                        Work::PagePoll(page) => poll_page(http, server, page, pause).await,
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
            Work::Page {
                server,
                secrets,
                redirect,
            } => {
                // An answer for another client is none of ours, so the login stays open for the right one.
                let ours = |callback: Callback| {
                    callback.client(&made.server, &made.client)?;
                    Ok(callback)
                };
                let read =
                    |query: &str| read_callback(query, &secrets, &made.server).and_then(ours);
                let mut server = server;
                let callback: Callback = loop {
                    tokio::select! {
                        answer = answered(server.as_mut(), read) => break answer?,
                        Some((text, refuse)) = pasted.recv() => match read_pasted(&text, &redirect, &secrets, &made.server)
                            .and_then(ours)
                        {
                            Ok(callback) => break callback,
                            Err(error @ CallbackError::Denied { .. }) => return Err(error.into()),
                            Err(error) => { let _ = refuse.send(error.into()); }
                        },
                        error = &mut given_up => return Err(error),
                    }
                };
                // The user has seen the prompt and has gone on: now a secret that the project names is read.
                let client = self.asking_client(made)?;
                let client = callback.client(&made.server, &client)?;
                let asked_at = self.now();
                let tokens =
                    exchange_code(http, &made.server, &client, callback, &secrets, &redirect)
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
