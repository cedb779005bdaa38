//! How a disk tells of changes to a vault's folder by itself.

use std::fmt;

use crate::format::id::RecordId;

/// What a [`Watch`] heard of since it was last asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The records that were added, replaced or removed.
    pub records: Vec<RecordId>,
    /// Something else happened in the folder of records.
    pub beside_records: bool,
    /// The shared state was replaced or removed.
    pub state: bool,
    /// Its news were replaced or removed.
    pub news: bool,
    /// The history was replaced or removed.
    pub history: bool,
    /// Anything may have changed: there were more reports than could be kept.
    pub anything: bool,
}

/// Hears of changes to the records and to what processes share: a shortcut for comparing their
/// stamps, and never the only look.
pub struct Watch(Box<dyn Listener>);

/// What a [`Watch`] asks. All questions are answered at once.
pub trait Listener: Send {
    /// Tells what changed since this was last asked; `None` once changes may go unheard.
    fn heard(&mut self) -> Option<Heard>;

    /// Tells whether what is watched is still what is found at its path: a folder above may have
    /// been swapped for another, which nothing reports.
    fn is_in_place(&self) -> bool;
}

impl Watch {
    /// Makes a watch of who answers for it.
    pub fn new(listener: impl Listener + 'static) -> Self {
        Self(Box::new(listener))
    }

    /// Tells what changed since this was last asked; `None` once changes may go unheard.
    ///
    /// A change is reported before the call that makes it returns, so that a caller who was told of
    /// a change and then asks here hears of it.
    pub fn heard(&mut self) -> Option<Heard> {
        self.0.heard()
    }

    /// Tells whether what is watched is still what is found at its path.
    pub fn is_in_place(&self) -> bool {
        self.0.is_in_place()
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Watch")
    }
}
