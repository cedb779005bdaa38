//! What is logged, and where.

use std::path::PathBuf;

/// What is logged, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSettings {
    /// Events of this level and above are logged.
    pub level: LogLevel,
    /// The file that is appended to.
    pub file: Option<PathBuf>,
}

/// How grave an event has to be to be logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Nothing is logged.
    None,
    /// What went wrong for good.
    Error,
    /// And what deserves a look.
    #[default]
    Warn,
    /// And what changed: logins, refreshes, switches.
    Info,
    /// And each decision with its inputs.
    Debug,
    /// And what each decision was made of.
    Trace,
}

/// The levels by name.
pub(super) const LOG_LEVELS: &[(&str, LogLevel)] = &[
    ("none", LogLevel::None),
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];
