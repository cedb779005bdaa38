//! Translates between JavaScript and the broker; holds no logic.
//!
//! Every export is one call of the broker. What can settle at once settles on the calling thread,
//! without a hop; the rest runs on the broker's own runtime and settles a deferred promise. Errors
//! are `Error`s with a stable `code`.

mod arguments;
mod calls;
mod errors;
mod promises;
mod results;

use std::alloc::System;
use std::collections::BTreeMap;

use napi_derive::{module_init, napi};
use provider_auth_broker::{Program, global};
use zeroizing_alloc::ZeroAlloc;

/// Wipes whatever is freed: a token passes through buffers of HTTP, TLS and JSON libraries that
/// wipe nothing.
#[global_allocator]
static WIPING: ZeroAlloc<System> = ZeroAlloc(System);

#[module_init]
fn start() {
    // A panic reaches JavaScript as an error; its default report would write to the host's screen.
    std::panic::set_hook(Box::new(|_| {}));
    global::listen();
}

/// Waits for what must reach the disk; the process is about to end.
#[napi(catch_unwind)]
pub fn close() {
    global::close();
}

/// The version of this addon, which is that of the package it was built for.
#[napi(catch_unwind)]
pub fn addon_version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Makes this process another program. Returns only where that cannot be: the system's number of
/// the error, or 0.
#[napi(catch_unwind)]
pub fn become_program(
    command: Vec<String>,
    set: BTreeMap<String, String>,
    removed: Vec<String>,
) -> i32 {
    let other = Program {
        command,
        set,
        removed,
    };
    let error = global::become_program(&other);
    error.raw_os_error().unwrap_or_default()
}

/// Names of the variables that no other program is to get.
#[napi(catch_unwind)]
pub fn own_variables() -> Vec<String> {
    global::own_variables().collect()
}
