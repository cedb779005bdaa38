//! Another program in place of this process: it keeps the process id, the terminal and its place in
//! the job, so that signals and its end are its own and nothing of ours is left running beside it.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};

/// The command that takes over, and how its environment differs from that of this process.
#[derive(Default)]
pub struct Program {
    /// Its name or path, and its arguments.
    pub command: Vec<String>,
    /// Variables that it gets.
    pub set: BTreeMap<String, String>,
    /// Variables that it does not get.
    pub removed: Vec<String>,
}

/// Replaces this process by another program. Returns only what kept it from that.
#[cfg(unix)]
pub(crate) fn become_program(other: &Program) -> io::Error {
    use std::os::unix::process::CommandExt as _;

    let Some((program, arguments)) = other.command.split_first() else {
        return ErrorKind::InvalidInput.into();
    };
    give_back_streams();
    let mut command = std::process::Command::new(program);
    for name in &other.removed {
        command.env_remove(name);
    }
    command.args(arguments).envs(&other.set).exec()
}

/// Windows has nothing like it.
#[cfg(not(unix))]
pub(crate) fn become_program(_: &Program) -> io::Error {
    ErrorKind::Unsupported.into()
}

/// Node keeps the standard streams to itself, and leaves pipes so that a read or write does not
/// wait, which other programs do not expect.
#[cfg(unix)]
fn give_back_streams() {
    use std::os::fd::AsFd;

    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    use rustix::io::{FdFlags, fcntl_setfd};

    let give_back = |stream: &dyn AsFd| {
        fcntl_setfd(stream.as_fd(), FdFlags::empty())?;
        let flags = fcntl_getfl(stream.as_fd())?;
        fcntl_setfl(stream.as_fd(), flags.difference(OFlags::NONBLOCK))
    };
    for stream in [&io::stdin() as &dyn AsFd, &io::stdout(), &io::stderr()] {
        // One that is closed stays closed.
        let _ = give_back(stream);
    }
}
