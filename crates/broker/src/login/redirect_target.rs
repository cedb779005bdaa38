//! Where a login comes back to, and the client that is registered for it.

use provider_auth_oauth::Client;
use url::Url;

use super::LoginService;
use super::callback::CallbackServer;
use super::mix_up::redirect_of;
use super::plan::LoginPlan;
use crate::config::Method;
use crate::error::BrokerError;

impl LoginPlan {
    /// Where its issuer alone sends answers, if that is ours to choose: no client was registered by
    /// hand.
    fn own_redirect(&self) -> Option<Url> {
        let is_ours = self.mcp.is_some() && self.provider.client_id.is_none();
        self.server
            .issuer
            .as_ref()
            .filter(|_| is_ours)
            .map(redirect_of)
    }
}

impl LoginService {
    /// Where the login comes back to, and who listens there.
    pub(super) async fn redirect_target(
        &self,
        made: &mut LoginPlan,
        method: Method,
    ) -> Result<(Option<CallbackServer>, Url), BrokerError> {
        let mut configured: Vec<Url> = made.provider.redirect_uris().cloned().collect();
        if configured.is_empty() {
            configured.extend(made.own_redirect());
        }
        let registered = made.registration().map(|it| it.redirect_uri.clone());
        if method != Method::Browser {
            let known = registered.or_else(|| configured.first().cloned());
            // No server listens there: the user copies the address from the page that cannot be
            // shown.
            let nowhere = || Url::parse("http://127.0.0.1:8976/callback").expect("a constant URL");
            let mut redirect = known.unwrap_or_else(nowhere);
            if Some(&redirect) == made.own_redirect().as_ref() {
                let _ = redirect.set_port(nowhere().port());
            }
            return Ok((None, redirect));
        }
        if let Some(registered) = registered {
            match CallbackServer::bind(&[registered], made.last.clone()).await {
                Ok(server) => {
                    let redirect = server.redirect_uri().clone();
                    return Ok((Some(server), redirect));
                }
                // Another port takes another registration.
                Err(BrokerError::CallbackPortBusy { .. }) => {
                    made.client = Client::public("");
                    made.mcp.iter_mut().for_each(|mcp| mcp.registration = None);
                }
                Err(error) => return Err(error),
            }
        }
        let server = CallbackServer::bind(&configured, made.last.clone()).await?;
        let redirect = server.redirect_uri().clone();
        Ok((Some(server), redirect))
    }

    /// Registers the client of a login to an MCP server, where it has no client yet.
    pub(super) async fn register(
        &self,
        made: &mut LoginPlan,
        redirect: &Url,
    ) -> Result<(), BrokerError> {
        if let Some(mcp) = made.mcp.as_mut().filter(|_| made.client.id.is_empty()) {
            made.client = self.register_client(&made.provider, mcp, redirect).await?;
        }
        Ok(())
    }
}
