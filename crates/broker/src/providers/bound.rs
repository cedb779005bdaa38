//! What in a request only the account that made it can serve, as lists.
//!
//! A field counts when its value is a text, or a list of texts, that begins as the list says. What
//! tools are passed and what they answer is the caller's own and never looked at; see
//! `npm/src/bound.ts`.

/// The items of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundItems {
    /// Field names of a JSON body, each with how the value begins; empty for any value.
    pub fields: &'static [(&'static str, &'static str)],
    /// Parts of a path after which the id of such an item comes.
    pub paths: &'static [&'static str],
}

/// OpenAI's shapes: stored responses, reasoning that is encrypted for the organisation, files and
/// what is made of them.
pub(crate) const OPENAI_SHAPED: BoundItems = BoundItems {
    fields: &[
        ("previous_response_id", ""),
        ("encrypted_content", ""),
        ("file_id", ""),
        ("file_ids", ""),
        ("input_file_id", ""),
        ("vector_store_ids", ""),
        ("conversation", "conv_"),
        ("container", "cntr_"),
        ("id", "conv_"),
        ("id", "rs_"),
    ],
    paths: &[
        "/files/",
        "/responses/",
        "/conversations/",
        "/vector_stores/",
        "/containers/",
        "/batches/",
        "/uploads/",
    ],
};

/// Files, containers and skills belong to a workspace. Signatures of thinking do not: Anthropic
/// takes them from any account.
pub(crate) const ANTHROPIC: BoundItems = BoundItems {
    fields: &[
        ("file_id", ""),
        ("container", "container_"),
        ("id", "container_"),
        ("skill_id", "skill_"),
    ],
    paths: &["/files/", "/messages/batches/", "/skills/"],
};

/// Signatures of thoughts, caches, and files as the API itself names them; links to elsewhere
/// belong to no account.
pub(crate) const GOOGLE: BoundItems = BoundItems {
    fields: &[
        ("thoughtSignature", ""),
        ("thought_signature", ""),
        ("cachedContent", ""),
        ("cached_content", ""),
        ("fileUri", GOOGLE_FILES),
        ("file_uri", GOOGLE_FILES),
    ],
    paths: &["/files/", "/cachedContents/", "/batches/"],
};

const GOOGLE_FILES: &str = "https://generativelanguage.googleapis.com/";
