//! A state that has grown long: what changes is written beside it, and goes into it when it has become much.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use provider_auth_broker::Filter;
use provider_auth_vault::Disk;
use serde_json::{Map, Value, json};

use crate::backend::Observed;
use crate::world::{Process, World, pass};

/// More than enough for a state to count as long.
const MANY: usize = 2_000;

fn file(world: &World, name: &str) -> PathBuf {
    world.vault_dir().join(name)
}

fn entries(world: &World, name: &str) -> Value {
    serde_json::from_slice(&fs::read(file(world, name)).unwrap()).unwrap()
}

/// Cooldowns of so many accounts that are not here.
fn strangers(world: &World, name: &str, count: usize) -> Value {
    let now = world.now().as_millis();
    let block = json!({ "until": now + 7_200_000, "reason": "rate_limited", "source": "header", "observed_at": now });
    let of = |number| (format!("account:{name}-{number}"), block.clone());
    let blocks: Map<String, Value> = (0..count).map(of).collect();
    json!({ "format": 1, "blocks": blocks })
}

/// A vault with these accounts and a long state.
async fn long(world: &World, names: &[&str]) -> Vec<String> {
    let process = world.process();
    let mut ids = Vec::new();
    for name in names {
        ids.push(process.add_key(name).await);
    }
    process.rest().await;
    write(world, "state.json", &strangers(world, "stranger", MANY));
    ids
}

fn write(world: &World, name: &str, content: &Value) {
    fs::write(file(world, name), content.to_string()).unwrap();
}

async fn refuse(process: &Process) -> String {
    refuse_for(process, "600").await
}

async fn refuse_for(process: &Process, seconds: &str) -> String {
    let lease = process.lend().await.unwrap();
    let wait = [("retry-after", seconds)];
    process.answer(&lease, 429, &wait).await;
    lease.account_id().to_owned()
}

async fn code(process: &Process) -> String {
    process.lend().await.err().unwrap().code().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_cooldown_beside_a_long_state_is_known_to_all_at_once_and_the_state_is_not_written() {
    let world = World::new();
    let ids = long(&world, &["a", "b"]).await;
    let (one, two) = (world.impatient_process(), world.impatient_process());
    let before = fs::read(file(&world, "state.json")).unwrap();
    // Each learns what the other one found out, and writes over it.
    let refused = [refuse(&one).await, refuse(&two).await];
    assert!(refused[0] != refused[1] && ids.iter().all(|id| refused.contains(id)));
    assert_eq!(fs::read(file(&world, "state.json")).unwrap(), before);
    let news = entries(&world, "news.json");
    assert_eq!(news["blocks"].as_object().unwrap().len(), 2);
    for process in [&one, &two, &world.impatient_process()] {
        assert_eq!(code(process).await, "EXHAUSTED");
    }
    pass(1).await;
    // Cooldowns that were lifted do not come back with shorter ones.
    let lifted = one.clear_cooldowns(&Filter::default()).await.unwrap();
    assert_eq!(lifted, 2);
    for process in [&one, &two] {
        refuse_for(process, "120").await;
    }
    assert_eq!(code(&one).await, "EXHAUSTED");
    pass(150).await;
    for process in [&one, &two, &world.impatient_process()] {
        process.lend().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn news_that_have_become_many_go_into_the_state() {
    let world = World::new();
    let ids = long(&world, &["a", "b"]).await;
    let (one, two) = (world.impatient_process(), world.impatient_process());
    let first = refuse(&one).await;
    assert_eq!(ids.iter().filter(|id| **id != first).count(), 1);
    let mut many = strangers(&world, "newcomer", 400);
    let news = entries(&world, "news.json");
    many["blocks"]
        .as_object_mut()
        .unwrap()
        .extend(news["blocks"].as_object().unwrap().clone());
    write(&world, "news.json", &many);
    refuse(&two).await;
    let state = entries(&world, "state.json");
    let blocks = state["blocks"].as_object().unwrap();
    assert_eq!(blocks.len(), MANY + 400 + 2);
    assert_eq!(entries(&world, "news.json")["blocks"], json!({}));
    for process in [&one, &two, &world.impatient_process()] {
        assert_eq!(code(process).await, "EXHAUSTED");
    }
}

#[tokio::test(start_paused = true)]
async fn damaged_news_cost_cooldowns_and_are_mended_by_the_next_write() {
    let world = World::new();
    long(&world, &["a", "b"]).await;
    let one = world.impatient_process();
    refuse(&one).await;
    for junk in ["", "{", "[]", "{\"blocks\":7}", "\0\0\0"] {
        fs::write(file(&world, "news.json"), junk).unwrap();
        let two = world.impatient_process();
        refuse(&two).await;
        let news = entries(&world, "news.json");
        assert!(!news["blocks"].as_object().unwrap().is_empty(), "{junk}");
    }
    let state = entries(&world, "state.json");
    assert_eq!(state["blocks"].as_object().unwrap().len(), MANY);
}

#[tokio::test(start_paused = true)]
async fn what_lies_beside_a_short_state_is_no_news() {
    let world = World::new();
    let ids = long(&world, &["a"]).await;
    refuse(&world.impatient_process()).await;
    write(&world, "state.json", &json!({ "format": 1 }));
    let process = world.impatient_process();
    assert_eq!(process.lend().await.unwrap().account_id(), ids[0]);
    refuse(&process).await;
    assert_eq!(entries(&world, "news.json")["blocks"], json!({}));
    let state = entries(&world, "state.json");
    assert_eq!(state["blocks"].as_object().unwrap().len(), 1);
}

/// A reader who has the news already when they go into the state, together with later ones, sees the
/// later ones.
#[tokio::test(start_paused = true)]
async fn news_that_go_into_the_state_while_it_is_read_hide_nothing() {
    let at_next_call = Arc::new(Mutex::new(None::<Box<dyn FnOnce() + Send>>));
    let reads = Arc::new(AtomicUsize::new(usize::MAX));
    let engine = Observed::new(Arc::new(Disk), {
        let (at_next_call, reads) = (at_next_call.clone(), reads.clone());
        move |(call, _)| {
            if reads.load(Ordering::SeqCst) == 1 {
                reads.store(usize::MAX, Ordering::SeqCst);
                at_next_call.lock().take().unwrap()();
            } else if call == "read_document" {
                let _ = reads.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst);
            }
        }
    });
    let world = World::on(engine);
    let ids = long(&world, &["a"]).await;
    let process = world.impatient_process();
    process.lend().await.unwrap();
    let now = world.now().as_millis();
    let rests = |state: &mut Value, seconds: u64, observed_at: u64| {
        let until = now + seconds * 1_000;
        let block = json!({ "until": until, "reason": "rate_limited", "source": "header", "observed_at": observed_at });
        state["blocks"][format!("account:{}", ids[0])] = block;
    };
    let mut news = strangers(&world, "newcomer", 1);
    rests(&mut news, 60, now - 1_000);
    let mut state = strangers(&world, "stranger", MANY + 1);
    rests(&mut state, 3_600, now);
    let (state_file, news_file) = (file(&world, "state.json"), file(&world, "news.json"));
    *at_next_call.lock() = Some(Box::new(move || {
        fs::write(state_file, state.to_string()).unwrap();
        fs::write(news_file, json!({ "format": 1 }).to_string()).unwrap();
    }));
    reads.store(0, Ordering::SeqCst);
    write(&world, "state.json", &strangers(&world, "stranger", MANY));
    write(&world, "news.json", &news);
    assert_eq!(code(&process).await, "EXHAUSTED");
    assert!(at_next_call.lock().is_none());
    pass(120).await;
    assert_eq!(code(&process).await, "EXHAUSTED");
}
