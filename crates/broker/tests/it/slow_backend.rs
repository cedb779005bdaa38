//! A backend that takes its time over every call: what memory can answer asks it for nothing but its
//! pulse, and no thread that answers is held up by it.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use provider_auth_broker::Report;
use provider_auth_vault::Memory;
use tokio::runtime::Handle;

use crate::backend::Observed;
use crate::world::{World, bearer, request};

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
