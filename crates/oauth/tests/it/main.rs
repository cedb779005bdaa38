//! OAuth against a server that answers from a script.

#![expect(
    clippy::unwrap_used,
    reason = "a test may fail at once, helpers included"
)]

mod device;
mod discovery;
mod exchange;
mod fuzz;
mod login;
mod privacy;
mod request;
mod resource;
mod support;
mod tokens;
