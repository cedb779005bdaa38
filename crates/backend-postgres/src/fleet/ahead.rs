//! Records that are on their way while those before them are read: who reads one after another waits for none of them.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use parking_lot::Mutex;
use provider_auth_vault::RecordId;

/// What is on its way: as much as there are readers.
#[derive(Default)]
pub(super) struct Ahead(Mutex<Vec<Coming>>);

/// Records that were asked for together, in order.
pub(super) struct Coming {
    pub(super) ids: Vec<RecordId>,
    /// Nothing is sent: it ends when they are here, or cannot be had.
    end: Receiver<()>,
}

impl Ahead {
    /// Notes that these are on their way, until what is returned is dropped.
    pub(super) fn put(&self, ids: Vec<RecordId>) -> SyncSender<()> {
        let (coming, end) = sync_channel(0);
        self.0.lock().push(Coming { ids, end });
        coming
    }

    /// Takes what comes with a record, if that is on its way.
    pub(super) fn take(&self, id: RecordId) -> Option<Coming> {
        let mut all = self.0.lock();
        let place = all
            .iter()
            .position(|coming| coming.ids.binary_search(&id).is_ok())?;
        Some(all.swap_remove(place))
    }
}

impl Coming {
    pub(super) fn wait(self) {
        let _ = self.end.recv();
    }
}
