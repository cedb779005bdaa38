//! One line of the log: a JSON object of `time`, `level`, `message`, `pid` and the fields.

use std::fmt::{Debug, Write as _};

use serde_json::Value;
use tracing::Event;
use tracing::field::{Field, Visit};

use crate::host::{Clock as _, SystemClock};
use crate::{limits, named};

/// The line of an event, with its line break.
pub(super) fn line(event: &Event<'_>) -> Vec<u8> {
    let mut parts = Parts::default();
    event.record(&mut parts);
    let level = event.metadata().level().as_str().to_ascii_lowercase();
    let mut line = format!(
        r#"{{"time":"{}","level":"{level}","message":{},"pid":{}"#,
        named::rfc3339(SystemClock.now()),
        Value::from(parts.message),
        std::process::id(),
    );
    line += &parts.fields;
    line += "}\n";
    line.into_bytes()
}

#[derive(Default)]
struct Parts {
    message: String,
    /// Each with a comma before it.
    fields: String,
}

impl Parts {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        let _ = write!(
            self.fields,
            ",{}:{}",
            Value::from(field.name()),
            value.into()
        );
    }
}

impl Visit for Parts {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let end = value.floor_char_boundary(limits::LOG_TEXT);
        let cut = if end < value.len() { "…" } else { "" };
        let text = format!("{}{cut}", &value[..end]);
        match field.name() {
            "message" => self.message = text,
            _ => self.add(field, text),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
