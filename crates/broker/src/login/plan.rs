//! What a login is asked for, what it is made of, and what is shown to its user.

use std::sync::Arc;
use std::time::Duration;

use provider_auth_oauth::{
    Bounded, Client, DeviceGrant, Metadata, Server, require_public_place, resource_uri,
};
use provider_auth_policy::Timestamp;
use url::Url;

use super::deadline::LastAnswer;
use super::mix_up::whereabouts;
use crate::config::{Method, Provenance, Provider};
use crate::error::BrokerError;
use crate::host::Host;
use crate::oauth_endpoints::bounds::Bounds;
use crate::printable::visible;
use crate::store::audience::Registration;

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
    /// The address on this machine where it waits for the browser to come back.
    pub callback: Option<String>,
    /// A sentence for the user.
    pub instructions: String,
    /// When the code ends, or the time that we give the login.
    pub expires_at: Timestamp,
}

/// An MCP server that is signed in to, and where.
#[derive(Clone, Debug)]
pub(super) struct McpServer {
    /// Its address.
    pub(super) url: Url,
    /// What it calls itself.
    pub(super) id: String,
    /// What its login server says about itself; `None` where the configuration names all that is
    /// needed.
    pub(super) metadata: Option<Metadata>,
    /// Whether it named its login server by itself, and is neither on this machine nor in its
    /// network.
    pub(super) is_elsewhere: bool,
    /// How the client of the login was registered.
    pub(super) registration: Option<Registration>,
}

impl McpServer {
    /// What it calls itself, where it is not its address.
    pub(super) fn own_id(&self) -> Option<String> {
        (self.id != resource_uri(&self.url)).then(|| self.id.clone())
    }
}

/// What a login is made of, once it is known to be possible.
pub(super) struct LoginPlan {
    pub(super) provider: Arc<Provider>,
    pub(super) server: Server,
    /// Its id is empty where the server asks for none, and where it is still to be registered.
    pub(super) client: Client,
    /// The MCP server that is signed in to, where it is one.
    pub(super) mcp: Option<McpServer>,
    pub(super) method: Method,
    pub(super) namespace: String,
    pub(super) label: Option<String>,
    /// What is told when its time is over.
    pub(super) last: LastAnswer,
    pub(super) priority: Option<i64>,
}

impl LoginPlan {
    /// Whether its client was registered by us.
    pub(super) fn is_registered(&self) -> bool {
        self.registration().is_some()
    }

    pub(super) fn registration(&self) -> Option<&Registration> {
        self.mcp.as_ref()?.registration.as_ref()
    }

    /// The instructions, so that going on is an informed choice: they name hosts that a server has
    /// chosen, that of the page and that which gets the code; a project's own provider is named
    /// with its file, the host and what is read for it.
    pub(super) fn explain(&self, page: Option<&Url>, instructions: &str) -> String {
        let mcp = self.mcp.as_ref().map(|mcp| &mcp.url);
        let token_endpoint = self.server.token_endpoint.as_ref();
        let configured = self.provider.server.as_ref();
        let names_it = configured.is_some_and(|server| server.token_endpoint.is_some());
        let is_chosen = mcp.is_some() || !names_it;
        let hosts = page
            .filter(|_| is_chosen)
            .map(|page| whereabouts(mcp, page, token_endpoint));
        let instructions = hosts.unwrap_or_default() + instructions;
        let Provenance::Project(file) = &self.provider.origin_of_definition else {
            return instructions;
        };
        let host = self.server.token_endpoint.as_ref();
        let host = host.and_then(Url::host_str).unwrap_or("an unknown host");
        format!(
            "The project file {}, which you trusted, defines this login; it goes to {host}. {instructions}",
            visible(file)
        )
    }

    /// The client for its requests, which reach no farther than they may.
    pub(super) fn http<'a>(&self, host: &'a Host) -> Bounded<'a> {
        let is_elsewhere = self.mcp.as_ref().is_some_and(|mcp| mcp.is_elsewhere);
        let bounds = Bounds::of(&self.provider, is_elsewhere);
        bounds.client(&*host.http)
    }

    /// Refuses pages of a device login where an MCP server that is elsewhere may not send a person.
    pub(super) fn require_reachable(&self, grant: &DeviceGrant) -> Result<(), BrokerError> {
        let Some(mcp) = self.mcp.as_ref().filter(|mcp| mcp.is_elsewhere) else {
            return Ok(());
        };
        let pages = grant.verification_uri_complete.iter();
        pages
            .chain([&grant.verification_uri])
            .try_for_each(|page| require_public_place(&mcp.url, page))
            .map_err(BrokerError::from_login)
    }
}
