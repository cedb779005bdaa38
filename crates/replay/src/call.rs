//! One request of a scenario.

use crate::scenario::Flaw;

/// One request, as a rotator knows it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) id: usize,
    pub(crate) session: String,
    pub(crate) model: String,
    pub(crate) path: String,
    pub(crate) flaw: Option<Flaw>,
}
