//! The engine that keeps a vault in a folder on a disk: the first
//! [`Backend`](crate::backend::Backend).
//!
//! Some matters are a folder's by nature, and no other engine has them: whether owner and modes are
//! right, whether it is on a network file system, where its links lead. `Store` is what it needs of
//! a disk: the real one, one in memory, one that fails on purpose.

pub(crate) mod backend;
mod change_log;
pub(crate) mod checkup;
pub(crate) mod disk;
pub(crate) mod listener;
mod lock_queue;
pub(crate) mod memory;
mod paths;
mod quarantine;
pub(crate) mod store;
mod watch;
