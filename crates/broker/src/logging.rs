//! Where log lines go: to the file that the user names, else nowhere.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Mutex, Once};

use tracing::level_filters::LevelFilter;

use crate::config::{LogLevel, LogSettings};

static STARTED: Once = Once::new();

/// Starts the log of this process; later calls change nothing.
pub(crate) fn start(settings: &LogSettings) {
    let level = match settings.level {
        LogLevel::None => return,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // Without a file there is nowhere to write: a host may draw its screen on standard error.
    let Some(path) = &settings.file else { return };
    STARTED.call_once(|| {
        // A log that cannot be opened must not keep anybody from working.
        if let Ok(file) = open(path) {
            let subscriber = tracing_subscriber::fmt()
                .with_max_level(level)
                .with_ansi(false)
                .with_writer(Mutex::new(file))
                .finish();
            let _ = tracing::subscriber::set_global_default(subscriber);
        }
    });
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
