//! Begins a login: finds server and client, picks the way, and makes the prompt.

use std::sync::Arc;

use provider_auth_oauth::{
    Client, ClientAuth, LoginSecrets, Server, authorization_url, discover, start_device,
};
use provider_auth_policy::Timestamp;
use url::Url;

use super::run::Work;
use super::{LoginPrompt, Method};
use crate::broker::Broker;
use crate::callback::CallbackServer;
use crate::config::{Provenance, Provider, SecretRef, SecretSource, resolve_secret};
use crate::error::BrokerError;

/// What a login is made of, once it is known to be possible.
pub(super) struct Making {
    pub(super) provider: Arc<Provider>,
    pub(super) server: Server,
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) label: Option<String>,
}

impl Making {
    /// Whether the client secret is one that a project file says where to find.
    pub(super) fn reads_for_the_project(&self) -> bool {
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

impl Broker {
    /// The server, with what discovery adds, and the user's client.
    pub(super) async fn login_server(
        &self,
        provider: &Provider,
    ) -> Result<(Server, Client), BrokerError> {
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
    pub(super) fn confidential(
        &self,
        provider: &Provider,
        id: String,
    ) -> Result<Client, BrokerError> {
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

    pub(super) fn login_method(
        &self,
        wanted: Option<Method>,
        server: &Server,
    ) -> Result<Method, BrokerError> {
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
    pub(crate) fn has_display(&self) -> bool {
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

    pub(super) async fn begin_device(
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

    pub(super) async fn begin_page(
        &self,
        login: u64,
        made: &Making,
        method: Method,
        hint: Option<&str>,
    ) -> Result<(LoginPrompt, Work), BrokerError> {
        let configured: Vec<Url> = made.provider.redirect_uris().cloned().collect();
        let server = match method {
            Method::Browser => Some(CallbackServer::bind(&configured).await?),
            _ => None,
        };
        let redirect = match (&server, configured.first()) {
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
}
