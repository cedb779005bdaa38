//! Altered state files: whatever they hold, views merge, and the order of two does not matter.

use provider_auth_fuzz::Target;
use provider_auth_policy::*;

use crate::world::at;

const WORDS: &[&str] = &[
    "format",
    "accounts",
    "blocks",
    "bindings",
    "pools",
    "successes",
    "failures",
    "last_status",
    "last_at",
    "generation",
    "standing",
    "needs_login",
    "refused",
    "refresh_rest",
    "usage",
    "until",
    "reason",
    "source",
    "observed_at",
    "level",
    "probes",
    "used_at",
    "account",
    "moved_at",
    "order",
    "throttled",
    "header",
    "\n",
];

/// Reads a file as the broker does: what cannot be read is an empty state.
fn state(line: &[u8]) -> SharedState {
    serde_json::from_slice(line).unwrap_or_default()
}

fn merged(one: &SharedState, other: &SharedState) -> SharedState {
    let mut merged = one.clone();
    merged.merge(other);
    merged
}

/// Without blocks: for them it matters which two of three meet first, as [`SharedState::merge`]
/// says.
fn unblocked(state: &SharedState) -> SharedState {
    SharedState {
        blocks: Default::default(),
        ..state.clone()
    }
}

fn uncounted(mut state: SharedState) -> SharedState {
    for account in state.accounts.values_mut() {
        (account.successes, account.failures) = (0, 0);
    }
    state
}

/// An input has one state a line, of which three meet.
#[test]
fn states_merge_whatever_they_hold() {
    let target = Target::new("state", WORDS);
    let read = |line: &[u8]| serde_json::from_slice::<SharedState>(line).is_ok();
    let lines = |input: &[u8]| {
        input
            .split(|byte| *byte == b'\n')
            .map(read)
            .filter(|is| *is)
            .count()
    };
    assert!(target.seeds().iter().all(|seed| lines(seed) > 0));
    target.run(|input| {
        let mut lines = input.split(|byte| *byte == b'\n');
        let [a, b, c] = std::array::from_fn(|_| state(lines.next().unwrap_or_default()));
        let ab = merged(&a, &b);
        assert_eq!(ab, merged(&b, &a), "the order of two matters");
        assert_eq!(
            uncounted(merged(&ab, &b)),
            uncounted(ab.clone()),
            "a second time matters"
        );
        assert_eq!(
            unblocked(&merged(&ab, &c)),
            unblocked(&merged(&a, &merged(&b, &c))),
            "which two meet first matters",
        );
        for (key, block) in &a.blocks {
            let other = b.blocks.get(key).filter(|_| !block.is_clear());
            let is_news = other
                .is_some_and(|other| other.is_clear() && other.observed_at > block.observed_at);
            assert!(
                is_news || ab.blocks[key].until >= block.until || block.is_clear(),
                "{key} was cut short"
            );
        }
        let text = serde_json::to_vec(&ab).expect("the state has only string keys");
        let again = state(&text);
        assert_eq!(again, ab, "written and read, it is another");
        let mut swept = ab;
        swept.sweep(at(1_000_000));
        format!(
            "{} {} {} {}",
            a.accounts.len(),
            swept.blocks.len(),
            swept.bindings.len(),
            a.pools.len()
        )
    });
}
