//! What this host's folder says of its history, asked at most so often: a request asks at each call, and
//! the folder asks the kernel.

use std::sync::atomic::{AtomicU64, Ordering};

use provider_auth_vault::Backend;
use tokio::time::Instant;

use super::limits;

pub(super) struct LatePulse {
    since: Instant,
    /// When the folder is to be asked again, in ms after `since`.
    next: AtomicU64,
    history: AtomicU64,
}

impl LatePulse {
    pub(super) fn new() -> Self {
        Self {
            since: Instant::now(),
            next: AtomicU64::new(0),
            history: AtomicU64::new(0),
        }
    }

    /// How often the history changed, as of [`limits::HISTORY_AGAIN`] ago at most.
    pub(super) fn history(&self, local: &dyn Backend) -> u64 {
        let now = self.since.elapsed().as_millis() as u64;
        if self.next.load(Ordering::Acquire) <= now {
            let history = local.pulse().history;
            self.history.store(history, Ordering::Release);
            let next = now + limits::HISTORY_AGAIN.as_millis() as u64;
            self.next.store(next, Ordering::Release);
            return history;
        }
        self.history.load(Ordering::Acquire)
    }

    /// This process has written it: the next look is at the folder.
    pub(super) fn wrote(&self) {
        self.next.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread, time::Duration};

    use provider_auth_vault::{Document, Engine, Memory, Options};

    use super::*;

    #[test]
    fn the_folder_is_asked_again_after_a_while_and_after_a_write_of_ours() {
        let folder = tempfile::tempdir().unwrap();
        let local = Arc::new(Memory::default());
        let local = local.prepare(&Options::new(folder.path())).unwrap();
        let late = LatePulse::new();
        let write = |text: &[u8]| local.write_document(Document::History, text).unwrap();
        let first = late.history(&*local);
        write(b"of another process");
        assert_eq!(late.history(&*local), first);
        thread::park_timeout(limits::HISTORY_AGAIN + Duration::from_millis(10));
        let second = late.history(&*local);
        assert_ne!(second, first);
        write(b"ours");
        late.wrote();
        assert_ne!(late.history(&*local), second);
    }
}
