//! Where log lines go: to the file that the user names, else nowhere.
//!
//! A log tells which accounts there are and when they serve, so the file is the user's alone: one
//! that others can read is tightened, and one that another user may have put there is refused.

use std::path::Path;

use parking_lot::Mutex;
use provider_auth_vault::{PrivateFileError, append_privately};
use tracing::level_filters::LevelFilter;

use crate::config::{ConfigError, LogLevel, LogSettings};

static STARTED: Mutex<bool> = Mutex::new(false);

/// Starts the log of this process; once it has started, later calls change nothing. A file that is
/// refused is a fault of the configuration.
pub(crate) fn start(settings: &LogSettings) -> Result<(), ConfigError> {
    let level = match settings.level {
        LogLevel::None => return Ok(()),
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // Without a file there is nowhere to write: a host may draw its screen on standard error.
    let Some(path) = &settings.file else {
        return Ok(());
    };
    let mut started = STARTED.lock();
    if *started {
        return Ok(());
    }
    match append_privately(path) {
        Ok(file) => {
            let subscriber = tracing_subscriber::fmt()
                .with_max_level(level)
                .with_ansi(false)
                .with_writer(std::sync::Mutex::new(file))
                .finish();
            let _ = tracing::subscriber::set_global_default(subscriber);
        }
        Err(PrivateFileError::Unsafe(why)) => return Err(refused(path, why)),
        // A log that cannot be opened must not keep its user from working.
        Err(_) => {}
    }
    *started = true;
    Ok(())
}

fn refused(path: &Path, why: &str) -> ConfigError {
    ConfigError::in_options(&format!(
        "log.file: nothing is logged to {}, since {why}",
        path.display()
    ))
}
