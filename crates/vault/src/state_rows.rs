//! What a backend is that keeps the shared state as rows.

use crate::{VaultError, stamp::Mark};

/// The shared state as sealed rows, for a store that serves many machines: each is merged by itself,
/// and who learns something writes that alone.
///
/// A key says nothing of what its row is about. The backend keeps versions and bytes and cannot tell
/// what is in them, nor whether they are whole.
pub trait StateRows: Send + Sync {
    /// Returns the rows that may have changed since a mark; without one, all. It asks no store: it answers
    /// with what was heard of so far, and never waits.
    ///
    /// [`Pulse::state`](crate::Pulse::state) moves when there is more to be told. A row that this
    /// backend wrote is told of, too. None is told of before the records that were there when it was
    /// written: it may speak of their generations. A row is as the last question found it: where its
    /// version is lower than before, the store has lost writings, and not an answer its way.
    fn changed(&self, since: Option<Mark>) -> RowChanges;

    /// Puts what `merge` makes of a row in its place; it is stored when this returns.
    ///
    /// Where somebody else has written meanwhile, `merge` is called again with what is there then;
    /// the first time it may get the row as it was last heard of. It may ask this backend itself.
    /// [`VaultError::StoreUnavailable`] where the store does not answer in time, and at once where
    /// that is known: then it may or may not have been stored.
    fn merge(
        &self,
        key: &str,
        telling: Telling,
        merge: &mut RowMerge<'_>,
    ) -> Result<(), VaultError>;
}

/// Gets the row that is there and the version to seal, which is one more; returns what to write, or
/// `None` to leave the row as it is.
pub type RowMerge<'a> = dyn FnMut(Option<&Row>, u64) -> Option<Vec<u8>> + 'a;

/// A row of the shared state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Counts the writes, from 1. After a failover it may have gone back.
    pub version: u64,
    /// What was written.
    pub sealed: Vec<u8>,
}

/// The rows that may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowChanges {
    /// Each with its key.
    pub rows: Vec<(String, Row)>,
    /// What to ask with the next time. A change after it is told of then.
    pub mark: Mark,
}

/// How soon other machines learn of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// At once.
    Now,
    /// When they next ask by themselves.
    Later,
}
