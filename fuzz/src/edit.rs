//! Alters an input without regard to what it means, and now and then as JSON.

use crate::{chance::Chance, json};

/// No input gets longer, in bytes: every parser here has a limit of its own below it, or reads a
/// line at a time.
const LONGEST: usize = 64 * 1024;

/// Numbers at which something ends.
const EDGES: [u64; 14] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    i64::MAX as u64,
    1 << 63,
    u64::MAX,
];

/// Returns one of the corpus after one to eight edits.
pub(crate) fn altered(corpus: &[Vec<u8>], words: &[&str], chance: &mut Chance) -> Vec<u8> {
    let mut input = chance.of(corpus).clone();
    for _ in 0..1 << chance.below(4) {
        edit(&mut input, corpus, words, chance);
    }
    input.truncate(LONGEST);
    input
}

fn edit(input: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[&str], chance: &mut Chance) {
    let at = chance.below(input.len());
    match chance.below(14) {
        0 | 1 if !input.is_empty() => input[at] ^= 1 << chance.below(8),
        2 if !input.is_empty() => input[at] = chance.number() as u8,
        3 => insert(input, at, &chance.number().to_le_bytes()[..1 + at % 8]),
        4 => {
            let end = at + chance.below((input.len() - at).min(64) + 1);
            input.drain(at..end);
        }
        5 => input.truncate(at),
        6 => {
            let end = at + chance.below((input.len() - at).min(256) + 1);
            let again = input[at..end].to_vec();
            insert(input, end, &again.repeat(1 + chance.below(3)));
        }
        7 => edge(input, at, chance),
        8 => decimal(input, at, chance),
        9 if !words.is_empty() => insert(input, at, chance.of(words).as_bytes()),
        10 => {
            let other = chance.of(corpus);
            let from = chance.below(other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        11 if chance.one_in(16) => {
            let opening: &&[u8] = chance.of(&[b"[", b"{\"a\":", b"(", b"\"", b"/*", b"%25"]);
            insert(input, at, &opening.repeat(1 << chance.below(14)));
        }
        _ => {
            json::alter(input, words, chance);
        }
    }
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    input.splice(at..at, bytes.iter().copied());
}

/// Overwrites 1, 2, 4 or 8 bytes with an edge, in either order.
fn edge(input: &mut [u8], at: usize, chance: &mut Chance) {
    let width = (1 << chance.below(4)).min(input.len() - at);
    let edge = *chance.of(&EDGES);
    let bytes = if chance.one_in(2) {
        &edge.to_le_bytes()[..width]
    } else {
        &edge.to_be_bytes()[8 - width..]
    };
    input[at..at + width].copy_from_slice(bytes);
}

/// Replaces the next number that is written in digits.
fn decimal(input: &mut Vec<u8>, at: usize, chance: &mut Chance) {
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let Some(start) = input[at..].iter().position(is_digit).map(|add| at + add) else {
        return;
    };
    let length = input[start..]
        .iter()
        .take_while(|byte| is_digit(byte))
        .count();
    let edge = *chance.of(&EDGES);
    let text = match chance.below(5) {
        0 => format!("-{edge}"),
        1 => format!("{edge}.5"),
        2 => format!("{edge}e{}", chance.below(400)),
        3 => format!("{edge}0"),
        _ => edge.to_string(),
    };
    input.splice(start..start + length, text.into_bytes());
}
