//! Where providers list their models and how the lists are written, as data. What reads them is
//! `models/shape.rs`.

/// The lists of a provider.
#[derive(Clone, Copy, Debug)]
pub struct ModelLists {
    /// Paths on the first origin, tried in this order until one has a list.
    pub(crate) paths: &'static [&'static str],
    /// The forms that its lists take; the first one that fits counts.
    pub(crate) shapes: &'static [&'static Shape<'static>],
}

/// The form of a list. All places are JSON pointers (RFC 6901).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape<'a> {
    /// Where the entries are.
    pub(crate) entries: &'a str,
    /// Where an entry has its id; empty where the entry itself is the id.
    pub(crate) id: &'a str,
    /// What precedes the id and is not part of it.
    pub(crate) prefix: &'a str,
    /// Where an entry has a name to show.
    pub(crate) name: &'a [&'a str],
    /// Where an entry has the tokens that a request may hold.
    pub(crate) context_window: &'a [&'a str],
    /// Where an entry says whose model it is.
    pub(crate) owned_by: &'a [&'a str],
    /// Fields that leave an entry out when they say anything else than this.
    pub(crate) only: &'a [(&'a str, &'a str)],
    /// How the next page is asked for.
    pub(crate) next: Option<NextPage>,
}

/// The form of a list as a user says it; one page of it is all.
#[derive(Clone, Debug)]
pub struct OwnShape {
    pub(crate) entries: String,
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) context_window: Option<String>,
    pub(crate) owned_by: Option<String>,
}

impl Default for OwnShape {
    fn default() -> Self {
        Self {
            entries: OPENAI.entries.to_owned(),
            id: OPENAI.id.to_owned(),
            name: None,
            context_window: None,
            owned_by: None,
        }
    }
}

impl OwnShape {
    /// Reads something by this form.
    pub(crate) fn read<R>(&self, by: impl FnOnce(&Shape<'_>) -> R) -> R {
        fn places(place: &Option<String>) -> Vec<&str> {
            place.as_deref().into_iter().collect()
        }
        by(&Shape {
            entries: &self.entries,
            id: &self.id,
            prefix: "",
            name: &places(&self.name),
            context_window: &places(&self.context_window),
            owned_by: &places(&self.owned_by),
            only: &[],
            next: None,
        })
    }
}

/// How the next page of a list is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NextPage {
    /// Where the page says whether there is a next one; one that has no such field says it by its
    /// cursor.
    pub(crate) more: Option<&'static str>,
    /// Where the page has what asks for the next one.
    pub(crate) cursor: &'static str,
    /// The parameter that takes it.
    pub(crate) parameter: &'static str,
}

/// The list of OpenAI, with the further fields of servers that copied it.
const OPENAI: Shape<'static> = Shape {
    entries: "/data",
    id: "/id",
    prefix: "",
    name: &["/display_name", "/name"],
    context_window: &["/context_window", "/context_length", "/max_model_len"],
    owned_by: &["/owned_by"],
    only: &[],
    next: None,
};

/// The list of Sign in with ChatGPT; some entries are not for people to choose.
const CHATGPT: Shape<'static> = Shape {
    entries: "/models",
    id: "/slug",
    only: &[("/visibility", "list")],
    ..OPENAI
};

const ANTHROPIC: Shape<'static> = Shape {
    next: Some(NextPage {
        more: Some("/has_more"),
        cursor: "/last_id",
        parameter: "after_id",
    }),
    ..OPENAI
};

const GOOGLE: Shape<'static> = Shape {
    entries: "/models",
    id: "/name",
    prefix: "models/",
    name: &["/displayName"],
    context_window: &["/inputTokenLimit"],
    next: Some(NextPage {
        more: None,
        cursor: "/nextPageToken",
        parameter: "pageToken",
    }),
    ..OPENAI
};

/// Models that the seat's policy allows and that are offered for choice.
const COPILOT: Shape<'static> = Shape {
    context_window: &["/capabilities/limits/max_context_window_tokens"],
    owned_by: &["/vendor"],
    only: &[
        ("/model_picker_enabled", "true"),
        ("/policy/state", "enabled"),
    ],
    ..OPENAI
};

/// Bare names.
const NAMES: Shape<'static> = Shape {
    entries: "/models",
    id: "",
    ..OPENAI
};

/// Entries like OpenAI's, with nothing around them.
const BARE: Shape<'static> = Shape {
    entries: "",
    ..OPENAI
};

impl ModelLists {
    /// Nowhere, unless the user names a place.
    pub(crate) const NONE: Self = Self {
        paths: &[],
        ..Self::GENERIC
    };

    /// Any of the known forms, where a gateway or a server of one's own is likely to have it.
    pub(crate) const GENERIC: Self = Self {
        paths: &["/models", "/v1/models"],
        shapes: &[&ANTHROPIC, &CHATGPT, &GOOGLE, &NAMES, &BARE],
    };

    pub(crate) const ANTHROPIC: Self = Self {
        paths: &["/v1/models?limit=1000"],
        shapes: &[&ANTHROPIC],
    };

    /// A key sees another list than a login.
    pub(crate) const OPENAI: Self = Self {
        paths: &["/v1/models"],
        shapes: &[&OPENAI, &CHATGPT],
    };

    pub(crate) const AZURE: Self = Self {
        paths: &["/openai/v1/models"],
        shapes: &[&OPENAI],
    };

    pub(crate) const GOOGLE: Self = Self {
        paths: &["/v1beta/models?pageSize=1000"],
        shapes: &[&GOOGLE],
    };

    pub(crate) const COPILOT: Self = Self {
        paths: &["/models"],
        shapes: &[&COPILOT],
    };

    /// The hosts of Model Studio have the first path, the others the second.
    pub(crate) const QWEN: Self = Self {
        paths: &["/compatible-mode/v1/models", "/v1/models"],
        shapes: &[&OPENAI],
    };

    pub(crate) const CURSOR: Self = Self {
        paths: &["/v0/models", "/v1/models"],
        shapes: &[&NAMES],
    };
}
