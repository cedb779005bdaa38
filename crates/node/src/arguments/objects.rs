//! Reads JavaScript objects without what every object of the process inherits.
//!
//! A merge of strange JSON somewhere in the process can put a property on `Object.prototype`. The
//! addon does not take it for an option of a call: what counts is an object's own, or its class's.

use napi::bindgen_prelude::*;
use napi::{JsValue, KeyCollectionMode, KeyConversion, KeyFilter, ValueType};
use serde_json::{Map, Number, Value};

/// Objects in objects of plain data. One that holds itself has no end.
const DEEPEST: usize = 64;

/// Returns a property of an object or of its class; never one of the prototype at the end of the
/// chain, which all objects share.
pub(crate) fn property<'env>(object: &Object<'env>, name: &str) -> Result<Option<Unknown<'env>>> {
    let read = || object.get_named_property_unchecked(name).map(Some);
    if object.has_own_property(name)? {
        return read();
    }
    let mut holder = prototype(object)?;
    while let Some(candidate) = holder {
        let next = prototype(&candidate)?;
        if next.is_some() && candidate.has_own_property(name)? {
            return read();
        }
        holder = next;
    }
    Ok(None)
}

/// Tells whether an object is of no class.
pub(crate) fn is_plain(object: &Object<'_>) -> Result<bool> {
    match prototype(object)? {
        None => Ok(true),
        Some(shared) => Ok(prototype(&shared)?.is_none()),
    }
}

fn prototype<'env>(object: &Object<'env>) -> Result<Option<Object<'env>>> {
    let prototype = object.get_prototype()?;
    match prototype.get_type()? {
        ValueType::Object => prototype.coerce_to_object().map(Some),
        // The prototype of a class is a function where the class itself is asked.
        ValueType::Function => Ok(Some(Object::from_raw(object.value().env, prototype.raw()))),
        _ => Ok(None),
    }
}

/// Returns the names of an object's own properties, as `Object.keys` does.
pub(crate) fn own_names(object: &Object<'_>) -> Result<Vec<String>> {
    let names = object.get_all_property_names(
        KeyCollectionMode::OwnOnly,
        KeyFilter::Enumerable,
        KeyConversion::NumbersToStrings,
    )?;
    let mut written = Vec::new();
    for place in 0..names.get_array_length_unchecked()? {
        let name: Unknown<'_> = names.get_element(place)?;
        // A symbol names nothing that is asked for.
        if name.get_type()? == ValueType::String {
            written.push(name.coerce_to_string()?.into_utf8()?.into_owned()?);
        }
    }
    Ok(written)
}

/// Returns names and values of an object's own properties, as `Object.entries` does.
pub(crate) fn own_entries<'env>(object: &Object<'env>) -> Result<Vec<(String, Unknown<'env>)>> {
    let with_value = |name: String| {
        let value = object.get_named_property_unchecked(&name)?;
        Ok((name, value))
    };
    own_names(object)?.into_iter().map(with_value).collect()
}

/// Returns plain data as JSON has it. What is `undefined` is not there.
pub(crate) fn plain(value: &Unknown<'_>) -> Result<Value> {
    plain_within(value, DEEPEST)
}

fn plain_within(value: &Unknown<'_>, depth: usize) -> Result<Value> {
    let wrong = || Error::new(Status::InvalidArg, "not plain data");
    let depth = depth.checked_sub(1).ok_or_else(wrong)?;
    match value.get_type()? {
        ValueType::Undefined | ValueType::Null => Ok(Value::Null),
        ValueType::Boolean => value.coerce_to_bool().map(Value::Bool),
        ValueType::Number => {
            let number = value.coerce_to_number()?.get_double()?;
            let whole = number as i64;
            if whole as f64 == number {
                return Ok(whole.into());
            }
            Number::from_f64(number)
                .map(Value::Number)
                .ok_or_else(wrong)
        }
        ValueType::String => {
            let text = value.coerce_to_string()?.into_utf8()?.into_owned()?;
            Ok(Value::String(text))
        }
        ValueType::Object if value.is_array()? => {
            let array = value.coerce_to_object()?;
            let count = array.get_array_length_unchecked()?;
            let item = |place| plain_within(&array.get_element(place)?, depth);
            (0..count).map(item).collect()
        }
        ValueType::Object => {
            let object = value.coerce_to_object()?;
            let mut map = Map::new();
            for (name, value) in own_entries(&object)? {
                if value.get_type()? != ValueType::Undefined {
                    map.insert(name, plain_within(&value, depth)?);
                }
            }
            Ok(Value::Object(map))
        }
        _ => Err(wrong()),
    }
}
