//! The options object of a call, one option at a time. A wrong type is `INVALID_ARGUMENT` and names
//! the option.

use napi::ValueType;
use napi::bindgen_prelude::*;
use provider_auth_broker::SecretString;

use super::known::{check, name_of};
use super::objects::property;
use super::value::{Read, expected, number, text};

/// The options object of a call. `undefined` and `null` stand for an empty one.
#[derive(Default)]
pub(crate) struct Options<'env>(Option<Object<'env>>);

impl<'env> Options<'env> {
    /// The options of a call, which refuses one that it does not know.
    pub(crate) fn of(call: &str, value: &Unknown<'env>) -> Read<Self> {
        let options = Self::new(value, name_of(call))?;
        options.check(call)?;
        Ok(options)
    }

    /// Options whose names are not checked.
    pub(crate) fn new(value: &Unknown<'env>, what: &str) -> Read<Self> {
        match value.get_type() {
            Ok(ValueType::Undefined | ValueType::Null) => Ok(Self(None)),
            Ok(ValueType::Object) => {
                let object = value
                    .coerce_to_object()
                    .map_err(|_| expected(what, "an object"))?;
                Ok(Self(Some(object)))
            }
            _ => Err(expected(what, "an object")),
        }
    }

    pub(super) fn check(&self, call: &str) -> Read<()> {
        match &self.0 {
            Some(object) => check(call, object),
            None => Ok(()),
        }
    }

    pub(super) fn get(&self, name: &str) -> Read<Option<Unknown<'env>>> {
        let Some(object) = &self.0 else {
            return Ok(None);
        };
        // A getter or a proxy may throw: that is a bad argument too.
        let value = property(object, name).map_err(|_| expected(name, "a readable value"))?;
        let Some(value) = value else { return Ok(None) };
        match value.get_type() {
            Ok(ValueType::Undefined | ValueType::Null) => Ok(None),
            Ok(_) => Ok(Some(value)),
            Err(_) => Err(expected(name, "a readable value")),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Read<Option<String>> {
        self.get(name)?.map(|value| text(&value, name)).transpose()
    }

    pub(crate) fn needed_text(&self, name: &str) -> Read<String> {
        self.text(name)?.ok_or_else(|| expected(name, "a string"))
    }

    pub(crate) fn secret(&self, name: &str) -> Read<SecretString> {
        self.needed_text(name).map(SecretString::from)
    }

    pub(super) fn optional_secret(&self, name: &str) -> Read<Option<SecretString>> {
        Ok(self.text(name)?.map(SecretString::from))
    }

    pub(super) fn number(&self, name: &str) -> Read<Option<f64>> {
        self.get(name)?
            .map(|value| number(&value, name))
            .transpose()
    }

    pub(super) fn whole(&self, name: &str, least: f64, most: f64) -> Read<Option<f64>> {
        match self.number(name)? {
            Some(number) if number.fract() != 0.0 || !(least..=most).contains(&number) => Err(
                expected(name, &format!("a whole number from {least} to {most}")),
            ),
            number => Ok(number),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Read<Option<bool>> {
        let Some(value) = self.get(name)? else {
            return Ok(None);
        };
        match value.get_type() {
            Ok(ValueType::Boolean) => value
                .coerce_to_bool()
                .map(Some)
                .map_err(|_| expected(name, "true or false")),
            _ => Err(expected(name, "true or false")),
        }
    }

    /// What a flag stands for when it is true, and when it is false or absent.
    pub(crate) fn choice<T>(&self, name: &str, set: T, unset: T) -> Read<T> {
        Ok(match self.flag(name)? {
            Some(true) => set,
            _ => unset,
        })
    }

    /// What a word of this list stands for.
    pub(super) fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Read<Option<T>> {
        let Some(given) = self.text(name)? else {
            return Ok(None);
        };
        match words.iter().find(|(word, _)| *word == given) {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => {
                let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                let list = match names.split_last() {
                    Some((last, rest)) if !rest.is_empty() => {
                        format!("{} or {last}", rest.join(", "))
                    }
                    _ => names.concat(),
                };
                Err(expected(name, &list))
            }
        }
    }
}
