//! What a program passes to `configure`.

use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

/// The options of `configure`.
#[derive(Clone, Default, PartialEq)]
pub struct Inline {
    /// Folder of the vault.
    pub dir: Option<PathBuf>,
    /// Name of a key source.
    pub key_source: Option<String>,
    /// Name of a log level.
    pub log_level: Option<String>,
    /// Log file.
    pub log_file: Option<PathBuf>,
    /// Whether the folder may be on a network file system.
    pub allow_network_fs: Option<bool>,
    /// Address of a vault for many machines.
    pub store: Option<String>,
    /// Configuration of the same shape as a config file.
    pub config: Option<Value>,
}

/// The configuration may hold a client secret, and the address of a store a password: both are left
/// out.
impl fmt::Debug for Inline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inline")
            .field("dir", &self.dir)
            .field("key_source", &self.key_source)
            .field("log_level", &self.log_level)
            .field("log_file", &self.log_file)
            .field("allow_network_fs", &self.allow_network_fs)
            .finish_non_exhaustive()
    }
}
