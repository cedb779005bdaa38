//! Single values that JavaScript passes. A wrong type is `INVALID_ARGUMENT` and names the argument.

use napi::bindgen_prelude::*;
use napi::{JsString, ValueType, sys};
use provider_auth_broker::BrokerError;

/// What reading an argument comes to.
pub(crate) type Read<T> = std::result::Result<T, BrokerError>;

pub(super) fn expected(name: &str, what: &str) -> BrokerError {
    BrokerError::InvalidArgument(format!("{name}: expected {what}"))
}

/// An argument that is a string or absent, read in one go: another type shows when the string is
/// asked for.
pub(crate) struct Text(std::result::Result<Option<String>, NotText>);

struct NotText;

impl Text {
    pub(crate) fn needed(self, name: &str) -> Read<String> {
        self.optional(name)?
            .ok_or_else(|| expected(name, "a string"))
    }

    pub(crate) fn optional(self, name: &str) -> Read<Option<String>> {
        self.0.map_err(|NotText| expected(name, "a string"))
    }
}

impl FromNapiValue for Text {
    #[expect(
        unsafe_code,
        reason = "napi's trait declares it so; what it is handed is passed on as it came"
    )]
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        // SAFETY: the caller vouches for both.
        let text = unsafe { Option::<String>::from_napi_value(env, value) };
        Ok(Self(text.map_err(|_| NotText)))
    }
}

/// A string that is passed by itself.
pub(crate) fn text(value: &Unknown<'_>, name: &str) -> Read<String> {
    let wrong = || expected(name, "a string");
    if !matches!(value.get_type(), Ok(ValueType::String)) {
        return Err(wrong());
    }
    let string: JsString<'_> = value.coerce_to_string().map_err(|_| wrong())?;
    string
        .into_utf8()
        .and_then(|utf8| utf8.into_owned())
        .map_err(|_| wrong())
}

/// The same, which may be absent: `undefined` or `null`.
pub(crate) fn optional_text(value: &Unknown<'_>, name: &str) -> Read<Option<String>> {
    match is_absent(value) {
        true => Ok(None),
        false => text(value, name).map(Some),
    }
}

/// The bytes of a `Uint8Array` that is passed by itself, copied: JavaScript may change them
/// meanwhile.
pub(crate) fn bytes(value: Unknown<'_>, name: &str) -> Read<Vec<u8>> {
    let array = Uint8Array::from_unknown(value).map_err(|_| expected(name, "a Uint8Array"))?;
    Ok(array.to_vec())
}

pub(super) fn number(value: &Unknown<'_>, name: &str) -> Read<f64> {
    match value.get_type() {
        Ok(ValueType::Number) => value
            .coerce_to_number()
            .and_then(|number| number.get_double())
            .map_err(|_| expected(name, "a number")),
        _ => Err(expected(name, "a number")),
    }
}

pub(super) fn is_absent(value: &Unknown<'_>) -> bool {
    matches!(value.get_type(), Ok(ValueType::Undefined | ValueType::Null))
}
