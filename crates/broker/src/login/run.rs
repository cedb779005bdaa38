//! Runs a login from the prompt to the stored account.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use provider_auth_oauth::{
    Callback, CallbackError, Client, DeviceGrant, LoginSecrets, Tokens, exchange_code, identity,
    poll_device, read_callback, read_pasted,
};
use provider_auth_policy::Timestamp;
use tokio::sync::mpsc;
use url::Url;

use super::Pasted;
use super::begin::Making;
use crate::accounts::Account;
use crate::broker::Broker;
use crate::callback::CallbackServer;
use crate::credential::{Belongs, Credential, Secret, Unknown};
use crate::error::BrokerError;
use crate::headers::HeaderSet;

/// What a login waits for.
pub(super) enum Work {
    Device(DeviceGrant),
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
                            Err(error @ CallbackError::Denied { .. }) => return Err(error.into()),
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
                other: Unknown::default(),
            },
            secret: Secret::from_login(tokens, client_secret, asked_at),
            moved_at: None,
            other: Unknown::default(),
        })
        .await
    }
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
