//! Whether a provider takes an API key: it is asked for its list of models with that key, which is in
//! no pool, so that no request is served with a key that may be wrong.

use http::StatusCode;
use provider_auth_policy::{Reason, Response, reason_of};
use secrecy::SecretString;
use tokio::time::timeout;

use super::fetch::get;
use super::{ModelService, no_known_list};
use crate::config::Provider;
use crate::error::BrokerError;
use crate::limits;
use crate::store::HeaderSet;
use crate::store::audience::Audience;
use crate::store::credential::Credential;
use crate::store::secret::{Secret, Unknown};

/// What a provider says of an API key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyCheck {
    /// It answers.
    Accepted,
    /// It refuses the key, or what the key may do, with this status.
    Refused(u16),
    /// It does not say: no answer, or one about something else.
    Unclear(String),
}

impl ModelService {
    /// Asks the provider for its models with this key. Nothing is stored, lent or counted.
    pub(crate) async fn check_api_key(
        &self,
        provider: &str,
        key: SecretString,
    ) -> Result<KeyCheck, BrokerError> {
        HeaderSet::check_key(&key)?;
        self.store.opened().await?;
        let provider = self.store.provider(provider)?;
        if provider.models_urls.is_empty() {
            return Err(no_known_list(&provider));
        }
        let secret = Secret::Api {
            key,
            other: Unknown::default(),
        };
        let audience = Audience::key(&provider);
        let credential = Credential::new(&provider.id, audience, secret, self.store.now());
        let headers = HeaderSet::new(&provider, &credential);
        let asked = timeout(limits::MODELS_TIMEOUT, self.ask_with(&provider, &headers));
        asked.await.unwrap_or_else(|_| {
            let seconds = limits::MODELS_TIMEOUT.as_secs();
            Ok(KeyCheck::Unclear(format!(
                "no answer came within {seconds} s"
            )))
        })
    }

    async fn ask_with(
        &self,
        provider: &Provider,
        headers: &HeaderSet,
    ) -> Result<KeyCheck, BrokerError> {
        let mut last = KeyCheck::Unclear("it was not asked".to_owned());
        for address in &provider.models_urls {
            let answer = self
                .store
                .host
                .lists
                .send(get(headers, address.as_str())?)
                .await;
            let place = address.origin().ascii_serialization();
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => return Ok(KeyCheck::Unclear(format!("{place}: {error}"))),
            };
            let status = answer.status();
            last = match status {
                _ if status.is_success() => KeyCheck::Accepted,
                _ if is_refusal(provider, status, answer.body()) => {
                    KeyCheck::Refused(status.as_u16())
                }
                _ => KeyCheck::Unclear(format!("{place} answered {}", status.as_u16())),
            };
            // The next address is for a server that does not know this one.
            if !matches!(
                status,
                StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
            ) {
                break;
            }
        }
        Ok(last)
    }
}

/// Whether the answer is about the key, by its status or by what this provider's errors mean.
fn is_refusal(provider: &Provider, status: StatusCode, body: &[u8]) -> bool {
    let body = String::from_utf8_lossy(body);
    let response = Response {
        status: Some(status.as_u16()),
        headers: &|_| None,
        body: Some(&body),
        failure: None,
    };
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
        || matches!(
            reason_of(&provider.signals, &response),
            Reason::NeedsLogin
                | Reason::TokenExpired
                | Reason::Forbidden
                | Reason::NeedsVerification
                | Reason::BlockedByProvider
        )
}
