//! What one process finds out, the others know at their next request; and a state that is lost
//! costs no login.

use std::fs;
use std::sync::Arc;

use provider_auth_broker::config::RequestRotation;
use provider_auth_broker::{AccountChanges, Action, AuthRequest, Filter, Force, Revoke};
use serde_json::json;

use crate::world::{Process, World, bearer, config, pass, request};

#[tokio::test(start_paused = true)]
async fn a_limit_that_one_process_meets_keeps_the_others_away_at_once() {
    let world = World::new();
    let (one, two) = (world.process(), world.process());
    one.add_key("a").await;
    one.add_key("b").await;
    let lease = one.lend().await.unwrap();
    let limited = lease.account_id().to_owned();
    two.lend().await.unwrap();
    one.answer(&lease, 429, &[("retry-after", "30")]).await;
    for process in [&two, &world.process()] {
        for _ in 0..5 {
            assert_ne!(process.lend().await.unwrap().account_id(), limited);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn accounts_that_are_added_switched_off_or_removed_count_at_the_next_request() {
    let world = World::new();
    let (one, two) = (world.process(), world.process());
    assert_eq!(two.lend().await.err().unwrap().code(), "NO_ACCOUNT");
    let first = one.add_key("a").await;
    assert_eq!(two.token().await, "S3CRET-key-a");
    one.add_key("b").await;
    let enabled = |enabled| AccountChanges {
        enabled: Some(enabled),
        ..AccountChanges::default()
    };
    one.update_account(&first, enabled(false)).await.unwrap();
    assert_eq!(two.token().await, "S3CRET-key-b");
    assert_eq!(two.state_of(&first).await, "disabled");
    one.update_account(&first, enabled(true)).await.unwrap();
    let pinned = AuthRequest {
        account: Some("a".to_owned()),
        ..request()
    };
    assert_eq!(bearer(&two.headers(&pinned).await.unwrap()), "S3CRET-key-a");
    assert!(one.remove_account(&first, Revoke::Locally).await.unwrap());
    assert_eq!(
        two.headers(&pinned).await.err().unwrap().code(),
        "UNKNOWN_ACCOUNT"
    );
    let gone = two.remove_account(&first, Revoke::Locally).await;
    assert_eq!(gone.unwrap_err().code(), "UNKNOWN_ACCOUNT");
    assert_eq!(
        two.list_accounts(&Filter::default()).await.unwrap().len(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn where_every_account_is_switched_off_that_is_said_with_how_to_switch_one_on() {
    let process = World::new().process();
    let (first, second) = (process.add_key("a").await, process.add_key("b").await);
    let switch = |enabled| AccountChanges {
        enabled: Some(enabled),
        ..AccountChanges::default()
    };
    let refused = async |asked: &AuthRequest| {
        let error = process.headers(asked).await.err().unwrap();
        assert_eq!(error.code(), "NO_ACCOUNT");
        (error.account().map(str::to_owned), error.to_string())
    };
    process.update_account(&first, switch(false)).await.unwrap();
    let pinned = AuthRequest {
        account: Some("a".to_owned()),
        ..request()
    };
    let remedy = format!("switch it on with updateAccount(\"{first}\", {{ enabled: true }})");
    let one = format!("the account {first} of acme is switched off; {remedy}");
    assert_eq!(refused(&pinned).await, (Some(first.clone()), one));
    assert_eq!(process.token().await, "S3CRET-key-b");

    process
        .update_account(&second, switch(false))
        .await
        .unwrap();
    let (account, why) = refused(&request()).await;
    assert_eq!(account.as_ref(), Some(&first));
    let all =
        "all 2 accounts of acme in the namespace default are switched off; switch one on with";
    assert!(why.starts_with(all), "{why}");

    // Those of another kind are not what was asked for.
    let logins = json!({ "mode": "subscription" });
    let logins = AuthRequest {
        rotation: Some(Arc::new(RequestRotation::read(&logins).unwrap())),
        ..request()
    };
    let (account, why) = refused(&logins).await;
    assert_eq!(account, None);
    assert!(
        why.starts_with("provider-auth has no subscription account"),
        "{why}"
    );
}

#[tokio::test(start_paused = true)]
async fn changes_of_two_processes_to_one_account_are_both_kept() {
    let world = World::new();
    let (one, two) = (world.process(), world.process());
    let id = one.log_in("ann").await;
    two.token().await;
    for round in 0..10 {
        let label = AccountChanges {
            label: Some(format!("label {round}")),
            ..AccountChanges::default()
        };
        let priority = AccountChanges {
            priority: Some(round),
            ..AccountChanges::default()
        };
        let (renewed, labelled, ranked) = tokio::join!(
            one.refresh_account(&id, Force::EvenIfGood),
            two.update_account(&id, label),
            one.update_account(&id, priority),
        );
        renewed.unwrap();
        labelled.unwrap();
        ranked.unwrap();
        let account = &two.list_accounts(&Filter::default()).await.unwrap()[0];
        assert_eq!(
            (account.label.as_str(), account.priority),
            (&*format!("label {round}"), round)
        );
    }
    assert_eq!(one.token().await, two.token().await);
    assert_eq!(one.state_of(&id).await, "ready");
    assert_eq!(world.server.refreshes(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_restart_changes_nothing() {
    let world = World::new();
    let limited = {
        let process = world.impatient_process();
        process.add_key("a").await;
        let lease = process.lend().await.unwrap();
        process.answer(&lease, 200, &[]).await;
        let lease = process.lend().await.unwrap();
        process.answer(&lease, 429, &[("retry-after", "300")]).await;
        process.rest().await;
        process.lend().await.err().unwrap()
    };
    let process = world.impatient_process();
    assert_eq!(
        process.lend().await.err().unwrap().retry_at(),
        limited.retry_at()
    );
    let account = &process.list_accounts(&Filter::default()).await.unwrap()[0];
    assert_eq!(
        (account.successes, account.failures, account.last_status),
        (1, 1, Some(429))
    );
    assert_eq!(account.cooldowns.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_state_that_cannot_be_read_starts_afresh() {
    let world = World::new();
    let process = world.process();
    let id = process.log_in("ann").await;
    let lease = process.lend().await.unwrap();
    process.answer(&lease, 429, &[("retry-after", "300")]).await;
    for junk in [
        "",
        "null",
        "[]",
        "{\"accounts\":7",
        "\u{1}\u{2}",
        "{\"format\":\"x\"}",
    ] {
        fs::write(world.vault_dir().join("state.json"), junk).unwrap();
        for process in [&process, &world.process()] {
            assert_eq!(process.token().await, "S3CRET-access-ann-1", "{junk:?}");
            process.rest().await;
        }
        assert_eq!(world.process().state_of(&id).await, "ready");
    }
    fs::remove_file(world.vault_dir().join("state.json")).unwrap();
    assert_eq!(process.token().await, "S3CRET-access-ann-1");
}

#[tokio::test(start_paused = true)]
async fn a_damaged_record_is_set_aside_alone() {
    let world = World::new();
    let process = world.process();
    let id = process.log_in("ann").await;
    process.add_key("spare").await;
    fs::write(world.record_file(&id), b"rubbish").unwrap();
    assert_eq!(process.token().await, "S3CRET-key-spare");
    assert_eq!(process.vault_status().await.unwrap().quarantined, 1);
    // Its copy is all that is left of it, and goes by its id.
    let removed = process.remove_account(&id, Revoke::Locally).await;
    assert!(removed.unwrap());
    assert_eq!(process.vault_status().await.unwrap().quarantined, 0);
    let again = process.remove_account(&id, Revoke::Locally).await;
    assert_eq!(again.unwrap_err().code(), "UNKNOWN_ACCOUNT");
    assert_eq!(process.token().await, "S3CRET-key-spare");
}

#[tokio::test(start_paused = true)]
async fn with_a_state_that_cannot_be_written_one_still_signs_in_again_and_gets_a_token() {
    let world = World::new();
    let process = world.process();
    process.add_key("a").await;
    process.log_in("ann").await;
    // Its lock is a folder now, so that nothing gets through.
    let lock = world.vault_dir().join("lock/vault.lock");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    let id = process.log_in("ann").await;
    pass(3601).await;
    assert_eq!(process.token().await, "S3CRET-access-ann-3");
    let lease = process.lend().await.unwrap();
    let verdict = process.answer(&lease, 429, &[("retry-after", "300")]).await;
    assert_eq!(verdict.action, Action::Retry);
    assert_eq!(process.token().await, "S3CRET-key-a");
    assert_eq!(process.state_of(&id).await, "exhausted");
    assert_eq!(
        process
            .clear_cooldowns(&Filter::default())
            .await
            .unwrap_err()
            .code(),
        "VAULT_IO"
    );

    fs::remove_dir(&lock).unwrap();
    process.rest().await;
    let account = &world
        .process()
        .list_accounts(&Filter {
            account: Some(id),
            ..Filter::default()
        })
        .await
        .unwrap()[0];
    assert_eq!((account.failures, account.successes), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn with_a_state_that_the_disk_does_not_give_or_take_one_still_gets_a_token() {
    let world = World::new();
    let process = world.process();
    process.add_key("a").await;
    let lease = process.lend().await.unwrap();
    process
        .answer(&lease, 429, &[("retry-after", "3600")])
        .await;
    // No error is the same as "absent", and none is a reason to fail.
    let file = world.vault_dir().join("state.json");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(process.lend().await.err().unwrap().code(), "EXHAUSTED");
    let key = process.add_key("b").await;
    assert_eq!(process.token().await, "S3CRET-key-b");
    assert!(process.remove_account(&key, Revoke::Locally).await.unwrap());
    // The probe goes out although no other process can be told of it, and once in this process all the same.
    pass(301).await;
    let probe = process.lend().await.unwrap();
    assert_eq!(process.lend().await.err().unwrap().code(), "EXHAUSTED");
    process.answer(&probe, 200, &[]).await;
    assert_eq!(process.token().await, "S3CRET-key-a");
    assert_eq!(world.process().token().await, "S3CRET-key-a");

    fs::remove_dir(&file).unwrap();
    process.rest().await;
    let account = &world
        .process()
        .list_accounts(&Filter::default())
        .await
        .unwrap()[0];
    assert_eq!((account.successes, account.cooldowns.len()), (2, 0));
}

/// Real threads: what a process has found out must not vanish from its view for a moment while the
/// state is written and read by others.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_block_and_no_count_is_lost_between_many_writers() {
    let world = World::new();
    let models = || (0..25).map(|number| format!("model-{number}"));
    let processes =
        [0, 1].map(|_| world.process_with(config(json!({ "rotation": { "maxWaitMs": 0 } }))));
    processes[0].add_key("a").await;
    let tasks: Vec<_> = processes
        .iter()
        .enumerate()
        .flat_map(|(place, process)| {
            models().map(move |model| (format!("{place}-{model}"), Arc::clone(process)))
        })
        .map(|(model, broker)| {
            tokio::spawn(async move {
                let asked = AuthRequest {
                    model: Some(model),
                    ..request()
                };
                let lease = broker.headers(&asked).await.unwrap();
                let report = provider_auth_broker::Report {
                    attempt: lease.attempt.clone(),
                    status: Some(429),
                    headers: [("retry-after".to_owned(), "60".to_owned())].into(),
                    ..Default::default()
                };
                broker.report(&report).await.unwrap();
                for _ in 0..20 {
                    assert_eq!(
                        broker.headers(&asked).await.err().unwrap().code(),
                        "EXHAUSTED"
                    );
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let account = &world
        .process()
        .list_accounts(&Filter::default())
        .await
        .unwrap()[0];
    assert_eq!((account.failures, account.cooldowns.len()), (50, 50));
}

/// One process looks after each change and reads what changed; another one opens and reads all.
#[tokio::test(start_paused = true)]
async fn who_follows_changes_sees_what_who_reads_everything_sees() {
    let world = World::new();
    let (one, other) = (world.process(), world.process());
    let login = other.log_in("ann").await;
    let key = other.add_key("one").await;
    let all = Filter::default();
    let check = async |what: &str| {
        let seen = async |process: &Process| {
            let accounts = process.list_accounts(&all).await.unwrap();
            let pools = process.pool_status(&all).await.unwrap();
            let order = pools.into_iter().flat_map(|pool| pool.accounts);
            let order: Vec<_> = order.map(|account| account.id).collect();
            format!("{accounts:#?} {order:#?}")
        };
        assert_eq!(seen(&one).await, seen(&world.process()).await, "{what}");
    };
    check("as it began").await;
    let second = other.add_key("two").await;
    check("a key was added").await;
    let change = async |id: &str, changes: AccountChanges| {
        other.update_account(id, changes).await.unwrap();
    };
    change(
        &key,
        AccountChanges {
            label: Some("work".to_owned()),
            priority: Some(-1),
            ..AccountChanges::default()
        },
    )
    .await;
    check("one has another name and place").await;
    change(
        &second,
        AccountChanges {
            namespace: Some("apart".to_owned()),
            enabled: Some(false),
            ..AccountChanges::default()
        },
    )
    .await;
    check("one is of another pool").await;
    other
        .refresh_account(&login, Force::EvenIfGood)
        .await
        .unwrap();
    check("one has another token").await;
    one.add_key("three").await;
    other.add_key("four").await;
    check("both have written").await;
    assert!(
        other
            .remove_account(&second, Revoke::Locally)
            .await
            .unwrap()
    );
    check("a pool has no account any more").await;
    let file = world.record_file(&key);
    let kept = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    check("a record is gone").await;
    std::fs::write(&file, kept).unwrap();
    check("a record was put back").await;
    // The key is that of the account whose record is back.
    assert_eq!(one.add_key("one").await, key);
    check("it was added once more").await;
}
