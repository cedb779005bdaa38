//! The form of a descriptor, and what its data is written with.

use provider_auth_oauth::{ClientAuth, Dialect, ErrorRule, Meaning};
use provider_auth_policy::Signals;

use super::bound::BoundItems;
use super::headers::Template;
use super::models::ModelLists;
use super::streams::StreamShape;

/// What is known of a provider before the user says anything.
pub(crate) struct Descriptor {
    /// Its id.
    pub(crate) id: &'static str,
    /// Where logins happen; [`Endpoints::NONE`] unless every user may get a client there.
    pub(crate) endpoints: Endpoints,
    /// The redirect URI of a login without a configured one; another port is taken where its own is
    /// in use.
    pub(crate) callback: Option<&'static str>,
    pub(crate) dialect: fn() -> Dialect,
    /// How a client that has a secret authenticates.
    pub(crate) client_auth: ClientAuth,
    pub(crate) scopes: &'static [&'static str],
    pub(crate) origins: &'static [&'static str],
    pub(crate) oauth_header: Template,
    pub(crate) api_header: Template,
    /// Further headers beside an access token.
    pub(crate) oauth_extra: &'static [(&'static str, &'static str)],
    /// Further headers beside an API key.
    pub(crate) api_extra: &'static [(&'static str, &'static str)],
    /// Those of them that are lists: ours is appended to a caller's own value. Of the others, the
    /// caller's value is kept.
    pub(crate) appended_headers: &'static [&'static str],
    /// Where its models are listed, and in which form.
    pub(crate) models: &'static ModelLists,
    /// Whether several logins of a pool stand in for one another: false where the terms do not
    /// offer it.
    pub(crate) pool_logins: bool,
    pub(crate) signals: &'static Signals,
    /// What in a request only the account that made it can serve.
    pub(crate) bound_items: &'static BoundItems,
    /// How its event streams look; empty where a broken stream must not be asked for again.
    pub(crate) streams: &'static [StreamShape],
    /// Parameters of a URL's query in which SDKs send a key: deleted, as
    /// [`KEY_HEADERS`](super::KEY_HEADERS) are.
    pub(crate) key_parameters: &'static [&'static str],
    /// Variables in which programs look for an API key of it; of several, the usual one comes
    /// first.
    pub(crate) key_variables: &'static [&'static str],
    /// Variables in which they look for an access token, where that goes into another header than a
    /// key; where it does not, they are those of the key.
    pub(crate) token_variables: &'static [&'static str],
    /// Other ids under which OpenCode keeps its credentials.
    pub(crate) opencode_ids: &'static [&'static str],
    /// A sentence and a link for users who want to log in but have no client id.
    pub(crate) terms: Option<&'static str>,
    /// How a user gets a client; `None` where the provider offers none to other programs.
    pub(crate) registration: Option<&'static Registration>,
}

/// How a user registers a client of their own.
#[derive(Debug)]
pub(crate) struct Registration {
    /// The page that says how; `None` for that of the issuer that the user has named.
    pub(crate) url: Option<&'static str>,
    /// What to do there, and after it.
    pub(crate) steps: &'static [&'static str],
    /// The keys to set in the configuration, each with a text that says what stands there.
    pub(crate) settings: &'static [(&'static str, &'static str)],
}

/// The endpoints of an authorization server: URLs, or paths on the issuer that the user names.
#[derive(Clone, Copy)]
pub(crate) struct Endpoints {
    pub(crate) issuer: Option<&'static str>,
    pub(crate) authorization: Option<&'static str>,
    pub(crate) token: Option<&'static str>,
    pub(crate) device: Option<&'static str>,
    pub(crate) revocation: Option<&'static str>,
    pub(crate) userinfo: Option<&'static str>,
    pub(crate) jwks: Option<&'static str>,
    pub(crate) exchange: Option<&'static str>,
}

impl Endpoints {
    /// No server known.
    pub(crate) const NONE: Self = Self {
        issuer: None,
        authorization: None,
        token: None,
        device: None,
        revocation: None,
        userinfo: None,
        jwks: None,
        exchange: None,
    };
}

/// Owned name and value pairs.
pub(super) fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// Owned texts.
pub(super) fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).into()
}

/// A status, whatever the error's name, with a meaning.
pub(super) fn status_means(status: u16, meaning: Meaning) -> ErrorRule {
    ErrorRule {
        status: Some(status),
        error: None,
        meaning,
    }
}
