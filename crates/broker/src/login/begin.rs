//! Begins a login: finds server and client, picks the way, and makes the prompt.

use provider_auth_oauth::{
    Client, ClientAuth, LoginSecrets, Server, authorization_url, discover_of, start_device,
    start_page,
};
use provider_auth_policy::Timestamp;
use url::Url;
use uuid::Builder;

use super::LoginService;
use super::flow::LoginFlow;
use super::plan::{LoginPlan, LoginPrompt};
use super::remedy::remedy;
use crate::config::Method;
use crate::config::{Grant, Provider, resolve_secret};
use crate::error::BrokerError;
use crate::host::has_display;

impl LoginService {
    /// What to know about a pool whose logins do not stand in for one another, when it has one
    /// already.
    pub(super) fn reserve_notice(&self, provider: &Provider, namespace: &str) -> String {
        let rotation = &provider.rotation;
        let alone = rotation.rotate && !rotation.pool_logins;
        match alone && self.logins_of(&provider.id, namespace) > 0 {
            true => format!(
                ". This pool has a login already, which goes on to serve alone; set providers.{}.rotation.rotate to true to let \
                 others stand in for it, if your terms with the provider allow that",
                provider.id
            ),
            false => String::new(),
        }
    }

    /// The server, with what discovery adds, and the client with which to ask.
    pub(super) async fn login_server(
        &self,
        provider: &Provider,
        method: Option<Method>,
    ) -> Result<(Server, Client), BrokerError> {
        let missing = || {
            let error = BrokerError::client_id_required(provider);
            self.store.withheld(&provider.id).unwrap_or(error)
        };
        let server = provider.server.clone();
        let dialect = server.as_ref().map(|server| &server.dialect);
        let without_client =
            method == Some(Method::Assertion) || dialect.is_some_and(|it| it.page_poll.is_some());
        let issued = dialect.and_then(|dialect| dialect.issued_client.as_ref());
        let id = match (&provider.client_id, issued, &server) {
            (Some(id), _, _) => id.clone(),
            (None, Some(issued), Some(server)) => self
                .issued_client(provider, server)
                .unwrap_or_else(|| issued.first_id.clone()),
            _ if without_client => String::new(),
            _ => return Err(missing()),
        };
        let Some(mut server) = server else {
            return Err(self.store.withheld(&provider.id).unwrap_or_else(|| BrokerError::InvalidArgument(format!(
                "no login server of {} is known; set providers.{0}.issuer, or authorizationEndpoint and tokenEndpoint",
                provider.id
            ))));
        };
        if let Some(issued) = &server.dialect.issued_client {
            let vault = Builder::from_random_bytes(self.store.vault().id()).into_uuid();
            let installation = format!("urn:uuid:{vault}");
            let param = (issued.installation.clone(), installation);
            server.dialect.authorize.push(param);
        }
        let client = self.confidential(provider, id)?;
        let server = match &server.issuer {
            Some(issuer) if provider.discovers => {
                let found = discover_of(&*self.store.host.http, &server).await;
                let found = found.map_err(|error| {
                    BrokerError::LoginFailed(format!(
                        "the login server {issuer} cannot be asked for its endpoints: {error}{}",
                        remedy(&error, provider)
                    ))
                })?;
                server.complete_with(found)
            }
            _ => server,
        };
        Ok((server, client))
    }

    /// The client with its secret or key.
    pub(crate) fn confidential(
        &self,
        provider: &Provider,
        id: String,
    ) -> Result<Client, BrokerError> {
        let secret = provider
            .client_secret
            .as_ref()
            .map(|secret| resolve_secret(secret, &*self.store.host.env))
            .transpose()?;
        let signer = self.endpoints.signer(provider, provider.client_auth)?;
        let auth = match (&secret, &signer) {
            (None, None) => ClientAuth::None,
            _ => provider.client_auth,
        };
        Ok(Client {
            id,
            secret,
            auth,
            signer,
        })
    }

    pub(super) fn login_method(
        &self,
        wanted: Option<Method>,
        provider: &Provider,
        server: &Server,
    ) -> Result<Method, BrokerError> {
        let polls = server.dialect.page_poll.is_some();
        let has_device = (server.device_authorization_endpoint.is_some() || polls)
            && provider.allows(Grant::DeviceCode);
        let has_page = server.authorization_endpoint.is_some()
            && !polls
            && provider.allows(Grant::AuthorizationCode);
        let method = wanted.unwrap_or_else(|| {
            match (has_display(&*self.store.host.env), has_page, has_device) {
                (true, true, _) => Method::Browser,
                (_, _, true) => Method::Device,
                _ => Method::Paste,
            }
        });
        let possible = match method {
            Method::Device => has_device,
            Method::ClientCredentials => {
                server.token_endpoint.is_some() && provider.allows(Grant::ClientCredentials)
            }
            Method::Assertion => {
                server.token_endpoint.is_some() && provider.allows(Grant::JwtBearer)
            }
            _ => has_page,
        };
        if !possible {
            return Err(BrokerError::InvalidArgument(format!(
                "method: this provider has no endpoint for a {} login, or its configuration does not allow one",
                method.as_str()
            )));
        }
        Ok(method)
    }

    pub(super) async fn begin_device(
        &self,
        login: u64,
        made: &mut LoginPlan,
    ) -> Result<(LoginPrompt, LoginFlow), BrokerError> {
        // No browser comes back there, but a registration names an address all the same.
        let redirect = self.redirect_target(made, Method::Paste).await?.1;
        self.register(made, &redirect).await?;
        let grant = start_device(
            &made.http(&self.store.host),
            &made.server,
            &made.client,
            &made.provider.scopes,
            &self.login_secrets(),
        )
        .await
        .map_err(BrokerError::from_login)?;
        made.require_reachable(&grant)?;
        let url = grant
            .verification_uri_complete
            .clone()
            .unwrap_or_else(|| grant.verification_uri.clone());
        let prompt = LoginPrompt {
            login,
            method: Method::Device,
            url: url.to_string(),
            instructions: made.explain(
                Some(&url),
                &format!(
                    "Open {} on any device and enter the code {}",
                    grant.verification_uri, grant.user_code
                ),
            ),
            user_code: Some(grant.user_code.clone()),
            callback: None,
            expires_at: self.store.now() + grant.expires_in,
        };
        Ok((prompt, LoginFlow::Device(grant)))
    }

    /// A login whose page says nothing to this machine: the server is asked for its outcome.
    pub(super) fn begin_page_poll(
        &self,
        login: u64,
        made: &LoginPlan,
    ) -> Result<(LoginPrompt, LoginFlow), BrokerError> {
        let mut bytes = [0; 16];
        self.store.host.entropy.fill(&mut bytes);
        let page = start_page(
            &made.server,
            &self.login_secrets(),
            &Builder::from_random_bytes(bytes).into_uuid().to_string(),
        )
        .map_err(BrokerError::from_login)?;
        let prompt = LoginPrompt {
            login,
            method: Method::Device,
            url: page.url.to_string(),
            user_code: None,
            callback: None,
            instructions: made.explain(
                None,
                "Open the page on any device and sign in; there is no code to enter",
            ),
            expires_at: Timestamp::from_millis(u64::MAX),
        };
        Ok((prompt, LoginFlow::PagePoll(page)))
    }

    /// A login without a person. The assertion is read now, so that one that is not there shows at
    /// once.
    pub(super) fn begin_assertion(
        &self,
        login: u64,
        made: &LoginPlan,
    ) -> Result<(LoginPrompt, LoginFlow), BrokerError> {
        let Some(assertion) = &made.provider.assertion else {
            return Err(BrokerError::InvalidArgument(format!(
                "method: set providers.{}.assertion to where the token of your own issuer is, as {{file:…}} or {{env:…}}",
                made.provider.id
            )));
        };
        let assertion = resolve_secret(assertion, &*self.store.host.env)?;
        let endpoint = made.server.token_endpoint.as_ref();
        let prompt = LoginPrompt {
            login,
            method: Method::Assertion,
            url: endpoint.map(Url::to_string).unwrap_or_default(),
            user_code: None,
            callback: None,
            instructions: "The assertion is exchanged; there is nothing to do".to_owned(),
            expires_at: Timestamp::from_millis(u64::MAX),
        };
        Ok((prompt, LoginFlow::Assertion(assertion)))
    }

    /// A login of the client itself.
    pub(super) fn begin_client(&self, login: u64, made: &LoginPlan) -> (LoginPrompt, LoginFlow) {
        let endpoint = made.server.token_endpoint.as_ref();
        let prompt = LoginPrompt {
            login,
            method: Method::ClientCredentials,
            url: endpoint.map(Url::to_string).unwrap_or_default(),
            user_code: None,
            callback: None,
            instructions: "The client signs in for itself; there is nothing to do".to_owned(),
            expires_at: Timestamp::from_millis(u64::MAX),
        };
        (prompt, LoginFlow::Client)
    }

    fn login_secrets(&self) -> LoginSecrets {
        LoginSecrets::new(&mut |bytes| self.store.host.entropy.fill(bytes))
    }

    pub(super) async fn begin_page(
        &self,
        login: u64,
        made: &mut LoginPlan,
        method: Method,
        hint: Option<&str>,
    ) -> Result<(LoginPrompt, LoginFlow), BrokerError> {
        let (server, redirect) = self.redirect_target(made, method).await?;
        self.register(made, &redirect).await?;
        let secrets = self.login_secrets();
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
            callback: server.as_ref().map(|_| redirect.to_string()),
            instructions: made.explain(Some(&url), instructions),
            expires_at: Timestamp::from_millis(u64::MAX),
        };
        Ok((
            prompt,
            LoginFlow::Page {
                server,
                secrets,
                redirect,
            },
        ))
    }

    /// The client that asks for the tokens, with its secret.
    pub(super) fn asking_client(&self, made: &LoginPlan) -> Result<Client, BrokerError> {
        match made.is_registered() {
            true => Ok(made.client.clone()),
            false => self.confidential(&made.provider, made.client.id.clone()),
        }
    }
}
