//! No key is taken and ignored: for each kind of provider, each key takes effect, is refused, or is
//! a warning that names it.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::config::keys::Table as _;
use crate::config::provider_keys::{self, ProviderKeys};
use crate::config::{dialect, oci};

/// A value for each key of a dialect.
fn of_dialect(key: &str) -> Value {
    match key {
        "apiUrl" => json!("/api"),
        "devicePkce" | "jwksNeedsToken" | "stateInTokenBody" => json!(true),
        "discovery" => json!({ "url": "https://id.example/own" }),
        "encoding" => {
            json!({ "device": "json", "token": "json", "refresh": "json", "assertion": "json", "revoke": "json" })
        }
        "headers" => {
            json!({ "device": { "a": "b" }, "token": { "a": "b" }, "refresh": { "a": "b" }, "assertion": { "a": "b" }, "revoke": { "a": "b" } })
        }
        "endedField" => json!("over"),
        "errors" => json!([{ "status": 404, "means": "pending" }]),
        "fields" => json!({ "access_token": "token" }),
        "idToken" => json!("claims"),
        "identity" => json!({ "subject": ["/id"] }),
        "issuedClient" => json!({ "firstId": "first", "installation": "host" }),
        "issuers" => json!(["https://other.example"]),
        "poll" => json!({ "intervalMs": 2000 }),
        "renewal" => json!("exchange"),
        "requiredScope" => json!("a"),
        other => panic!("give dialect.{other} a value"),
    }
}

/// The keys that a warning names when this one is set, `refused` where it is a fault.
fn outcome(id: &str, base: &Value, path: &[&str], value: Value) -> BTreeSet<String> {
    let mut provider = base.clone();
    let mut at = &mut provider;
    for key in path {
        at = at
            .as_object_mut()
            .unwrap()
            .entry(*key)
            .or_insert_with(|| json!({}));
    }
    *at = value;
    let config = json!({ "providers": { id: provider } });
    match Surroundings::new().load_with(config) {
        Err(_) => BTreeSet::from(["refused".to_owned()]),
        Ok(settings) => settings
            .warnings
            .iter()
            .map(|warning| named(warning))
            .collect(),
    }
}

/// The key that a warning names, below its provider.
fn named(warning: &str) -> String {
    let (place, why) = warning
        .split_once(": without effect: ")
        .unwrap_or_else(|| panic!("{warning}"));
    assert!(!why.is_empty());
    let key = place
        .split_once("providers.")
        .expect("the path of a provider")
        .1;
    key.split_once('.').expect("a key of it").1.to_owned()
}

/// Sets every key there is, one at a time, and returns those that a warning names.
fn unused(id: &str, base: Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut set = |path: &[&str], value: Value| {
        let named = outcome(id, &base, path, value);
        for name in &named {
            let whole = path.join(".");
            assert!(
                name == "refused" || name.starts_with(&whole) || whole.starts_with(name),
                "{whole}: {name}"
            );
        }
        found.extend(named.into_iter().filter(|name| name != "refused"));
    };
    for key in ProviderKeys::NAMES {
        set(&[key], sample(key));
    }
    for step in provider_keys::STEPS {
        set(&["params", step], json!({ "a": "b" }));
    }
    for key in dialect::DialectKeys::NAMES {
        set(&["dialect", key], of_dialect(key));
    }
    found
}

#[track_caller]
fn check(id: &str, base: Value, expect: &[&str]) {
    let expect = expect
        .iter()
        .map(|key| (*key).to_owned())
        .collect::<BTreeSet<_>>();
    assert_eq!(unused(id, base), expect);
}

#[test]
fn every_key_takes_effect_or_is_named_in_a_warning() {
    let origins = json!(["https://mcp.example.com"]);
    // A secret alone is sent by Basic; a key of one's own is left out where clientAuth says none.
    let login = [
        "exchangeEndpoint",
        "jwksUri",
        "privateKeyId",
        "params.assertion",
        "dialect.encoding.assertion",
        "dialect.headers.assertion",
        "dialect.jwksNeedsToken",
    ];
    // Found by its issuer: every kind of login may be there.
    check(
        "acme",
        json!({ "issuer": "https://id.acme.example", "origins": origins, "clientId": "app" }),
        &login,
    );
    // A server of which one endpoint is named has a login by page only.
    let by_page = [
        "params.device",
        "dialect.devicePkce",
        "dialect.discovery",
        "dialect.encoding.device",
        "dialect.encoding.revoke",
        "dialect.errors",
        "dialect.headers.device",
        "dialect.headers.revoke",
        "dialect.issuers",
        "dialect.poll",
    ];
    check(
        "acme",
        json!({
            "authorizationEndpoint": "https://id.acme.example/a", "tokenEndpoint": "https://id.acme.example/t",
            "origins": origins, "clientId": "app",
        }),
        &[&login[..], &by_page].concat(),
    );
    // Keys only.
    let no_login = [
        "assertion",
        "clientAuth",
        "clientId",
        "clientSecret",
        "dialect",
        "fallbackRedirectUris",
        "grants",
        "jwksUri",
        "params",
        "privateKey",
        "privateKeyId",
        "redirectUri",
        "scopes",
    ];
    check("acme", json!({ "origins": origins }), &no_login);
    // Only an assertion or a key makes a login there.
    let by_assertion = [
        "clientAuth",
        "clientId",
        "clientSecret",
        "privateKey",
        "redirectUri",
        "fallbackRedirectUris",
        "scopes",
        "params.authorize",
        "params.token",
        "dialect.encoding.token",
        "dialect.headers.token",
        "dialect.idToken",
        "dialect.stateInTokenBody",
    ];
    check(
        "anthropic",
        json!({ "origins": origins }),
        &[&login[..], &by_page, &by_assertion].concat(),
    );
    check(
        "github-copilot",
        json!({ "origins": origins }),
        &[
            "redirectUri",
            "fallbackRedirectUris",
            "jwksUri",
            "privateKeyId",
            "params.authorize",
            "params.refresh",
            "params.assertion",
            "dialect.discovery",
            "dialect.encoding.assertion",
            "dialect.encoding.refresh",
            "dialect.encoding.revoke",
            "dialect.headers.assertion",
            "dialect.headers.revoke",
            "dialect.jwksNeedsToken",
            "dialect.stateInTokenBody",
        ],
    );
    check(
        "openai",
        json!({ "origins": origins }),
        &[
            "dialect.devicePkce",
            "dialect.discovery",
            "dialect.encoding.assertion",
            "dialect.encoding.device",
            "dialect.headers.assertion",
            "dialect.headers.device",
            "dialect.poll",
            "exchangeEndpoint",
            "params.assertion",
            "params.device",
            "privateKeyId",
        ],
    );
    check("cursor", json!({ "origins": origins }), &no_login);
    // An MCP server says itself where one signs in.
    let mcp = json!({ "extends": "mcp", "resource": "https://mcp.example.com/mcp" });
    let of_mcp = ["dialect.issuedClient", "modelsShape"];
    check("notes", mcp.clone(), &[&login[..], &of_mcp].concat());
    // One whose endpoints are named is not asked.
    let mut named = mcp;
    named["authorizationEndpoint"] = json!("https://id.example/a");
    named["tokenEndpoint"] = json!("https://id.example/t");
    check("notes", named, &[&login[..], &of_mcp, &by_page].concat());
}

#[test]
fn a_key_that_another_one_rules_out_is_named() {
    for (keys, expect) in [
        (
            json!({ "clientSecret": "s", "clientAuth": "none" }),
            &["clientSecret"][..],
        ),
        (
            json!({ "clientSecret": "s", "privateKey": "{env:KEY}" }),
            &["clientSecret"],
        ),
        (
            json!({ "clientSecret": "s", "clientAuth": "post", "privateKey": "{env:KEY}", "privateKeyId": "1" }),
            &["privateKey", "privateKeyId"],
        ),
        (
            json!({ "privateKey": "{env:KEY}", "privateKeyId": "1" }),
            &[],
        ),
        (
            json!({ "grants": ["device_code"], "redirectUri": "http://127.0.0.1:4000/", "authorizationEndpoint": "https://id.example/a" }),
            &["authorizationEndpoint", "redirectUri"],
        ),
        (
            json!({ "grants": ["authorization_code"], "deviceAuthorizationEndpoint": "https://id.example/d", "params": { "device": { "a": "b" } } }),
            &["deviceAuthorizationEndpoint", "params.device"],
        ),
        (
            json!({ "grants": ["authorization_code"], "assertion": "{env:TOKEN}" }),
            &["assertion"],
        ),
        (
            json!({ "dialect": { "idToken": "full", "jwksNeedsToken": true }, "jwksUri": "https://id.example/k" }),
            &[],
        ),
        (
            json!({ "dialect": { "renewal": "exchange" }, "exchangeEndpoint": "https://id.example/x", "params": { "refresh": { "a": "b" } } }),
            &["params.refresh"],
        ),
        (
            json!({ "assertion": "{env:TOKEN}", "params": { "assertion": { "a": "b" } } }),
            &[],
        ),
        (
            json!({ "dialect": { "discovery": false } }),
            &["dialect", "issuer"],
        ),
    ] {
        let mut acme = acme();
        acme.as_object_mut()
            .unwrap()
            .extend(keys.as_object().unwrap().clone());
        let settings = Surroundings::new()
            .load_with(json!({ "providers": { "acme": acme } }))
            .unwrap();
        let found: BTreeSet<String> = settings
            .warnings
            .iter()
            .map(|warning| named(warning))
            .collect();
        let found: Vec<&str> = found
            .iter()
            .map(String::as_str)
            .filter(|key| expect.contains(key) || *key != "clientId")
            .collect();
        assert_eq!(found, expect, "{keys}");
    }
}

#[test]
fn every_key_of_the_oracle_file_takes_effect_or_is_named_in_a_warning() {
    let whole = |application: &str| {
        let mut file = json!({
            "domain_url": "https://idcs-1.identity.oraclecloud.com",
            "client_id": "app",
            "llm_base_url": "https://llm.acme.example/v1",
            "scope": "openid",
            "redirect_uri": "http://localhost:4000/callback",
            "auth_method": application,
            "log_level": "debug",
            "log_file": "/tmp/log",
            "$schema": "x",
        });
        if application == "confidential_app" {
            file["client_secret"] = json!("s");
        }
        file
    };
    for (application, expect) in [
        ("confidential_app", &[][..]),
        ("mobile_app", &["redirect_uri"]),
    ] {
        let file = whole(application);
        let set = file
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect::<BTreeSet<_>>();
        let all = oci::KEYS
            .iter()
            .copied()
            .filter(|key| *key != "client_secret" || application == "confidential_app");
        assert_eq!(set, all.collect(), "every key is set");
        let surroundings = Surroundings::new();
        let folder = surroundings.at("home/.config/opencode");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(oci::FILE), file.to_string()).unwrap();
        let settings = surroundings.load().unwrap();
        let warnings = settings.warnings.iter();
        let found: Vec<&str> = warnings
            .map(|warning| {
                let (place, _) = warning
                    .split_once(": without effect: ")
                    .expect("a key without effect");
                place.rsplit(": ").next().unwrap()
            })
            .collect();
        assert_eq!(found, expect, "{application}");
    }
}
