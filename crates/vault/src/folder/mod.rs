//! A vault's files on a disk.

pub(crate) mod disk;
pub(crate) mod lock_queue;
pub(crate) mod memory;
pub(crate) mod platform;
pub(crate) mod private_file;
pub(crate) mod quarantine;
pub(crate) mod store;
pub(crate) mod watch;
