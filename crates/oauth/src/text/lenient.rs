//! Reads what servers write in another form than the standards have it. Pure.

use serde_json::Value;

use crate::limits;

/// Returns a positive whole number, be it sent as number, decimal or text. Zero and less stand for
/// "unknown": taken by the letter, each request would refresh.
#[must_use]
pub fn whole(value: &Value) -> Option<u64> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    // Above what fits, `as` gives the largest number.
    (number >= 1.0).then_some(number as u64)
}

/// Returns Unix seconds; some servers count in milliseconds.
#[must_use]
pub fn unix_seconds(time: u64) -> u64 {
    if time > limits::LARGEST_UNIX_SECONDS {
        time / 1000
    } else {
        time
    }
}

/// Returns the bytes without a byte order mark, which a reader of JSON may ignore (RFC 8259 §8.1).
#[must_use]
pub fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

/// Returns those texts that are scopes (RFC 6749 §3.3), each once.
pub(crate) fn scopes<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut scopes: Vec<String> = Vec::new();
    let is_scope = |text: &&str| {
        !text.is_empty()
            && text.len() <= limits::SCOPE_BYTES
            && text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
    };
    for scope in texts.filter(is_scope) {
        if scopes.len() < limits::SCOPES && !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    scopes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_may_have_a_fraction_or_be_a_text() {
        for (value, expect) in [
            (json!(3600), Some(3600)),
            (json!(3600.0), Some(3600)),
            (json!(3599.97), Some(3599)),
            (json!("3600"), Some(3600)),
            (json!(" 3599.5 "), Some(3599)),
            (json!("3.6e3"), Some(3600)),
            (json!(0), None),
            (json!(-5), None),
            (json!(0.5), None),
            (json!(""), None),
            (json!("soon"), None),
            (json!("NaN"), None),
            (json!(null), None),
            (json!([3600]), None),
            (json!(u64::MAX), Some(u64::MAX)),
        ] {
            assert_eq!(whole(&value), expect, "{value}");
        }
    }

    #[test]
    fn a_time_is_read_in_seconds_and_in_milliseconds() {
        assert_eq!(unix_seconds(1_800_000_000), 1_800_000_000);
        assert_eq!(unix_seconds(1_800_000_000_000), 1_800_000_000);
    }
}
