//! The kinds of value that the configuration knows, each checked where it stands.
//!
//! What passes here is a type that needs no second look; a fault says what was expected, and never
//! repeats the value.

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderName;
use url::Url;

use super::error::{ConfigError, Place};
use super::keys::known;
use super::limits::LONGEST_NAME;
use super::origin::{Origin, mcp_server, safe_url};
use super::parameters::is_reserved;
use super::provider::Provenance;
use super::secret::{SecretRef, SecretSource, is_reference};
use super::suggestion::hint;
use super::tree::{Entry, Node};
use crate::printable::{is_deceptive, visible_text};
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

/// An address of a login server. Its query sets no parameter of the flow itself, so that it cannot
/// hide where the code goes.
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

/// What stands before the query names the server; the query may hold a secret, and chooses no more
/// than tools.
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

/// Servers compare redirect URIs letter by letter, so one that we would send in another spelling is
/// refused.
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

/// What [`is_name`] takes.
pub(crate) const NAME_RULE: &str = "expected 1 to 200 characters, none of them a control character or one that turns the \
                                    direction of writing";

/// Whether a text can be the name of a pool or the label of an account: they are shown in terminals
/// and matched by equality.
pub(crate) fn is_name(text: &str) -> bool {
    !text.trim().is_empty()
        && text.chars().count() <= LONGEST_NAME
        && !text.chars().any(|c| c.is_control() || is_deceptive(c))
}

/// The name of a pool, or the id or label of an account.
pub(super) fn name(node: &Node) -> Result<String, ConfigError> {
    let name = node.text()?;
    match is_name(name) {
        true => Ok(name.to_owned()),
        false => Err(node.place.fault(NAME_RULE)),
    }
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
        protected: [].into(),
        place: node.place.clone(),
    })
}

/// Further headers of each request. None may be a credential, which would be stored unencrypted.
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

/// A text that is neither empty nor a reference: a reference here would be sent as it stands.
pub(super) fn word(node: &Node) -> Result<String, ConfigError> {
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
    Ok(text.to_owned())
}

/// A JSON pointer (RFC 6901) to a value of a document.
pub(super) fn pointer(node: &Node) -> Result<String, ConfigError> {
    let text = word(node)?;
    if !text.starts_with('/') {
        return Err(node
            .place
            .fault("expected a JSON pointer such as /account/id"));
    }
    Ok(text)
}

/// A list whose items are all read like this.
pub(super) fn list<T>(
    node: &Node,
    read: impl FnMut(&Node) -> Result<T, ConfigError>,
) -> Result<Vec<T>, ConfigError> {
    node.list()?.iter().map(read).collect()
}

/// An object of known names whose values are all read like this, in the order of the file.
pub(super) fn by_name<T>(
    node: &Node,
    names: &[&'static str],
    warnings: &mut Vec<ConfigError>,
    mut read: impl FnMut(&'static str, &Node) -> Result<T, ConfigError>,
) -> Result<Vec<(&'static str, T)>, ConfigError> {
    let entries = known(node, names, warnings)?.into_iter();
    entries
        .map(|(name, Entry { node, .. })| Ok((name, read(name, node)?)))
        .collect()
}

/// The whole milliseconds of a span of the configuration's limits.
pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
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
