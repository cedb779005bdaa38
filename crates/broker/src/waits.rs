//! Calls that wait and may be called off. Numbers are given out here, one per process: worker
//! threads share them.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::error::BrokerError;

/// The calls that may be called off, by number.
#[derive(Default)]
pub struct Waits {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Notify>>>,
}

impl Waits {
    /// Returns a number for one call of [`Waits::run`]; from now on [`Waits::end`] is heard.
    pub fn begin(&self) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.lock().insert(number, Arc::default());
        number
    }

    /// Runs `work` until it is done or called off. Without a number it cannot be called off.
    pub async fn run<T>(
        &self,
        number: Option<u64>,
        work: impl Future<Output = Result<T, BrokerError>>,
    ) -> Result<T, BrokerError> {
        let Some(number) = number else {
            return work.await;
        };
        let Some(end) = self.open.lock().get(&number).cloned() else {
            return Err(BrokerError::Aborted);
        };
        let outcome = tokio::select! {
            outcome = work => outcome,
            () = end.notified() => Err(BrokerError::Aborted),
        };
        self.open.lock().remove(&number);
        outcome
    }

    /// Calls off the waiting of one call, also of one that has not begun to run.
    pub fn end(&self, number: u64) {
        if let Some(end) = self.open.lock().remove(&number) {
            end.notify_one();
        }
    }
}
