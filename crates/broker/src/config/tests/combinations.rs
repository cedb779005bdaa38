//! Keys and options that do not go together, and by which path the fault names them.

use serde_json::json;

use super::*;

#[test]
fn what_does_not_fit_together_is_a_fault() {
    check_fault(
        json!({ "clientAuth": "post" }),
        "providers.acme.clientAuth",
        "needs a clientSecret",
    );
    check_fault(
        json!({ "clientId": "{env:ACME_CLIENT}" }),
        "providers.acme.clientId",
        "in clientSecret only",
    );
    check_fault(
        json!({ "clientId": "" }),
        "providers.acme.clientId",
        "not empty",
    );
    check_fault(
        json!({ "clientSecret": "" }),
        "providers.acme.clientSecret",
        "empty string",
    );
    for broken in [
        "{env:}",
        "{env:A}x",
        "{env:A",
        "{file:}",
        "{env:A=B}",
        "{env:A}{env:B}",
    ] {
        check_fault(
            json!({ "clientSecret": broken }),
            "providers.acme.clientSecret",
            "expected {env:NAME} or {file:path}",
        );
    }
    for (id, config) in [
        ("new", json!({})),
        (
            "new",
            json!({ "tokenEndpoint": "https://id.acme.example/token" }),
        ),
        ("oci-oidc", json!({ "issuer": "https://id.acme.example" })),
    ] {
        let fault = Surroundings::new()
            .load_with(json!({ "providers": { id: config } }))
            .unwrap_err();
        assert_eq!(fault.path, format!("providers.{id}.origins"));
        assert!(fault.why.contains("add the origins"), "{fault}");
    }
    let lone = json!({ "providers": { "new": { "authorizationEndpoint": "https://a.example/x", "origins": ["https://a.example"] } } });
    let fault = Surroundings::new().load_with(lone).unwrap_err();
    assert_eq!(fault.path, "providers.new.authorizationEndpoint");
    for (id, path) in [
        ("generic", "providers.generic"),
        ("a b", "providers[\"a b\"]"),
        ("", "providers[\"\"]"),
        ("a/b", "providers[\"a/b\"]"),
    ] {
        assert_eq!(
            Surroundings::new()
                .load_with(json!({ "providers": { id: acme() } }))
                .unwrap_err()
                .path,
            path
        );
    }
}

#[test]
fn the_address_of_an_mcp_server_stands_where_it_is_of_use() {
    for (keys, path, why) in [
        (
            json!({ "resource": "https://mcp.example" }),
            "resource",
            "\"extends\": \"mcp\"",
        ),
        (json!({ "extends": "mcp" }), "resource", "add the address"),
        (
            json!({ "extends": "mcp", "resource": "http://mcp.example" }),
            "resource",
            "expected https",
        ),
        (
            json!({ "extends": "mcp", "resource": "mcp.example" }),
            "resource",
            "absolute URL",
        ),
        (
            json!({ "extends": "mcp", "resource": 7 }),
            "resource",
            "expected a string",
        ),
    ] {
        check_fault(keys, &format!("providers.acme.{path}"), why);
    }
    let reserved =
        json!({ "providers": { "mcp": { "extends": "mcp", "resource": "https://mcp.example" } } });
    let fault = Surroundings::new().load_with(reserved).unwrap_err();
    assert!(
        fault.why.contains("mcp is what other providers extend"),
        "{fault}"
    );
}

#[test]
fn a_bad_option_or_variable_is_named() {
    let check = |inline: Inline, path: &str| {
        let fault = check(&inline).unwrap_err();
        assert_eq!(
            (fault.path.as_str(), &fault),
            (path, &load(&Surroundings::new(), &inline).unwrap_err())
        );
    };
    check(
        Inline {
            config: Some(4.into()),
            ..Inline::default()
        },
        "config",
    );
    check(
        Inline {
            key_source: Some("keyring".into()),
            ..Inline::default()
        },
        "keySource",
    );
    check(
        Inline {
            log_level: Some("loud".into()),
            ..Inline::default()
        },
        "log.level",
    );
    check(
        Inline {
            config: Some(json!({ "providers": { "acme": { "header": 1 } } })),
            ..Inline::default()
        },
        "providers.acme.header",
    );
    for name in ["PROVIDER_AUTH_KEY_SOURCE", "PROVIDER_AUTH_LOG"] {
        assert_eq!(
            Surroundings::new()
                .with(name, "plaintext")
                .load()
                .unwrap_err()
                .path,
            name
        );
    }
}
