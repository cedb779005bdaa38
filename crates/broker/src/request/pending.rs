//! A request on its way through its pool, and what a caller gets for it.

use std::sync::Arc;

use provider_auth_policy::{AccountId, Freshness, Reason, Request, Timestamp, Trace, freshness};

use secrecy::SecretString;

use super::asked::Asked;
use crate::config::{Origin, Provider, RequestRotation};
use crate::error::BrokerError;
use crate::log::Number;
use crate::refresh::Due;
use crate::store::entry::Entry;
use crate::store::secret::fingerprint;
use crate::store::{HeaderSet, Variables};

/// What a caller asks headers for.
#[derive(Clone, Debug, Default)]
pub struct AuthRequest {
    /// Provider id.
    pub provider: String,
    /// Pool within the provider.
    pub namespace: Option<String>,
    /// The URL about to be called; `None` for any that the provider's credentials may go to.
    pub url: Option<String>,
    /// Model asked for.
    pub model: Option<String>,
    /// Name of the conversation.
    pub session: Option<String>,
    /// Life of the prompt cache that the request asks for, as its body says it.
    pub cache_ttl: Option<String>,
    /// Pin: an account's id or label.
    pub account: Option<String>,
    /// The attempt that this one retries.
    pub retry_of: Option<String>,
    /// How its pool rotates for it, over what is configured; that of the attempt that it retries
    /// stays.
    pub rotation: Option<Arc<RequestRotation>>,
    /// Names what the request holds and only the account that made it can serve.
    pub bound_by: Option<String>,
    /// Whether the choice is explained, with a [`Trace`].
    pub explain: bool,
}

impl AuthRequest {
    /// Whether it is asked for as others of its conversation are: nothing in it is about this very
    /// request.
    pub(super) fn is_plain(&self) -> bool {
        self.retry_of.is_none() && self.bound_by.is_none() && !self.explain
    }
}

/// Headers that authenticate one request, and the handle of the attempt.
pub struct Lease {
    /// Handle, for the report.
    pub attempt: String,
    /// Why this account serves, for who asked.
    pub trace: Option<Trace>,
    /// Where the request goes instead, if the provider serves this account elsewhere.
    pub url: Option<String>,
    /// The number by which the same can be asked for again; `None` where that is not to be had.
    pub again: Option<u64>,
    pub(super) provider: Arc<Provider>,
    pub(super) entry: Arc<Entry>,
}

impl Lease {
    /// The account that serves.
    pub fn account_id(&self) -> &str {
        self.entry.view.id.as_str()
    }

    pub(crate) fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// Tells its headers from all others of the process; the attempt's handle ends with it.
    pub fn version(&self) -> String {
        format!("{:x}", self.entry.version)
    }

    /// The headers to set.
    pub fn headers(&self) -> &HeaderSet {
        &self.entry.headers
    }

    /// The credential by itself.
    pub fn credential(&self) -> LentCredential<'_> {
        let entry = &self.entry;
        let template = HeaderSet::template(&self.provider, &entry.credential);
        LentCredential {
            value: entry.credential.bearer(),
            header: &template.name,
            scheme: &template.scheme,
            expires_at: entry.view.expires_at,
            variables: Variables::of(&self.provider, &entry.credential),
        }
    }

    /// The headers to delete first.
    pub fn strip(&self) -> &[String] {
        &self.provider.strip
    }
}

/// A credential without a request around it.
#[derive(Debug)]
pub struct LentCredential<'a> {
    /// The API key or the access token.
    pub value: &'a SecretString,
    /// Name of the header that carries it, in lower case.
    pub header: &'a str,
    /// What stands before it there; empty for nothing.
    pub scheme: &'a str,
    /// When it ends, where that is known.
    pub expires_at: Option<Timestamp>,
    /// Where programs look for it.
    pub variables: Variables,
}

/// A request on its way through the pool.
pub(crate) struct PendingRequest {
    /// Ties its log lines together, over all attempts.
    pub(crate) number: Number,
    pub(crate) request: Arc<Request>,
    pub(crate) provider: Arc<Provider>,
    /// Where it goes; `None` for any origin of the provider's.
    pub(crate) origin: Option<Origin>,
    pub(super) url: Arc<str>,
    /// The account of the attempt that this one retries, and why that failed.
    pub(super) retried: Option<(AccountId, Option<Reason>)>,
    pub(crate) explain: bool,
    /// The last choice, explained.
    pub(super) trace: Option<Trace>,
    /// A refresh failed for a passing reason: a token that still lives may serve.
    pub(crate) spare_token: Option<AccountId>,
    /// The last refresh that failed and left nothing to serve with, and the request as it was
    /// before.
    pub(crate) refresh_failure: Option<(BrokerError, Arc<Request>)>,
    /// Accounts whose token was renewed for this request.
    pub(super) renewed: Vec<AccountId>,
    /// It tests whether an account serves again.
    pub(super) probes: bool,
    /// What listeners were last told that it waits for.
    pub(crate) waits_until: Option<Timestamp>,
}

impl PendingRequest {
    /// A request that nothing was tried for.
    pub(super) fn new(number: Number, asked: Asked) -> Self {
        Self {
            number,
            request: asked.request,
            provider: asked.provider,
            origin: asked.origin,
            url: asked.url,
            retried: None,
            explain: false,
            trace: None,
            spare_token: None,
            refresh_failure: None,
            renewed: Vec::new(),
            probes: false,
            waits_until: None,
        }
    }

    /// It as it was asked for; before anything was tried.
    pub(super) fn asked(&self) -> Asked {
        Asked {
            request: self.request.clone(),
            provider: self.provider.clone(),
            origin: self.origin.clone(),
            url: self.url.clone(),
        }
    }

    /// Keeps the request from those accounts that were made for other origins.
    pub(super) fn refuse_origin(&mut self, origin_restricted: &[Arc<Entry>]) {
        if origin_restricted.is_empty() && self.request.origin_refused.is_empty() {
            return;
        }
        Arc::make_mut(&mut self.request).origin_refused = origin_restricted
            .iter()
            .filter(|entry| !self.may_serve(entry))
            .map(|entry| entry.view.id.clone())
            .collect();
    }

    fn may_serve(&self, entry: &Entry) -> bool {
        let may_go = |origin| entry.may_go(&self.provider, origin);
        match &self.origin {
            Some(origin) => may_go(origin),
            None => self.provider.origins.iter().any(may_go),
        }
    }

    /// Why the token must be renewed before it can serve, if it must.
    pub(super) fn refresh_first(&self, entry: &Entry, now: Timestamp) -> Option<Due> {
        let view = &entry.view;
        if let Some((account, refused)) = self.request.resend_after_refresh()
            && *account == view.id
            && view.generation <= refused
            && let Some(token) = entry.bearer()
        {
            return Some(Due::TokenRefused {
                token: fingerprint(token),
            });
        }
        let Freshness::Stale { expired } = freshness(view.expires_at, view.obtained_at, now) else {
            return None;
        };
        let is_spare = !expired && self.spare_token.as_ref() == Some(&view.id);
        // A token that is stale however often it is renewed is one that the provider issues so.
        let stays_stale = self.renewed.iter().filter(|id| **id == view.id).count() > 1;
        (view.refreshable && !is_spare && !stays_stale).then_some(Due::Stale)
    }
}
