//! The laws of the store, against a real server.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test fails by panicking, and goes by this machine's clock; one that is skipped says why"
)]

mod ahead;
mod changes;
mod claims;
mod faults;
mod fleet;
mod flips;
mod lines;
mod records;
mod rights;
mod state;
mod support;
