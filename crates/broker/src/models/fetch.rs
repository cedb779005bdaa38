//! Asks a provider for its list of models, with the credential of the account that the pool lends:
//! like any request, with rotation, refresh and cooldowns.
//!
//! No redirect is followed, so the credential stays on its origin. Further pages are asked for with
//! the account that brought the first one, since a list is of one account.

use std::collections::HashSet;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header::ACCEPT};
use provider_auth_oauth::HttpError;
use provider_auth_policy::{
    AccountId, Action, Failure, Gather as _, OBSERVED_HEADERS, Reason, Standing,
};
use url::Url;

use super::shape::{self, Fault, Model, Page};
use super::{ModelService, no_known_list};
use crate::config::Provider;
use crate::error::BrokerError;
use crate::limits;
use crate::refusal::LocalRefusal;
use crate::request::{AuthRequest, Lease, Report, Verdict};
use crate::store::HeaderSet;
use crate::store::entry::Entry;

/// The answer to go by, and whose it is.
struct Answer {
    entry: Arc<Entry>,
    status: StatusCode,
    body: Vec<u8>,
    verdict: Verdict,
}

impl ModelService {
    /// Fetches the list of models, from the first of the provider's addresses that has one.
    pub(super) async fn fetch_models(
        self: &Arc<Self>,
        provider: &Provider,
        request: &AuthRequest,
    ) -> Result<(Arc<Entry>, Vec<Model>), BrokerError> {
        let mut addresses = provider.models_urls.iter().peekable();
        while let Some(address) = addresses.next() {
            let answer = self.ask(provider, request, address).await?;
            let page = page(provider, address, &answer);
            // The next address is for a server that does not know this one; some answer with a page
            // for people.
            if addresses.peek().is_some() && is_elsewhere(answer.status, &page) {
                continue;
            }
            let page = page.map_err(|why| why.error)?;
            let models = self
                .all_pages(provider, request, address, &answer.entry, page)
                .await?;
            return Ok((answer.entry, models));
        }
        Err(no_known_list(provider))
    }

    async fn all_pages(
        self: &Arc<Self>,
        provider: &Provider,
        request: &AuthRequest,
        address: &Url,
        entry: &Arc<Entry>,
        first: Page,
    ) -> Result<Vec<Model>, BrokerError> {
        let request = AuthRequest {
            account: Some(entry.view.id.to_string()),
            ..request.clone()
        };
        let (mut seen, mut models) = (HashSet::new(), Vec::new());
        let (mut left_out, mut next) = (0, Some(first));
        for _ in 0..limits::MODEL_PAGES {
            let Some(page) = next.take() else { break };
            let known = models.len();
            left_out += page.left_out;
            models.extend(
                page.models
                    .into_iter()
                    .filter(|model| seen.insert(model.id.clone())),
            );
            let Some((parameter, cursor)) = page.next else {
                return some(provider, address, models, left_out);
            };
            // A server that does not know the parameter sends the same page for ever.
            if models.len() == known && page.left_out == 0 {
                return some(provider, address, models, left_out);
            }
            let address = with_parameter(address, parameter, &cursor);
            let answer = self.ask(provider, &request, &address).await?;
            next = Some(self::page(provider, &address, &answer).map_err(|why| why.error)?);
        }
        Err(unusable(provider, address, "has too many pages"))
    }

    /// Sends one request, again where the verdict says so, until an answer is the one to go by.
    async fn ask(
        self: &Arc<Self>,
        provider: &Provider,
        request: &AuthRequest,
        address: &Url,
    ) -> Result<Answer, BrokerError> {
        let mut request = AuthRequest {
            url: Some(address.to_string()),
            ..request.clone()
        };
        loop {
            let lease = self.requests.headers(&request).await?;
            let outcome = self
                .store
                .host
                .lists
                .send(get(
                    lease.headers(),
                    lease.url.as_deref().unwrap_or(address.as_str()),
                )?)
                .await;
            let verdict = self.requests.report(&report(&lease, &outcome)).await?;
            if verdict.action == Action::Retry {
                tokio::time::sleep(verdict.delay).await;
                request.retry_of = Some(lease.attempt);
                continue;
            }
            let response = outcome
                .map_err(|error| unusable(provider, address, &format!("failed: {error}")))?;
            return Ok(Answer {
                entry: lease.entry().clone(),
                status: response.status(),
                body: response.into_body(),
                verdict,
            });
        }
    }
}

/// Why there is no page.
struct NoPage {
    fault: Option<Fault>,
    error: BrokerError,
}

fn page(provider: &Provider, address: &Url, answer: &Answer) -> Result<Page, NoPage> {
    if !answer.status.is_success() {
        return Err(NoPage {
            fault: None,
            error: refused(provider, address, answer),
        });
    }
    let page = match &provider.models_shape {
        Some(own) => own.read(|shape| shape::read(&[shape], &answer.body)),
        None => shape::read(provider.models.shapes, &answer.body),
    };
    page.map_err(|fault| NoPage {
        fault: Some(fault),
        error: unusable(provider, address, &fault.to_string()),
    })
}

fn is_elsewhere(status: StatusCode, page: &Result<Page, NoPage>) -> bool {
    let is_no_json = || {
        page.as_ref()
            .is_err_and(|why| why.fault == Some(Fault::NotJson))
    };
    matches!(
        status,
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
    ) || is_no_json()
}

/// The list, unless it is empty: such a list is of no use, and mostly a fault of the server or of
/// the address.
fn some(
    provider: &Provider,
    address: &Url,
    models: Vec<Model>,
    left_out: usize,
) -> Result<Vec<Model>, BrokerError> {
    match (models.is_empty(), left_out) {
        (false, _) => Ok(models),
        (true, 0) => Err(unusable(provider, address, "has an empty list")),
        (true, _) => Err(unusable(
            provider,
            address,
            "lists no model that this account may use",
        )),
    }
}

pub(super) fn get(headers: &HeaderSet, url: &str) -> Result<Request<Vec<u8>>, BrokerError> {
    let broken = |_| BrokerError::InvalidArgument("modelsUrl: cannot be requested".to_owned());
    let mut request = Request::get(url)
        .header(ACCEPT, "application/json")
        .body(Vec::new())
        .map_err(broken)?;
    for (name, value) in headers.iter() {
        let name = HeaderName::try_from(name).map_err(|error| broken(error.into()))?;
        let mut value = HeaderValue::try_from(value).map_err(|error| broken(error.into()))?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}

fn report(lease: &Lease, outcome: &Result<Response<Vec<u8>>, HttpError>) -> Report {
    let attempt = lease.attempt.clone();
    match outcome {
        Ok(response) => {
            let text = |name: &&str| {
                let value = response.headers().get(*name)?.to_str().ok()?;
                Some(((*name).to_owned(), value.to_owned()))
            };
            let status = match response.status() {
                // The list is forbidden, not the account: a key may lack the right to it and serve
                // all else.
                StatusCode::FORBIDDEN => StatusCode::NOT_FOUND,
                status => status,
            };
            let has_reason = status.as_u16() >= 400 && status == response.status();
            Report {
                attempt,
                status: Some(status.as_u16()),
                headers: OBSERVED_HEADERS.iter().filter_map(text).gather(),
                body: has_reason.then(|| String::from_utf8_lossy(response.body()).into_owned()),
                failure: None,
            }
        }
        // An answer came, and what is wrong with it says nothing about the account.
        Err(HttpError::TooLarge) => Report {
            attempt,
            status: Some(StatusCode::OK.as_u16()),
            ..Report::default()
        },
        Err(_) => Report {
            attempt,
            // A list may be asked for again, whatever became of the first request.
            failure: Some(Failure::Network),
            ..Report::default()
        },
    }
}

/// What a status other than 2xx means for the caller.
fn refused(provider: &Provider, address: &Url, answer: &Answer) -> BrokerError {
    let Verdict {
        reason,
        cooldown_until,
        retry_at,
        ..
    } = answer.verdict;
    let standing = match reason {
        Reason::NeedsLogin => Some(Standing::NeedsLogin),
        Reason::NeedsVerification => Some(Standing::NeedsVerification),
        Reason::BlockedByProvider => Some(Standing::BlockedByProvider),
        _ => None,
    };
    if let Some(standing) = standing {
        return BrokerError::NeedsLogin {
            provider: provider.id.to_string(),
            account: Some(answer.entry.view.id.clone()),
            standing,
            moved_at: None,
        };
    }
    if reason.is_limit() {
        return BrokerError::Exhausted {
            provider: provider.id.to_string(),
            account: None::<AccountId>,
            retry_at: retry_at.or(cooldown_until),
            refusal: Arc::new(LocalRefusal::without_pool(
                &provider.id,
                reason,
                retry_at.or(cooldown_until),
            )),
        };
    }
    let status = answer.status.as_u16();
    let hint = match status {
        300..400 | 404 | 405 => "; set modelsUrl to where the list is",
        _ => "",
    };
    unusable(provider, address, &format!("answered {status}{hint}"))
}

fn unusable(provider: &Provider, address: &Url, what: &str) -> BrokerError {
    // Without the query, which may hold anything.
    let place = format!(
        "{}{}",
        address.origin().ascii_serialization(),
        address.path()
    );
    BrokerError::Network(format!(
        "the models of {} could not be listed: {place} {what}",
        provider.id
    ))
}

fn with_parameter(address: &Url, parameter: &str, value: &str) -> Url {
    let mut next = address.clone();
    let others: Vec<(String, String)> = address
        .query_pairs()
        .filter(|(name, _)| name != parameter)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    next.query_pairs_mut()
        .clear()
        .extend_pairs(others)
        .append_pair(parameter, value);
    next
}
