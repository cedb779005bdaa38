//! The base of every MCP server: where one signs in, the server itself says (RFC 9728), and a
//! client is registered on the spot where the user names none (RFC 7591).

use super::descriptor::Descriptor;
use super::generic::GENERIC;
use super::models::ModelLists;

pub(crate) const MCP: Descriptor = Descriptor {
    id: "mcp",
    terms: Some(
        "Its login server registers no client by itself: register one there and name it beside \"extends\": \"mcp\" and \
         \"resource\" (https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization)",
    ),
    models: &ModelLists::NONE,
    // Its events are messages between programs: an error among them is an answer, and asking again
    // runs a tool twice.
    streams: &[],
    registration: None,
    ..GENERIC
};
