//! The log lines of a choice: what a pool was asked, how its accounts stood, and switches.

use provider_auth_policy::{AccountId, Pool, Selection, explain};
use provider_auth_vault::line;
use tracing::Level;

use super::pending::PendingRequest;
use crate::log::Shown;

/// Writes down what was chosen, and at level `trace` how each account of the pool stood.
pub(super) fn chosen(pool: &Pool<'_>, pending: &PendingRequest, selection: &Selection) {
    let (number, request) = (pending.number, &*pending.request);
    line!(
        DEBUG,
        request = number,
        provider = Shown(&request.provider),
        namespace = Shown(&request.namespace),
        model = request.model.as_deref().map(Shown),
        accounts = pool.roster.len(),
        attempts = request.attempts(),
        is_pinned = request.pin.is_some(),
        has_session = request.session.is_some(),
        selection = selection,
        "a pool was asked for an account"
    );
    if tracing::enabled!(Level::TRACE) {
        for stood in &explain(pool, request, selection).accounts {
            line!(
                TRACE,
                request = number,
                account = stood.account,
                chance = stood.chance,
                charged = stood.charged.as_ref().map(|(scope, _)| Shown(scope)),
                status = stood.charged.as_ref().and_then(|(_, status)| *status),
                used_percent = stood.used_percent,
                "how an account stood"
            );
        }
    }
}

/// Writes down from whom to whom a request switches, and why.
pub(super) fn switched(pending: &PendingRequest, to: &AccountId) {
    let from = pending.retried.as_ref();
    line!(
        INFO,
        request = pending.number,
        provider = Shown(&pending.request.provider),
        namespace = Shown(&pending.request.namespace),
        from = from.map(|(account, _)| account),
        reason = from.and_then(|(_, reason)| *reason),
        to = to,
        model = pending.request.model.as_deref().map(Shown),
        "a request switches to another account"
    );
}
