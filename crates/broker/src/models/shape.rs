//! Reads one page of a provider's list of models. Pure; the forms themselves are data, in
//! `providers/models.rs`.

use provider_auth_oauth::{whole, without_bom};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::limits;
use crate::providers::{NextPage, Shape};

/// A model that an account may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// What a request names it by.
    pub id: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Tokens that a request may hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u64>,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owned_by: Option<String>,
}

/// One page of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// Those that the account may use, in the order of the page.
    pub(super) models: Vec<Model>,
    /// Entries that the provider lists but does not offer.
    pub(super) left_out: usize,
    /// The parameter that asks for the next page.
    pub(super) next: Option<(&'static str, String)>,
}

/// Why an answer is no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("is no JSON")]
    NotJson,
    #[error("has no list where one is expected")]
    NoList,
    #[error("has a list whose entries have no id")]
    NoIds,
}

/// Reads a page in the first of these forms that fits. An empty list fits.
pub(super) fn read(shapes: &[&Shape<'_>], body: &[u8]) -> Result<Page, Fault> {
    let body: Value = serde_json::from_slice(without_bom(body)).map_err(|_| Fault::NotJson)?;
    let mut fault = Fault::NoList;
    for shape in shapes {
        let Some(entries) = body.pointer(shape.entries).and_then(Value::as_array) else {
            continue;
        };
        if entries.is_empty() || entries.iter().any(|entry| id(shape, entry).is_some()) {
            return Ok(page(shape, &body, entries));
        }
        fault = Fault::NoIds;
    }
    Err(fault)
}

fn page(shape: &Shape<'_>, body: &Value, entries: &[Value]) -> Page {
    let offered = |entry: &&Value| {
        shape.only.iter().all(|(place, wanted)| {
            let said = entry.pointer(place);
            said.is_none_or(|said| says(said, wanted))
        })
    };
    let models: Vec<Model> = entries
        .iter()
        .filter(offered)
        .filter_map(|entry| model(shape, entry))
        .collect();
    Page {
        left_out: entries.len() - models.len(),
        models,
        next: shape.next.and_then(|next| next_page(next, body)),
    }
}

fn model(shape: &Shape<'_>, entry: &Value) -> Option<Model> {
    let first_text = |places: &[&str]| {
        let mut texts = places.iter().filter_map(|place| text(entry.pointer(place)));
        texts.next().map(str::to_owned)
    };
    let windows = shape.context_window.iter();
    Some(Model {
        id: id(shape, entry)?.to_owned(),
        name: first_text(shape.name),
        context_window: windows
            .filter_map(|place| whole(entry.pointer(place)?))
            .next(),
        owned_by: first_text(shape.owned_by),
    })
}

fn id<'a>(shape: &Shape<'_>, entry: &'a Value) -> Option<&'a str> {
    let id = text(entry.pointer(shape.id))?;
    let id = id.strip_prefix(shape.prefix).unwrap_or(id);
    (!id.is_empty()).then_some(id)
}

/// A text that can be shown and sent: short, and without control characters.
fn text(value: Option<&Value>) -> Option<&str> {
    let text = value?.as_str()?;
    let is_clean = text.len() <= limits::MODEL_TEXT_LIMIT && !text.chars().any(char::is_control);
    (is_clean && !text.is_empty()).then_some(text)
}

fn says(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        // Nothing is said: a seat without a policy has `null` there.
        Value::Null => true,
        Value::Bool(yes) => wanted == if *yes { "true" } else { "false" },
        _ => false,
    }
}

fn next_page(next: NextPage, body: &Value) -> Option<(&'static str, String)> {
    let more = next.more.and_then(|place| body.pointer(place)?.as_bool());
    let cursor = text(body.pointer(next.cursor))?;
    (more != Some(false)).then(|| (next.parameter, cursor.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::providers::ModelLists;

    const ALL: [(&str, ModelLists); 6] = [
        ("generic", ModelLists::GENERIC),
        ("anthropic", ModelLists::ANTHROPIC),
        ("openai", ModelLists::OPENAI),
        ("google", ModelLists::GOOGLE),
        ("copilot", ModelLists::COPILOT),
        ("cursor", ModelLists::CURSOR),
    ];

    fn lists(of: &str) -> ModelLists {
        ALL.iter().find(|(name, _)| *name == of).unwrap().1
    }

    /// Reads a page and writes each model as `id|name|window|owner`.
    #[track_caller]
    fn check(of: &str, body: Value, expected: &[&str]) -> Page {
        let page = read(lists(of).shapes, body.to_string().as_bytes()).unwrap();
        let written = page.models.iter().map(|model| {
            let Model {
                id,
                name,
                context_window,
                owned_by,
            } = model;
            let window = context_window.map(|window| window.to_string());
            let parts = [name.clone(), window, owned_by.clone()].map(Option::unwrap_or_default);
            format!("{id}|{}", parts.join("|"))
        });
        assert_eq!(written.collect::<Vec<_>>(), expected, "{of}");
        page
    }

    #[test]
    fn each_providers_form_is_read() {
        let openai = json!({ "object": "list", "data": [
            { "id": "gpt-5", "object": "model", "owned_by": "openai" },
            { "id": "llama", "context_length": 8192, "name": "Llama" },
            { "id": "qwen", "max_model_len": 32768, "owned_by": null },
        ] });
        for of in ["openai", "generic"] {
            let rows = ["gpt-5|||openai", "llama|Llama|8192|", "qwen||32768|"];
            assert_eq!(check(of, openai.clone(), &rows).next, None);
        }
        let chatgpt = json!({ "models": [
            { "slug": "gpt-5-plan", "display_name": "GPT-5", "visibility": "list", "context_window": 272_000 },
            { "slug": "inner", "display_name": "Inner", "visibility": "hide" },
        ] });
        for of in ["openai", "generic"] {
            let page = check(of, chatgpt.clone(), &["gpt-5-plan|GPT-5|272000|"]);
            assert_eq!(page.left_out, 1);
        }
        let google = json!({ "models": [
            { "name": "models/gemini-3", "displayName": "Gemini 3", "inputTokenLimit": 1_048_576 },
            { "name": "tuned" },
        ], "nextPageToken": "p2" });
        for of in ["google", "generic"] {
            let page = check(
                of,
                google.clone(),
                &["gemini-3|Gemini 3|1048576|", "tuned|||"],
            );
            assert_eq!(page.next, Some(("pageToken", "p2".to_owned())));
        }
        let copilot = json!({ "data": [
            { "id": "on", "name": "On", "vendor": "OpenAI", "model_picker_enabled": true, "policy": { "state": "enabled" },
              "capabilities": { "limits": { "max_context_window_tokens": 128_000 } } },
            { "id": "free", "model_picker_enabled": true, "policy": null },
            { "id": "unpicked", "model_picker_enabled": false },
            { "id": "off", "model_picker_enabled": true, "policy": { "state": "disabled" } },
            { "id": "unset", "model_picker_enabled": true, "policy": { "state": "unconfigured" } },
        ] });
        check("copilot", copilot, &["on|On|128000|OpenAI", "free|||"]);
        for of in ["cursor", "generic"] {
            check(
                of,
                json!({ "models": ["auto", "fast"] }),
                &["auto|||", "fast|||"],
            );
        }
        check("generic", json!([{ "id": "bare" }]), &["bare|||"]);
    }

    #[test]
    fn the_next_page_is_asked_for_where_there_is_one() {
        for (rest, next) in [
            (json!({ "has_more": true, "last_id": "b" }), Some("b")),
            (json!({ "has_more": false, "last_id": "b" }), None),
            (json!({ "has_more": true, "last_id": null }), None),
            (json!({ "has_more": true, "last_id": "" }), None),
            (json!({}), None),
        ] {
            let mut body = json!({ "data": [{ "id": "a", "display_name": "A" }] });
            for (name, value) in rest.as_object().unwrap() {
                body[name] = value.clone();
            }
            let page = check("anthropic", body, &["a|A||"]);
            let next = next.map(|cursor| ("after_id", cursor.to_owned()));
            assert_eq!(page.next, next, "{rest}");
        }
    }

    #[test]
    fn what_is_no_list_is_said_to_be_none() {
        for (body, fault) in [
            ("", Fault::NotJson),
            ("<html>", Fault::NotJson),
            ("{\"data\":[", Fault::NotJson),
            ("{}", Fault::NoList),
            ("null", Fault::NoList),
            ("{\"data\":{\"id\":\"a\"}}", Fault::NoList),
            ("{\"error\":{\"message\":\"S3CRET\"}}", Fault::NoList),
            ("{\"data\":[1,{\"id\":2},{\"id\":\"\"}]}", Fault::NoIds),
            ("{\"models\":[{\"name\":\"models/\"}]}", Fault::NoIds),
        ] {
            let generic = read(ModelLists::GENERIC.shapes, body.as_bytes());
            assert_eq!(generic.unwrap_err(), fault, "{body}");
        }
        let strange = read(ModelLists::CURSOR.shapes, b"{\"data\":[{\"id\":\"a\"}]}");
        assert_eq!(strange.unwrap_err(), Fault::NoList);
    }

    #[test]
    fn an_entry_that_cannot_be_used_is_left_out() {
        let body = json!({ "data": [
            { "id": "a\nb" }, { "id": "x".repeat(limits::MODEL_TEXT_LIMIT + 1) }, null, { "id": "c", "name": "\u{1b}[2J", "context_window": -1 },
        ] });
        let page = check("openai", body, &["c|||"]);
        assert_eq!(page.left_out, 3);
        let none = check("openai", json!({ "data": [] }), &[]);
        assert_eq!(none.left_out, 0);
    }
}
