use super::*;

fn entropy(bytes: &mut [u8]) {
    bytes.fill(7);
}

fn key(byte: u8) -> Key {
    Key::from_slice(&[byte; 32]).unwrap()
}

fn header() -> Header {
    let wrapping_key = WrappingKey {
        key: key(1),
        source: KeySource::Env,
        kdf: None,
    };
    Header::new(([3; 16], 1), &wrapping_key, &key(2), &entropy)
}

/// The header after a rotation from key 2 to key 4.
fn rotated() -> Header {
    let old = header();
    let of = (&old.vault, old.epoch + 1);
    let slots = vec![old.slots[0].rewrapped(of, &key(1), &key(4), &entropy)];
    let keys = old.data_keys(&key(2)).unwrap();
    old.next_epoch(slots, &keys, &key(4), &entropy)
}

#[track_caller]
fn check(file: &[u8], wrapping_key: &Key, expect: Result<[u8; 32], HeaderError>) {
    let unlocked =
        Header::parse(file).and_then(|header| header.unlock(file, &header.slots[0], wrapping_key));
    assert_eq!(unlocked.map(|key| *key.bytes()), expect);
}

#[test]
fn the_right_key_opens_the_slot_and_a_wrong_one_is_called_wrong() {
    let file = header().encode(&key(2));
    check(&file, &key(1), Ok([2; 32]));
    check(&file, &key(9), Err(HeaderError::WrongKey));
}

#[test]
fn a_slot_of_another_vault_or_source_does_not_open() {
    let mut moved = header();
    moved.slots[0].source = "keyfile".to_owned();
    check(
        &moved.encode(&key(2)),
        &key(1),
        Err(HeaderError::Damaged("has a damaged key slot")),
    );
    let mut other = header();
    other.vault = [4; 16];
    check(&other.encode(&key(2)), &key(1), Err(HeaderError::WrongKey));
}

#[test]
fn a_change_made_without_the_key_is_refused() {
    let mut extended = header();
    extended
        .unknown
        .insert("colour".to_owned(), Value::from("red"));
    let forged = extended.encode(&key(5));
    check(
        &forged,
        &key(1),
        Err(HeaderError::Damaged("was changed without its key")),
    );
}

#[test]
fn fields_of_later_versions_are_kept() {
    let mut later = header();
    later
        .unknown
        .insert("colour".to_owned(), Value::from("red"));
    later.slots[0]
        .unknown
        .insert("hint".to_owned(), Value::from("pet"));
    let file = later.encode(&key(2));
    assert_eq!(Header::parse(&file).unwrap(), later);
    check(&file, &key(1), Ok([2; 32]));
}

#[test]
fn another_format_is_newer_and_junk_is_damaged() {
    let mut newer = header();
    newer.format = 2;
    assert_eq!(
        Header::parse(&newer.encode(&key(2))),
        Err(HeaderError::Newer)
    );
    for junk in [
        b"".as_slice(),
        b"{",
        b"{}\n",
        b"\n\n",
        b"{}\nzz\n",
        b"\xff\n00\n",
        b"{\"format\":1}\n00\n",
    ] {
        assert!(
            matches!(Header::parse(junk), Err(HeaderError::Damaged(_))),
            "{junk:?}"
        );
    }
}

#[test]
fn the_next_epoch_opens_with_the_same_slot_and_keeps_the_old_key() {
    let next = rotated();
    let file = next.encode(&key(4));
    check(&file, &key(1), Ok([4; 32]));
    let keys = next.data_keys(&key(4)).unwrap();
    let keys: Vec<_> = keys
        .iter()
        .map(|(epoch, key)| (*epoch, key.bytes()[0]))
        .collect();
    assert_eq!(keys, [(2, 4), (1, 2)]);
    assert!(!next.has_key_of(&header()));
    assert!(next.data_keys(&key(5)).is_err());
}

#[test]
fn a_header_without_earlier_keys_is_written_as_it_always_was() {
    let file = header().encode(&key(2));
    let text = String::from_utf8(file).unwrap();
    assert!(!text.contains("previous") && !text.contains("names"));
}

#[test]
fn rows_keep_their_names_when_the_data_key_changes() {
    let first = header().names_key(&key(2));
    let next = rotated();
    assert_eq!(next.names_key(&key(4)).bytes(), first.bytes());
    let (entropy, keys) = (|bytes: &mut [u8]| bytes.fill(9), [(2, key(4))]);
    let last = next.next_epoch(Vec::new(), &keys, &key(5), &entropy);
    assert_eq!(last.names_key(&key(5)).bytes(), first.bytes());
    let unlike = [header().names_key(&key(3)), next.names_key(&key(5))];
    assert!(unlike.iter().all(|key| key.bytes() != first.bytes()));
}

#[test]
fn every_flipped_byte_is_refused() {
    for (file, data_key) in [(header(), key(2)), (rotated(), key(4))] {
        refuses_flips(&file.encode(&data_key));
    }
}

#[track_caller]
fn refuses_flips(file: &[u8]) {
    for at in 0..file.len() {
        let mut flipped = file.to_vec();
        flipped[at] ^= 1;
        let unlocked = Header::parse(&flipped)
            .and_then(|header| header.unlock(&flipped, &header.slots[0], &key(1)));
        // The case of a hex digit carries nothing.
        assert!(unlocked.is_err(), "byte {at}");
    }
}
