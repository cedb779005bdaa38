//! Altered messages are read whole or not at all, and calls as they were written.

use provider_auth_fuzz::Target;

use super::*;

fn read(bytes: &[u8]) -> Option<Message> {
    Message::read(Zeroizing::new(bytes.to_vec()))
}

#[test]
fn a_message_of_the_bus_is_read_whole_or_not_at_all() {
    let target = Target::new("bus", &["ao", "aoao", "(oayays)", "org.freedesktop.DBus"]);
    let whole = target.seeds().iter().filter(|seed| read(seed).is_some());
    assert_eq!(whole.count(), target.seeds().len() - 1, "one seed is cut");
    target.run(|input| {
        let length = input.first_chunk().and_then(Message::length);
        let Some(message) = read(input) else {
            return format!("no message, {length:?}");
        };
        assert_eq!(
            length,
            Some(input.len()).filter(|length| *length <= limits::BUS_MESSAGE)
        );
        let texts = message.values("aoao").map(|mut values| {
            let all = [values.texts(), values.texts()];
            all.map(|texts| texts.map(|texts| texts.len()))
        });
        let secret = message.values("(oayays)").and_then(|mut values| {
            values.structure()?;
            Some((values.text()?.len(), values.bytes()?, values.bytes()?))
        });
        let variant = |signature| {
            let mut values = message.values("v")?;
            values.variant(signature).is_some().then_some(signature)
        };
        format!(
            "{} {:?} {} {texts:?} {} {:?}",
            message.kind,
            message.answers,
            message.signature,
            secret.is_some(),
            [variant("b"), variant("o"), variant("ay")],
        )
    });
}

#[test]
fn a_call_is_read_as_it_was_written() {
    let method = Method {
        destination: "org.freedesktop.secrets",
        path: "/org/freedesktop/secrets/collection/login",
        interface: "org.freedesktop.Secret.Collection",
        name: "CreateItem",
        takes: "a{sv}(oayays)b",
        returns: "oo",
    };
    let mut arguments = Writer::default();
    arguments.array(8, &|entries| {
        entries.structure();
        entries.text("é");
        entries.signature("s");
        entries.text("");
    });
    arguments.structure();
    arguments.text("/s");
    arguments.bytes(&[1, 2, 3]);
    arguments.bytes(&[]);
    arguments.text("text/plain");
    arguments.truth(true);

    let message = read(&call(&method, 5, &arguments)).unwrap();
    assert!(message.is(Kind::Call));
    assert_eq!(
        (&*message.path, &*message.interface, &*message.member),
        (method.path, method.interface, method.name)
    );
    let mut values = message.values(method.takes).unwrap();
    assert_eq!(values.number(), Some(17), "from the entry to its end");
    values.structure().unwrap();
    assert_eq!(values.text(), Some("é"));
    assert_eq!(values.variant("s").unwrap().text(), Some(""));
    values.structure().unwrap();
    assert_eq!(values.text(), Some("/s"));
    assert_eq!(values.bytes(), Some(&[1, 2, 3][..]));
    assert_eq!(values.bytes(), Some(&[][..]));
    assert_eq!(values.text(), Some("text/plain"));
    assert_eq!(values.truth(), Some(true));
    assert_eq!(values.truth(), None);
}

#[test]
fn messages_and_values_that_lie_about_their_length_are_refused() {
    let start = |fields: u32, body: u32| {
        let mut start = [0; START];
        start[0] = LITTLE_ENDIAN;
        start[3] = VERSION;
        start[4..8].copy_from_slice(&body.to_le_bytes());
        start[12..].copy_from_slice(&fields.to_le_bytes());
        Message::length(&start)
    };
    assert_eq!(start(9, 4), Some(36));
    assert_eq!(start(0, 1 << 20), None);
    assert_eq!(start(u32::MAX, u32::MAX), None);

    let found = include_bytes!("../../../../../../fuzz/seeds/bus/found");
    let mut longer = found.to_vec();
    let array = found.len() - 56;
    longer[array] += 8;
    let message = read(&longer).unwrap();
    assert!(message.values("aoao").unwrap().texts().is_none());
    assert!(message.values("ao").is_none(), "other types than it has");
}
