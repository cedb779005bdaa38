//! Configuration as a tree in which every value knows where it stands.
//!
//! A file and an inline value become the same tree, so that one validator serves both. Nothing here
//! implements `Debug`, since any text may be a secret.

use std::collections::BTreeSet;
use std::path::Path;

use jsonc_parser::common::Ranged as _;
use jsonc_parser::{CollectOptions, ParseOptions, ast, parse_to_ast};
use serde_json::Value;

use super::error::{ConfigError, Place};
use super::limits::LONGEST_CONFIG_FILE;

/// A value and its place.
pub struct Node {
    pub(super) place: Place,
    /// The value.
    pub value: Content,
}

/// What a value is.
#[expect(missing_docs, reason = "the names are JSON's")]
pub enum Content {
    Null,
    Flag(bool),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the text, each key once.
    Object(Vec<Entry>),
}

/// One key of an object.
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands; `node.place` is where its value does.
    pub(super) place: Place,
    /// Its value.
    pub node: Node,
}

/// What a text holds.
pub(super) struct Parsed {
    pub(super) root: Node,
    /// The keys that are written twice: readers differ on which one counts. The first one is kept.
    pub(super) twice: Vec<ConfigError>,
}

impl Parsed {
    /// The tree, if no key of it is written twice.
    pub(super) fn once(self) -> Result<Node, ConfigError> {
        match self.twice.into_iter().next() {
            Some(fault) => Err(fault),
            None => Ok(self.root),
        }
    }
}

/// Reads a config file.
pub(super) fn parse_file(file: &Path, text: &str) -> Result<Parsed, ConfigError> {
    parse(Place::file(file), text)
}

/// Reads a text as a config file is read, of at most 1 MiB.
pub fn parse_jsonc(text: &str) -> Result<Node, ConfigError> {
    let root = Place::default();
    if text.len() as u64 > LONGEST_CONFIG_FILE {
        return Err(root.fault(format!(
            "the text is longer than {LONGEST_CONFIG_FILE} bytes"
        )));
    }
    parse(root, text)?.once()
}

/// Reads JSON with comments and trailing commas; nothing else of JSON5. An empty text is an empty
/// object.
fn parse(root: Place, text: &str) -> Result<Parsed, ConfigError> {
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match parse_to_ast(text, &CollectOptions::default(), &options) {
        Ok(parsed) => {
            let mut walk = Walk::of(text);
            let root = match parsed.value {
                Some(value) => walk.node(root, &value),
                None => Node {
                    place: root,
                    value: Content::Object(Vec::new()),
                },
            };
            let twice = walk.twice;
            Ok(Parsed { root, twice })
        }
        Err(error) => {
            let place = root.at((error.line_display(), error.column_display()));
            Err(place.fault(format!(
                "not valid JSON: {}",
                lower_first(&error.kind().to_string())
            )))
        }
    }
}

/// Takes over a value that came from JavaScript.
pub(super) fn from_inline(value: &Value) -> Node {
    inline(Place::default(), value)
}

/// The same, of an option of a call.
pub(super) fn from_option(name: &str, value: &Value) -> Node {
    inline(Place::option(name), value)
}

impl Node {
    /// What kind of value this is, for "expected …, found …".
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Content::Null => "null",
            Content::Flag(_) => "true or false",
            Content::Number(_) => "a number",
            Content::Text(_) => "a string",
            Content::List(_) => "a list",
            Content::Object(_) => "an object",
        }
    }

    /// The value as one text, the same for values that mean the same: it is hashed, never shown.
    pub(super) fn canonical(&self) -> String {
        match &self.value {
            Content::Null => "null".to_owned(),
            Content::Flag(flag) => flag.to_string(),
            Content::Number(number) => number.to_string(),
            Content::Text(text) => format!("{text:?}"),
            Content::List(items) => {
                let items: Vec<String> = items.iter().map(Self::canonical).collect();
                format!("[{}]", items.join(","))
            }
            Content::Object(entries) => {
                let mut entries: Vec<String> = entries
                    .iter()
                    .map(|entry| format!("{:?}:{}", entry.key, entry.node.canonical()))
                    .collect();
                entries.sort_unstable();
                format!("{{{}}}", entries.join(","))
            }
        }
    }
}

impl Node {
    pub(super) fn text(&self) -> Result<&str, ConfigError> {
        match &self.value {
            Content::Text(text) => Ok(text),
            _ => Err(self.expected("a string")),
        }
    }

    pub(super) fn flag(&self) -> Result<bool, ConfigError> {
        match self.value {
            Content::Flag(flag) => Ok(flag),
            _ => Err(self.expected("true or false")),
        }
    }

    pub(super) fn list(&self) -> Result<&[Self], ConfigError> {
        match &self.value {
            Content::List(items) => Ok(items),
            _ => Err(self.expected("a list")),
        }
    }

    pub(super) fn object(&self) -> Result<&[Entry], ConfigError> {
        match &self.value {
            Content::Object(entries) => Ok(entries),
            _ => Err(self.expected("an object")),
        }
    }

    pub(super) fn whole(&self, least: u64, most: u64) -> Result<u64, ConfigError> {
        match self.value {
            Content::Number(number)
                if number.fract() == 0.0 && number >= least as f64 && number <= most as f64 =>
            {
                Ok(number as u64)
            }
            Content::Number(_) => Err(self
                .place
                .fault(format!("expected a whole number from {least} to {most}"))),
            _ => Err(self.expected("a number")),
        }
    }

    fn expected(&self, what: &str) -> ConfigError {
        self.place
            .fault(format!("expected {what}, found {}", self.kind()))
    }
}

fn inline(place: Place, value: &Value) -> Node {
    let content = match value {
        Value::Null => Content::Null,
        Value::Bool(flag) => Content::Flag(*flag),
        Value::Number(number) => Content::Number(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Content::Text(text.clone()),
        Value::Array(items) => Content::List(
            items
                .iter()
                .enumerate()
                .map(|(index, item)| inline(place.item(index), item))
                .collect(),
        ),
        Value::Object(entries) => Content::Object(
            entries
                .iter()
                .map(|(key, value)| {
                    let place = place.key(key);
                    Entry {
                        key: key.clone(),
                        place: place.clone(),
                        node: inline(place, value),
                    }
                })
                .collect(),
        ),
    };
    Node {
        place,
        value: content,
    }
}

/// Walks a file from its start to its end, so that telling every line and column costs one pass.
struct Walk<'a> {
    text: &'a str,
    byte: usize,
    line: usize,
    column: usize,
    twice: Vec<ConfigError>,
}

impl<'a> Walk<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            text,
            byte: 0,
            line: 1,
            column: 1,
            twice: Vec::new(),
        }
    }

    /// Moves on to a byte and returns its line and column.
    fn to(&mut self, byte: usize) -> (usize, usize) {
        for c in self.text.get(self.byte..byte).unwrap_or_default().chars() {
            (self.line, self.column) = if c == '\n' {
                (self.line + 1, 1)
            } else {
                (self.line, self.column + 1)
            };
        }
        self.byte = byte;
        (self.line, self.column)
    }

    fn node(&mut self, place: Place, value: &ast::Value<'_>) -> Node {
        let place = place.at(self.to(value.start()));
        let content = match value {
            ast::Value::NullKeyword(_) => Content::Null,
            ast::Value::BooleanLit(flag) => Content::Flag(flag.value),
            ast::Value::NumberLit(number) => {
                Content::Number(number.value.parse().unwrap_or(f64::NAN))
            }
            ast::Value::StringLit(text) => Content::Text(text.value.to_string()),
            ast::Value::Array(list) => Content::List(
                list.elements
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.node(place.item(index), item))
                    .collect(),
            ),
            ast::Value::Object(object) => Content::Object(self.entries(&place, object)),
        };
        Node {
            place,
            value: content,
        }
    }

    fn entries(&mut self, object_place: &Place, object: &ast::Object<'_>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::with_capacity(object.properties.len());
        let mut seen = BTreeSet::new();
        for property in &object.properties {
            let key = property.name.as_str();
            let place = object_place.key(key).at(self.to(property.name.start()));
            if !seen.insert(key) {
                self.twice
                    .push(place.fault("this key is written twice; remove one"));
                continue;
            }
            entries.push(Entry {
                key: key.to_owned(),
                node: self.node(place.clone(), &property.value),
                place,
            });
        }
        entries
    }
}

fn lower_first(text: &str) -> String {
    let mut rest = text.chars();
    rest.next()
        .map(|first| first.to_lowercase().chain(rest).collect())
        .unwrap_or_default()
}
