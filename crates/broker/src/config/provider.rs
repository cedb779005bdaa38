//! A provider as the layers of configuration make it, ready to be used.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use provider_auth_oauth::{ClientAuth, Server};
use provider_auth_policy::{Rotation, Signals};
use url::Url;

use super::error::ConfigError;
use super::origin::Origin;
use super::secret::SecretRef;
use crate::providers::{
    BoundItems, CredentialForm, ModelLists, OwnShape, Registration, StreamShape,
};

/// The pool of requests, logins and accounts that do not name one.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";

/// A provider, complete and checked.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its id.
    pub id: Arc<str>,
    /// The MCP server that its logins are for; `None` for any other provider.
    pub resource: Option<Url>,
    /// Its authorization server; `None` when it offers no login, so that only API keys serve.
    pub server: Option<Server>,
    /// The client that the user registered.
    pub client_id: Option<String>,
    /// The client's secret, not read yet.
    pub client_secret: Option<SecretRef>,
    /// The client's private key, where it authenticates by one; not read yet.
    pub private_key: Option<SecretRef>,
    /// Which of the client's keys that is.
    pub private_key_id: Option<String>,
    /// How the client authenticates at the token endpoint.
    pub client_auth: ClientAuth,
    /// Scopes that a login asks for.
    pub scopes: Vec<String>,
    /// The redirect URI registered with the server; `None` for any free port of this machine.
    pub redirect_uri: Option<Url>,
    /// Further registered ones, for when the port of the first is busy.
    pub fallback_redirect_uris: Vec<Url>,
    /// What a login without a person presents: a token of another issuer (RFC 7523). Not read yet.
    pub assertion: Option<SecretRef>,
    /// The grants that a login may use; `None` for every one that server and client allow.
    pub grants: Option<Vec<Grant>>,
    /// Whether its issuer is asked for endpoints that the configuration leaves out.
    pub discovers: bool,
    /// Where its credentials may go; empty while the user has not said.
    pub origins: Vec<Origin>,
    /// Those of them that were added to the list, such as that of a gateway in front of it.
    pub extra_origins: Vec<Origin>,
    /// How an access token is sent.
    pub oauth_header: HeaderTemplate,
    /// How an API key is sent.
    pub api_header: HeaderTemplate,
    /// Further headers beside an access token. A caller's own value is kept, or ours is appended to
    /// it.
    pub oauth_extra: Vec<(String, String)>,
    /// Further headers beside an API key, under the same rule.
    pub api_extra: Vec<(String, String)>,
    /// Headers to delete first: every place where an SDK may have put a key.
    pub strip: Vec<String>,
    /// Where its models are listed: tried in this order until one has a list.
    pub models_urls: Vec<Url>,
    /// In which form they are listed.
    pub models: &'static ModelLists,
    /// The form of its lists, where the user says it.
    pub models_shape: Option<OwnShape>,
    /// How its pools rotate.
    pub rotation: Rotation,
    /// The pool of requests and logins that do not name one.
    pub namespace: Option<String>,
    /// The account, by id or label, of requests that name neither account nor pool.
    pub account: Option<String>,
    /// A hash of what a project's file says of the shape of requests and answers.
    pub shape: Option<String>,
    /// How its limits and refusals are recognised.
    pub signals: Signals,
    /// What in a request only the account that made it can serve.
    pub bound_items: &'static BoundItems,
    /// How its event streams look.
    pub streams: &'static [StreamShape],
    /// Parameters of a URL's query that are deleted from it: SDKs put a placeholder there.
    pub key_parameters: &'static [&'static str],
    /// What its terms say about a login of one's own, with a link; for `CLIENT_ID_REQUIRED`.
    pub terms: Option<&'static str>,
    /// How a user gets a client for a login.
    pub(crate) registration: Option<&'static Registration>,
    /// What says where its credentials go: a trusted project's file, else the last layer to set
    /// more than a choice among accounts.
    pub origin_of_definition: Provenance,
    /// Where a file that defines it was looked for, of a provider that has one.
    pub searched: Vec<PathBuf>,
    /// Keys that are set and have no effect.
    pub unused_keys: Vec<ConfigError>,
    /// What is wrong with that file; each use of the provider fails with it.
    pub fault: Option<ConfigError>,
}

impl Provider {
    /// Whether a login may use this grant. A client speaks for itself only where that was asked
    /// for.
    pub(crate) fn allows(&self, grant: Grant) -> bool {
        match &self.grants {
            Some(grants) => grants.contains(&grant),
            None => grant != Grant::ClientCredentials,
        }
    }

    /// Forbids a project's file to have files of ours read for it.
    pub(super) fn protect(&mut self, ours: &Arc<[PathBuf]>) {
        let secrets = [
            &mut self.client_secret,
            &mut self.private_key,
            &mut self.assertion,
        ];
        for secret in secrets.into_iter().flatten() {
            secret.protected = ours.clone();
        }
    }

    /// The pool of a call: the one that it names, else the configured one.
    pub(crate) fn pool<'a>(&'a self, named: Option<&'a str>) -> &'a str {
        let configured = named.or(self.namespace.as_deref());
        configured.unwrap_or(DEFAULT_NAMESPACE)
    }

    /// The redirect URIs registered with the server, in the order in which they are tried; empty
    /// for any free port.
    pub(crate) fn redirect_uris(&self) -> impl Iterator<Item = &Url> {
        self.redirect_uri.iter().chain(&self.fallback_redirect_uris)
    }
}

/// A way to obtain tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Grant {
    /// A page that sends a code back (RFC 6749 §4.1).
    AuthorizationCode,
    /// A code that is entered on another device (RFC 8628).
    DeviceCode,
    /// The client's own credentials, without a person (RFC 6749 §4.4).
    ClientCredentials,
    /// A token of another issuer, without a person (RFC 7523 §2.1).
    JwtBearer,
}

/// How a credential is written into a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderTemplate {
    /// The header, in lower case.
    pub name: String,
    /// The word before the credential; empty for the bare credential.
    pub scheme: String,
    /// How the credential itself is written.
    pub form: CredentialForm,
}

/// Where a definition comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Provenance {
    /// Shipped with this product.
    BuiltIn,
    /// The user's own config file.
    User(PathBuf),
    /// The config file of the project that is worked on; anyone may have written it.
    Project(PathBuf),
    /// The options of `configure`.
    Inline,
}

impl Provenance {
    /// The file, where there is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::User(file) | Self::Project(file) => Some(file),
            Self::BuiltIn | Self::Inline => None,
        }
    }
}
