use std::time::Duration;

use provider_auth_policy::{Block, Reason, Scope, Source};

use super::*;

#[test]
fn after_the_clock_was_set_back_a_limit_counts_again() {
    let cache = StateCache::default();
    let today = Timestamp::from_millis(1_800_000_000_000);
    let limited_at = |at: Timestamp| {
        let until = at + Duration::from_secs(3_600);
        let block = Block::new(until, Reason::QuotaExhausted, Source::Header, at);
        let mut change = SharedState::default();
        change.blocks.insert("account:a".into(), block);
        cache.decide(at, |_, _| ((), Some(change)));
        cache.read(|state| state.blocks[&Scope::from("account:a")].live_until(at))
    };
    let tomorrow = today + Duration::from_secs(86_400);
    assert!(limited_at(tomorrow).is_some());
    assert!(limited_at(today).is_some());
}
