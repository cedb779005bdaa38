//! Where a credential was made for: it goes nowhere else until the user signs in again.

use std::collections::BTreeSet;

use provider_auth_oauth::{ClientAuth, resource_uri};
use provider_auth_policy::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use super::secret::Unknown;
use crate::config::{Origin, Provenance, Provider};

/// Where a credential was made for; it goes nowhere else until the user signs in again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Audience {
    pub(crate) origins: BTreeSet<Origin>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) issuer: Option<Url>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_endpoint: Option<Url>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) revocation_endpoint: Option<Url>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<String>,
    #[serde(default)]
    pub(crate) client_auth: ClientAuth,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) exchange_endpoint: Option<Url>,
    /// Where the provider serves this very account, of the origins above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) api: Option<Origin>,
    /// The MCP server that a login is for (RFC 8707 §2); of other logins, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resource: Option<Url>,
    /// What that server calls itself, where it is not its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resource_id: Option<String>,
    /// Whether that server named where it is renewed, and was neither on this machine nor in its
    /// network.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_elsewhere: bool,
    /// How its client was registered, where it was not done by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) registration: Option<Registration>,
    /// The project's file that defined its provider, where one did: no other file may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<String>,
    /// What that file said of the shape of requests and answers, as a hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shape: Option<String>,
    #[serde(flatten)]
    pub(crate) other: Unknown,
}

/// A client that the login server has registered for us (RFC 7591).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Registration {
    /// Where its logins come back to, exactly.
    pub(crate) redirect_uri: Url,
    /// When its secret ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret_ends_at: Option<Timestamp>,
}

impl Audience {
    /// The identifier of the MCP server (RFC 8707).
    pub(crate) fn resource_id(&self) -> Option<String> {
        let own = self.resource_id.clone();
        own.or_else(|| self.resource.as_ref().map(resource_uri))
    }

    /// Whether it still has to be found out where the login is renewed.
    pub(crate) fn lacks_token_endpoint(&self) -> bool {
        self.resource.is_some() && self.token_endpoint.is_none()
    }

    /// Whether the provider, as configured now, is still the one that the credential was made for.
    pub(crate) fn fits(&self, provider: &Provider) -> bool {
        // What was made under a project's file serves under that very file, and nothing else serves
        // under it.
        if self.project.as_deref() != project_of(provider) || self.shape != provider.shape {
            return false;
        }
        if let (Some(configured), Some(sealed)) = (&provider.resource, &self.resource)
            && resource_uri(configured) != resource_uri(sealed)
        {
            return false;
        }
        if self.client_id.is_none() && self.token_endpoint.is_none() {
            return true;
        }
        let same_client = || {
            let configured = provider.client_id.as_ref();
            configured.is_none_or(|configured| Some(configured) == self.client_id.as_ref())
        };
        // Where it is renewed is still to be found, and the user's own configuration may say it.
        if self.lacks_token_endpoint()
            && !matches!(provider.origin_of_definition, Provenance::Project(_))
        {
            return self.client_id.is_none() || same_client();
        }
        let Some(server) = &provider.server else {
            return false;
        };
        let same = |configured: &Option<Url>, sealed: &Option<Url>| {
            configured.is_none() || configured == sealed
        };
        same_client()
            && same(&server.token_endpoint, &self.token_endpoint)
            && same(&server.exchange_endpoint, &self.exchange_endpoint)
            && same(&server.issuer, &self.issuer)
    }

    /// Where an API key of `provider` belongs.
    pub(crate) fn key(provider: &Provider) -> Self {
        Self {
            origins: provider.origins.iter().cloned().collect(),
            ..Self::made_under(provider)
        }
    }

    /// Under whose definition a credential is made, and nothing else yet.
    pub(crate) fn made_under(provider: &Provider) -> Self {
        let file = project_of(provider);
        Self {
            project: file.map(str::to_owned),
            shape: provider.shape.clone(),
            ..Self::default()
        }
    }
}

/// The project's file that defines a provider.
fn project_of(provider: &Provider) -> Option<&str> {
    match &provider.origin_of_definition {
        Provenance::Project(file) => file.to_str(),
        _ => None,
    }
}
