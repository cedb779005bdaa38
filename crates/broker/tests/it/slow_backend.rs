//! A backend that takes its time over every call: what memory can answer asks it for nothing but its
//! pulse, and no thread that answers is held up by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use provider_auth_broker::Report;
use provider_auth_vault::Memory;
use tokio::runtime::Handle;

use crate::backend::{Gate, Observed};
use crate::claims::{elsewhere, label};
use crate::world::{World, bearer, let_others_run, request};

#[tokio::test(start_paused = true)]
async fn what_memory_can_answer_asks_a_slow_backend_for_nothing() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let engine = Observed::new(Arc::new(Memory::default()), {
        let (calls, answering) = (calls.clone(), thread::current().id());
        move |(call, _)| {
            if call == "pulse" {
                return;
            }
            assert_ne!(thread::current().id(), answering, "{call}");
            calls.lock().push(call);
            thread::park_timeout(Duration::from_millis(20));
        }
    });
    let world = World::on(engine);
    let process = world.process();
    process.add_key("one").await;
    assert_eq!(process.token().await, "S3CRET-key-one");
    process.rest().await;
    calls.lock().clear();
    let now = || {
        let lease = process.headers_now(&request(), &Handle::current());
        lease.map(|lease| bearer(&lease.unwrap()))
    };
    for _ in 0..100 {
        let lease = process.headers_now(&request(), &Handle::current());
        let lease = lease.unwrap().unwrap();
        let again = lease.again.unwrap();
        assert!(process.headers_again(again, &Handle::current()).is_some());
        assert!(process.lent(&lease.attempt).is_some());
        let report = Report {
            attempt: lease.attempt,
            status: Some(200),
            ..Report::default()
        };
        assert!(process.report_now(&report, &Handle::current()).is_some());
    }
    assert_eq!(*calls.lock(), [""; 0]);
    // Behind a change the caller is sent to where it may wait, and nothing is read on the way.
    let other = world.process();
    let added = other.add_key("two").await;
    calls.lock().clear();
    assert_eq!(now(), None);
    assert_eq!(*calls.lock(), [""; 0]);
    process.lend().await.unwrap();
    assert!(calls.lock().contains(&"changes"));
    assert_eq!(process.state_of(&added).await, "ready");
    assert!(now().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_state_whose_write_hangs_keeps_nobody_from_reading() {
    let gate = Arc::new(Gate::default());
    let hangs = Arc::new(AtomicBool::new(false));
    let engine = Observed::new(Arc::new(Memory::default()), {
        let (gate, hangs) = (gate.clone(), hangs.clone());
        move |(call, _)| {
            if call == "write_document" && hangs.swap(false, Ordering::SeqCst) {
                gate.pass();
            }
        }
    });
    let world = World::on(engine);
    let process = world.process();
    let one = process.add_key("one").await;
    let lease = process.lend().await.unwrap();
    gate.close();
    hangs.store(true, Ordering::SeqCst);
    let broker = Arc::clone(&process);
    let report = Report {
        attempt: lease.attempt,
        status: Some(429),
        headers: [("retry-after".to_owned(), "100".to_owned())].into(),
        ..Report::default()
    };
    let reported = tokio::spawn(async move { broker.report(&report).await });
    while gate.waiting() == 0 {
        let_others_run().await;
    }
    // What another process changes is read meanwhile, and what is not written yet is not forgotten.
    elsewhere(&world, &one, |account| account["label"] = "work".into());
    assert_eq!(label(&process).await, "work");
    assert_eq!(process.state_of(&one).await, "exhausted");
    assert_eq!(gate.waiting(), 1);
    gate.open();
    reported.await.unwrap().unwrap();
    assert_eq!(process.state_of(&one).await, "exhausted");
    assert_eq!(world.process().state_of(&one).await, "exhausted");
}
