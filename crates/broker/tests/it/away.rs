//! A store that is away: what serves meanwhile and for how long, and what is told of it.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use provider_auth_broker::{DiagnoseOptions, Force, State, StoreState, StoreStatus};
use provider_auth_vault::{Memory, default_engine};
use serde_json::json;
use tokio::runtime::Handle;

use crate::backend::Observed;
use crate::server::Lifetime;
use crate::world::{World, bearer, config, pass, request};

const HOUR: u64 = 3_600;

fn status(world: &World, state: StoreState) -> StoreStatus {
    StoreStatus {
        kind: "postgres",
        place: "db.example/auth, vault team".to_owned(),
        state,
        since: world.now().as_millis(),
        direct: Some(true),
        schema: 1,
        hosts: Some(2),
        outbox: 0,
        settles_in: None,
        clock_offset: 0,
    }
}

fn engine() -> Arc<Observed> {
    Observed::new(Arc::new(Memory::default()), |_| {})
}

#[tokio::test(start_paused = true)]
async fn an_api_key_serves_for_a_day_without_the_store_and_again_when_it_is_back() {
    let engine = engine();
    let world = World::on(engine.clone());
    let process = world.process();
    process.add_key("one").await;
    engine.stands(status(&world, StoreState::Listening));
    pass(48 * HOUR).await;
    assert_eq!(process.token().await, "S3CRET-key-one");
    engine.stands(status(&world, StoreState::Offline));
    pass(23 * HOUR).await;
    assert_eq!(process.token().await, "S3CRET-key-one");
    pass(HOUR + 2).await;
    for _ in 0..2 {
        let refused = process.headers(&request()).await.map(drop).unwrap_err();
        assert_eq!(refused.code(), "STORE_UNAVAILABLE");
        assert_eq!(
            refused.retry_at(),
            Some(world.now() + Duration::from_secs(5))
        );
        let now = process.headers_now(&request(), &Handle::current());
        assert!(
            now.is_none(),
            "who cannot wait comes again, and is told then"
        );
    }
    engine.stands(status(&world, StoreState::Polling));
    pass(1).await;
    assert_eq!(process.token().await, "S3CRET-key-one");
}

#[tokio::test(start_paused = true)]
async fn how_long_it_serves_is_configured() {
    let engine = engine();
    let world = World::on(engine.clone());
    let mut keys = config(json!({}));
    keys["offlineMs"] = json!(60_000);
    let process = world.process_with(keys);
    process.add_key("one").await;
    engine.stands(status(&world, StoreState::Offline));
    pass(59).await;
    assert_eq!(process.token().await, "S3CRET-key-one");
    pass(2).await;
    let refused = process
        .headers(&request())
        .await
        .map(|lease| bearer(&lease));
    assert_eq!(refused.unwrap_err().code(), "STORE_UNAVAILABLE");
}

#[tokio::test(start_paused = true)]
async fn how_the_store_stands_is_in_the_status_and_in_the_diagnosis() {
    let engine = engine();
    let world = World::on(engine.clone());
    let process = world.process();
    assert_eq!(process.vault_status().await.unwrap().store, None);
    process.add_key("one").await;
    let offline = status(&world, StoreState::Offline);
    engine.stands(offline.clone());
    assert_eq!(process.vault_status().await.unwrap().store, Some(offline));
    let diagnosis = process
        .diagnose(DiagnoseOptions::default(), &Default::default())
        .await;
    let told: Vec<_> = diagnosis
        .findings
        .iter()
        .map(|it| (it.id, it.state))
        .collect();
    assert!(
        told.contains(&("store.offline", State::Problem)),
        "{told:?}"
    );
    assert!(told.contains(&("clock.store", State::Ok)), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_login_that_the_store_has_lost_is_waited_for_while_it_may_be_put_back() {
    let engine = Observed::new(default_engine(), |_| {});
    let world = World::on(engine.clone());
    let process = world.process();
    let id = process.log_in("ann").await;
    let old = fs::read(world.record_file(&id)).unwrap();
    world.server.tokens_live(Lifetime::In(2 * HOUR));
    process
        .refresh_account(&id, Force::EvenIfGood)
        .await
        .unwrap();
    let new = fs::read(world.record_file(&id)).unwrap();
    pass(HOUR + 1).await;
    // As after a failover to a standby that has missed the last write.
    let settling = StoreStatus {
        settles_in: Some(Duration::from_secs(10)),
        ..status(&world, StoreState::Listening)
    };
    engine.stands(settling);
    let put = |record: &[u8]| {
        let file = world.record_file(&id);
        let there = file.with_extension("written");
        fs::write(&there, record).unwrap();
        fs::rename(there, file).unwrap();
    };
    put(&old);
    let put_back = async {
        pass(2).await;
        put(&new);
    };
    let (lent, ()) = tokio::join!(process.lend(), put_back);
    assert_eq!(bearer(&lent.unwrap()), "S3CRET-access-ann-2");
    // Where hosts do not put it back, the wait ends after `maxWaitMs`; a store that has settled is not waited for.
    put(&old);
    for (settled, least, most) in [(false, 30, 31), (true, 0, 1)] {
        if settled {
            engine.stands(status(&world, StoreState::Listening));
        }
        let began = world.now();
        assert_eq!(process.lend().await.err().unwrap().code(), "NEEDS_LOGIN");
        let waited = began.until(world.now()).as_secs();
        assert!((least..=most).contains(&waited), "{waited} s");
    }
}
