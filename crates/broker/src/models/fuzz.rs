//! Altered lists of models: entries that can be shown and sent, or a fault.

use provider_auth_fuzz::Target;

use super::shape::read;
use crate::limits;
use crate::providers::ModelLists;

const WORDS: &[&str] = &[
    "data",
    "models",
    "id",
    "slug",
    "name",
    "visibility",
    "list",
    "models/",
    "has_more",
    "last_id",
    "nextPageToken",
    "context_length",
    "policy",
    "state",
    "true",
    "null",
    "[",
    "{}",
];

#[test]
fn a_list_holds_what_can_be_shown_or_is_refused() {
    let all = [
        ModelLists::GENERIC,
        ModelLists::OPENAI,
        ModelLists::COPILOT,
        ModelLists::CURSOR,
    ];
    let target = Target::new("models", WORDS);
    for seed in target.seeds() {
        assert!(read(ModelLists::GENERIC.shapes, seed).is_ok());
    }
    target.run(|input| {
        let pages = all.map(|lists| read(lists.shapes, input));
        for page in pages.iter().flatten() {
            for model in &page.models {
                let texts = [
                    Some(&model.id),
                    model.name.as_ref(),
                    model.owned_by.as_ref(),
                ];
                assert!(texts.into_iter().flatten().all(|text| {
                    !text.is_empty()
                        && text.len() <= limits::MODEL_TEXT_LIMIT
                        && !text.contains(char::is_control)
                }));
            }
        }
        let outcomes = pages.map(|page| match page {
            Ok(page) => format!("{} {}", page.models.len().min(9), page.next.is_some()),
            Err(fault) => fault.to_string(),
        });
        outcomes.join(", ")
    });
}
