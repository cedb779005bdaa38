//! Where a request goes, and whether its provider's credentials may go there. A refusal says what to do about it.

use std::sync::Arc;

use provider_auth_policy::{
    AccountKind, AccountView, Pool, Request, Selection, SharedState, Trace, explain,
};
use url::Url;

use crate::accounts::Accounts;
use crate::broker::Broker;
use crate::config::{Origin, Provenance, Provider};
use crate::error::BrokerError;
use crate::lend::{Asked, AuthRequest};
use crate::printable::{visible, visible_text};
use crate::providers;

/// Why a request would fare as it would.
#[derive(Debug)]
pub struct Explained {
    /// What was chosen from, and what was chosen.
    pub trace: Trace,
    /// Why the credentials may not go where the request goes, and what to do about it.
    pub refusal: Option<String>,
}

impl Broker {
    /// Explains how a request would fare now. Nothing is lent, counted or waited for.
    pub async fn explain(self: &Arc<Self>, asked: &AuthRequest) -> Result<Explained, BrokerError> {
        self.opened().await?;
        let mut asked = match self.asked(asked) {
            Err(BrokerError::OriginNotAllowed(why)) => {
                let (request, provider) = self.begun(asked)?;
                return Ok(Explained {
                    trace: self.explain_refusal(&request, &provider),
                    refusal: Some(why),
                });
            }
            asked => asked?,
        };
        let now = self.now();
        Ok(
            self.choose(&mut asked, now, |pool, asked, accounts, selection| {
                let explained = Explained {
                    trace: explain(pool, &asked.request, &selection),
                    refusal: (selection == Selection::OriginRefused)
                        .then(|| self.made_for_elsewhere(accounts, asked)),
                };
                (explained, SharedState::default())
            }),
        )
    }

    /// Explains a request to an address that no account of the provider may serve.
    fn explain_refusal(&self, request: &Request, provider: &Provider) -> Trace {
        let now = self.now();
        self.ledger.decide(now, |state, _| {
            let accounts = self.accounts();
            let (roster, _) = accounts.pool(&provider.id, &request.namespace);
            let mut request = request.clone();
            request.origin_refused = roster.iter().map(|account| account.id.clone()).collect();
            let traffic = self.traffic.lock();
            let pool = Pool {
                roster,
                state,
                traffic: &traffic,
                rotation: &provider.rotation,
                now,
            };
            let trace = explain(&pool, &request, &Selection::OriginRefused);
            (trace, SharedState::default())
        })
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
            Some(origin) if provider.origins.contains(&origin) => Ok(origin),
            _ => {
                let key = match providers::built_in(&provider.id) {
                    Some(_) => "extraOrigins",
                    None => "origins",
                };
                let refusal = BrokerError::OriginNotAllowed(format!(
                    "{} is not one of the origins of {}, so it gets no credential; if it is the provider's, or a gateway's that may \
                     have its credentials, add it to providers.{1}.{key} in {}",
                    parsed.origin().ascii_serialization(),
                    provider.id,
                    self.where_configured(provider)
                ));
                Err(self.refused_address(&provider.id, url, refusal))
            }
        }
    }

    /// Says that no account of the pool was made for where the request goes, and how one is.
    pub(crate) fn made_for_elsewhere(&self, accounts: &Accounts, asked: &Asked) -> String {
        let id = &asked.provider.id;
        let (roster, _) = accounts.pool(id, &asked.request.namespace);
        let refused: Vec<&AccountView> = roster
            .iter()
            .filter(|account| asked.request.origin_refused.contains(&account.id))
            .collect();
        let made_under = |account: &AccountView| {
            let entry = accounts.get(&account.id)?;
            entry.credential.belongs.project.clone()
        };
        let current = match &asked.provider.origin_of_definition {
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
            asked.origin,
            self.where_configured(&asked.provider),
            remedies.join("; or ")
        )
    }

    /// Where the user says what the provider is.
    fn where_configured(&self, provider: &Provider) -> String {
        let users = || self.settings().user_file.clone();
        let file = match &provider.origin_of_definition {
            Provenance::Inline => return "the config that is given to configure()".to_owned(),
            Provenance::User(file) | Provenance::Project(file) => Some(file.clone()),
            Provenance::BuiltIn => users(),
        };
        file.map_or_else(|| "your config.jsonc".to_owned(), |file| visible(&file))
    }
}
