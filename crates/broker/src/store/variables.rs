//! The environment variables in which programs look for a credential.

use provider_auth_policy::AccountKind;

use super::credential::Credential;
use super::secret::Secret;
use crate::config::Provider;
use crate::providers::built_in;

/// The variables of one credential.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// Those in which programs look for it; the usual one first.
    pub own: Vec<String>,
    /// Those in which the same programs look for another kind of credential, which they may prefer.
    pub rival: Vec<String>,
}

impl Variables {
    pub(crate) fn of(provider: &Provider, credential: &Credential) -> Self {
        if let Secret::Wellknown { variable, .. } = &credential.secret {
            return Self {
                own: variable.iter().cloned().collect(),
                rival: Vec::new(),
            };
        }
        let Some(known) = built_in(&provider.id) else {
            return Self::default();
        };
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let (keys, tokens) = (owned(known.key_variables), owned(known.token_variables));
        let goes_where_keys_go = provider.oauth_header == provider.api_header;
        let (own, rival) = match credential.kind() {
            AccountKind::Api => (keys, tokens),
            _ if goes_where_keys_go => (keys, tokens),
            _ => (tokens, keys),
        };
        Self { own, rival }
    }
}
