//! How far the requests of a login may reach.

use provider_auth_oauth::{Bounded, DeviceGrant, Http, Reach, Server, require_known_to_all};

use crate::broker::Broker;
use crate::config::Provider;
use crate::error::BrokerError;
use crate::login::Making;

/// To where an MCP server may send us with what it has named, or anywhere for a login whose endpoints the user has named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    reach: Option<Reach>,
    /// Hosts that the user has named.
    except: Vec<String>,
}

impl Bounds {
    /// Those of a login at `provider`; it `is_elsewhere` if it is for an MCP server that is neither on this machine nor in its
    /// network, and named its login server by itself.
    pub(crate) fn of(provider: &Provider, is_elsewhere: bool) -> Self {
        if !is_elsewhere {
            return Self::default();
        }
        Self {
            reach: Some(Reach::Elsewhere),
            except: provider
                .server
                .as_ref()
                .map(Server::hosts)
                .unwrap_or_default(),
        }
    }

    /// The client that keeps to them.
    pub(crate) fn client<'a>(&self, http: &'a dyn Http) -> Bounded<'a> {
        Bounded::new(http, self.reach, self.except.clone())
    }
}

impl Making {
    /// The client for its requests, which reach no farther than they may.
    pub(crate) fn client_of<'a>(&self, broker: &'a Broker) -> Bounded<'a> {
        let is_elsewhere = self.mcp.as_ref().is_some_and(|mcp| mcp.is_elsewhere);
        let bounds = Bounds::of(&self.provider, is_elsewhere);
        bounds.client(&*broker.host.http)
    }

    /// Refuses pages of a device login where an MCP server that is elsewhere may not send anybody.
    pub(crate) fn hold(&self, grant: &DeviceGrant) -> Result<(), BrokerError> {
        let Some(mcp) = self.mcp.as_ref().filter(|mcp| mcp.is_elsewhere) else {
            return Ok(());
        };
        let pages = grant.verification_uri_complete.iter();
        pages
            .chain([&grant.verification_uri])
            .try_for_each(|page| require_known_to_all(&mcp.url, page))
            .map_err(BrokerError::from_login)
    }
}
