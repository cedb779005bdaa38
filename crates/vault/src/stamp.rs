//! How an engine proves that something did not change, and tells what did.

/// The state of one thing that an engine keeps, as one cheap look shows it.
///
/// Equal stamps mean that nothing changed between them. The reverse does not hold: a file that
/// changed a moment ago may change again within the same tick of the kernel's clock, so a fresh
/// stamp equals none, not even itself. Where it is known otherwise that nothing happened in between,
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

/// A moment from which on a backend tells which records, or which rows, changed; only the backend that
/// gave it knows what the number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(pub u64);
