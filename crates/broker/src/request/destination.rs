//! Where a request goes, and whether its provider's credentials may go there. A refusal says what
//! to do about it.

use std::sync::Arc;

use provider_auth_policy::{AccountKind, AccountView, Request, Selection, Trace, explain};
use url::Url;

use super::RequestService;
use super::pending::{AuthRequest, PendingRequest};
use crate::config::{Origin, Provenance, Provider};
use crate::error::BrokerError;
use crate::printable::{visible, visible_text};
use crate::providers;
use crate::store::accounts::Accounts;

/// Why a request would fare as it would.
#[derive(Debug)]
pub struct Explained {
    /// What was chosen from, and what was chosen.
    pub trace: Trace,
    /// Why the credentials may not go where the request goes, and what to do about it.
    pub refusal: Option<String>,
}

impl RequestService {
    /// Explains how a request would fare now. Nothing is lent, counted or waited for.
    pub(crate) async fn explain(
        self: &Arc<Self>,
        asked: &AuthRequest,
    ) -> Result<Explained, BrokerError> {
        self.store.opened().await?;
        let mut pending = match self.pending(asked) {
            Err(BrokerError::OriginNotAllowed(why)) => {
                let begun = self.begun(asked)?;
                return Ok(Explained {
                    trace: self.explain_refusal(&begun.request, &begun.provider),
                    refusal: Some(why),
                });
            }
            pending => pending?,
        };
        let now = self.store.now();
        Ok(
            self.choose(&mut pending, now, |looked, pending, selection| {
                let explained = Explained {
                    trace: explain(looked.pool, &pending.request, &selection),
                    refusal: (selection == Selection::OriginRefused)
                        .then(|| self.made_for_elsewhere(looked.accounts, pending)),
                };
                (explained, None)
            }),
        )
    }

    /// Explains a request to an address that no account of the provider may serve.
    fn explain_refusal(&self, request: &Request, provider: &Provider) -> Trace {
        let now = self.store.now();
        self.decide(provider, &request.namespace, now, |looked| {
            let mut request = request.clone();
            let roster = looked.pool.roster;
            request.origin_refused = roster.iter().map(|account| account.id.clone()).collect();
            let trace = explain(looked.pool, &request, &Selection::OriginRefused);
            (trace, None)
        })
    }

    /// Where a request to `url` goes, as far as that is said.
    pub(super) fn destination(
        &self,
        provider: &Provider,
        url: Option<&str>,
    ) -> Result<Option<Origin>, BrokerError> {
        if let Some(url) = url {
            return self.allowed_origin(provider, url).map(Some);
        }
        match provider.origins.is_empty() {
            false => Ok(None),
            true => Err(BrokerError::OriginNotAllowed(format!(
                "{} has no origins, so its credentials go nowhere; name them in providers.{0}.origins in {}",
                provider.id,
                self.where_configured(provider)
            ))),
        }
    }

    /// The origin of `url`, if the provider's credentials may go there at all.
    pub(crate) fn allowed_origin(
        &self,
        provider: &Provider,
        url: &str,
    ) -> Result<Origin, BrokerError> {
        // What follows an origin in a URL as clients write it; anything else is parsed.
        let plain = provider.origins.iter().find(|origin| {
            url.strip_prefix(origin.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
        });
        if let Some(origin) = plain {
            return Ok(origin.clone());
        }
        let parsed = Url::parse(url).map_err(|_| {
            BrokerError::InvalidArgument("url: expected an absolute URL".to_owned())
        })?;
        match Origin::of(&parsed) {
            Some(origin) if provider.origins.contains(&origin) => match has_one_host(url) {
                true => Ok(origin),
                false => Err(BrokerError::InvalidArgument(
                    "url: its host has a backslash, white space or a control character, which programs read differently; write the \
                     URL as it is sent, such as https://api.example.com/v1"
                        .to_owned(),
                )),
            },
            None => Err(BrokerError::OriginNotAllowed(format!(
                "the URL is neither https nor http to this machine (127.0.0.1, [::1] or localhost), so it gets no credential of {}",
                provider.id
            ))),
            Some(origin) => {
                let key = match providers::built_in(&provider.id) {
                    Some(_) => "extraOrigins",
                    None => "origins",
                };
                let refusal = BrokerError::OriginNotAllowed(format!(
                    "{origin} is not one of the origins of {}, so it gets no credential; if it is the provider's, or a gateway's that may \
                     have its credentials, add it to providers.{0}.{key} in {}",
                    provider.id,
                    self.where_configured(provider)
                ));
                Err(self.store.refused_address(&provider.id, url, refusal))
            }
        }
    }

    /// Says that no account of the pool was made for where the request goes, and how one is.
    pub(crate) fn made_for_elsewhere(
        &self,
        accounts: &Accounts,
        pending: &PendingRequest,
    ) -> String {
        let id = &pending.provider.id;
        let (roster, _) = accounts.pool(id, &pending.request.namespace);
        let refused: Vec<&AccountView> = roster
            .iter()
            .filter(|account| pending.request.origin_refused.contains(&account.id))
            .collect();
        let made_under = |account: &AccountView| {
            let entry = accounts.get(&account.id)?;
            entry.credential.audience.project.clone()
        };
        let current = match &pending.provider.origin_of_definition {
            Provenance::Project(file) => file.to_str(),
            _ => None,
        };
        let elsewhere: Option<String> = refused.iter().copied().find_map(made_under);
        if let Some(file) = elsewhere.filter(|file| Some(file.as_str()) != current) {
            return format!(
                "the accounts of {id} were made under the project file {}, and serve under that very file only; sign in or add the key here too",
                visible_text(&file)
            );
        }
        let (keys, logins): (Vec<_>, Vec<_>) = refused
            .into_iter()
            .partition(|account| account.kind == AccountKind::Api);
        let mut remedies = Vec::new();
        if !keys.is_empty() {
            remedies.push(format!(
                "add the key again, which keeps the account: addApiKey({{ provider: \"{id}\", apiKey }})"
            ));
        }
        if !logins.is_empty() {
            remedies.push(format!("sign in again: login({{ provider: \"{id}\" }})"));
        }
        format!(
            "no account of {id} was made for {}: {} names other endpoints, origins or another client than when it was added; if \
             you changed that yourself, {}",
            pending
                .origin
                .as_ref()
                .map_or("any of its origins", Origin::as_str),
            self.where_configured(&pending.provider),
            remedies.join("; or ")
        )
    }

    /// Where the user says what the provider is.
    fn where_configured(&self, provider: &Provider) -> String {
        let users = || self.store.settings().user_file.clone();
        let file = match &provider.origin_of_definition {
            Provenance::Inline => return "the config that is given to configure()".to_owned(),
            Provenance::User(file) | Provenance::Project(file) => Some(file.clone()),
            Provenance::BuiltIn => users(),
        };
        file.map_or_else(|| "your config.jsonc".to_owned(), |file| visible(&file))
    }
}

/// Whether every program reads the same host out of a URL that parses. In `https://a\@b` it is `a` for browsers and for us,
/// and `b` for curl.
fn has_one_host(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_odd = |c: char| c == '\\' || c.is_whitespace() || c.is_control();
    !scheme.contains(is_odd) && !authority.contains(is_odd)
}

#[cfg(test)]
mod tests {
    use super::has_one_host;

    #[test]
    fn a_host_that_programs_read_differently_is_told() {
        for url in [
            r"https://a\@b/",
            r"https:\\a/",
            r"https:/\a/",
            "https:a/",
            " https://a/",
            "https://a\n/",
            "https://a\t.b/",
            "ht\ntps://a/",
        ] {
            assert!(!has_one_host(url), "{url:?}");
        }
        for url in [
            "https://A/",
            "https://a:443",
            "https://a?b",
            r"https://a/b\c",
            "https://a/b c",
        ] {
            assert!(has_one_host(url), "{url:?}");
        }
    }
}
