//! The fields `RateLimit` and `RateLimit-Policy` in the forms of their drafts
//! (draft-ietf-httpapi-ratelimit-headers): `"day";r=0;t=3600` with the policy
//! `"day";q=100;w=86400`, and before that `limit=100, remaining=0, reset=3600`.

use std::time::Duration;

use crate::response::Response;
use crate::response::duration::{decimal, is_spent, span_of};

/// Returns the time to the reset of what has nothing remaining, of several the latest.
pub(crate) fn reset(response: &Response<'_>) -> Option<Duration> {
    let field = response.header("ratelimit")?;
    let items: Vec<Item<'_>> = split(field, ',').map(Item::parse).collect();
    let of_pairs = || {
        let value = |name| {
            let mut items = items.iter();
            items.find_map(|item| item.pair.filter(|pair| pair.0 == name))
        };
        let (_, remaining) = value("remaining")?;
        is_spent(remaining).then(|| span(value("reset")?.1))?
    };
    let policies = response.header("ratelimit-policy").unwrap_or_default();
    let policies: Vec<Item<'_>> = split(policies, ',').map(Item::parse).collect();
    let of_items = items.iter().filter_map(|item| {
        if !is_spent(item.parameter("r")?) {
            return None;
        }
        let of_window = || {
            let mut policies = policies.iter();
            let policy = policies.find(|policy| policy.name == item.name)?;
            span(policy.parameter("w")?)
        };
        item.parameter("t").and_then(span).or_else(of_window)
    });
    of_items.chain(of_pairs()).max()
}

fn span(seconds: &str) -> Option<Duration> {
    span_of(decimal(seconds)?)
}

/// One member of a list: a name with parameters, or a pair.
struct Item<'a> {
    name: &'a str,
    pair: Option<(&'a str, &'a str)>,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Item<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = split(text, ';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let pair = |part: &'a str| {
            let (name, value) = part.split_once('=')?;
            Some((name.trim(), value.trim()))
        };
        Self {
            name,
            pair: pair(name),
            parameters: parts.filter_map(pair).collect(),
        }
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        let mut parameters = self.parameters.iter();
        Some(parameters.find(|(its, _)| *its == name)?.1)
    }
}

/// Splits at a separator that stands in no quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c: char| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
}
