//! What is written when of what processes share, and who waits for it: conversations and counts are
//! in a file that no request waits for, and a file that is too long is forgotten.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use provider_auth_broker::{AuthRequest, Filter, Report};
use serde_json::Value;
use tokio::runtime::Handle;

use crate::world::{Process, World, let_others_run, pass, request};

/// What a vault reads of a file.
const LONGEST_READ: usize = 16 * 1024 * 1024;

fn talk(session: &str) -> AuthRequest {
    AuthRequest {
        session: Some(session.to_owned()),
        ..request()
    }
}

/// One exchange that is answered with 200; returns the account.
async fn say(process: &Process, session: &str) -> String {
    let lease = process.headers(&talk(session)).await.unwrap();
    process.answer(&lease, 200, &[]).await;
    lease.account_id().to_owned()
}

/// The same on the calling thread alone; `None` when something is to be read first.
fn say_now(process: &Process, session: &str) -> Option<String> {
    let lease = process.headers_now(&talk(session), &Handle::current())?;
    let lease = lease.unwrap();
    let report = Report {
        attempt: lease.attempt.clone(),
        status: Some(200),
        ..Report::default()
    };
    process
        .report_now(&report, &Handle::current())
        .unwrap()
        .unwrap();
    Some(lease.account_id().to_owned())
}

async fn later(seconds: u64) {
    // What was just spawned has to see the time from which it waits.
    let_others_run().await;
    pass(seconds).await;
    let_others_run().await;
}

/// Lets a second pass, again and again, until this holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..100 {
        if holds() {
            return;
        }
        later(1).await;
    }
    panic!("waited in vain: {what}");
}

/// The history as it is on disk; nothing where it is not.
fn history(world: &World) -> Value {
    let content = fs::read(file(world, "history.json"));
    content.map_or(Value::Null, |content| {
        serde_json::from_slice(&content).unwrap()
    })
}

fn file(world: &World, name: &str) -> PathBuf {
    world.vault_dir().join(name)
}

async fn successes(process: &Process) -> u64 {
    let accounts = process.list_accounts(&Filter::default()).await.unwrap();
    accounts.iter().map(|account| account.successes).sum()
}

#[tokio::test(start_paused = true)]
async fn a_new_conversation_is_on_disk_within_seconds_and_its_counts_within_half_a_minute() {
    let world = World::new();
    let process = world.process();
    process.add_key("a").await;
    let start = world.now();
    say(&process, "long").await;
    until("the conversation", || {
        history(&world)["bindings"].is_object()
    })
    .await;
    assert!(start.until(world.now()) < Duration::from_secs(10));
    let begun = history(&world);
    assert_eq!(begun["bindings"].as_object().unwrap().len(), 1);

    say(&process, "long").await;
    later(5).await;
    assert_eq!(
        history(&world),
        begun,
        "a count that no other process waits for"
    );
    until("the count", || history(&world) != begun).await;
    let counted = history(&world);
    say(&process, "long").await;
    process.rest().await;
    assert_ne!(history(&world), counted);
    assert_eq!(successes(&world.process()).await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_binding_that_is_about_to_end_is_renewed_on_disk_at_once() {
    let world = World::new();
    let process = world.process();
    process.add_key("a").await;
    say(&process, "slow").await;
    process.rest().await;
    let before = history(&world);
    // One conversation is bound for an hour here.
    pass(3_600 - 30).await;
    let start = world.now();
    say(&process, "slow").await;
    until("the binding", || history(&world) != before).await;
    assert!(start.until(world.now()) < Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_conversation_goes_on_in_another_process_with_the_account_that_it_was_moved_to() {
    let world = World::new();
    let (one, two) = (world.process(), world.process());
    for name in ["a", "b", "c"] {
        one.add_key(name).await;
    }
    for session in ["1", "2", "3", "4", "5"] {
        let first = say(&one, session).await;
        assert_eq!(say(&two, session).await, first);
        later(2).await;
        let lease = one.headers(&talk(session)).await.unwrap();
        one.answer(&lease, 429, &[("retry-after", "20")]).await;
        let moved = say(&one, session).await;
        assert_ne!(moved, first);
        let at = Value::from(world.now().as_millis());
        let is_moved = |binding: &Value| binding["account"] == *moved && binding["used_at"] == at;
        until("the move", || {
            let bindings = history(&world)["bindings"].take();
            bindings
                .as_object()
                .is_some_and(|all| all.values().any(is_moved))
        })
        .await;
        pass(30).await;
        // The first account could serve again, and two has heard of no more than its rest.
        assert_eq!(say(&two, session).await, moved, "{session}");
        assert_eq!(say(&one, session).await, moved, "{session}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_the_history_of_others_only_in_a_conversation_that_is_not_known() {
    let world = World::new();
    let (one, two) = (world.process(), world.process());
    one.add_key("a").await;
    let account = say(&one, "known").await;
    one.rest().await;
    assert_eq!(say(&two, "known").await, account);
    two.rest().await;
    // The clock may have moved by more than a minute while it rested; and where no file can be
    // watched any more, one that was just written is too new to tell.
    for _ in 0..100 {
        assert_eq!(say(&two, "known").await, account);
        if say_now(&two, "known").is_some() {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    assert_eq!(say_now(&two, "known"), Some(account.clone()));

    let state = || fs::read(file(&world, "state.json")).ok();
    let before = state();
    say(&one, "new").await;
    one.rest().await;
    assert_eq!(state(), before, "nothing that a request waits for");
    assert_eq!(say_now(&two, "known"), Some(account.clone()), "behind");
    assert_eq!(say_now(&two, "new"), None, "another process may know it");
    let pinned = AuthRequest {
        account: Some(account.clone()),
        ..talk("new")
    };
    assert!(two.headers_now(&pinned, &Handle::current()).is_some());
    // It is read behind the request.
    let start = world.now();
    until("a reading", || say_now(&two, "new").is_some()).await;
    assert!(start.until(world.now()) < Duration::from_secs(10));

    say(&one, "newer").await;
    one.rest().await;
    pass(60).await;
    assert_eq!(
        say_now(&two, "known"),
        None,
        "it has not looked for a minute"
    );
    assert_eq!(say(&two, "known").await, account);
    assert_eq!(say_now(&two, "newer"), Some(account));
}

#[tokio::test(start_paused = true)]
async fn counts_of_many_processes_add_up_over_both_files() {
    let world = World::new();
    let processes = [world.process(), world.process(), world.process()];
    processes[0].add_key("a").await;
    for round in 0..4 {
        for (place, process) in processes.iter().enumerate() {
            say(process, &format!("{place}")).await;
            if round % 2 == place % 2 {
                later(11).await;
            }
        }
    }
    let lease = processes[0].lend().await.unwrap();
    processes[0]
        .answer(&lease, 429, &[("retry-after", "1")])
        .await;
    for process in &processes {
        process.rest().await;
    }
    assert_eq!(successes(&world.process()).await, 12);
    assert_eq!(successes(&processes[1]).await, 12);
}

#[tokio::test(start_paused = true)]
async fn a_state_of_an_earlier_version_is_read_with_its_conversations() {
    let world = World::new();
    let (moved, history) = {
        let process = world.process();
        for name in ["a", "b"] {
            process.add_key(name).await;
        }
        let lease = process.headers(&talk("old")).await.unwrap();
        process.answer(&lease, 429, &[("retry-after", "20")]).await;
        let moved = say(&process, "old").await;
        process.rest().await;
        (moved, fs::read(file(&world, "history.json")).unwrap())
    };
    // All was in one file.
    let mut state: Value =
        serde_json::from_slice(&fs::read(file(&world, "state.json")).unwrap()).unwrap();
    let mut history: Value = serde_json::from_slice(&history).unwrap();
    state["bindings"] = history["bindings"].take();
    fs::write(file(&world, "state.json"), state.to_string()).unwrap();
    fs::remove_file(file(&world, "history.json")).unwrap();
    pass(30).await;
    let process = world.process();
    assert_eq!(say(&process, "old").await, moved);
    process.rest().await;
    assert_eq!(say(&world.process(), "old").await, moved);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_too_long_is_forgotten_and_mended_by_the_next_write() {
    let world = World::new();
    let (one, two) = (world.impatient_process(), world.impatient_process());
    one.add_key("a").await;
    let lease = one.lend().await.unwrap();
    one.answer(&lease, 429, &[("retry-after", "600")]).await;
    say_now(&one, "none");
    one.rest().await;
    let whole = fs::read(file(&world, "state.json")).unwrap();
    for (length, is_read) in [(LONGEST_READ, true), (LONGEST_READ + 1, false)] {
        let mut padded = whole.clone();
        padded.resize(length, b' ');
        fs::write(file(&world, "state.json"), &padded).unwrap();
        fs::write(file(&world, "history.json"), &padded).unwrap();
        let process = world.impatient_process();
        let lent = process.lend().await;
        assert_eq!(lent.is_err(), is_read, "{length}");
        let Ok(lease) = lent else {
            continue;
        };
        // What it finds out is shared again.
        process.answer(&lease, 429, &[("retry-after", "600")]).await;
        process.rest().await;
        let mended = fs::metadata(file(&world, "state.json")).unwrap().len();
        assert!(mended < 4_096, "{mended}");
        for other in [&two, &world.impatient_process()] {
            assert_eq!(other.lend().await.err().unwrap().code(), "EXHAUSTED");
        }
    }
}
