//! How far the requests of a login may reach.

use provider_auth_oauth::{Bounded, Http, Reach, Server};

use crate::config::Provider;

/// To where an MCP server may send us with what it has named, or anywhere for a login whose
/// endpoints the user has named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    reach: Option<Reach>,
    /// Hosts that the user has named.
    except: Vec<String>,
}

impl Bounds {
    /// Those of a login at `provider`; it `is_elsewhere` if it is for an MCP server that is neither
    /// on this machine nor in its network, and named its login server by itself.
    pub(crate) fn of(provider: &Provider, is_elsewhere: bool) -> Self {
        if !is_elsewhere {
            return Self::default();
        }
        Self {
            reach: Some(Reach::PublicOnly),
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
