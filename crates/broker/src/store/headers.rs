//! The headers that carry a credential, and how they go together with a caller's own.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use provider_auth_policy::{AccountKind, Gather as _};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::credential::Credential;
use crate::config::{CredentialForm, HeaderTemplate, Provider};
use crate::error::BrokerError;
use crate::providers::appended_headers;

/// What becomes of a provider's further headers, beside the credential, where a caller sets them
/// too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRules {
    /// Names of those whose value is added to the caller's.
    pub appended: Vec<String>,
    /// Names of those where the caller's value is kept.
    pub defaulted: Vec<String>,
}

impl HeaderRules {
    pub(crate) fn of(provider: &Provider) -> Self {
        let extra = provider.oauth_extra.iter().chain(&provider.api_extra);
        let names: BTreeSet<&String> = extra.map(|(name, _)| name).gather();
        let lists = appended_headers();
        let (appended, defaulted) = names
            .into_iter()
            .cloned()
            .partition(|name| lists.contains(name.as_str()));
        Self {
            appended,
            defaulted,
        }
    }
}

/// Headers of one account, made once per record and not per request. Debug output names them and
/// shows no value.
#[derive(Default)]
pub struct HeaderSet {
    lines: Vec<(String, Zeroizing<String>)>,
}

impl HeaderSet {
    /// The headers that authenticate requests of this provider with this credential.
    pub(crate) fn new(provider: &Provider, credential: &Credential) -> Self {
        let template = Self::template(provider, credential);
        let extra = match credential.kind() {
            AccountKind::Api => &provider.api_extra,
            _ => &provider.oauth_extra,
        };
        let secret = credential.bearer().expose_secret();
        // Sized first, so that growing leaves no copy of the secret behind; base64 makes four
        // characters of three.
        let mut value = Zeroizing::new(String::with_capacity(
            template.scheme.len() + 8 + secret.len() * 4 / 3,
        ));
        if !template.scheme.is_empty() {
            value.push_str(&template.scheme);
            value.push(' ');
        }
        match template.form {
            CredentialForm::Plain => value.push_str(secret),
            CredentialForm::BasicUser => {
                let mut user = Zeroizing::new(String::with_capacity(secret.len() + 1));
                user.push_str(secret);
                user.push(':');
                STANDARD.encode_string(user.as_bytes(), &mut value);
            }
        }
        let mut lines = vec![(template.name.clone(), value)];
        lines.extend(
            extra
                .iter()
                .map(|(name, value)| (name.clone(), Zeroizing::new(value.clone()))),
        );
        Self { lines }
    }

    /// The header that carries the credential.
    pub(crate) fn template<'a>(
        provider: &'a Provider,
        credential: &Credential,
    ) -> &'a HeaderTemplate {
        match credential.kind() {
            AccountKind::Api => &provider.api_header,
            _ => &provider.oauth_header,
        }
    }

    /// Refuses a secret that cannot be part of a header (RFC 9110 §5.5), without repeating it.
    pub(crate) fn check_key(key: &SecretString) -> Result<(), BrokerError> {
        let key = key.expose_secret();
        if key.is_empty()
            || key.len() > 16 * 1024
            || !key.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(BrokerError::InvalidArgument(
                "apiKey: expected 1 to 16,384 visible ASCII characters, without spaces or line breaks".to_owned(),
            ));
        }
        Ok(())
    }

    /// Name, in lower case, and value of each header.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.lines
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl std::fmt::Debug for HeaderSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.lines.iter().map(|(name, _)| name))
            .finish()
    }
}
