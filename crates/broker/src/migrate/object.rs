//! A JSON object, read without a copy of what is in it and without a word about it in an error: its
//! values are secrets.

use std::fmt;

use secrecy::SecretString;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// The fields of an object in the order of the text, with their values as they are written there.
pub(super) struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Object<'a> {
    /// Reads a text that is an object and nothing else.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        // Editors of other systems begin a file with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        serde_json::from_str(text).ok()
    }

    /// Every field; where two have one name, the later one counts, as everywhere in JavaScript.
    pub(super) fn fields(&self) -> &[(String, &'a RawValue)] {
        &self.0
    }

    /// The text that this object was read from without some of its fields, by place; all else is as
    /// it is there, character by character.
    pub(super) fn without(&self, text: &str, is_gone: &[bool]) -> Zeroizing<String> {
        let end_of = |value: &RawValue| {
            let value = value.get();
            value.as_ptr() as usize - text.as_ptr() as usize + value.len()
        };
        let mut rest = Zeroizing::new(String::with_capacity(text.len()));
        let mut end = text.find('{').map_or(0, |brace| brace + 1);
        rest.push_str(&text[..end]);
        let mut is_first = true;
        for (place, (_, value)) in self.0.iter().enumerate() {
            // What stands between the value before and the end of this one: the comma, the name.
            let field = &text[end..end_of(value)];
            end = end_of(value);
            if is_gone.get(place).copied().unwrap_or_default() {
                continue;
            }
            let comma = field.find(',').filter(|_| is_first && place > 0);
            rest.push_str(comma.map_or(field, |comma| &field[comma + 1..]));
            is_first = false;
        }
        rest.push_str(&text[end..]);
        rest
    }

    /// A field that is there and not null.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let mut named = self.0.iter().rev().filter(|(field, _)| field == name);
        let value = named.next()?.1;
        (value.get() != "null").then_some(value)
    }

    /// A field that is a text, if it is there; a text that is empty counts as not there.
    pub(super) fn secret(&self, name: &str) -> Result<Option<SecretString>, NotA> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        Ok(Some(text.into()))
    }

    /// The same of what is no secret.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, NotA> {
        self.read(name, "text")
            .map(|text: Option<String>| text.filter(|text| !text.is_empty()))
    }

    /// A field that is a number, if it is there; some programs write it as a text.
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, NotA> {
        let Ok(Some(text)) = self.text(name) else {
            return self.read(name, "number");
        };
        let number = text.trim().parse().ok();
        let wrong = || NotA {
            field: name.to_owned(),
            kind: "number",
        };
        number.ok_or_else(wrong).map(Some)
    }

    /// A field that is an object, if it is there.
    pub(super) fn object(&self, name: &str) -> Result<Option<Self>, NotA> {
        self.read(name, "object")
    }

    fn read<T: Deserialize<'a>>(&self, name: &str, kind: &'static str) -> Result<Option<T>, NotA> {
        let read = |value: &'a RawValue| serde_json::from_str(value.get());
        let wrong = |_| NotA {
            field: name.to_owned(),
            kind,
        };
        self.get(name).map(read).transpose().map_err(wrong)
    }
}

/// A field that is something else than it should be.
#[derive(Debug, thiserror::Error)]
#[error("its {field} is no {kind}")]
pub(super) struct NotA {
    field: String,
    kind: &'static str,
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }
        from.deserialize_map(Fields).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_of_two_fields_counts_and_null_is_absent() {
        let object = Object::parse(r#"{"a": "1", "b": null, "a": "2", "__proto__": "3"}"#).unwrap();
        assert_eq!(object.fields().len(), 4);
        assert_eq!(object.text("a").unwrap().as_deref(), Some("2"));
        assert!(object.get("b").is_none() && object.get("c").is_none());
        assert_eq!(object.text("__proto__").unwrap().as_deref(), Some("3"));
    }

    #[test]
    fn a_wrong_type_is_named_without_its_value() {
        let object = Object::parse(r#"{"key": {"S3CRET": 1}, "expires": "S3CRET"}"#).unwrap();
        assert_eq!(
            object.secret("key").unwrap_err().to_string(),
            "its key is no text"
        );
        assert_eq!(
            object.number("expires").unwrap_err().to_string(),
            "its expires is no number"
        );
    }

    #[test]
    fn fields_are_taken_out_and_all_else_stays_character_by_character() {
        let text = " {\"a\" : 1.50 ,\n\t\"b\": {\"c\": \",\"},  \"d\":[ ]\n} \n";
        let object = Object::parse(text).unwrap();
        for (is_gone, expected) in [
            ([false; 3], text),
            (
                [true, false, false],
                " {\n\t\"b\": {\"c\": \",\"},  \"d\":[ ]\n} \n",
            ),
            ([false, true, false], " {\"a\" : 1.50,  \"d\":[ ]\n} \n"),
            (
                [false, false, true],
                " {\"a\" : 1.50 ,\n\t\"b\": {\"c\": \",\"}\n} \n",
            ),
            ([true, true, false], " {  \"d\":[ ]\n} \n"),
            ([true; 3], " {\n} \n"),
        ] {
            assert_eq!(*object.without(text, &is_gone), expected, "{is_gone:?}");
        }
        let empty = Object::parse("{ }").unwrap();
        assert_eq!(*empty.without("{ }", &[]), "{ }");
    }

    #[test]
    fn anything_but_one_object_is_refused() {
        assert!(Object::parse("\u{feff}{}").is_some());
        for text in ["", "[]", "null", "7", "{", "{}x", "{\"a\"}", "{\"a\": }"] {
            assert!(Object::parse(text).is_none(), "{text}");
        }
    }
}
