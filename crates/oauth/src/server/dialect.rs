//! How a server's OAuth differs from the standard, as data. The default is the standard.

use std::time::Duration;

use url::Url;

/// The differences of one server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dialect {
    /// Extra parameters of the authorization URL.
    pub authorize: Vec<(String, String)>,
    /// Parameters of the authorization URL that are left out, though the kind of login has them.
    pub authorize_left_out: Vec<String>,
    /// Start of a device login.
    pub device: StepDialect,
    /// Code exchange and device poll.
    pub token: StepDialect,
    /// Refresh.
    pub refresh: StepDialect,
    /// Exchange of an assertion (RFC 7523).
    pub assertion: StepDialect,
    /// Revocation.
    pub revoke: StepDialect,
    /// Send `state` in the code exchange too (Anthropic).
    pub state_in_token_body: bool,
    /// Names of token response fields: theirs, ours. As `("accessToken", "access_token")` (Cursor).
    pub rename: Vec<(String, String)>,
    /// What certain statuses and error names mean; looked at before the standard ones.
    pub errors: Vec<ErrorRule>,
    /// Where the identity stands.
    pub identity: IdentityPaths,
    /// Where the endpoints are looked up.
    pub discovery: Discovery,
    /// Other names under which the server calls itself (Oracle Cloud has one for all domains).
    pub issuers: Vec<Url>,
    /// Take whatever name the server gives itself, as one that has a name per tenant.
    pub any_issuer: bool,
    /// What is checked of an id token.
    pub id_token: IdTokenCheck,
    /// Send the access token to where the server publishes its keys (Oracle Cloud, unless its
    /// administrator opens that).
    pub jwks_needs_token: bool,
    /// Send a PKCE challenge with the start of a device login, and the verifier with each poll
    /// (Qwen).
    pub device_pkce: bool,
    /// Pause between two polls of a device login when the server names none;
    /// [`limits::POLL_INTERVAL`](crate::limits::POLL_INTERVAL) when absent.
    pub poll_interval: Option<Duration>,
    /// How much longer each `slow_down` makes the pause; 5 s when absent (RFC 8628 §3.5).
    pub slow_down: Option<Duration>,
    /// The server issues the client with the first login (Sign in with ChatGPT).
    pub issued_client: Option<IssuedClient>,
    /// A scope without which a login is of no use.
    pub required_scope: Option<String>,
    /// The login is a page, and its outcome is asked for until it is known (Cursor).
    pub page_poll: Option<PagePoll>,
    /// How the next access token is obtained.
    pub renewal: Renewal,
    /// The status by which the exchange endpoint says that it does not know the login's token: that
    /// one then serves itself (Copilot).
    pub no_exchange: Option<u16>,
    /// Where in a token response the address of the API stands, as a JSON pointer (Copilot, Qwen).
    pub api_url: Option<String>,
    /// A field that, when it is true in a good answer, says that the login is over (Cursor).
    pub ended: Option<String>,
}

/// Where a server's endpoints are looked up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Discovery {
    /// At the places that the standards name.
    #[default]
    Standard,
    /// Nowhere: what is not configured is not there.
    Never,
    /// In a document of its own.
    Document {
        /// Where it lies; at the standard places when absent.
        url: Option<Url>,
        /// The key under which the metadata stand in it (`openid-configuration`, of Oracle Cloud);
        /// at its top when absent.
        key: Option<String>,
    },
}

/// What is checked of an id token. It comes straight from the token endpoint over TLS, so its
/// signature need not be (OpenID Connect Core §3.1.3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum IdTokenCheck {
    /// Nothing.
    Off,
    /// The nonce, of one that has any.
    #[default]
    Nonce,
    /// And issuer, audience and time; a login without an id token fails.
    Claims,
    /// And the signature.
    Signature,
}

/// How a server issues a client with the first login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedClient {
    /// The client id of the first login; its answer brings the one to use from then on.
    pub first_id: String,
    /// Parameters of the first authorization URL.
    pub params: Vec<(String, String)>,
    /// Name of the parameter that says which installation asks, as a UUID.
    pub installation: String,
}

/// The parameters of a login whose outcome is polled for: PKCE, without a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PagePoll {
    /// Of the page: the S256 challenge.
    pub challenge: String,
    /// Of page and poll: the UUID that ties them together.
    pub id: String,
    /// Of the poll: the verifier.
    pub proof: String,
}

/// How the next access token is obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Renewal {
    /// By a refresh token (RFC 6749 §6).
    #[default]
    RefreshToken,
    /// By exchanging the refresh token, sent as a bearer token (Cursor).
    Exchange,
    /// By exchanging the token of the login, sent as a bearer token; the login itself begins with
    /// that (Copilot).
    ExchangeLogin,
}

/// The differences of one kind of request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StepDialect {
    /// Encoding of the request's body.
    pub encoding: Encoding,
    /// Extra parameters. One that the flow itself sets is not replaced.
    pub params: Vec<(String, String)>,
    /// Parameters that are left out, though the kind of login has them. Those of the flow itself
    /// never are.
    pub left_out: Vec<String>,
    /// Extra headers, in lower case.
    pub headers: Vec<(String, String)>,
}

/// The kinds of request to an authorization server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Start of a device login.
    Device,
    /// Poll of a device login.
    Poll,
    /// Code exchange.
    Token,
    /// Refresh.
    Refresh,
    /// Exchange of an assertion.
    Assertion,
    /// Revocation.
    Revoke,
}

impl Step {
    /// Returns the name of the endpoint that serves this step.
    pub(crate) fn endpoint(self) -> &'static str {
        match self {
            Self::Device => "device authorization endpoint",
            Self::Poll | Self::Token | Self::Refresh | Self::Assertion => "token endpoint",
            Self::Revoke => "revocation endpoint",
        }
    }

    /// Returns how a server differs in this step.
    pub(crate) fn dialect(self, dialect: &Dialect) -> &StepDialect {
        match self {
            Self::Device => &dialect.device,
            Self::Poll | Self::Token => &dialect.token,
            Self::Refresh => &dialect.refresh,
            Self::Assertion => &dialect.assertion,
            Self::Revoke => &dialect.revoke,
        }
    }
}

/// Encoding of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// `application/x-www-form-urlencoded`, as RFC 6749 has it.
    #[default]
    Form,
    /// A flat JSON object of strings (Anthropic, Codex).
    Json,
}

/// Gives a status, an error name, or both together a meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorRule {
    /// HTTP status; any when absent.
    pub status: Option<u16>,
    /// Error name; any, or none at all, when absent.
    pub error: Option<String>,
    /// What it means.
    pub meaning: Meaning,
}

/// What a refusal means. The first four are only meant for device polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The user is not done yet.
    Pending,
    /// Not done yet, and polled too often.
    SlowDown,
    /// The user refused.
    Denied,
    /// The device code ran out.
    Expired,
    /// The code or refresh token is dead.
    InvalidGrant,
}

/// Where the identity stands: JSON pointers (RFC 6901), tried in order in the id token's claims,
/// then in the token response's extra fields, then in the claims of an access token that is a JWT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityPaths {
    /// Stable id of the user.
    pub subject: Vec<String>,
    /// Organisation, tenant or workspace that the grant is for.
    pub organization: Vec<String>,
    /// E-mail address, for display only.
    pub email: Vec<String>,
    /// Name of the plan.
    pub plan: Vec<String>,
}

impl Default for IdentityPaths {
    fn default() -> Self {
        let paths = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        Self {
            subject: paths(&["/sub"]),
            organization: paths(&["/org_id", "/organization_id", "/tid"]),
            email: paths(&["/email"]),
            plan: paths(&["/plan"]),
        }
    }
}
