//! A state in rows says what it says whole.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Strategy;
use provider_auth_policy::*;
use serde_json::json;

use crate::world::at;

const HOUR: u64 = 3_600_000;

fn accounts() -> impl Strategy<Value = BTreeMap<AccountId, AccountStats>> {
    let stats = (
        (0..5_u64, 0..5_u64, 0..4_u64, 0..4_u64),
        prop::option::of(0..4_u64),
        prop::option::of(0..4_u64),
        prop::option::of((0..4_u64, 0..100_u16)),
    );
    let stats = stats.prop_map(
        |((successes, failures, last_at, generation), standing, trusted, usage)| {
            let mark = |observed| StandingMark {
                generation,
                observed_at: at(observed),
                standing: Standing::NeedsLogin,
            };
            let used = |(observed, used_percent)| Usage {
                observed_at: at(observed),
                used_percent,
                reset_at: at(HOUR),
            };
            AccountStats {
                successes,
                failures,
                last_at: at(last_at),
                generation,
                standing: standing.map(mark),
                trusted_at: trusted.map_or_else(Timestamp::default, at),
                usage: usage
                    .map(|usage| ("5h".to_owned(), used(usage)))
                    .into_iter()
                    .collect(),
                ..AccountStats::default()
            }
        },
    );
    prop::collection::btree_map(select(vec!["a", "b", "c"]), stats, 0..4)
        .prop_map(|known| known.into_iter().map(|(id, it)| (id.into(), it)).collect())
}

fn blocks() -> impl Strategy<Value = BTreeMap<Scope, Block>> {
    let scopes = select(vec![
        "account:a",
        "model:a:large/1",
        "path:b:/v1/x",
        "egress:acme",
        "provider-model:acme:m:1",
        "region:eu",
    ]);
    // One that ends before it was seen is the news that the scope serves.
    let block = (0..100_u64, 0..100_u64).prop_map(|(until, observed)| {
        Block::new(at(until), Reason::Throttled, Source::Header, at(observed))
    });
    prop::collection::btree_map(scopes.prop_map(Scope::from), block, 0..4)
}

fn states() -> impl Strategy<Value = SharedState> {
    let owners = prop::collection::btree_map(0..600_u32, (0..4_u64, select(vec!["a", "b"])), 0..9);
    let pools = prop::collection::btree_map(
        select(vec!["acme/default", "acme/a/b"]),
        (0..4_u64, any::<bool>()),
        0..3,
    );
    let served = prop::collection::btree_map("acme:[0-3]", 0..9_u64, 0..3);
    let other = prop::collection::btree_map("[xy]", 0..9_u32, 0..2);
    let rest = (owners, pools, served, other, 1..3_u32);
    (accounts(), blocks(), rest).prop_map(|(accounts, blocks, rest)| {
        let (owners, pools, served, other, format) = rest;
        let owner = |(key, (used, account)): (u32, (u64, &str))| {
            let account = account.into();
            let used_at = at(used);
            (
                format!("acme/default:item:{key:016x}"),
                Owner { used_at, account },
            )
        };
        let pool = |(key, (moved, turned)): (&str, (u64, bool))| {
            let mut order: Vec<AccountId> = vec!["a".into(), "b".into()];
            order.rotate_left(usize::from(turned));
            let moved_at = at(moved);
            let pool = PoolOrder {
                moved_at,
                order,
                ..PoolOrder::default()
            };
            (key.to_owned(), pool)
        };
        SharedState {
            format,
            accounts,
            blocks,
            owners: owners.into_iter().map(owner).collect(),
            pools: pools.into_iter().map(pool).collect(),
            served: served.into_iter().map(|(key, it)| (key, at(it))).collect(),
            other: other
                .into_iter()
                .map(|(key, it)| (key, json!(it)))
                .collect(),
            ..SharedState::default()
        }
    })
}

fn merged(one: &SharedState, other: &SharedState) -> SharedState {
    let mut merged = one.clone();
    merged.merge(other);
    merged
}

fn rows(state: &SharedState) -> BTreeMap<String, SharedState> {
    state.clone().take_rows()
}

fn whole<'a>(rows: impl IntoIterator<Item = &'a SharedState>) -> SharedState {
    let start = SharedState::default();
    rows.into_iter()
        .fold(start, |whole, row| merged(&whole, row))
}

/// Without the format, which a state without entries has in no row.
fn entries(mut state: SharedState) -> SharedState {
    state.format = 1;
    state
}

fn without_counters(mut state: SharedState) -> SharedState {
    for stats in state.accounts.values_mut() {
        (stats.successes, stats.failures) = (0, 0);
    }
    state
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn the_rows_of_a_state_together_are_the_state(state in states()) {
        let rows = rows(&state);
        prop_assert_eq!(entries(whole(rows.values())), entries(state.clone()));
        let mut left = state.clone();
        left.take_rows();
        prop_assert!(left.is_empty());
        for (name, row) in rows {
            prop_assert_eq!(&state.row(&name), &row, "{}", name);
            let text = serde_json::to_vec(&row).unwrap();
            prop_assert_eq!(&serde_json::from_slice::<SharedState>(&text).unwrap(), &row);
            prop_assert_eq!(row.clone().take_rows(), BTreeMap::from([(name, row)]));
        }
    }

    #[test]
    fn states_merged_row_by_row_in_any_order_are_the_states_merged(
        states in prop::collection::vec(states(), 1..4),
        order in prop::collection::vec(any::<prop::sample::Index>(), 200),
    ) {
        // Of each row the changes follow one another; the rows do not wait for each other.
        let mut left: Vec<_> = states.iter().map(rows).collect();
        let mut stored = BTreeMap::<String, SharedState>::new();
        let mut order = order.iter().cycle();
        loop {
            let names: BTreeSet<String> = left.iter().flat_map(BTreeMap::keys).cloned().collect();
            if names.is_empty() {
                break;
            }
            let names: Vec<_> = names.iter().collect();
            let name = order.next().unwrap().get(&names);
            let next = left.iter_mut().find_map(|rows| rows.remove(*name)).unwrap();
            stored.entry((*name).clone()).or_default().merge(&next);
        }
        let expect = whole(&states);
        prop_assert_eq!(&entries(whole(stored.values())), &entries(expect.clone()));
        prop_assert!(stored.keys().eq(rows(&expect).keys()));
    }

    #[test]
    fn two_states_merge_row_by_row_whichever_comes_first(one in states(), other in states()) {
        let mut reversed: Vec<_> = rows(&one).into_iter().chain(rows(&other)).collect();
        reversed.reverse();
        let reversed = whole(reversed.iter().map(|(_, row)| row));
        prop_assert_eq!(entries(reversed), entries(merged(&one, &other)));
    }

    #[test]
    fn a_row_takes_the_place_of_itself_alone(state in states(), other in states()) {
        for (name, row) in rows(&other) {
            let mut after = state.clone();
            let went = after.replace_row(&name, row.clone());
            let before = rows(&state);
            for (of, known) in &before {
                let expect = if *of == name { &row } else { known };
                // An unknown field of the rest stays: it may be of a newer version.
                if name != "s" {
                    prop_assert_eq!(&entries(after.row(of)), &entries(expect.clone()));
                }
            }
            let count = |state: &SharedState| {
                [state.accounts.len(), state.blocks.len(), state.pools.len(), state.owners.len(), state.served.len()]
            };
            let union = merged(&state.row(&name), &row);
            prop_assert_eq!(went, count(&union) != count(&row));
            prop_assert_eq!(count(&after.row(&name)), count(&row));
        }
    }

    #[test]
    fn a_view_that_is_joined_to_what_came_of_it_changes_nothing(one in states(), delta in states()) {
        let after = merged(&one, &delta);
        for (mut known, view) in [(one.clone(), after.clone()), (after.clone(), one.clone())] {
            known.join(view);
            prop_assert_eq!(&known, &after);
        }
        let mut twice = merged(&after, &one.without_counts());
        twice.merge(&delta.without_counts());
        prop_assert_eq!(without_counters(twice), without_counters(after));
    }

    #[test]
    fn what_is_only_counted_is_put_off_and_not_lost(state in states(), known in states()) {
        let mut change = state.clone();
        let counts = change.take_counts(&known);
        prop_assert!(!counts.is_urgent());
        prop_assert!(counts.accounts.values().all(|stats| stats.generation == 0));
        prop_assert_eq!(change.is_urgent(), state.is_urgent());
        prop_assert_eq!(entries(merged(&change, &counts)), entries(state));
    }
}

#[test]
fn an_owner_that_is_used_again_within_the_hour_is_no_change() {
    let owned = |account: &str, used: u64| {
        let used_at = at(used);
        let account = account.into();
        SharedState {
            owners: BTreeMap::from([("item".to_owned(), Owner { used_at, account })]),
            ..SharedState::default()
        }
    };
    let known = owned("a", 0);
    let stays = |mut change: SharedState| {
        change.drop_slides(&known);
        !change.is_empty()
    };
    assert!(!stays(owned("a", HOUR - 1)));
    assert!(stays(owned("a", HOUR)));
    assert!(stays(owned("b", 1)));
    let mut unknown = owned("a", 1);
    unknown.drop_slides(&SharedState::default());
    assert!(!unknown.is_empty());
}

#[test]
fn a_row_is_swept_and_bounded_by_itself() {
    let owner = |used: u64| Owner {
        used_at: at(used),
        account: "a".into(),
    };
    let mut row = SharedState {
        owners: (0..100)
            .map(|used| (format!("{used:03}"), owner(used)))
            .collect(),
        ..SharedState::default()
    };
    row.sweep_row(at(100));
    assert_eq!(row.owners.len(), limits::OWNERS_IN_ROW);
    assert!(row.owners.contains_key("099") && !row.owners.contains_key("067"));
    row.sweep_row(at(100) + limits::OWNER_MEMORY + Duration::from_secs(1));
    assert!(row.is_empty());

    let mut row = SharedState {
        other: [("newer".to_owned(), json!("x".repeat(limits::ROW_LONGEST)))]
            .into_iter()
            .collect(),
        ..SharedState::default()
    };
    assert!(row.row_json().len() < 100);
    assert!(row.is_empty());
}

#[test]
fn what_this_machine_did_not_reach_rests_on_it_alone() {
    let id = AccountId::from("a");
    let mut state = SharedState::default();
    state.merge(&refresh_not_sent(&state, &id, at(0), 0.0));
    assert!(refresh_allowed(&state, &id, at(1)).is_err());
    assert!(rows(&state).is_empty(), "there is nothing to tell");
    // News of the account leaves the rest as it is, and a rest of all counts beside it.
    let told = SharedState {
        accounts: BTreeMap::from([(
            id.clone(),
            AccountStats {
                generation: 1,
                ..AccountStats::default()
            },
        )]),
        ..SharedState::default()
    };
    state.replace_row("a/a", told.clone());
    let mut elsewhere = SharedState::default();
    elsewhere.replace_row("a/a", told);
    let rest_of = |state: &SharedState| state.stats(&id).refresh_rest;
    assert!(rest_of(&state).is_some_and(|rest| rest.near));
    assert_eq!(rest_of(&elsewhere), None);
    let all = refresh_postponed(&elsewhere, &id, None, at(100_000), 0.0);
    for (name, row) in rows(&all) {
        state.replace_row(&name, row);
    }
    assert!(rest_of(&state).is_some_and(|rest| !rest.near));
}
