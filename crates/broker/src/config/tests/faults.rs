//! Values that are refused, and by which path the fault names them.

use serde_json::json;

use super::*;

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
