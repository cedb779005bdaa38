//! Reads `WWW-Authenticate` (RFC 9110 §11.6.1): what a server answers to a request without a usable
//! token.

use url::Url;

use crate::{
    limits,
    text::{clean, lenient::scopes},
};

/// The `Bearer` challenge of a protected resource (RFC 6750 §3, RFC 9728 §5.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Challenge {
    /// Error name, as `insufficient_scope`.
    pub error: Option<String>,
    /// Scopes that the request would need; empty when it does not say.
    pub scopes: Vec<String>,
    /// Where the resource describes itself.
    pub resource_metadata: Option<Url>,
}

/// Returns the first `Bearer` challenge of these header lines. What cannot be read in it is left
/// out.
pub fn bearer_challenge<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<Challenge> {
    lines.into_iter().find_map(|line| {
        let mut reader = Reader::new(line);
        while let Some(scheme) = reader.scheme() {
            let params = reader.params();
            if scheme.eq_ignore_ascii_case("bearer") {
                return Some(Challenge::of(params));
            }
        }
        None
    })
}

impl Challenge {
    fn of(params: Vec<(&str, String)>) -> Self {
        let param = |wanted: &str| {
            let mut named = params.iter();
            let (_, value) = named.find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
            Some(value.as_str())
        };
        Self {
            error: param("error").and_then(|name| clean(name, limits::ERROR_NAME_CHARS)),
            scopes: scopes(param("scope").unwrap_or_default().split_whitespace()),
            resource_metadata: param("resource_metadata").and_then(|url| Url::parse(url).ok()),
        }
    }
}

/// What is left of a header line.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn new(line: &'a str) -> Self {
        Self { rest: line }
    }

    /// Takes the name of the next scheme. What belongs to none is skipped.
    fn scheme(&mut self) -> Option<&'a str> {
        loop {
            self.skip(|c| c.is_ascii_whitespace() || c == ',');
            if self.rest.is_empty() {
                return None;
            }
            match self.token() {
                "" if self.rest.starts_with('"') => drop(self.value()),
                "" => self.skip_one(),
                scheme => return Some(scheme),
            }
        }
    }

    /// Takes the parameters of the scheme just taken, up to the next one.
    fn params(&mut self) -> Vec<(&'a str, String)> {
        let mut params = Vec::new();
        loop {
            self.skip(|c| c.is_ascii_whitespace() || c == ',');
            let before = self.rest;
            let name = self.token();
            self.skip(|c| c.is_ascii_whitespace());
            match self.rest.strip_prefix('=') {
                Some(value) if !name.is_empty() => {
                    self.rest = value;
                    self.skip(|c| c.is_ascii_whitespace());
                    let value = self.value();
                    params.push((name, value));
                }
                // A token without a value begins the next challenge, or is a credential of this one
                // (token68).
                _ => {
                    self.rest = before;
                    return params;
                }
            }
        }
    }

    /// Takes a token, which may be empty (RFC 9110 §5.6.2).
    fn token(&mut self) -> &'a str {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let end = self.rest.find(|c| !is_token(c)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        token
    }

    /// Takes a token or a quoted text. One whose quotes are not closed ends with the line.
    fn value(&mut self) -> String {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            // Some servers leave out the quotes around URLs.
            let end = self.rest.find([',', ' ', '\t']).unwrap_or(self.rest.len());
            let (value, rest) = self.rest.split_at(end);
            self.rest = rest;
            return value.to_owned();
        };
        let mut value = String::new();
        let mut chars = quoted.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &quoted[at + 1..];
                    return value;
                }
                '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
                c => value.push(c),
            }
        }
        self.rest = "";
        value
    }

    fn skip(&mut self, skipped: impl Fn(char) -> bool) {
        self.rest = self.rest.trim_start_matches(skipped);
    }

    fn skip_one(&mut self) {
        let mut chars = self.rest.chars();
        chars.next();
        self.rest = chars.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = "https://mcp.example/.well-known/oauth-protected-resource";

    #[track_caller]
    fn check(lines: &[&str], expect: Option<(Option<&str>, &[&str], Option<&str>)>) {
        let found = bearer_challenge(lines.iter().copied());
        let found = found.as_ref().map(|challenge| {
            let scopes: Vec<&str> = challenge.scopes.iter().map(String::as_str).collect();
            let metadata = challenge.resource_metadata.as_ref().map(Url::as_str);
            (challenge.error.as_deref(), scopes, metadata)
        });
        let expect = expect.map(|(error, scopes, metadata)| (error, scopes.to_vec(), metadata));
        assert_eq!(found, expect, "{lines:?}");
    }

    #[test]
    fn the_bearer_challenge_is_found_among_others() {
        let quoted =
            format!(r#"Bearer resource_metadata="{METADATA}", scope="files:read files:write""#);
        let scopes: &[&str] = &["files:read", "files:write"];
        let expect = Some((None, scopes, Some(METADATA)));
        check(&[&quoted], expect);
        check(
            &[&format!(r#"Basic realm="a, Bearer scope=b", {quoted}"#)],
            expect,
        );
        check(&[&format!("Negotiate dG9rZW4=, {quoted}")], expect);
        check(&[&format!("Negotiate, {quoted}")], expect);
        check(&["Basic realm=\"x\"", &quoted], expect);
        check(
            &[&format!("{quoted}, Basic realm=\"x\", scope=\"basic\"")],
            expect,
        );
        check(
            &[&quoted.replace("Bearer", "bEARER").replace("scope", "SCOPE")],
            expect,
        );
        check(
            &[&quoted
                .replace(", ", " ,, ")
                .replace('=', " = ")
                .replace("? = ", "?=")],
            expect,
        );
        check(
            &[&format!(
                "Bearer resource_metadata={METADATA},scope=\"files:read files:write\""
            )],
            expect,
        );
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        check(&[], None);
        check(
            &[
                "",
                ",,",
                "Basic realm=\"x\"",
                "\"Bearer\"=",
                "Bearerish scope=a",
            ],
            None,
        );
        check(&["Bearer"], Some((None, &[], None)));
        check(&["Bearer dG9rZW4="], Some((None, &[], None)));
        check(
            &[r#"Bearer error="insufficient_scope", scope="a"#],
            Some((Some("insufficient_scope"), &["a"], None)),
        );
        check(
            &[r#"Bearer scope="a a \"b\" c\\d é x""#],
            Some((None, &["a", "x"], None)),
        );
        check(
            &[r#"Bearer scope=a, scope=b, resource_metadata="no url""#],
            Some((None, &["a"], None)),
        );
        check(
            &["Bearer realm=\"\u{1b}[31m\", error=\"bad\u{7}name\""],
            Some((Some("badname"), &[], None)),
        );
    }
}
