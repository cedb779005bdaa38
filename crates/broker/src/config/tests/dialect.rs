//! What the keys for servers that differ from the standards make, and what they refuse.

use provider_auth_oauth::{
    Discovery, Encoding, ErrorRule, IdTokenCheck, IssuedClient, Meaning, Renewal,
};
use provider_auth_policy::{LimitRule, Reach, Reason};
use serde_json::json;

use super::*;

fn whole() -> Value {
    json!({
        "discovery": { "url": "https://id.acme.example/idcs", "key": "openid-configuration" },
        "issuers": ["https://shared.example"],
        "encoding": { "token": "json", "revoke": "json" },
        "headers": { "refresh": { "X-Beta": "1" } },
        "stateInTokenBody": true,
        "idToken": "full",
        "jwksNeedsToken": true,
        "issuedClient": { "firstId": "first", "installation": "host_id", "params": { "hint": "us" } },
        "devicePkce": true,
        "errors": [{ "status": 404, "means": "pending" }, { "error": "gone", "means": "invalid_grant" }],
        "poll": { "intervalMs": 1500, "slowDownMs": 0 },
        "fields": { "access_token": "accessToken", "expires_in": "life" },
        "renewal": "exchange",
        "endedField": "shouldLogout",
        "apiUrl": "/endpoints/api",
        "identity": { "subject": ["/account/uuid"], "organization": [], "email": ["/mail"], "plan": ["/tier"] },
        "requiredScope": "use"
    })
}

fn with(keys: Value) -> Value {
    let mut acme = acme();
    acme.as_object_mut()
        .unwrap()
        .extend(keys.as_object().unwrap().clone());
    json!({ "providers": { "acme": acme } })
}

#[test]
fn every_key_of_a_dialect_takes_effect() {
    let settings = Surroundings::new()
        .load_with(with(json!({ "dialect": whole() })))
        .unwrap();
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
    let acme = provider(&settings, "acme");
    assert!(acme.discovers);
    let dialect = &acme.server.as_ref().unwrap().dialect;
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let url = |text: &str| text.parse::<url::Url>().unwrap();
    assert_eq!(
        dialect.discovery,
        Discovery::Document {
            url: Some(url("https://id.acme.example/idcs")),
            key: Some("openid-configuration".into())
        }
    );
    assert_eq!(dialect.issuers, [url("https://shared.example")]);
    assert!(!dialect.any_issuer);
    assert_eq!(
        [
            &dialect.device,
            &dialect.token,
            &dialect.refresh,
            &dialect.assertion,
            &dialect.revoke
        ]
        .map(|step| step.encoding),
        [
            Encoding::Form,
            Encoding::Json,
            Encoding::Form,
            Encoding::Form,
            Encoding::Json
        ]
    );
    assert_eq!(dialect.refresh.headers, [pair("x-beta", "1")]);
    assert!(dialect.state_in_token_body && dialect.jwks_needs_token && dialect.device_pkce);
    assert_eq!(dialect.id_token, IdTokenCheck::Signature);
    assert_eq!(
        dialect.issued_client,
        Some(IssuedClient {
            first_id: "first".into(),
            params: vec![pair("hint", "us")],
            installation: "host_id".into()
        })
    );
    let rule = |status, error: Option<&str>, meaning| ErrorRule {
        status,
        error: error.map(str::to_owned),
        meaning,
    };
    assert_eq!(
        dialect.errors,
        [
            rule(Some(404), None, Meaning::Pending),
            rule(None, Some("gone"), Meaning::InvalidGrant)
        ]
    );
    let seconds = std::time::Duration::from_secs;
    assert_eq!(
        (dialect.poll_interval, dialect.slow_down),
        (Some(seconds(2)), Some(seconds(0)))
    );
    assert_eq!(
        dialect.rename,
        [
            pair("accessToken", "access_token"),
            pair("life", "expires_in")
        ]
    );
    assert_eq!(dialect.renewal, Renewal::Exchange);
    assert_eq!(dialect.ended.as_deref(), Some("shouldLogout"));
    assert_eq!(dialect.api_url.as_deref(), Some("/endpoints/api"));
    assert_eq!(dialect.identity.subject, ["/account/uuid"]);
    assert!(dialect.identity.organization.is_empty());
    assert_eq!(dialect.required_scope.as_deref(), Some("use"));
}

#[test]
fn a_later_layer_changes_single_keys_of_a_dialect() {
    let later = with(json!({ "dialect": {
        "discovery": true, "issuers": "any", "idToken": "claims", "fields": { "access_token": "token" },
        "errors": [{ "status": 404, "means": "denied" }], "encoding": { "token": "form" }
    } }));
    let user = with(json!({ "dialect": whole() })).to_string();
    let settings = Surroundings::new().user(&user).load_with(later).unwrap();
    let acme = provider(&settings, "acme");
    let dialect = &acme.server.as_ref().unwrap().dialect;
    assert_eq!(dialect.discovery, Discovery::Standard);
    assert!(dialect.any_issuer && dialect.issuers.is_empty());
    assert_eq!(dialect.id_token, IdTokenCheck::Claims);
    assert_eq!(
        (dialect.token.encoding, dialect.revoke.encoding),
        (Encoding::Form, Encoding::Json)
    );
    assert_eq!(dialect.rename.last().unwrap().0, "token");
    assert_eq!(
        dialect
            .rename
            .iter()
            .filter(|(_, ours)| ours == "access_token")
            .count(),
        1
    );
    assert_eq!(
        dialect.errors[0].meaning,
        Meaning::Denied,
        "the last word is heard first"
    );
    assert!(dialect.device_pkce);
}

#[test]
fn the_dialect_of_a_built_in_provider_can_be_changed_in_part() {
    let config = json!({ "providers": {
        "anthropic": { "dialect": { "encoding": { "token": "form" } } },
        "cursor": { "dialect": { "fields": { "access_token": "token" } } }
    } });
    let settings = Surroundings::new().load_with(config).unwrap();
    let anthropic = provider(&settings, "anthropic");
    let dialect = &anthropic.server.as_ref().unwrap().dialect;
    assert!(dialect.state_in_token_body);
    assert_eq!(
        (dialect.token.encoding, dialect.refresh.encoding),
        (Encoding::Form, Encoding::Json)
    );
}

#[test]
fn without_discovery_the_token_endpoint_is_needed() {
    let silent = |keys: Value| {
        let mut all = json!({ "dialect": { "discovery": false } });
        all.as_object_mut()
            .unwrap()
            .extend(keys.as_object().unwrap().clone());
        Surroundings::new().load_with(with(all)).unwrap()
    };
    assert!(provider(&silent(json!({})), "acme").server.is_none());
    let named = silent(json!({ "tokenEndpoint": "https://id.acme.example/token" }));
    assert!(!provider(&named, "acme").discovers);
}

#[test]
fn limits_headers_to_delete_and_grants_take_effect() {
    let keys = json!({
        "limits": [
            { "status": 429, "path": "/code", "value": "1302", "means": "quota_exhausted", "scope": "model", "waitPath": "/reset" },
            { "status": 418, "means": "overloaded" }
        ],
        "strip": ["X-Other-Key"],
        "grants": ["client_credentials"]
    });
    let settings = Surroundings::new().load_with(with(keys)).unwrap();
    assert!(settings.warnings.is_empty());
    let acme = provider(&settings, "acme");
    let rule = LimitRule {
        status: Some(429),
        body: Some(("/code".into(), "1302".into())),
        reason: Reason::QuotaExhausted,
        reach: Some(Reach::Model),
        wait: Some("/reset".into()),
    };
    let rules = acme.signals.rules.as_ref().unwrap();
    assert_eq!((rules.len(), &rules[0]), (2, &rule));
    assert!(acme.strip.contains(&"x-other-key".to_owned()));
    let allowed = [
        Grant::AuthorizationCode,
        Grant::DeviceCode,
        Grant::ClientCredentials,
        Grant::JwtBearer,
    ]
    .map(|grant| acme.allows(grant));
    assert_eq!(allowed, [false, false, true, false]);
    let plain = provider(&settings, "openai");
    assert!(plain.signals.rules.is_none());
    assert!(plain.allows(Grant::DeviceCode) && !plain.allows(Grant::ClientCredentials));
}

#[test]
fn a_fault_in_a_dialect_is_named_by_its_path() {
    let check = |keys: Value, path: &str, why: &str| {
        let fault = fault_of(keys);
        assert_eq!(fault.path, format!("providers.acme.{path}"), "{fault}");
        assert!(fault.why.contains(why), "{fault}");
    };
    let dialect = |keys: Value| json!({ "dialect": keys });
    check(json!({ "dialect": [] }), "dialect", "expected an object");
    check(
        dialect(json!({ "encoding": { "token": "xml" } })),
        "dialect.encoding.token",
        "one of form, json",
    );
    check(
        dialect(json!({ "idToken": true })),
        "dialect.idToken",
        "expected a string",
    );
    check(
        dialect(json!({ "discovery": "no" })),
        "dialect.discovery",
        "expected an object",
    );
    check(
        dialect(json!({ "discovery": { "url": "http://id.example" } })),
        "dialect.discovery.url",
        "expected https",
    );
    check(
        dialect(json!({ "issuers": "some" })),
        "dialect.issuers",
        "one of any",
    );
    check(
        dialect(json!({ "issuers": ["x"] })),
        "dialect.issuers[0]",
        "absolute URL",
    );
    check(
        dialect(json!({ "errors": [{ "means": "denied" }] })),
        "dialect.errors[0]",
        "every refusal",
    );
    check(
        dialect(json!({ "errors": [{ "status": 404 }] })),
        "dialect.errors[0].means",
        "missing",
    );
    check(
        dialect(json!({ "headers": { "token": { "Authorization": "x" } } })),
        "dialect.headers.token.Authorization",
        "holds no credential",
    );
    check(
        dialect(
            json!({ "issuedClient": { "firstId": "a", "installation": "b", "params": { "state": "c" } } }),
        ),
        "dialect.issuedClient.params.state",
        "set by the login itself",
    );
    check(
        dialect(json!({ "issuedClient": { "firstId": "a" } })),
        "dialect.issuedClient.installation",
        "missing",
    );
    check(
        dialect(json!({ "apiUrl": "api" })),
        "dialect.apiUrl",
        "JSON pointer",
    );
    check(
        dialect(json!({ "identity": { "subject": ["sub"] } })),
        "dialect.identity.subject[0]",
        "JSON pointer",
    );
    check(
        dialect(json!({ "poll": { "intervalMs": 10 } })),
        "dialect.poll.intervalMs",
        "from 1000 to 60000",
    );
    check(
        json!({ "grants": ["password"] }),
        "grants[0]",
        "expected one of",
    );
    check(
        json!({ "strip": ["host"] }),
        "strip[0]",
        "connection itself",
    );
    check(
        json!({ "limits": [{ "status": 429, "means": "ok" }] }),
        "limits[0].means",
        "expected one of",
    );
    check(
        json!({ "limits": [{ "path": "/a", "means": "forbidden" }] }),
        "limits[0].value",
        "missing",
    );
    check(
        json!({ "limits": [{ "means": "forbidden" }] }),
        "limits[0]",
        "every refusal",
    );
}

#[test]
fn a_client_with_a_key_authenticates_by_it() {
    let keys = json!({ "privateKey": "{file:~/key.pem}", "privateKeyId": "k1" });
    let acme = provider(
        &Surroundings::new().load_with(with(keys.clone())).unwrap(),
        "acme",
    );
    assert_eq!(
        acme.client_auth,
        provider_auth_oauth::ClientAuth::PrivateKeyJwt
    );
    assert_eq!(acme.private_key_id.as_deref(), Some("k1"));
    let fault = fault_of(json!({ "clientAuth": "private_key_jwt" }));
    assert_eq!(fault.path, "providers.acme.clientAuth");
    assert!(fault.why.contains("needs a privateKey"), "{fault}");
}
