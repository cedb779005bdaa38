//! A state in rows that many machines share: what one learns the others know, counts add up, and
//! whoever keeps the rows can neither read them nor make them say anything else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use provider_auth_broker::{AuthRequest, Filter, Force, HttpError, Report};
use provider_auth_vault::{KeySecrets, Telling, default_engine};
use serde_json::Value;
use tokio::runtime::Handle;

use crate::backend::Observed;
use crate::machines::{Machine, Server};
use crate::server::Answer;
use crate::world::{MARK, Process, World, bearer, let_others_run, pass, request};

/// Of an access token, in seconds.
const LIFE: u64 = 3600;
const WAIT: [(&str, &str); 1] = [("retry-after", "600")];

/// So many machines that share a world.
fn machines<const N: usize>() -> (World, Arc<Server>, [Arc<Machine>; N]) {
    let server = Arc::new(Server::default());
    let machines = std::array::from_fn(|_| Machine::new(&server));
    (World::new(), server, machines)
}

/// What the rows say, by name, to who has the key.
fn opened(world: &World, server: &Arc<Server>) -> BTreeMap<String, Value> {
    let vault = world.vault_on(Machine::new(server).engine());
    let _ = vault.pulse();
    let rows = vault.changed_rows(None, |_, _| false).rows;
    rows.into_iter()
        .filter_map(|row| row.opened)
        .map(|(name, content)| (name, serde_json::from_slice(&content).unwrap()))
        .collect()
}

fn key_of(world: &World, server: &Arc<Server>, name: &str) -> String {
    world.vault_on(Machine::new(server).engine()).row_key(name)
}

/// Has the account that serves next rest; returns it.
async fn limit(process: &Process) -> String {
    let lease = process.lend().await.unwrap();
    process.answer(&lease, 429, &WAIT).await;
    lease.account_id().to_owned()
}

async fn is_exhausted(process: &Process) -> bool {
    let lent = process.lend().await;
    lent.is_err_and(|error| error.code() == "EXHAUSTED")
}

async fn successes(process: &Process) -> u64 {
    let accounts = process.list_accounts(&Filter::default()).await.unwrap();
    accounts.iter().map(|account| account.successes).sum()
}

/// Lets a second pass, again and again, until this holds.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..100 {
        if holds().await {
            return;
        }
        let_others_run().await;
        pass(1).await;
    }
    panic!("waited in vain: {what}");
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_stored_before_it_is_answered_and_known_to_the_others_at_their_next_request() {
    let (world, server, [one, two, three]) = machines();
    let [one, two] = [one, two].map(|machine| machine.process(&world));
    one.add_key("a").await;
    one.add_key("b").await;
    two.token().await;
    let lease = one.lend().await.unwrap();
    let limited = lease.account_id().to_owned();
    one.rest().await;
    server.written();
    one.answer(&lease, 429, &WAIT).await;
    // One row, of which others are told.
    let key = key_of(&world, &server, &format!("b/account:{limited}"));
    assert_eq!(server.written(), [(key, Telling::Now)]);
    for process in [&two, &three.process(&world)] {
        for _ in 0..5 {
            assert_ne!(process.lend().await.unwrap().account_id(), limited);
        }
    }
    assert!(!world.vault_dir().join("state.json").exists());
}

#[tokio::test(start_paused = true)]
async fn what_memory_can_answer_asks_the_store_for_nothing_and_counts_are_written_later() {
    let (world, server, [machine]) = machines();
    let process = machine.process(&world);
    let id = process.add_key("a").await;
    process.token().await;
    process.rest().await;
    server.written();
    // Who asks the store now hangs.
    machine.gate.close();
    for _ in 0..10 {
        let lease = process.headers_now(&request(), &Handle::current());
        let report = Report {
            attempt: lease.unwrap().unwrap().attempt,
            status: Some(200),
            ..Report::default()
        };
        assert!(process.report_now(&report, &Handle::current()).is_some());
    }
    let_others_run().await;
    pass(5).await;
    let_others_run().await;
    assert_eq!(machine.gate.waiting(), 0);
    machine.gate.open();
    let key = key_of(&world, &server, &format!("a/{id}"));
    until("counts", async || !server.writes.lock().is_empty()).await;
    assert_eq!(server.written(), [(key, Telling::Later)]);
    let stats = &opened(&world, &server)[&format!("a/{id}")]["accounts"][&id];
    assert_eq!(stats["successes"], 11);
}

#[tokio::test(start_paused = true)]
async fn counts_of_many_machines_add_up_whoever_writes_at_the_same_time() {
    let (world, server, machines) = machines::<4>();
    let processes = machines.map(|machine| Arc::new(machine.process(&world)));
    let id = processes[0].add_key("a").await;
    for _ in 0..3 {
        for process in &processes {
            for _ in 0..5 {
                process.token().await;
            }
        }
        let resting = processes.clone().map(|process| {
            tokio::spawn(async move {
                process.rest().await;
            })
        });
        for resting in resting {
            resting.await.unwrap();
        }
    }
    for process in &processes {
        assert_eq!(successes(process).await, 60);
    }
    let stats = &opened(&world, &server)[&format!("a/{id}")]["accounts"][&id];
    assert_eq!(stats["successes"], 60);
}

#[tokio::test(start_paused = true)]
async fn what_another_machine_writes_between_reading_and_writing_is_kept() {
    let (world, server, [one, two]) = machines();
    let [here, there] = [&one, &two].map(|machine| Arc::new(machine.process(&world)));
    let id = here.add_key("a").await;
    here.token().await;
    there.token().await;
    let leases = [here.lend().await.unwrap(), there.lend().await.unwrap()];
    one.gate.close();
    let [lease, other] = leases;
    let reported = tokio::spawn({
        let here = here.clone();
        async move { here.answer(&lease, 429, &[("retry-after", "60")]).await }
    });
    while one.gate.waiting() == 0 {
        let_others_run().await;
    }
    there.answer(&other, 429, &WAIT).await;
    there.rest().await;
    one.gate.open();
    reported.await.unwrap();
    here.rest().await;
    for process in [&here, &there] {
        pass(61).await;
        assert!(is_exhausted(process).await, "the later end counts");
        assert_eq!(successes(process).await, 2);
    }
    let stats = &opened(&world, &server)[&format!("a/{id}")]["accounts"][&id];
    assert_eq!(
        (&stats["successes"], &stats["failures"]),
        (&2.into(), &2.into())
    );
}

#[tokio::test(start_paused = true)]
async fn who_made_an_item_is_known_on_all_machines_and_conversations_stay_on_theirs() {
    let (world, server, [one, two]) = machines();
    let [one, two] = [one, two].map(|machine| machine.process(&world));
    let (a, b) = (one.add_key("a").await, one.add_key("b").await);
    let with_item = |account: Option<&String>| AuthRequest {
        bound_by: Some("item".to_owned()),
        session: Some("talk".to_owned()),
        account: account.cloned(),
        ..request()
    };
    let chosen = two.headers(&request()).await.unwrap();
    let maker = if chosen.account_id() == a { &b } else { &a };
    let lease = one.headers(&with_item(Some(maker))).await.unwrap();
    one.answer(&lease, 200, &[]).await;
    until("its owner", async || {
        opened(&world, &server)
            .keys()
            .any(|name| name.starts_with("m/"))
    })
    .await;
    let item = AuthRequest {
        session: None,
        ..with_item(None)
    };
    assert_eq!(two.headers(&item).await.unwrap().account_id(), maker);
    one.rest().await;
    let history = fs::read(world.vault_dir().join("history.json")).unwrap();
    let history: Value = serde_json::from_slice(&history).unwrap();
    let filled = |part: &str| history[part].as_object().is_some_and(|it| !it.is_empty());
    assert!(!filled("accounts") && !filled("makers"), "{history}");
    for (name, row) in opened(&world, &server) {
        assert!(row["bindings"].as_object().unwrap().is_empty(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_does_not_reach_a_login_server_keeps_no_other_from_it() {
    let (world, _server, machines) = machines::<2>();
    let [here, there] = machines.map(|machine| world.impatient_process_on(machine.engine()));
    here.log_in("ann").await;
    let before = there.token().await;
    pass(LIFE + 1).await;
    world.server.script([Answer::Failure(HttpError::Connect)]);
    assert_eq!(here.lend().await.err().unwrap().code(), "REFRESH_FAILED");
    let rests = here.lend().await.err().unwrap();
    assert!(rests.retry_at().is_some(), "{rests}");
    assert_eq!(world.server.refreshes(), 1);
    here.rest().await;
    assert_ne!(there.token().await, before);
    assert_eq!(world.server.refreshes(), 2);
}

#[tokio::test(start_paused = true)]
async fn that_a_login_is_over_is_stored_before_its_claim_is_given_back() {
    let (world, server, [machine]) = machines();
    let engine = Observed::on_machine(default_engine(), machine);
    let process = world.impatient_process_on(engine.clone());
    process.log_in("ann").await;
    pass(LIFE + 1).await;
    world.server.revoke_all();
    server.written();
    let stored = Arc::new(Mutex::new(Vec::new()));
    let told = stored.clone();
    engine.answer(move |(call, _)| {
        if call == "release" {
            told.lock().push(server.written().len());
        }
        None
    });
    assert_eq!(process.lend().await.err().unwrap().code(), "NEEDS_LOGIN");
    let stored = stored.lock();
    assert!(stored.first().is_some_and(|rows| *rows > 0), "{stored:?}");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_cut_off_goes_on_and_tells_all_when_it_is_back() {
    let (world, server, [one, two]) = machines();
    let [here, there] = [&one, &two].map(|machine| machine.process(&world));
    let id = here.add_key("a").await;
    there.token().await;
    let lease = here.lend().await.unwrap();
    one.cut_off(true);
    for _ in 0..3 {
        here.token().await;
    }
    here.answer(&lease, 429, &WAIT).await;
    assert!(is_exhausted(&here).await);
    for _ in 0..60 {
        let_others_run().await;
        pass(1).await;
    }
    assert!(is_exhausted(&here).await);
    assert!(!is_exhausted(&there).await);
    let stats = opened(&world, &server);
    assert!(!stats.contains_key(&format!("b/account:{id}")));
    one.cut_off(false);
    until("the block", async || is_exhausted(&there).await).await;
    for process in [&here, &there] {
        process.rest().await;
    }
    assert_eq!(successes(&there).await, 4);
    assert_eq!(successes(&here).await, 4);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_asked_every_second_and_one_that_refuses_less_often() {
    for (refuses, often) in [(true, 1..=4), (false, 20..=50)] {
        let (world, _, [one, two]) = machines();
        let [here, there] = [&one, &two].map(|machine| machine.process(&world));
        here.add_key("a").await;
        there.token().await;
        match refuses {
            true => one.refuse(true),
            false => one.cut_off(true),
        }
        limit(&here).await;
        one.asked.store(0, Ordering::SeqCst);
        for _ in 0..40 {
            let_others_run().await;
            pass(1).await;
        }
        let asked = one.asked.load(Ordering::SeqCst);
        assert!(often.contains(&asked), "{refuses}: {asked}");
        one.refuse(false);
        one.cut_off(false);
        until("the block", async || is_exhausted(&there).await).await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_call_waits_longer_for_a_store_that_hangs_than_two_seconds() {
    let (world, _, [one, two]) = machines();
    let [here, there] = [&one, &two].map(|machine| Arc::new(machine.process(&world)));
    here.add_key("a").await;
    there.token().await;
    let leases = [here.lend().await.unwrap(), here.lend().await.unwrap()];
    one.gate.close();
    let reports = leases.map(|lease| {
        let here = here.clone();
        tokio::spawn(async move { here.answer(&lease, 429, &WAIT).await })
    });
    while one.gate.waiting() == 0 {
        let_others_run().await;
    }
    assert!(reports.iter().all(|report| !report.is_finished()));
    pass(2).await;
    for report in reports {
        report.await.unwrap();
    }
    // One write hangs, whoever waits for it.
    assert_eq!(one.gate.waiting(), 1);
    assert!(is_exhausted(&here).await);
    assert!(!is_exhausted(&there).await);
    one.gate.open();
    until("the block", async || is_exhausted(&there).await).await;
}

#[tokio::test(start_paused = true)]
async fn a_row_that_was_tampered_with_is_forgotten_by_who_knows_no_better_and_put_back_by_who_does()
{
    type Tamper = fn(&mut BTreeMap<String, provider_auth_vault::Row>, &str, &str);
    let flips: Tamper = |rows, block, _| {
        let row = rows.get_mut(block).unwrap();
        let place = row.sealed.len() / 2;
        row.sealed[place] ^= 1;
    };
    let swaps: Tamper = |rows, block, account| {
        let other = rows[account].sealed.clone();
        let block = &mut rows.get_mut(block).unwrap().sealed;
        let block = std::mem::replace(block, other);
        rows.get_mut(account).unwrap().sealed = block;
    };
    let counts_on: Tamper = |rows, block, _| rows.get_mut(block).unwrap().version += 1;
    let empties: Tamper = |rows, block, _| rows.get_mut(block).unwrap().sealed.clear();
    let removes: Tamper = |rows, block, account| {
        rows.remove(block).unwrap();
        rows.remove(account).unwrap();
    };
    for (tamper, is_seen) in [
        (flips, true),
        (swaps, true),
        (counts_on, true),
        (empties, true),
        // Nobody is told of it: the next write puts it back.
        (removes, false),
    ] {
        let (world, server, [one, two, three]) = machines();
        let here = one.process(&world);
        let id = here.add_key("a").await;
        here.token().await;
        let lease = here.lend().await.unwrap();
        limit(&here).await;
        here.rest().await;
        let block = key_of(&world, &server, &format!("b/account:{id}"));
        let account = key_of(&world, &server, &format!("a/{id}"));
        tamper(&mut server.rows.lock(), &block, &account);
        assert!(!is_exhausted(&two.process(&world)).await);
        assert!(is_exhausted(&here).await);
        if is_seen {
            until("what was lost", async || {
                opened(&world, &server).contains_key(&format!("b/account:{id}"))
            })
            .await;
        } else {
            here.answer(&lease, 429, &WAIT).await;
            here.rest().await;
            let stats = &opened(&world, &server)[&format!("a/{id}")]["accounts"][&id];
            assert_eq!(
                (&stats["successes"], &stats["failures"]),
                (&1.into(), &2.into())
            );
        }
        assert!(is_exhausted(&three.process(&world)).await);
        assert!(is_exhausted(&here).await);
    }
}

#[tokio::test(start_paused = true)]
async fn every_flipped_byte_of_a_row_costs_that_row_alone() {
    let (world, server, [machine]) = machines();
    let process = machine.process(&world);
    let id = process.add_key("a").await;
    limit(&process).await;
    process.rest().await;
    let whole = opened(&world, &server);
    let block = key_of(&world, &server, &format!("b/account:{id}"));
    let row = server.rows.lock()[&block].clone();
    for place in 0..row.sealed.len() {
        let mut flipped = row.clone();
        flipped.sealed[place] ^= 1;
        server.rows.lock().insert(block.clone(), flipped);
        let mut left = opened(&world, &server);
        assert_eq!(left.len(), whole.len() - 1, "{place}");
        left.insert(
            format!("b/account:{id}"),
            whole[&format!("b/account:{id}")].clone(),
        );
        assert_eq!(left, whole, "{place}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_row_that_is_put_back_is_outvoted() {
    let (world, server, [one, two]) = machines();
    let here = one.process(&world);
    let id = here.log_in("ann").await;
    here.token().await;
    here.rest().await;
    let old = server.rows.lock().clone();
    here.refresh_account(&id, Force::EvenIfGood).await.unwrap();
    here.token().await;
    limit(&here).await;
    here.rest().await;
    let new = opened(&world, &server);
    let account = format!("a/{id}");
    assert_eq!(new[&account]["accounts"][&id]["generation"], 2);
    // As after a failover to a standby that has missed the last writes.
    *server.rows.lock() = old;
    assert!(is_exhausted(&here).await);
    assert_eq!(successes(&here).await, 2);
    until("the generation", async || {
        opened(&world, &server)[&account]["accounts"][&id]["generation"] == 2
    })
    .await;
    // A record of before is known for what it is where only rows tell.
    assert_eq!(here.state_of(&id).await, "exhausted");
    assert!(!is_exhausted(&two.process(&world)).await);
    let lease = two.process(&world).lend().await.unwrap();
    assert_eq!(bearer(&lease), "S3CRET-access-ann-2");
}

#[tokio::test(start_paused = true)]
async fn a_record_of_before_is_known_by_the_generation_in_its_row() {
    let (world, _, [one, two]) = machines();
    let here = one.process(&world);
    let id = here.log_in("ann").await;
    let old = fs::read(world.record_file(&id)).unwrap();
    here.refresh_account(&id, Force::EvenIfGood).await.unwrap();
    here.rest().await;
    fs::write(world.record_file(&id), old).unwrap();
    let elsewhere = two.process(&world);
    assert_eq!(elsewhere.state_of(&id).await, "rollback_suspected");
}

#[tokio::test(start_paused = true)]
async fn who_keeps_the_rows_sees_no_name_and_who_has_the_key_sees_them_all() {
    let (world, server, [machine]) = machines();
    let process = machine.process(&world);
    let id = process.log_in("ann@acme.example").await;
    let asked = AuthRequest {
        model: Some("large-model".to_owned()),
        session: Some("talk".to_owned()),
        bound_by: Some("item".to_owned()),
        ..request()
    };
    let lease = process.headers(&asked).await.unwrap();
    process.answer(&lease, 200, &[]).await;
    let lease = process.headers(&asked).await.unwrap();
    process.answer(&lease, 429, &WAIT).await;
    process.rest().await;
    let planted = [&*id, "acme", "ann", "large-model", "throttled"];
    let rows = opened(&world, &server);
    let text = format!("{rows:?}");
    for name in [&*id, "acme", "large-model"] {
        assert!(text.contains(name), "{name}: {text}");
    }
    let kinds: BTreeSet<_> = rows.keys().map(|name| &name[..1]).collect();
    assert_eq!(kinds, ["a", "b", "m", "s"].into());
    for (key, row) in server.rows.lock().iter() {
        let bytes = String::from_utf8_lossy(&row.sealed).to_lowercase();
        for name in planted.into_iter().chain([MARK, "default", "account"]) {
            let name = name.to_lowercase();
            assert!(!key.to_lowercase().contains(&name), "{key}");
            assert!(!bytes.contains(&name), "{name}");
        }
        assert_eq!(row.sealed.len() % 256, 72 + 16, "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_data_key_seals_every_row_anew_in_its_place() {
    let (world, server, [one, two, three]) = machines();
    let [here, there] = [one, two].map(|machine| machine.process(&world));
    here.add_key("a").await;
    there.token().await;
    limit(&here).await;
    here.rest().await;
    let before = server.rows.lock().clone();
    let said = opened(&world, &server);
    for _ in 0..2 {
        here.rotate_key(KeySecrets::default()).await.unwrap();
    }
    let after = server.rows.lock().clone();
    assert!(before.keys().eq(after.keys()));
    for (key, row) in &after {
        assert_ne!(row.sealed, before[key].sealed);
        let epoch = u32::from_le_bytes(row.sealed[12..16].try_into().unwrap());
        assert_eq!((epoch, row.version), (3, before[key].version + 2));
    }
    assert_eq!(opened(&world, &server), said);
    for process in [&here, &there, &three.process(&world)] {
        assert!(is_exhausted(process).await);
    }
}
