//! The engine that keeps a vault in a folder on a disk: the first [`Backend`](crate::backend::Backend).
//!
//! Matters of a folder alone, which no other engine has: that its owner and its modes are right, that it is on no network file
//! system, and where its links lead. `Store` is what it needs of a disk: the real one, one in memory, one that fails on purpose.

pub(crate) mod backend;
pub(crate) mod disk;
mod lock_queue;
pub(crate) mod memory;
mod paths;
mod quarantine;
pub(crate) mod store;
mod watch;
