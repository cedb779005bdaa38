//! The kinds of value that the configuration knows, each checked where it stands.
//!
//! What passes here is a type that needs no second look; a fault says what would have fitted, and repeats nothing.

use std::collections::BTreeMap;

use http::HeaderName;
use url::Url;

use super::error::{ConfigError, Place};
use super::limits::MOST_HINTS;
use super::nearest::nearest;
use super::origin::{Origin, mcp_server, safe_url};
use super::provider::Provenance;
use super::schema::is_reserved;
use super::secret::{SecretRef, SecretSource, is_reference};
use super::tree::{Content, Entry, Node};
use crate::accounts::checked_name;
use crate::printable::visible_text;
use crate::providers;

/// Headers that no credential can stand in, since the connection itself needs them.
const RESERVED_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// An address of a login server. Its query says nothing that the flow itself does: who gets the code is not hidden there.
pub(super) fn endpoint(node: &Node) -> Result<Url, ConfigError> {
    let url = address(node)?;
    let reserved = url.query_pairs().find(|(name, _)| is_reserved(name));
    match reserved.map(|(name, _)| visible_text(&name)) {
        Some(name) => Err(node.place.fault(format!(
            "the query of this address sets {name}, which the login itself sets; remove it"
        ))),
        None => Ok(url),
    }
}

fn address(node: &Node) -> Result<Url, ConfigError> {
    let url = safe_url(node.text()?).map_err(|bad| node.place.fault(bad.to_string()))?;
    if url.fragment().is_some() {
        return Err(node.place.fault("expected a URL without a fragment (#…)"));
    }
    Ok(url)
}

/// What stands before the query names the server; the query may hold a secret, and chooses no more than tools.
pub(super) fn resource(node: &Node) -> Result<Url, ConfigError> {
    mcp_server(node.text()?).map_err(|bad| node.place.fault(bad.to_string()))
}

pub(super) fn issuer(node: &Node) -> Result<Url, ConfigError> {
    let url = endpoint(node)?;
    if url.query().is_some() {
        return Err(node.place.fault("expected an issuer without a query (?…)"));
    }
    if url.path().contains("/.well-known/") {
        return Err(node
            .place
            .fault("expected the issuer itself, which is what stands before /.well-known/"));
    }
    Ok(url)
}

/// Servers compare redirect URIs letter by letter, so one that we would send in another spelling is refused.
pub(super) fn redirect_uri(node: &Node) -> Result<Url, ConfigError> {
    let url = endpoint(node)?;
    if url.as_str() != node.text()? {
        return Err(node.place.fault(
            "expected the URI in its normal form, since servers compare it letter by letter: lower-case host, no default port, \
             a path, if only /; register it with the server in that form too",
        ));
    }
    Ok(url)
}

/// The name of a pool, or the id or label of an account.
pub(super) fn name(node: &Node) -> Result<String, ConfigError> {
    let name = node.text()?.to_owned();
    checked_name("", Some(name.clone()))
        .map(|_| name)
        .map_err(|_| {
            node.place
                .fault("expected 1 to 200 characters, none of them a control character or one that turns the direction of writing")
        })
}

/// Bytes as hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn origins(node: &Node) -> Result<Vec<Origin>, ConfigError> {
    let items = node.list()?;
    if items.is_empty() {
        return Err(node
            .place
            .fault("expected at least one origin: without one, no request gets a credential"));
    }
    let origin =
        |item: &Node| Origin::parse(item.text()?).map_err(|bad| item.place.fault(bad.to_string()));
    items.iter().map(origin).collect()
}

pub(super) fn secret(node: &Node, from: &Provenance) -> Result<SecretRef, ConfigError> {
    let text = node.text()?;
    if text.is_empty() {
        return Err(node.place.fault("expected a secret, found an empty string"));
    }
    let mut source = SecretSource::parse(text).map_err(|why| node.place.fault(why))?;
    if let (SecretSource::File(path), Some(folder)) =
        (&mut source, from.file().and_then(|file| file.parent()))
        && !path.starts_with("~")
    {
        // A relative path starts from the folder of the file that names it.
        *path = folder.join(&path);
    }
    let from_project = matches!(from, Provenance::Project(_));
    Ok(SecretRef {
        source,
        from_project,
        barred: [].into(),
        place: node.place.clone(),
    })
}

/// Further headers of each request. A credential is none of them: it would go unsealed.
pub(super) fn headers(node: &Node) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut headers = BTreeMap::new();
    for Entry { key, place, node } in node.object()? {
        let name = HeaderName::from_bytes(key.as_bytes())
            .map_err(|_| place.fault("expected the name of an HTTP header"))?;
        if RESERVED_HEADERS.contains(&name.as_str())
            || providers::KEY_HEADERS.contains(&name.as_str())
            || matches!(name.as_str(), "cookie" | "proxy-authorization")
        {
            return Err(place.fault(
                "expected a header that the connection does not need and that holds no credential",
            ));
        }
        let value = node.text()?;
        if value.is_empty() || !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(node
                .place
                .fault("expected visible ASCII characters for the value of a header"));
        }
        headers.insert(name.as_str().to_owned(), value.to_owned());
    }
    Ok(headers)
}

pub(super) fn scope(node: &Node) -> Result<String, ConfigError> {
    scope_of(&node.place, node.text()?)
}

/// One scope that stands here, perhaps among others in one text.
pub(super) fn scope_of(place: &Place, scope: &str) -> Result<String, ConfigError> {
    // RFC 6749 §3.3: printable ASCII but for the space, the double quote and the backslash.
    if scope.is_empty()
        || !scope
            .chars()
            .all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\'))
    {
        return Err(
            place.fault("expected one scope: printable characters, no space, quote or backslash")
        );
    }
    Ok(scope.to_owned())
}

pub(super) fn header(node: &Node) -> Result<String, ConfigError> {
    let name = HeaderName::from_bytes(node.text()?.as_bytes())
        .map_err(|_| node.place.fault("expected the name of an HTTP header"))?;
    if RESERVED_HEADERS.contains(&name.as_str()) {
        return Err(node
            .place
            .fault("expected a header of the request, not one that the connection itself needs"));
    }
    Ok(name.as_str().to_owned())
}

pub(super) fn scheme(node: &Node) -> Result<String, ConfigError> {
    let scheme = node.text()?;
    if !scheme
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
    {
        return Err(node
            .place
            .fault("expected one word such as Bearer, or an empty string for a bare key"));
    }
    Ok(scheme.to_owned())
}

/// A text that is not empty and no reference: a reference here would be sent as it stands.
pub(super) fn word(node: &Node) -> Result<&str, ConfigError> {
    let text = node.text()?;
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(node
            .place
            .fault("expected a string without control characters that is not empty"));
    }
    if is_reference(text) {
        return Err(node
            .place
            .fault("{env:…} and {file:…} are read in clientSecret only"));
    }
    Ok(text)
}

/// A JSON pointer (RFC 6901) to a value of a document.
pub(super) fn pointer(node: &Node) -> Result<String, ConfigError> {
    let text = word(node)?;
    if !text.starts_with('/') {
        return Err(node
            .place
            .fault("expected a JSON pointer such as /account/id"));
    }
    Ok(text.to_owned())
}

pub(super) fn choice<T: Copy>(node: &Node, choices: &[(&str, T)]) -> Result<T, ConfigError> {
    one_of(&node.place, node.text()?, choices)
}

/// The choice of this name. The fault says what would fit, without repeating what was written.
pub(super) fn one_of<T: Copy>(
    place: &Place,
    written: &str,
    choices: &[(&str, T)],
) -> Result<T, ConfigError> {
    if let Some((_, value)) = choices.iter().find(|(name, _)| *name == written) {
        return Ok(*value);
    }
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    Err(place.fault(format!(
        "expected one of {}{}",
        names.join(", "),
        hint(written, &names)
    )))
}

pub(super) fn hint(written: &str, names: &[&str]) -> String {
    nearest(written, names)
        .map(|name| format!("; did you mean {name}?"))
        .unwrap_or_default()
}

/// The entries whose key is known; of the others, a warning that names the nearest one.
pub(super) fn known<'a>(
    node: &'a Node,
    keys: &[&'static str],
    warnings: &mut Vec<String>,
) -> Result<Vec<(&'static str, &'a Entry)>, ConfigError> {
    let mut found = Vec::new();
    for entry in node.object()? {
        if let Some(key) = keys.iter().find(|key| **key == entry.key) {
            found.push((*key, entry));
        } else {
            let hint = match warnings.len() < MOST_HINTS {
                true => hint(&entry.key, keys),
                false => String::new(),
            };
            let fault = entry.place.fault(format!("unknown key{hint}"));
            warnings.push(fault.to_string());
        }
    }
    Ok(found)
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
