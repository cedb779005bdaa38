//! The ways to log in, and which of them a provider has.

use url::Url;

use super::provider::{Grant, Provider};

/// A way to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A page that answers on a loopback port (RFC 8252).
    Browser,
    /// A code that is entered on another device (RFC 8628).
    Device,
    /// A page whose answer is pasted here.
    Paste,
    /// A key that was made on the provider's page.
    ApiKey,
    /// No person: a token of another issuer names this machine or program (RFC 7523).
    Assertion,
    /// No person: the client signs in for itself (RFC 6749 §4.4).
    ClientCredentials,
}

impl Method {
    /// The name in JavaScript.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Device => "device",
            Self::Paste => "paste",
            Self::ApiKey => "api-key",
            Self::Assertion => "assertion",
            Self::ClientCredentials => "client-credentials",
        }
    }
}

impl Provider {
    /// The ways to log in that it has under this configuration.
    pub(crate) fn methods(&self) -> Vec<Method> {
        let mut methods = Vec::new();
        // An attempt to log in says what is wrong with its file.
        if self.fault.is_some() {
            return vec![Method::Browser];
        }
        if let Some(server) = &self.server
            && server.dialect.page_poll.is_some()
        {
            methods.push(Method::Device);
        } else if let Some(server) = &self.server
            && (self.client_id.is_some()
                || server.dialect.issued_client.is_some()
                || self.resource.is_some())
        {
            let discovers = self.discovers || self.resource.is_some();
            let knows = |endpoint: &Option<Url>| endpoint.is_some() || discovers;
            if knows(&server.authorization_endpoint) && self.allows(Grant::AuthorizationCode) {
                methods.extend([Method::Browser, Method::Paste]);
            }
            if knows(&server.device_authorization_endpoint) && self.allows(Grant::DeviceCode) {
                methods.push(Method::Device);
            }
        }
        if !self.origins.is_empty() {
            methods.push(Method::ApiKey);
        }
        methods
    }
}
