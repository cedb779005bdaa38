//! A pool that has no account for a request: none at all, or none that is switched on.

use provider_auth_policy::{AccountKind, AccountView, Mode};

use super::pending::PendingRequest;
use crate::error::BrokerError;
use crate::named;
use crate::store::accounts::Accounts;

/// Says that the pool has no account for the request, and what to do about it.
pub(super) fn no_account(pending: &PendingRequest, accounts: &Accounts) -> BrokerError {
    let (request, mode) = (&pending.request, pending.provider.rotation.mode);
    let (roster, _) = accounts.pool(&request.provider, &request.namespace);
    let pinned = request.pin.as_deref().map(|pin| roster.find(pin));
    // What is switched on and of this kind would have served, or have been the reason.
    let is_meant = |account: &&AccountView| match pinned {
        Some(pinned) => pinned.is_some_and(|pinned| pinned.id == account.id),
        None => is_of(mode, account.kind),
    };
    let switched_off = roster.iter().filter(|account| !account.enabled);
    let switched_off = switched_off.filter(is_meant);
    BrokerError::NoAccount {
        provider: pending.provider.id.to_string(),
        namespace: named::name(&request.namespace),
        kind: match pinned {
            Some(_) => "",
            None => wanted(mode),
        },
        switched_off: switched_off.map(|account| account.id.clone()).collect(),
    }
}

fn is_of(mode: Mode, kind: AccountKind) -> bool {
    match mode {
        Mode::Auto => true,
        Mode::Subscription => kind != AccountKind::Api,
        Mode::Api => kind == AccountKind::Api,
    }
}

/// The kind of account that a mode asks for, as part of a sentence.
fn wanted(mode: Mode) -> &'static str {
    match mode {
        Mode::Auto => "",
        Mode::Subscription => "subscription ",
        Mode::Api => "API key ",
    }
}
