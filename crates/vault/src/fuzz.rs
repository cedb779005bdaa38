//! Altered records, headers and bundles: nothing opens but what was sealed. The seeds lie in
//! `fuzz/seeds/`.

use provider_auth_fuzz::Target;
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::{
    RecordId,
    crypto::key::{Key, NONCE},
    format::{
        header::Header,
        record::{self, RecordError},
        slot::HeaderError,
    },
    open_bundle,
};

fn key(byte: u8) -> Key {
    Key::from_slice(&[byte; 32]).expect("32 bytes are a key")
}

/// The seeds named so that open: of vault 04…, record 02…, under key 09… in epoch 1.
fn opened(file: &[u8]) -> Result<record::Record, RecordError> {
    let (key, id) = (key(9), RecordId::from_parts(1, [2; 10]));
    record::open(|epoch| (epoch == 1).then_some(&key), &[4; 16], id, file)
}

#[test]
fn a_record_opens_as_it_was_sealed_or_not_at_all() {
    let target = Target::new("record", &["PAVR", "PAVH"]);
    let whole: Vec<Vec<u8>> = target.seeds().to_vec();
    let opening = whole.iter().filter(|seed| opened(seed).is_ok());
    assert_eq!(opening.count(), 5);
    target.run(|input| {
        let outcome = match opened(input) {
            Ok(record) => {
                assert!(whole.iter().any(|seed| seed == input), "a forgery opened");
                format!("opened, {} bytes", record.plaintext().len())
            }
            Err(why) => format!("{why:?}"),
        };
        format!("{outcome}; sealed anew: {}", sealed_anew(input))
    });
}

/// Seals the input as if it were what a record holds: its inner length is read only then.
fn sealed_anew(inner: &[u8]) -> String {
    let length = inner
        .first_chunk()
        .map(|length| u32::from_le_bytes(*length) as usize);
    let plain = length.and_then(|length| inner[4..].get(..length));
    let header = record::RecordHeader {
        kind: 3,
        epoch: 1,
        generation: 7,
        vault: [4; 16],
        id: RecordId::from_parts(1, [2; 10]),
        nonce: [6; NONCE],
        length: u32::try_from(inner.len()).expect("an input is short"),
    };
    let mut file = header.encode();
    let mut body = inner.to_vec();
    key(9).seal(&header.nonce, &file, &mut body);
    file.extend_from_slice(&body);
    match (opened(&file), plain) {
        (Ok(record), Some(plain)) => assert_eq!(record.plaintext(), plain),
        (Err(RecordError::Damaged), None) => return "damaged".to_owned(),
        (result, _) => panic!("{result:?}, where the length is {length:?}"),
    }
    "opened".to_owned()
}

#[test]
fn a_header_unlocks_as_it_was_signed_and_keeps_what_it_does_not_know() {
    let words = &[
        "format",
        "vault",
        "epoch",
        "check",
        "slots",
        "previous",
        "source",
        "nonce",
        "wrapped",
        "stretch",
        "salt",
        "memory_kib",
        "passes",
        "lanes",
        "sealed",
        "public",
        "enc",
        "ct",
        "host",
        "left",
        "keychain",
        "passphrase",
        "env",
        "keyfile",
        "\n",
    ];
    let target = Target::new("header", words);
    let signed: Vec<Vec<u8>> = target.seeds().iter().map(|seed| first_line(seed)).collect();
    let unlocking = target.seeds().iter().filter(|seed| unlocked(seed).is_ok());
    assert_eq!(unlocking.count(), 5);
    target.run(|input| {
        let outcome = match unlocked(input) {
            Ok(_) => {
                assert!(signed.contains(&first_line(input)), "a forgery unlocked");
                "unlocked".to_owned()
            }
            Err(why) => format!("{why:?}"),
        };
        if let Ok(header) = Header::parse(input) {
            keeps_the_unknown(&header, &first_line(input));
        }
        format!("{outcome}; signed anew: {}", signed_anew(input))
    });
}

fn first_line(file: &[u8]) -> Vec<u8> {
    file.split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default()
        .to_vec()
}

/// Opens every slot with key 01…, which those of the seeds were made with, and every earlier key.
fn unlocked(file: &[u8]) -> Result<Key, HeaderError> {
    let header = Header::parse(file)?;
    let wrapping_key = key(1);
    let mut result = Err(HeaderError::WrongKey);
    for slot in &header.slots {
        let _ = (slot.id(), slot.source());
        if result.is_err() {
            result = header.unlock(file, slot, &wrapping_key);
        }
    }
    let data_key = result?;
    header.data_keys(&data_key)?;
    Ok(data_key)
}

/// Signs the input's first line, as only the holder of the data key can: what is read after the
/// signature is reached.
fn signed_anew(file: &[u8]) -> String {
    let mut line = first_line(file);
    let signature = key(2).derive(&[b"header"]).sign(&line);
    line.push(b'\n');
    line.extend_from_slice(hex::encode(signature).as_bytes());
    line.push(b'\n');
    match Header::parse(&line).and_then(|header| {
        header.verify(&line, &key(2))?;
        header.data_keys(&key(2))
    }) {
        Ok(keys) => format!("{} keys", keys.len()),
        Err(why) => format!("{why:?}"),
    }
}

/// A header that is written again says all that it said, in every object.
fn keeps_the_unknown(header: &Header, line: &[u8]) {
    let read: Value = serde_json::from_slice(line).expect("the header was read");
    let file = header.encode(&key(2));
    let written: Value = serde_json::from_slice(&first_line(&file)).expect("a header is JSON");
    assert_kept(&read, &written);
    assert_eq!(Header::parse(&file).as_ref(), Ok(header));
}

/// Every field of every object is there again; only hex may be written otherwise, and null as
/// nothing.
fn assert_kept(read: &Value, written: &Value) {
    match (read, written) {
        (Value::Object(read), Value::Object(written)) => {
            for (name, read) in read {
                let is_hex = [
                    "vault", "check", "nonce", "wrapped", "salt", "sealed", "public", "enc", "ct",
                ]
                .contains(&name.as_str());
                match written.get(name) {
                    Some(written) if !is_hex => assert_kept(read, written),
                    Some(_) => {}
                    None => assert!(
                        read.is_null() || *read == Value::Array(Vec::new()),
                        "{name} is lost"
                    ),
                }
            }
        }
        (Value::Array(read), Value::Array(written)) => {
            assert_eq!(read.len(), written.len());
            for (read, written) in read.iter().zip(written) {
                assert_kept(read, written);
            }
        }
        (read, written) => assert_eq!(read, written),
    }
}

#[test]
fn a_bundle_opens_as_it_was_sealed_or_not_at_all() {
    let words = &[
        "age-encryption.org/v1\n",
        "-> scrypt ",
        "-> X25519 ",
        "--- ",
        "\n",
        " 1\n",
        " 20\n",
        " 21\n",
        "=",
        "\r\n",
    ];
    let target = Target::new("bundle", words);
    let opened = |bundle: &[u8]| open_bundle(&"password".into(), bundle);
    let whole: Vec<Vec<u8>> = target.seeds().to_vec();
    assert_eq!(whole.iter().filter(|seed| opened(seed).is_ok()).count(), 3);
    target.run(|input| {
        if asks_for_much(input) {
            return "much work".to_owned();
        }
        match opened(input) {
            Ok(bytes) => {
                assert!(whole.iter().any(|seed| seed == input), "a forgery opened");
                format!("opened, {} bytes", bytes.expose_secret().len())
            }
            Err(why) => format!("{why:?}"),
        }
    });
}

/// Whether opening it would take more than a few milliseconds. Above the ceiling of 20 it must be
/// refused at once.
fn asks_for_much(bundle: &[u8]) -> bool {
    let mut lines = bundle.split(|byte| *byte == b'\n');
    let stanza = lines.nth(1).and_then(|line| std::str::from_utf8(line).ok());
    let work = stanza.and_then(|stanza| stanza.rsplit(' ').next()?.parse().ok());
    work.is_some_and(|work: u8| (5..=20).contains(&work))
}
