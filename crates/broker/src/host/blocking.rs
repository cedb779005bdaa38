//! Work that waits for the disk, off the threads that answer.

use std::sync::Arc;

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
