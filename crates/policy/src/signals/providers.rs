//! The table of each provider whose responses differ from the generic ones.

use std::time::Duration;

use crate::signals::Signals;
use crate::signals::codes::{COMMON, CURSOR, OCI, QWEN};

impl Signals {
    /// Every table that there is.
    pub(crate) const TABLES: [Self; 6] = [
        Self::GENERIC,
        Self::ANTHROPIC,
        Self::GOOGLE,
        Self::QWEN,
        Self::CURSOR,
        Self::OCI,
    ];

    /// Anthropic: the generic table. Its prompt cache lives for five minutes after each use.
    pub const ANTHROPIC: Self = Self {
        binding_life: Duration::from_mins(5),
        ..Self::GENERIC
    };

    /// Google: `google.rpc.Status`, whose messages are the only place where some of its refusals
    /// say for how long.
    pub const GOOGLE: Self = Self {
        code_paths: &[
            "/error/status",
            "/0/error/status",
            "/error/code",
            "/error/type",
        ],
        wait_phrases: &["Your quota will reset after ", "Please retry in "],
        ..Self::GENERIC
    };

    /// Qwen: OpenAI's shape with words of its own.
    pub const QWEN: Self = Self {
        codes: &[QWEN, COMMON],
        ..Self::GENERIC
    };

    /// Cursor: the Connect protocol.
    pub const CURSOR: Self = Self {
        codes: &[CURSOR, COMMON],
        ..Self::GENERIC
    };

    /// Oracle Cloud: `code` and `message` at the top, or OpenAI's shape from its Generative AI.
    pub const OCI: Self = Self {
        codes: &[OCI, COMMON],
        ..Self::GENERIC
    };
}
