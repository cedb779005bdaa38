//! The headers of requests: how a credential is written into one, and which ones hold more than the
//! provider's own.

/// How a credential itself is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CredentialForm {
    /// As it is.
    #[default]
    Plain,
    /// As the user name of HTTP Basic authentication, without a password (RFC 7617).
    BasicUser,
}

/// A header, and how the credential is written in it.
#[derive(Clone, Copy)]
pub(crate) struct Template {
    pub(crate) name: &'static str,
    pub(crate) scheme: &'static str,
    pub(crate) form: CredentialForm,
}

impl Template {
    /// `authorization: Bearer …` (RFC 6750).
    pub(crate) const BEARER: Self = Self {
        name: "authorization",
        scheme: "Bearer",
        form: CredentialForm::Plain,
    };

    /// `authorization: Basic …` with the credential as user name and no password (RFC 7617).
    pub(crate) const BASIC_USER: Self = Self {
        name: "authorization",
        scheme: "Basic",
        form: CredentialForm::BasicUser,
    };

    /// A header that holds nothing but the credential.
    pub(crate) const fn bare(name: &'static str) -> Self {
        Self {
            name,
            scheme: "",
            form: CredentialForm::Plain,
        }
    }
}

/// The headers in which SDKs send a key. All are deleted before ours is set: a placeholder that
/// stays behind would reach the provider, and some providers refuse two credentials in one request.
pub(crate) const KEY_HEADERS: &[&str] =
    &["api-key", "authorization", "x-api-key", "x-goog-api-key"];

/// The headers in which hosts name the conversation that a request belongs to; the first one that
/// is set counts.
pub const SESSION_HEADERS: &[&str] = &[
    "x-session-id",
    "x-session-affinity",
    "x-claude-code-session-id",
];
