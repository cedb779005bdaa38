//! Work that waits for the disk, off the threads that answer.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use parking_lot::Mutex;

/// Runs work that touches the disk away from the threads that answer.
///
/// The work is boxed, and its result is handed over aside: the runtime's code for a task exists
/// once, and not for each closure.
pub(crate) async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let result = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&result);
    run(Box::new(move || *slot.lock() = Some(work()))).await;
    let result = result.lock().take();
    match result {
        Some(result) => result,
        // `run` returns only once the work is done.
        None => std::future::pending().await,
    }
}

async fn run(work: Box<dyn FnOnce() + Send>) {
    match tokio::task::spawn_blocking(work).await {
        Ok(()) => (),
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Runs each work on a thread of its own, and waits until all are done, at most this long: what is
/// not done then ends with the process.
pub(crate) fn finish(timeout: Duration, works: impl Iterator<Item = Box<dyn FnOnce() + Send>>) {
    let (under_way, ended) = mpsc::channel::<()>();
    for work in works {
        let under_way = under_way.clone();
        let work = Arc::new(Mutex::new(Some(work)));
        let run = {
            let work = Arc::clone(&work);
            move || {
                let work = work.lock().take();
                work.into_iter().for_each(|work| work());
                drop(under_way);
            }
        };
        // Where the system starts no more threads, it is done here.
        if std::thread::Builder::new().spawn(run).is_err() {
            let work = work.lock().take();
            work.into_iter().for_each(|work| work());
        }
    }
    drop(under_way);
    // Nothing is ever sent: it is over when the last one hangs up.
    let _ = ended.recv_timeout(timeout);
}
