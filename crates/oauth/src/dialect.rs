//! How a server's OAuth differs from the standard, as data. The default is the standard.

/// The differences of one server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dialect {
    /// Extra parameters of the authorization URL.
    pub authorize: Vec<(String, String)>,
    /// Start of a device login.
    pub device: StepDialect,
    /// Code exchange and device poll.
    pub token: StepDialect,
    /// Refresh.
    pub refresh: StepDialect,
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
}

/// The differences of one kind of request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StepDialect {
    /// Encoding of the request's body.
    pub encoding: Encoding,
    /// Extra parameters. One that the flow itself sets is not replaced.
    pub params: Vec<(String, String)>,
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

/// Where the identity stands: JSON pointers (RFC 6901), tried in order in the id token's claims, then in the token
/// response's extra fields, then in the claims of an access token that is a JWT.
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
