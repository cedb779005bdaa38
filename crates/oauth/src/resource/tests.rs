//! Which identifiers and places are a resource's own.

use super::*;

#[test]
fn an_identifier_has_neither_query_nor_fragment_nor_a_slash_at_its_end() {
    for (url, expect) in [
        ("https://MCP.example:443/", "https://mcp.example"),
        ("https://mcp.example/mcp", "https://mcp.example/mcp"),
        (
            "https://mcp.example/mcp/?key=1#x",
            "https://mcp.example/mcp",
        ),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ] {
        assert_eq!(resource_uri(&url.parse().unwrap()), expect);
    }
}

#[test]
fn a_description_is_of_the_resource_or_of_what_holds_it() {
    for (id, url, expect) in [
        ("https://mcp.example/mcp", "https://mcp.example/mcp", true),
        ("https://mcp.example/mcp/", "https://mcp.example/mcp", true),
        ("https://mcp.example", "https://mcp.example/mcp", true),
        ("https://MCP.example:443/a", "https://mcp.example/a/b", true),
        ("https://mcp.example/mc", "https://mcp.example/mcp", false),
        (
            "https://mcp.example/mcp/x",
            "https://mcp.example/mcp",
            false,
        ),
        (
            "https://mcp.example/other",
            "https://mcp.example/mcp",
            false,
        ),
        ("http://mcp.example/mcp", "https://mcp.example/mcp", false),
        (
            "https://mcp.example:8443/mcp",
            "https://mcp.example/mcp",
            false,
        ),
        (
            "https://mcp.example.evil/mcp",
            "https://mcp.example/mcp",
            false,
        ),
        (
            "https://user@mcp.example/mcp",
            "https://mcp.example/mcp",
            false,
        ),
        (
            "https://mcp.example/mcp#x",
            "https://mcp.example/mcp",
            false,
        ),
        (
            "https://mcp.example/\nmcp",
            "https://mcp.example/mcp",
            false,
        ),
        ("mcp.example", "https://mcp.example/mcp", false),
        ("", "https://mcp.example/mcp", false),
    ] {
        assert_eq!(is_of(id, &url.parse().unwrap()), expect, "{id} {url}");
    }
}

#[test]
fn a_server_elsewhere_names_no_place_of_this_machine_or_its_network() {
    let elsewhere = "https://mcp.example/mcp";
    for (url, place, expect) in [
        (elsewhere, "https://id.example", true),
        (elsewhere, "http://id.example", false),
        (elsewhere, "http://127.0.0.1:3000", false),
        (elsewhere, "https://127.0.0.1", false),
        (elsewhere, "https://localhost", false),
        (elsewhere, "https://app.localhost", false),
        (elsewhere, "https://[::1]", false),
        (elsewhere, "https://[::ffff:10.0.0.1]", false),
        (elsewhere, "https://[fd00::1]", false),
        (elsewhere, "https://10.1.2.3", false),
        (elsewhere, "https://192.168.0.1", false),
        (elsewhere, "https://169.254.169.254", false),
        (elsewhere, "https://0.0.0.0", false),
        (elsewhere, "https://203.0.113.7", true),
        ("https://10.0.0.1/mcp", "https://10.0.0.2", true),
        ("https://10.0.0.1/mcp", "https://127.0.0.1", false),
        ("http://127.0.0.1:1/mcp", "http://localhost:2", true),
        ("http://127.0.0.1:1/mcp", "https://id.example", true),
        ("http://127.0.0.1:1/mcp", "http://id.example", false),
    ] {
        let found = require_public_place(&url.parse().unwrap(), &place.parse().unwrap());
        assert_eq!(found.is_ok(), expect, "{url} {place}");
    }
}
