//! Whether a passphrase is strong enough for a bundle: anyone who holds the bundle can guess for
//! years.
//!
//! A plain rule instead of an estimator: what is counted is said in one sentence, and the
//! estimators that are kept well bring megabytes of word lists and a regex engine. Counted are
//! characters, but what a guesser tries first is one unit: a common password, a piece that was
//! there before, a run along the alphabet or the keyboard, a year. Pure.

use std::{collections::HashSet, sync::LazyLock};

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::limits;

/// The most frequent passwords in letters, from the lists of `zxcvbn` (MIT), and words that suggest
/// themselves here.
const COMMON: &str = include_str!("passphrase/common.txt");

/// Keys in the order in which fingers find them.
const KEYBOARD: [&str; 6] = [
    "1234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "yxcvbnm",
];

/// From how many characters on a run or a repeated piece is one.
const PIECE: usize = 3;

/// Tells whether a bundle under this passphrase could be guessed: it counts fewer than
/// [`limits::PASSPHRASE_UNITS`] units.
pub fn is_guessable(passphrase: &SecretString) -> bool {
    units(passphrase.expose_secret()) < limits::PASSPHRASE_UNITS
}

/// Counts the units of a passphrase, as long as there is doubt whether they are enough.
fn units(passphrase: &str) -> usize {
    let folded = |character: char| character.to_lowercase().next().unwrap_or(character);
    let letters = passphrase.chars().take(limits::PASSPHRASE_LOOKED_AT);
    let text: Zeroizing<Vec<char>> = Zeroizing::new(letters.map(folded).collect());
    let plain: Zeroizing<Vec<char>> = Zeroizing::new(text.iter().copied().map(letter_of).collect());
    let (mut at, mut units) = (0, 0);
    while at < text.len() {
        let pieces = [
            run(&text[at..]),
            year(&text[at..]),
            common(&plain[at..]),
            repeated(&plain, at),
        ];
        at += pieces.into_iter().max().unwrap_or_default().max(1);
        units += 1;
    }
    units
}

/// The letter that a digit or sign is written for, as in `p4$$w0rd`.
fn letter_of(character: char) -> char {
    match character {
        '0' => 'o',
        '1' | '!' | '|' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' | '+' => 't',
        other => other,
    }
}

/// The length of the run at the front: one character again and again, or one after the other.
fn run(text: &[char]) -> usize {
    let step = |pair: &[char]| {
        let by = u32::from(pair[1])
            .wrapping_sub(u32::from(pair[0]))
            .cast_signed();
        (-1..=1).contains(&by).then_some(by)
    };
    let Some(first) = text.get(..2).and_then(step) else {
        return along_keys(text);
    };
    let pairs = text.windows(2).take_while(|pair| step(pair) == Some(first));
    long_enough(1 + pairs.count()).max(along_keys(text))
}

fn along_keys(text: &[char]) -> usize {
    let neighbours = |pair: &[char], by: i32| {
        KEYBOARD.iter().any(|row| {
            let place = |wanted: char| row.chars().position(|key| key == wanted);
            matches!((place(pair[0]), place(pair[1])), (Some(one), Some(two)) if two as i32 - one as i32 == by)
        })
    };
    let along = |by| {
        let pairs = text.windows(2).take_while(|pair| neighbours(pair, by));
        long_enough(1 + pairs.count())
    };
    along(1).max(along(-1))
}

/// Four digits that are a year people have lived in, or will.
fn year(text: &[char]) -> usize {
    let is_digit = |character: &char| character.is_ascii_digit();
    match text {
        ['1', '9', rest @ ..] | ['2', '0', rest @ ..]
            if rest.len() >= 2 && rest[..2].iter().all(is_digit) =>
        {
            4
        }
        _ => 0,
    }
}

/// The length of the common password at the front, in letters.
fn common(plain: &[char]) -> usize {
    static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| COMMON.split_whitespace().collect());
    static LONGEST: LazyLock<usize> = LazyLock::new(|| {
        WORDS
            .iter()
            .map(|word| word.len())
            .max()
            .unwrap_or_default()
    });
    let mut word = Zeroizing::new(String::with_capacity(4 * *LONGEST));
    let mut found = 0;
    for (place, letter) in plain.iter().take(*LONGEST).enumerate() {
        word.push(*letter);
        if WORDS.contains(word.as_str()) {
            found = place + 1;
        }
    }
    found
}

/// The length of the longest piece at this place that was there before, forwards.
fn repeated(plain: &[char], at: usize) -> usize {
    let same = |from: usize| {
        let pairs = plain[from..].iter().zip(&plain[at..]);
        pairs.take_while(|(one, two)| one == two).count()
    };
    long_enough((0..at).map(same).max().unwrap_or_default())
}

fn long_enough(length: usize) -> usize {
    if length < PIECE { 0 } else { length }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guesser_tries_first_is_not_enough_however_long_it_is() {
        for weak in [
            "",
            "a",
            "password",
            "12345678",
            "Tr0ub4dor&3",
            "P@ssw0rd2026!",
            "passwordpasswordpassword",
            "iloveyouforever",
            "qwertyuiopasdfghjklzxcvbnm",
            "abcdefghijklmnopqrstuvwxyz",
            "zyxwvutsrqponm",
            "98765432109876543210",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "abcabcabcabcabcabcabc",
            "hunter2hunter2hunter2",
            "administrator123",
            "letmeinletmein2024",
            "Summer2025!!!!!!",
            "provider-auth vault",
            "correcthors",
            "                    ",
            &"ab".repeat(5_000),
        ] {
            assert!(is_guessable(&weak.into()), "{weak}: {}", units(weak));
        }
    }

    #[test]
    fn a_few_words_or_a_generated_password_are_enough() {
        for strong in [
            "correct horse battery staple",
            "correct horse S3CRET",
            "korrektes Pferd Batterie Klammer",
            "正しい馬 バッテリー ホチキス",
            "xK3#vP9qLm!2",
            "gT7rWz0pQm4L",
            "ubiquity-lantern-cobalt",
            &"x7Kq".repeat(3)[..4]
                .chars()
                .chain("9#bV2mP!wz".chars())
                .collect::<String>(),
        ] {
            assert!(!is_guessable(&strong.into()), "{strong}: {}", units(strong));
        }
    }

    #[test]
    fn each_piece_that_is_tried_first_is_one_unit() {
        for (text, expected) in [
            ("aaaa", 1),
            ("1234", 1),
            ("4321", 1),
            ("qwert", 1),
            ("trewq", 1),
            ("dragon", 1),
            ("dr4g0n", 1),
            ("1987", 1),
            ("xyqxyq", 4),
            ("vjm", 3),
        ] {
            assert_eq!(units(text), expected, "{text}");
        }
    }
}
