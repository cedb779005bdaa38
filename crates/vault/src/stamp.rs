//! How an engine proves that nothing changed: stamps that are compared, and a watch that is asked.

use std::fmt;

use crate::format::record::RecordId;

/// The state of one thing that an engine keeps, as one cheap look shows it.
///
/// Equal stamps mean that nothing changed between them. The reverse does not hold: a file that
/// changed a moment ago may change again within the same tick of the kernel's clock, so a fresh
/// stamp equals none, not even itself. Where a [`Watch`] heard of nothing in between,
/// [`Stamp::is_same_revision`] is enough.
#[derive(Clone, Copy, Debug)]
pub enum Stamp {
    /// Nothing is there.
    Absent,
    /// Something is there, and has been like this for longer than a tick.
    Settled(Revision),
    /// Something is there that is too new to tell.
    Fresh(Revision),
    /// It could not be looked at.
    Unsettled,
}

/// What tells one state from another; only the engine knows what the numbers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision(pub [u128; 4]);

impl PartialEq for Stamp {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Absent, Self::Absent) => true,
            (Self::Settled(one), Self::Settled(two)) => one == two,
            _ => false,
        }
    }
}

impl Stamp {
    /// Tells whether both show the same revision, however new it is.
    pub fn is_same_revision(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Absent, Self::Absent) => true,
            (Self::Settled(one) | Self::Fresh(one), Self::Settled(two) | Self::Fresh(two)) => {
                one == two
            }
            _ => false,
        }
    }
}

/// What a [`Watch`] heard of since it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// A record was added, replaced or removed.
    pub records: bool,
    /// The shared state was replaced or removed.
    pub state: bool,
    /// The history was replaced or removed.
    pub history: bool,
}

impl Heard {
    /// Anything may have changed.
    pub const ALL: Self = Self {
        records: true,
        state: true,
        history: true,
    };
}

/// Hears of changes to the records and to what processes share: a shortcut for comparing their stamps,
/// and never the only look.
pub struct Watch(Box<dyn Listener>);

/// What a [`Watch`] asks. All questions are answered at once.
pub trait Listener: Send {
    /// Tells what changed since this was last asked.
    ///
    /// Once changes may go unheard the answer must be [`Heard::ALL`], for good.
    fn heard(&mut self) -> Heard;

    /// Tells whether [`take_changed`](Self::take_changed) would name a record.
    fn names_records(&self) -> bool;

    /// Returns the records of the changes that [`heard`](Self::heard) has told of since this was
    /// last asked; `None` where any record may have changed, as the first time.
    fn take_changed(&mut self) -> Option<Vec<RecordId>>;
}

impl Watch {
    /// Makes a watch of who answers for it.
    pub fn new(listener: impl Listener + 'static) -> Self {
        Self(Box::new(listener))
    }

    /// Tells what changed since this was last asked.
    ///
    /// A change is reported before the call that makes it returns, so that a caller who was told of
    /// a change and then asks here hears of it.
    pub fn heard(&mut self) -> Heard {
        self.0.heard()
    }

    /// Tells whether [`take_changed`](Self::take_changed) would name a record.
    pub fn names_records(&self) -> bool {
        self.0.names_records()
    }

    /// Returns the records that were added, replaced or removed, as far as [`heard`](Self::heard)
    /// has told of it, since this was last asked; `None` where any record may have been, as the
    /// first time.
    pub fn take_changed(&mut self) -> Option<Vec<RecordId>> {
        self.0.take_changed()
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Watch")
    }
}
