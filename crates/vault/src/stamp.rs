//! How an engine proves that nothing changed: stamps that are compared, and a watch that is asked.

use std::fmt;

/// The state of one thing that an engine keeps, as one cheap look shows it.
///
/// Equal stamps mean that nothing changed between them. The reverse does not hold: a file that
/// changed a moment ago may change again within the same tick of the kernel's clock, so a fresh
/// stamp equals none, not even itself.
#[derive(Clone, Copy, Debug)]
pub enum Stamp {
    /// Nothing is there.
    Absent,
    /// Something is there, and has been like this for longer than a tick.
    Settled(Revision),
    /// Something is there that is too new to tell, or could not be looked at.
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

/// Hears of changes to the records and to the shared state: a shortcut for comparing their stamps,
/// and never the only look.
pub struct Watch(Box<dyn FnMut() -> bool + Send>);

impl Watch {
    /// Makes a watch of a question that is answered at once: was there no change since it was last
    /// asked?
    ///
    /// Once changes may go unheard the answer must be no, for good.
    pub fn new(is_quiet: impl FnMut() -> bool + Send + 'static) -> Self {
        Self(Box::new(is_quiet))
    }

    /// Tells whether nothing at all happened since this was last asked.
    ///
    /// A change is reported before the call that makes it returns, so that a caller who was told of
    /// a change and then asks here hears of it.
    pub fn is_quiet(&mut self) -> bool {
        (self.0)()
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Watch")
    }
}
