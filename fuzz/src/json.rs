//! Alters JSON as JSON, so that what reads it gets past the parser.

use serde_json::{Map, Value, json};

use crate::chance::Chance;

/// Alters one value of the first JSON in `input`; what stands before and after it stays. `false`
/// when there is none.
pub(crate) fn alter(input: &mut Vec<u8>, words: &[&str], chance: &mut Chance) -> bool {
    let starts: Vec<usize> = (0..input.len())
        .filter(|at| matches!(input[*at], b'{' | b'['))
        .collect();
    if starts.is_empty() {
        return false;
    }
    // Most inputs have one document; where there are several, each gets its turn.
    let start = if chance.one_in(2) {
        starts[0]
    } else {
        *chance.of(&starts)
    };
    let mut documents = serde_json::Deserializer::from_slice(&input[start..]).into_iter();
    let Some(Ok(mut document)) = documents.next() else {
        return false;
    };
    let end = start + documents.byte_offset();
    alter_value(&mut document, words, chance);
    input.splice(start..end, document.to_string().into_bytes());
    true
}

fn alter_value(document: &mut Value, words: &[&str], chance: &mut Chance) {
    let other = somewhere(document, chance).clone();
    let value = somewhere(document, chance);
    match (chance.below(8), value) {
        (0 | 1, Value::Object(object)) => {
            let keys: Vec<String> = object.keys().cloned().collect();
            if !keys.is_empty() {
                let removed = object.remove(chance.of(&keys));
                if chance.one_in(2) {
                    object.extend(removed.map(|value| (key(words, chance), value)));
                }
            }
        }
        (2, Value::Object(object)) => {
            object.insert(key(words, chance), other);
        }
        (3, Value::Array(list)) => list.push(other),
        (4, value) => *value = other,
        (5, value) => *value = wrapped(value.take(), chance),
        (_, value) => *value = odd(words, chance),
    }
}

/// Walks from the top to a value anywhere in the document.
fn somewhere<'v>(value: &'v mut Value, chance: &mut Chance) -> &'v mut Value {
    let children = match value {
        Value::Array(list) => list.len(),
        Value::Object(object) => object.len(),
        _ => 0,
    };
    if children == 0 || chance.one_in(4) {
        return value;
    }
    let which = chance.below(children);
    let child = match value {
        Value::Array(list) => &mut list[which],
        Value::Object(object) => object
            .values_mut()
            .nth(which)
            .expect("it is one of the children"),
        _ => unreachable!("only lists and objects have children"),
    };
    somewhere(child, chance)
}

fn wrapped(mut value: Value, chance: &mut Chance) -> Value {
    // Readers refuse what is nested deeper than 128.
    for _ in 0..*chance.of(&[1, 1, 2, 3, 100, 127, 128]) {
        value = if chance.one_in(2) {
            json!([value])
        } else {
            json!({ "a": value })
        };
    }
    value
}

fn key(words: &[&str], chance: &mut Chance) -> String {
    if words.is_empty() || chance.one_in(4) {
        ["", "a", "__proto__", "\u{0}", "ключ", "a.b[0]"][chance.below(6)].to_owned()
    } else {
        (*chance.of(words)).to_owned()
    }
}

fn odd(words: &[&str], chance: &mut Chance) -> Value {
    match chance.below(16) {
        0 => Value::Null,
        1 => Value::Bool(chance.one_in(2)),
        2 => json!(0),
        3 => json!(-1),
        4 => json!(u64::MAX),
        5 => json!(i64::MIN),
        6 => json!(1e308),
        7 => json!(-0.0),
        8 => json!(chance.number() as f64 / 7.0),
        9 => json!(chance.number() >> chance.below(64)),
        10 => json!([]),
        11 => Value::Object(Map::new()),
        12 => json!(""),
        13 => json!("x".repeat(chance.below(5000))),
        14 => json!((chance.number() >> chance.below(64)).to_string()),
        _ => json!(key(words, chance)),
    }
}
