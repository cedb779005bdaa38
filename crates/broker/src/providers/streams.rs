//! Which events of a stream carry no output, by the shape of the API, as lists.
//!
//! Until output came, another account can serve the same request; see `npm/src/sse.ts`, which holds
//! a stream that long.

/// The events of one API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamShape {
    /// Events that carry no output, by name or `type`, each with its member that would hold some;
    /// empty for none.
    pub silent: &'static [(&'static str, &'static str)],
    /// Events that say that the answer failed, by name or `type`.
    pub failed: &'static [&'static str],
    /// The list of a chunk without a type whose entries hold its output.
    pub chunks: &'static [&'static str],
    /// Members that describe output and hold none of it, wherever they stand.
    pub labels: &'static [&'static str],
}

const NONE: StreamShape = StreamShape {
    silent: &[],
    failed: &["error"],
    chunks: &[],
    labels: &[],
};

/// OpenAI's Responses, and what ChatGPT's own backend sends before them.
pub(crate) const RESPONSES: StreamShape = StreamShape {
    silent: &[
        ("ping", ""),
        ("keepalive", ""),
        ("codex.rate_limits", ""),
        ("response.created", ""),
        ("response.queued", ""),
        ("response.in_progress", ""),
        ("response.output_item.added", "item"),
        ("response.content_part.added", "part"),
        ("response.reasoning_summary_part.added", "part"),
    ],
    failed: &["error", "response.failed"],
    labels: &["id", "type", "status", "role", "phase"],
    ..NONE
};

/// Anthropic's Messages.
pub(crate) const MESSAGES: StreamShape = StreamShape {
    silent: &[
        ("ping", ""),
        ("message_start", ""),
        ("content_block_start", "content_block"),
    ],
    labels: &["type"],
    ..NONE
};

/// Chat completions, of OpenAI and all servers with the same API.
pub(crate) const CHAT: StreamShape = StreamShape {
    silent: &[("ping", "")],
    chunks: &["choices"],
    labels: &["index", "role", "type", "content_filter_results"],
    ..NONE
};

/// Google's own.
pub(crate) const GEMINI: StreamShape = StreamShape {
    chunks: &["candidates"],
    labels: &["index", "role", "safetyRatings"],
    ..NONE
};

/// A provider of which no more is known may speak any of them.
pub(crate) const ALL: &[StreamShape] = &[RESPONSES, MESSAGES, CHAT, GEMINI];
