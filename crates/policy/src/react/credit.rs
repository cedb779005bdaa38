//! A good answer of which nothing is learned but counts, and times that slide. Nearly all answers
//! are such: they are merged into the state in its place, and no change of it is built.

use crate::account::AccountId;
use crate::pool::Pool;
use crate::react::answer::{binding_after, learned_from, served_news};
use crate::request::Request;
use crate::response::Response;
use crate::signals::Signals;
use crate::state::credit::Credit;

/// Returns what a plain answer teaches; `None` where [`react`](crate::react()) must judge it,
/// because a block, an item or a refusal of before stands beside it, or it is not a 2xx.
///
/// It need not be counted in the request that an attempt has begun.
pub fn credit<'a>(
    pool: &Pool<'_>,
    request: &'a Request,
    account: &'a AccountId,
    signals: &Signals,
    response: &Response<'_>,
) -> Option<Credit<'a>> {
    let is_plain = response.is_good()
        && response.failure.is_none()
        && response.body.is_none()
        && !request.holds_item()
        && request.doubts().is_empty()
        && served_news(pool, request).is_none();
    if !is_plain {
        return None;
    }
    let mut blocks = pool
        .state
        .blocks_for(account, &request.provider, request.target());
    if blocks.any(|(_, block)| !block.is_clear()) {
        return None;
    }
    let mut learned = learned_from(pool, signals, response);
    learned.successes = 1;
    learned.trusted_at = pool.now;
    let binding = binding_after(pool, request, account, signals);
    Some(Credit {
        account,
        learned,
        binding: binding.map(|binding| (request.binding_key(), binding)),
    })
}
