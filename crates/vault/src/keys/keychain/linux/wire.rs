//! How D-Bus writes messages: the chapters "Type System" and "Message Format" of its specification,
//! as far as the Secret Service needs them.

use zeroize::Zeroizing;

use crate::limits;

/// Bytes of a message that tell how long it is.
pub(super) const START: usize = 16;

const VERSION: u8 = 1;
const LITTLE_ENDIAN: u8 = b'l';
const BIG_ENDIAN: u8 = b'B';

/// Header fields, by code.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SENDER: u8 = 7;
const SIGNATURE: u8 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Call = 1,
    Return,
    Error,
    Signal,
}

/// Values one behind the other, each where its type may begin.
#[derive(Default)]
pub(super) struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    /// A string, or the path of an object.
    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
        self.0.push(0);
    }

    /// An array of bytes.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(length(bytes.len()));
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn truth(&mut self, truth: bool) {
        self.number(u32::from(truth));
    }

    /// The type of the value that follows, in a variant.
    pub(super) fn signature(&mut self, signature: &'static str) {
        self.0.push(signature.len().to_le_bytes()[0]);
        self.0.extend_from_slice(signature.as_bytes());
        self.0.push(0);
    }

    /// An array, of which `alignment` is that of what is in it.
    pub(super) fn array(&mut self, alignment: usize, fill: &dyn Fn(&mut Self)) {
        self.number(0);
        let counted = self.0.len();
        self.align(alignment);
        let begin = self.0.len();
        fill(self);
        let filled = length(self.0.len() - begin);
        self.0[counted - 4..counted].copy_from_slice(&filled.to_le_bytes());
    }

    /// The beginning of a struct or of an entry in a dictionary.
    pub(super) fn structure(&mut self) {
        self.align(8);
    }

    fn number(&mut self, number: u32) {
        self.align(4);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn align(&mut self, alignment: usize) {
        let aligned = self.0.len().next_multiple_of(alignment);
        self.0.resize(aligned, 0);
    }
}

/// Lengths that D-Bus allows fit into 27 bits; a service refuses what was cut here.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// A method of an object.
pub(super) struct Method<'m> {
    pub(super) destination: &'m str,
    pub(super) path: &'m str,
    pub(super) interface: &'m str,
    pub(super) name: &'m str,
    /// The types of its arguments.
    pub(super) takes: &'static str,
    /// The types of what it returns.
    pub(super) returns: &'static str,
}

/// Returns the message that calls `method`.
pub(super) fn call(method: &Method<'_>, serial: u32, arguments: &Writer) -> Zeroizing<Vec<u8>> {
    let mut message = Writer::default();
    let kind = Kind::Call as u8;
    message
        .0
        .extend_from_slice(&[LITTLE_ENDIAN, kind, 0, VERSION]);
    message.number(length(arguments.0.len()));
    message.number(serial);
    message.array(8, &|fields| {
        for (code, signature, text) in [
            (PATH, "o", method.path),
            (DESTINATION, "s", method.destination),
            (INTERFACE, "s", method.interface),
            (MEMBER, "s", method.name),
        ] {
            fields.field(code, signature);
            fields.text(text);
        }
        if !method.takes.is_empty() {
            fields.field(SIGNATURE, "g");
            fields.signature(method.takes);
        }
    });
    message.align(8);
    message.0.extend_from_slice(&arguments.0);
    message.0
}

impl Writer {
    fn field(&mut self, code: u8, signature: &'static str) {
        self.structure();
        self.0.push(code);
        self.signature(signature);
    }
}

/// A message that came in. What is not in its header is empty.
pub(super) struct Message {
    pub(super) kind: u8,
    /// The serial of the call that it answers.
    pub(super) answers: Option<u32>,
    pub(super) path: String,
    pub(super) interface: String,
    pub(super) member: String,
    pub(super) error: String,
    pub(super) sender: String,
    signature: String,
    bytes: Zeroizing<Vec<u8>>,
    body: usize,
}

impl Message {
    /// Returns the length of the message that starts like this; `None` if there is no such message.
    pub(super) fn length(start: &[u8; START]) -> Option<usize> {
        let mut reader = Reader::of(start)?;
        let body = usize::try_from(reader.number()?).ok()?;
        reader.number()?;
        let fields = usize::try_from(reader.number()?).ok()?;
        let length = START
            .checked_add(fields)?
            .checked_next_multiple_of(8)?
            .checked_add(body)?;
        (length <= limits::BUS_MESSAGE).then_some(length)
    }

    /// Reads a whole message; `None` if it makes no sense.
    pub(super) fn read(bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        let mut reader = Reader::of(&bytes)?;
        let body_length = usize::try_from(reader.number()?).ok()?;
        reader.number()?;
        let fields_length = usize::try_from(reader.number()?).ok()?;
        let fields_end = START.checked_add(fields_length)?;
        let [
            mut path,
            mut interface,
            mut member,
            mut error,
            mut sender,
            mut signature,
        ] = [const { String::new() }; 6];
        let mut answers = None;
        while reader.at < fields_end {
            reader.align(8)?;
            let code = reader.byte()?;
            let value = reader.header_value()?;
            match (code, value) {
                (PATH, Value::Text(text)) => text.clone_into(&mut path),
                (INTERFACE, Value::Text(text)) => text.clone_into(&mut interface),
                (MEMBER, Value::Text(text)) => text.clone_into(&mut member),
                (ERROR_NAME, Value::Text(text)) => text.clone_into(&mut error),
                (SENDER, Value::Text(text)) => text.clone_into(&mut sender),
                (SIGNATURE, Value::Text(text)) => text.clone_into(&mut signature),
                (REPLY_SERIAL, Value::Number(serial)) => answers = Some(serial),
                _ => {}
            }
        }
        if reader.at != fields_end {
            return None;
        }
        reader.align(8)?;
        let (body, kind) = (reader.at, *bytes.get(1)?);
        (body.checked_add(body_length)? == bytes.len()).then_some(Self {
            kind,
            answers,
            path,
            interface,
            member,
            error,
            sender,
            signature,
            bytes,
            body,
        })
    }

    pub(super) fn is(&self, kind: Kind) -> bool {
        self.kind == kind as u8
    }

    /// Returns the values of a message, if they have these types.
    pub(super) fn values(&self, signature: &str) -> Option<Reader<'_>> {
        let mut reader = Reader::of(&self.bytes)?;
        reader.at = self.body;
        (self.signature == signature).then_some(reader)
    }
}

/// What a header field may be.
enum Value<'m> {
    Text(&'m str),
    Number(u32),
    Other,
}

/// Reads one value behind the other; `None` where the next one makes no sense.
pub(super) struct Reader<'m> {
    bytes: &'m [u8],
    at: usize,
    is_big_endian: bool,
}

impl<'m> Reader<'m> {
    /// Starts behind the four bytes that say how a message is written.
    fn of(bytes: &'m [u8]) -> Option<Self> {
        let (order, version) = (*bytes.first()?, *bytes.get(3)?);
        let is_known = matches!(order, LITTLE_ENDIAN | BIG_ENDIAN) && version == VERSION;
        is_known.then_some(Self {
            bytes,
            at: 4,
            is_big_endian: order == BIG_ENDIAN,
        })
    }

    /// A string, or the path of an object.
    pub(super) fn text(&mut self) -> Option<&'m str> {
        let length = self.number()?;
        self.text_of(usize::try_from(length).ok()?)
    }

    /// An array of bytes.
    pub(super) fn bytes(&mut self) -> Option<&'m [u8]> {
        let length = self.number()?;
        self.take(usize::try_from(length).ok()?)
    }

    /// An array of strings, or of the paths of objects.
    pub(super) fn texts(&mut self) -> Option<Vec<&'m str>> {
        let length = usize::try_from(self.number()?).ok()?;
        let end = self.at.checked_add(length)?;
        let mut texts = Vec::new();
        while self.at < end {
            texts.push(self.text()?);
        }
        (self.at == end).then_some(texts)
    }

    pub(super) fn truth(&mut self) -> Option<bool> {
        match self.number()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// The value in a variant, if it is of this type.
    pub(super) fn variant(&mut self, signature: &str) -> Option<&mut Self> {
        (self.signature()? == signature).then_some(self)
    }

    /// The beginning of a struct.
    pub(super) fn structure(&mut self) -> Option<()> {
        self.align(8)
    }

    /// A field that a later version of D-Bus adds may have any type; those of one value are passed
    /// over.
    fn header_value(&mut self) -> Option<Value<'m>> {
        let size = match self.signature()? {
            "s" | "o" => return self.text().map(Value::Text),
            "g" => return self.signature().map(Value::Text),
            "u" => return self.number().map(Value::Number),
            "y" => 1,
            "n" | "q" => 2,
            "b" | "i" | "h" => 4,
            "x" | "t" | "d" => 8,
            _ => return None,
        };
        self.align(size)?;
        self.take(size)?;
        Some(Value::Other)
    }

    fn signature(&mut self) -> Option<&'m str> {
        let length = self.byte()?;
        self.text_of(usize::from(length))
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn number(&mut self) -> Option<u32> {
        self.align(4)?;
        let bytes = self.take(4)?.try_into().ok()?;
        Some(if self.is_big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    fn text_of(&mut self, length: usize) -> Option<&'m str> {
        let text = std::str::from_utf8(self.take(length)?).ok()?;
        (self.byte()? == 0).then_some(text)
    }

    fn align(&mut self, alignment: usize) -> Option<()> {
        let aligned = self.at.checked_next_multiple_of(alignment)?;
        self.take(aligned - self.at).map(drop)
    }

    fn take(&mut self, length: usize) -> Option<&'m [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }
}

#[cfg(test)]
mod fuzz;
