//! What differs between operating systems: modes and owners, links, file times, network file
//! systems.

mod file_facts;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::*;

pub use file_facts::{FreeSpace, Privacy};
