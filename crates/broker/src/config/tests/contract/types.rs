//! The tables of keys and the interfaces of `index.d.ts`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::form::{Form, TYPES, literals};
use super::{CONFIG, TABLES, at, parsed};
use crate::config::{dialect, provider_keys};

/// The members of an interface, each with its type; of an optional one, the name ends with a
/// question mark.
fn members(interface: &str) -> Vec<(String, String)> {
    let head = format!("export interface {interface} {{\n");
    let (_, body) = TYPES.split_once(&head).expect("an interface");
    let (body, _) = body.split_once("\n}").expect("its end");
    let mut members: Vec<(String, String)> = Vec::new();
    let mut in_comment = false;
    for line in body.lines() {
        let text = line.trim();
        in_comment |= text.starts_with("/**");
        if in_comment {
            in_comment = !text.ends_with("*/");
            continue;
        }
        match line
            .strip_prefix("  ")
            .filter(|rest| !rest.starts_with(' '))
        {
            Some(member) if member.contains(": ") => {
                let (name, typed) = member.split_once(": ").unwrap();
                members.push((name.to_owned(), typed.to_owned()));
            }
            _ => members
                .last_mut()
                .expect("a member goes on")
                .1
                .push_str(text),
        }
    }
    members
}

/// The members of an object type that stands within another type.
fn inner(typed: &str) -> Vec<(String, String)> {
    let Some((_, body)) = typed.split_once('{') else {
        // Partial<Record<'a' | 'b', type>>
        let (names, typed) = typed.rsplit_once(", ").expect("a record");
        let typed = typed.trim_end_matches('>');
        let names = literals(names).into_iter();
        return names
            .map(|name| (format!("{name}?"), typed.to_owned()))
            .collect();
    };
    let (body, _) = body.rsplit_once('}').expect("its end");
    let members = body
        .split("; ")
        .map(|member| member.trim().split_once(": "));
    let members = members.map(|member| member.expect("a member with a type"));
    members
        .map(|(name, typed)| (name.to_owned(), typed.to_owned()))
        .collect()
}

#[test]
fn the_types_have_every_key_of_the_tables_and_no_other_and_the_same_forms() {
    let config = parsed(CONFIG);
    for (keys, pointer, interface, member) in TABLES {
        let mut members = members(interface);
        if !member.is_empty() {
            let found = members
                .iter()
                .find(|(name, _)| name.trim_end_matches('?') == *member);
            members = inner(&found.expect("the member").1);
        }
        let place = format!("{interface} {member}");
        let names: BTreeSet<&str> = members
            .iter()
            .map(|(name, _)| name.trim_end_matches('?'))
            .collect();
        assert_eq!(names, keys.iter().map(|key| key.name).collect(), "{place}");
        let required: BTreeSet<&str> = members
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| !name.ends_with('?'))
            .collect();
        let by_schema = at(&config, pointer)["required"].as_array();
        let by_schema = by_schema.into_iter().flatten().filter_map(Value::as_str);
        assert_eq!(required, by_schema.collect(), "{place}");
        for (name, typed) in &members {
            let key = keys
                .iter()
                .find(|key| name.trim_end_matches('?') == key.name);
            if let Some(form) = key.and_then(|key| Form::of(key.reader)) {
                let typed = typed.replace(['(', ')'], "");
                form.check_type(&typed, &format!("{place} {name}"));
            }
        }
    }
    let typed = |interface: &str, member: &str| {
        let members = members(interface);
        let found = members.into_iter().find(|(name, _)| name == member);
        found
            .unwrap_or_else(|| panic!("{interface} has no {member}"))
            .1
    };
    let set = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<_>>();
    let params = typed("ProviderConfig", "params?");
    assert_eq!(literals(&params), set(provider_keys::STEPS));
    let fields = typed("DialectConfig", "fields?");
    assert_eq!(literals(&fields), set(dialect::FIELDS));
    let encoding = typed("DialectConfig", "encoding?");
    let names = dialect::ENCODINGS.iter().map(|(name, _)| *name);
    assert_eq!(literals(&encoding), names.collect());
    let steps = TYPES
        .lines()
        .find(|line| line.starts_with("export type RequestStep ="));
    assert_eq!(literals(steps.unwrap()), set(dialect::STEPS));
    let root = members("Config");
    let names = root.iter().map(|(name, _)| name.trim_end_matches('?'));
    assert_eq!(names.collect::<BTreeSet<_>>(), set(provider_keys::ROOT));
}
