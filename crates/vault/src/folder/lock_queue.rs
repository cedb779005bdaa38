//! Waiting for locks between processes, in turn and with a timeout.

use std::{
    collections::{HashMap, VecDeque},
    io,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::Duration,
};

use parking_lot::Mutex;

use crate::folder::store::{Held, Store};

/// Waits for locks with a timeout.
///
/// A kernel lock is fair only to those who block on it, and a blocked thread cannot be called off.
/// So one thread per contended lock blocks for all waiters of this process and hands the lock on;
/// when the last waiter is gone, it frees the lock and ends.
pub(crate) struct LockQueue {
    store: Arc<dyn Store>,
    queues: Mutex<HashMap<PathBuf, Queue>>,
}

type Queue = VecDeque<mpsc::Sender<io::Result<Held>>>;

impl LockQueue {
    pub(crate) fn new(store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            store,
            queues: Mutex::default(),
        })
    }

    /// Returns the lock, or `None` when it did not become free within `timeout`.
    pub(crate) fn wait(
        self: &Arc<Self>,
        lock: &Path,
        timeout: Duration,
    ) -> io::Result<Option<Held>> {
        let is_contended = self.queues.lock().contains_key(lock);
        if !is_contended && let Some(held) = self.store.try_lock(lock)? {
            return Ok(Some(held));
        }
        let turn = self.queue_up(lock)?;
        // A lock that arrives too late is freed with the channel.
        turn.recv_timeout(timeout)
            .map_or(Ok(None), |held| held.map(Some))
    }

    fn queue_up(self: &Arc<Self>, lock: &Path) -> io::Result<mpsc::Receiver<io::Result<Held>>> {
        let (sender, turn) = mpsc::channel();
        let mut queues = self.queues.lock();
        if let Some(queue) = queues.get_mut(lock) {
            queue.push_back(sender);
            return Ok(turn);
        }
        let (queue, path) = (Arc::clone(self), lock.to_owned());
        std::thread::Builder::new()
            .name("vault-lock".to_owned())
            .spawn(move || queue.serve(&path))?;
        queues.insert(lock.to_owned(), Queue::from([sender]));
        Ok(turn)
    }

    /// Takes the lock for one waiter after the other until the queue is empty.
    fn serve(&self, lock: &Path) {
        loop {
            let held = self.store.lock(lock);
            let mut queues = self.queues.lock();
            let queue = queues
                .get_mut(lock)
                .expect("a queue stays until its only thread removes it");
            hand_over(queue, held);
            if queue.is_empty() {
                queues.remove(lock);
                return;
            }
        }
    }
}

/// Gives the lock to the first who still waits; frees it when all have given up.
fn hand_over(queue: &mut Queue, mut held: io::Result<Held>) {
    while let Some(waiter) = queue.pop_front() {
        match waiter.send(held) {
            Ok(()) => return,
            Err(mpsc::SendError(back)) => held = back,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::disk::Disk;

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(30);

    fn queue() -> (tempfile::TempDir, PathBuf, Arc<LockQueue>) {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("a.lock");
        (folder, lock, LockQueue::new(Arc::new(Disk)))
    }

    #[test]
    fn a_waiter_gives_up_at_its_limit_and_the_next_one_is_served() {
        let (_folder, lock, queue) = queue();
        let first = queue.wait(&lock, SHORT).unwrap().unwrap();
        assert!(queue.wait(&lock, SHORT).unwrap().is_none());
        let waiter = std::thread::spawn({
            let (queue, lock) = (Arc::clone(&queue), lock.clone());
            move || queue.wait(&lock, LONG).unwrap().is_some()
        });
        drop(first);
        assert!(waiter.join().unwrap());
        assert!(queue.wait(&lock, LONG).unwrap().is_some());
    }

    #[test]
    fn many_waiters_are_served_one_at_a_time() {
        let (_folder, lock, queue) = queue();
        let inside = Arc::new(Mutex::new(()));
        let first = queue.wait(&lock, SHORT).unwrap().unwrap();
        let waiters: Vec<_> = (0..8)
            .map(|_| {
                let (queue, lock, inside) = (Arc::clone(&queue), lock.clone(), Arc::clone(&inside));
                std::thread::spawn(move || {
                    let held = queue.wait(&lock, LONG).unwrap().unwrap();
                    let alone = inside.try_lock().is_some();
                    drop(held);
                    alone
                })
            })
            .collect();
        drop(first);
        assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap()));
        assert!(queue.store.lock(&lock).is_ok());
        assert!(queue.queues.lock().is_empty());
    }

    #[test]
    fn a_lock_that_cannot_be_opened_is_an_error_and_not_a_wait() {
        let (folder, _, queue) = queue();
        assert!(
            queue
                .wait(&folder.path().join("absent/a.lock"), LONG)
                .is_err()
        );
    }
}
