//! The files of the log.

use std::path::PathBuf;

use napi_derive::napi;
use provider_auth_broker::LogKind;

#[napi(object, object_from_js = false)]
pub struct LogFile {
    pub file: String,
    pub kind: &'static str,
}

impl From<(PathBuf, LogKind)> for LogFile {
    fn from((file, kind): (PathBuf, LogKind)) -> Self {
        Self {
            file: file.to_string_lossy().into_owned(),
            kind: match kind {
                LogKind::Ring => "ring",
                LogKind::Configured => "configured",
            },
        }
    }
}
