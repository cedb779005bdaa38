//! Lists that may be long, as pages of JSON: the event loop is held up for no longer than one page
//! takes to parse, which is less than half of what it takes to make the same objects one by one.

use napi::bindgen_prelude::Buffer;
use provider_auth_broker as broker;
use serde::Serialize;

use super::stats::{Stats, StatsCount, StatsQuota};
use super::{Account, PoolStatus, list};

/// Accounts of one page: about 50 KB, which are parsed in half a millisecond.
const PAGE: usize = 128;

/// Accounts, in pages that are lists of them.
pub(crate) fn account_pages(accounts: Vec<broker::Account>) -> Vec<Buffer> {
    let accounts: Vec<Account> = list(accounts);
    accounts.chunks(PAGE).map(|page| json(&page)).collect()
}

/// Pools, in pages that are one pool each with some of its accounts: those of one pool follow one
/// another.
pub(crate) fn pool_pages(pools: Vec<broker::PoolStatus>) -> Vec<Buffer> {
    let mut pages = Vec::new();
    for pool in pools {
        let mut pool = PoolStatus::from(pool);
        let mut accounts = std::mem::take(&mut pool.accounts);
        loop {
            let rest = accounts.split_off(accounts.len().min(PAGE));
            pool.accounts = std::mem::replace(&mut accounts, rest);
            pages.push(json(&pool));
            if accounts.is_empty() {
                break;
            }
        }
    }
    pages
}

/// What was counted, in pages of some rows and samples each; at least one.
pub(crate) fn stats_pages(stats: broker::Stats) -> Vec<Buffer> {
    let (mut counts, mut quota): (Vec<StatsCount>, Vec<StatsQuota>) =
        (list(stats.counts), list(stats.quota));
    let mut pages = Vec::new();
    loop {
        let more_counts = counts.split_off(counts.len().min(PAGE));
        let more_quota = quota.split_off(quota.len().min(PAGE));
        pages.push(json(&Stats {
            enabled: stats.enabled,
            counts: std::mem::replace(&mut counts, more_counts),
            quota: std::mem::replace(&mut quota, more_quota),
        }));
        if counts.is_empty() && quota.is_empty() {
            return pages;
        }
    }
}

fn json(page: &impl Serialize) -> Buffer {
    let text = serde_json::to_vec(page).expect("a page has only string keys");
    text.into()
}
