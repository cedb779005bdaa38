//! Requests whose body or address holds something that only the account which made it can serve:
//! encrypted reasoning, the id of a stored response, of a file.
//!
//! Such a request never changes its account. The item does not name its owner: that is the account
//! which last answered the same item, else the same conversation. Which items these are, per
//! provider, is the caller's to know.

use crate::account::AccountId;
use crate::keys::{conversation_key, hash, push_hex};
use crate::pool::Pool;
use crate::request::Request;
use crate::state::SharedState;
use crate::state::binding::Owner;
use crate::time::Timestamp;

/// Pins a request with an account-bound item to the account that made the item, if that is known.
///
/// Call it before the first [`select`](crate::select()). Where the owner is not known, the account
/// that serves first is the one that the request keeps. An owner that was removed, disabled or is
/// of the wrong kind holds nothing: the user has taken it out of the pool, and the provider's
/// answer says what that means.
pub fn pin_to_owner(pool: &Pool<'_>, request: &mut Request) {
    let is_settled = request.affinity().is_some() || request.pin.is_some();
    if request.item().is_none() || is_settled || !pool.rotation.rotate {
        return;
    }
    let owner = owner(pool.state, request)
        .and_then(|id| pool.roster.get(id))
        .filter(|account| pool.fits(account, request))
        .map(|account| account.id.clone());
    if let Some(owner) = owner {
        request.set_affinity(owner);
    }
}

/// Returns what an answer by this account says about the items of the request.
pub(crate) fn owners_after(request: &Request, account: &AccountId, now: Timestamp) -> SharedState {
    let mut delta = SharedState::default();
    for key in keys(request).into_iter().flatten() {
        let owner = Owner {
            used_at: now,
            account: account.clone(),
        };
        delta.owners.insert(key, owner);
    }
    delta
}

/// Looks for the owner of the item, then of the conversation, then for the account that last served
/// the conversation, then for the one that last served calls without a conversation, such as the
/// upload of a file.
fn owner<'a>(state: &'a SharedState, request: &Request) -> Option<&'a AccountId> {
    let known = keys(request)
        .into_iter()
        .flatten()
        .find_map(|key| state.owners.get(&key));
    let (provider, namespace) = (&request.provider, &request.namespace);
    known.map(|owner| &owner.account).or_else(|| {
        [
            request.binding_key(),
            &conversation_key(provider, namespace, "", ""),
        ]
        .into_iter()
        .find_map(|key| state.bindings.get(key))
        .map(|binding| &binding.account)
    })
}

/// Tells whether it is known who made the item of the request, if it has one.
pub(crate) fn knows_owner(state: &SharedState, request: &Request) -> bool {
    let [item, _] = keys(request);
    item.is_none_or(|key| state.owners.contains_key(&key))
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
