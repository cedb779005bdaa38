//! Requests whose body or address holds something that only the account which made it can serve: encrypted reasoning,
//! the id of a stored response, of a file.
//!
//! Such a request never changes its account. Who made the item is not written on it; it is who last answered the same
//! item, else the same conversation. Which items these are, per provider, is not known here.

use crate::account::AccountId;
use crate::keys::{conversation_key, hash, push_hex};
use crate::pool::Pool;
use crate::request::Request;
use crate::state::SharedState;
use crate::state::binding::Maker;
use crate::time::Timestamp;

/// Holds a request with an account-bound item to the account that made it, if that is known.
///
/// Call it before the first [`select`](crate::select()). Where the maker is not known, the account that serves first
/// is the one that the request keeps. A maker that was removed, disabled or is of the wrong kind holds nothing: the
/// user has taken it out of the pool, and the provider's answer says what that means.
pub fn hold(pool: &Pool<'_>, request: &mut Request) {
    let is_settled = request.keeper().is_some() || request.pin.is_some();
    if request.item().is_none() || is_settled || !pool.rotation.rotate {
        return;
    }
    let maker = maker(pool.state, request)
        .and_then(|id| pool.roster.get(id))
        .filter(|account| pool.fits(account, request))
        .map(|account| account.id.clone());
    if let Some(maker) = maker {
        request.keep_to(maker);
    }
}

/// Returns what an answer by this account says about the items of the request.
pub(crate) fn learned(request: &Request, account: &AccountId, now: Timestamp) -> SharedState {
    let mut delta = SharedState::default();
    for key in keys(request).into_iter().flatten() {
        let maker = Maker {
            used_at: now,
            account: account.clone(),
        };
        delta.makers.insert(key, maker);
    }
    delta
}

/// Looks for the item, then for the conversation, then for whoever served it last, then for whoever served calls
/// without a conversation, as the upload of a file is.
fn maker<'a>(state: &'a SharedState, request: &Request) -> Option<&'a AccountId> {
    let known = keys(request)
        .into_iter()
        .flatten()
        .find_map(|key| state.makers.get(&key));
    let (provider, namespace) = (&request.provider, &request.namespace);
    known.map(|maker| &maker.account).or_else(|| {
        [
            request.binding_key(),
            &conversation_key(provider, namespace, "", ""),
        ]
        .into_iter()
        .find_map(|key| state.bindings.get(key))
        .map(|binding| &binding.account)
    })
}

/// Returns the keys of the request's item and of its conversation, whatever the model.
fn keys(request: &Request) -> [Option<String>; 2] {
    let key = |kind: &str, name: &str| {
        let mut key = format!("{}/{}:{kind}:", request.provider, request.namespace);
        push_hex(&mut key, hash(&[name]));
        key
    };
    let item = request.item();
    let session = request.session.as_deref().filter(|_| item.is_some());
    [
        item.map(|item| key("item", item)),
        session.map(|session| key("session", session)),
    ]
}
