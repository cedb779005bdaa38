//! What is refused, and by which path it is named.

use serde_json::json;

use super::*;

#[track_caller]
fn check_fault(keys: Value, path: &str, why: &str) {
    let fault = fault_of(keys);
    assert_eq!(fault.path, path, "{fault}");
    assert!(fault.why.contains(why), "{fault}");
    assert_eq!((fault.file, fault.line), (None, None));
}

#[test]
fn a_value_of_the_wrong_type_is_named_by_its_path() {
    check_fault(
        json!({ "tokenEndpoint": 5 }),
        "providers.acme.tokenEndpoint",
        "expected a string, found a number",
    );
    check_fault(
        json!({ "clientId": null }),
        "providers.acme.clientId",
        "expected a string, found null",
    );
    check_fault(
        json!({ "clientSecret": ["a"] }),
        "providers.acme.clientSecret",
        "expected a string, found a list",
    );
    check_fault(
        json!({ "origins": "https://a.example" }),
        "providers.acme.origins",
        "expected a list, found a string",
    );
    check_fault(
        json!({ "origins": [{}] }),
        "providers.acme.origins[0]",
        "expected a string, found an object",
    );
    check_fault(
        json!({ "scopes": ["a", true] }),
        "providers.acme.scopes[1]",
        "expected a string, found true or false",
    );
    check_fault(
        json!({ "params": [] }),
        "providers.acme.params",
        "expected an object, found a list",
    );
    check_fault(
        json!({ "params": { "token": { "a": 1 } } }),
        "providers.acme.params.token.a",
        "expected a string",
    );
    check_fault(
        json!({ "rotation": { "rotate": "yes" } }),
        "providers.acme.rotation.rotate",
        "expected true or false",
    );
    check_fault(
        json!({ "rotation": 1 }),
        "providers.acme.rotation",
        "expected an object, found a number",
    );
    for (config, path) in [
        (json!([]), "config"),
        (json!({ "providers": [] }), "providers"),
        (json!({ "providers": { "a": 1 } }), "providers.a"),
    ] {
        let fault = Surroundings::new().load_with(config).unwrap_err();
        assert_eq!(fault.path, path);
        assert!(fault.why.starts_with("expected an object"), "{fault}");
    }
}

#[test]
fn a_url_must_be_absolute_and_https_or_loopback() {
    for key in [
        "issuer",
        "authorizationEndpoint",
        "tokenEndpoint",
        "deviceAuthorizationEndpoint",
        "revocationEndpoint",
        "redirectUri",
        "modelsUrl",
    ] {
        let path = format!("providers.acme.{key}");
        check_fault(
            json!({ key: "id.acme.example" }),
            &path,
            "expected an absolute URL",
        );
        check_fault(json!({ key: "" }), &path, "expected an absolute URL");
        check_fault(
            json!({ key: "http://id.acme.example/x" }),
            &path,
            "expected https",
        );
        check_fault(
            json!({ key: "javascript:alert(1)" }),
            &path,
            "expected an absolute URL",
        );
        check_fault(
            json!({ key: "https://u:p@id.acme.example/" }),
            &path,
            "no user name or password",
        );
        check_fault(
            json!({ key: "https://id.acme.example/#a" }),
            &path,
            "without a fragment",
        );
    }
    check_fault(
        json!({ "issuer": "https://id.acme.example/?a" }),
        "providers.acme.issuer",
        "without a query",
    );
    check_fault(
        json!({ "issuer": "https://id.acme.example/.well-known/openid-configuration" }),
        "providers.acme.issuer",
        "before /.well-known/",
    );
    check_fault(
        json!({ "redirectUri": "http://LOCALHOST:1455/cb" }),
        "providers.acme.redirectUri",
        "letter by letter",
    );
    check_fault(
        json!({ "fallbackRedirectUris": ["http://localhost:1455/cb", "http://localhost:1457"] }),
        "providers.acme.fallbackRedirectUris[1]",
        "letter by letter",
    );
    check_fault(
        json!({ "fallbackRedirectUris": "http://localhost:1455/cb" }),
        "providers.acme.fallbackRedirectUris",
        "expected a list",
    );
    check_fault(
        json!({ "redirectUri": "http://localhost:1455" }),
        "providers.acme.redirectUri",
        "letter by letter",
    );
    check_fault(
        json!({ "origins": [] }),
        "providers.acme.origins",
        "at least one origin",
    );
    check_fault(
        json!({ "origins": ["https://a.example", "http://b.example"] }),
        "providers.acme.origins[1]",
        "expected https",
    );
    check_fault(
        json!({ "origins": ["https://a.example/v1"] }),
        "providers.acme.origins[0]",
        "without path",
    );
    check_fault(
        json!({ "origins": ["*"] }),
        "providers.acme.origins[0]",
        "expected an absolute URL",
    );
    check_fault(
        json!({ "modelsUrl": "https://other.example/models" }),
        "providers.acme.modelsUrl",
        "one of the provider's origins",
    );
}

#[test]
fn a_choice_that_does_not_exist_is_answered_with_those_that_do() {
    check_fault(
        json!({ "clientAuth": "Basic" }),
        "providers.acme.clientAuth",
        "expected one of none, basic, post, private_key_jwt; did you mean basic?",
    );
    check_fault(
        json!({ "extends": "antropic" }),
        "providers.acme.extends",
        "did you mean anthropic?",
    );
    check_fault(
        json!({ "rotation": { "mode": "turbo" } }),
        "providers.acme.rotation.mode",
        "expected one of auto, subscription, api",
    );
    check_fault(
        json!({ "rotation": { "strategy": "round_robin" } }),
        "providers.acme.rotation.strategy",
        "did you mean round-robin?",
    );
}

#[test]
fn a_number_must_be_whole_and_within_its_bounds() {
    for number in [json!(-1), json!(1.5), json!(0), json!(101), json!(1e300)] {
        check_fault(
            json!({ "rotation": { "maxAttempts": number } }),
            "providers.acme.rotation.maxAttempts",
            "from 1 to 100",
        );
    }
    for number in [json!(-1), json!(0.5), json!(21_600_001)] {
        check_fault(
            json!({ "rotation": { "maxWaitMs": number } }),
            "providers.acme.rotation.maxWaitMs",
            "from 0 to 21600000",
        );
    }
    check_fault(
        json!({ "rotation": { "maxWaitMs": "5" } }),
        "providers.acme.rotation.maxWaitMs",
        "expected a number, found a string",
    );
}

#[test]
fn what_a_login_or_a_connection_sets_itself_cannot_be_configured() {
    for name in [
        "state",
        "code_challenge",
        "redirect_uri",
        "client_id",
        "client_secret",
        "response_type",
    ] {
        check_fault(
            json!({ "params": { "authorize": { name: "x" } } }),
            &format!("providers.acme.params.authorize.{name}"),
            "set by the login itself",
        );
    }
    check_fault(
        json!({ "header": "Host" }),
        "providers.acme.header",
        "the connection itself",
    );
    check_fault(
        json!({ "header": "x key" }),
        "providers.acme.header",
        "name of an HTTP header",
    );
    check_fault(
        json!({ "header": "" }),
        "providers.acme.header",
        "name of an HTTP header",
    );
    check_fault(
        json!({ "scheme": "Bearer\r\nx: y" }),
        "providers.acme.scheme",
        "one word",
    );
    check_fault(
        json!({ "scopes": ["openid email"] }),
        "providers.acme.scopes[0]",
        "one scope",
    );
    check_fault(
        json!({ "scopes": [""] }),
        "providers.acme.scopes[0]",
        "one scope",
    );
}

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
