//! Where a provider serves one account, if it says so in a token response.

use std::sync::Arc;

use provider_auth_oauth::{Server, Tokens, without_secrets};
use provider_auth_vault::line;
use serde_json::Value;
use url::Url;

use super::OauthEndpoints;
use crate::config::{Origin, Provider};
use crate::log::Shown;
use crate::store::credential::Credential;

impl OauthEndpoints {
    /// Takes over where the provider serves the account from now on, if it says so in a renewal.
    pub(crate) fn follow_api(&self, credential: &mut Credential, tokens: &Tokens) {
        let Ok(provider) = self.store.provider(&credential.provider) else {
            return;
        };
        let Some(server) = &provider.server else {
            return;
        };
        match named_api(&provider, server, tokens) {
            Ok(Some(api)) => Arc::make_mut(&mut credential.audience).api = Some(api),
            // The login's own token serves: the host was named for another one.
            Ok(None) if credential.is_login_token(&tokens.access) => {
                Arc::make_mut(&mut credential.audience).api = None;
            }
            Ok(None) => {}
            // The token goes where the account was served before, and nowhere else.
            Err(host) => {
                line!(
                    WARN,
                    provider = Shown(&provider.id),
                    host = Shown(&host),
                    "the provider names an address outside its origins"
                );
            }
        }
    }
}

/// The origin where the provider says that it serves this account; an address that is not one of
/// its origins is an error.
pub(crate) fn named_api(
    provider: &Provider,
    server: &Server,
    tokens: &Tokens,
) -> Result<Option<Origin>, String> {
    let said = Value::Object(tokens.extra.clone());
    let pointer = server.dialect.api_url.as_deref();
    let Some(named) = pointer.and_then(|pointer| said.pointer(pointer)?.as_str()) else {
        return Ok(None);
    };
    // Qwen names the bare host.
    let address = match named.contains("://") {
        true => named.to_owned(),
        false => format!("https://{named}"),
    };
    let url = Url::parse(&address).map_err(|_| "something that is no URL".to_owned())?;
    match Origin::of(&url) {
        Some(origin) if provider.origins.contains(&origin) => Ok(Some(origin)),
        _ => {
            let tokens = tokens.refresh.iter().chain([&tokens.access]);
            let tokens: Vec<_> = tokens.collect();
            let host = url.host_str().unwrap_or("no host");
            Err(without_secrets(host, &tokens))
        }
    }
}
