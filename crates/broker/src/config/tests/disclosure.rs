//! What a person is shown of a project's file before they trust it.

use serde_json::json;

use super::contract::form::Form;
use super::*;
use crate::config::keys::Table as _;
use crate::config::provider_keys::ProviderKeys;

#[test]
fn what_is_shown_names_every_host_and_every_reading() {
    let patch = json!({
        "issuer": "https://issuer.example", "authorizationEndpoint": "https://page.example/a", "tokenEndpoint": "https://token.example/t",
        "deviceAuthorizationEndpoint": "https://device.example/d", "revocationEndpoint": "https://revoke.example/r",
        "userinfoEndpoint": "https://who.example/u", "exchangeEndpoint": "https://exchange.example/x", "jwksUri": "https://keys.example/j",
        "origins": ["https://api.example", "http://127.0.0.1:4000"], "extraOrigins": ["https://gateway.example"],
        "redirectUri": "https://back.example/c",
        "fallbackRedirectUris": ["https://back2.example/c", "http://127.0.0.1:1/"],
        "dialect": { "discovery": { "url": "https://document.example/o" }, "jwksNeedsToken": true },
        "clientSecret": "{file:~/secret}", "privateKey": "{env:KEY}", "assertion": "{file:token}", "clientAuth": "basic",
    });
    let surroundings = Surroundings::new()
        .project(&defining("ours", patch))
        .file("home/secret", "S3CRET");
    let settings = surroundings.load().unwrap();
    let [want] = &file(&settings).providers[..] else {
        panic!("one provider");
    };
    let mut hosts: Vec<(&str, &str)> = want
        .hosts
        .iter()
        .map(|host| (host.role, host.origin.as_str()))
        .collect();
    hosts.sort_unstable();
    assert_eq!(
        hosts,
        [
            ("authorizationEndpoint", "https://page.example"),
            ("deviceAuthorizationEndpoint", "https://device.example"),
            ("dialect.discovery.url", "https://document.example"),
            ("exchangeEndpoint", "https://exchange.example"),
            ("extraOrigins", "https://gateway.example"),
            ("jwksUri", "https://keys.example"),
            ("origins", "http://127.0.0.1:4000"),
            ("origins", "https://api.example"),
            ("redirectUri", "https://back.example"),
            ("redirectUri", "https://back2.example"),
            ("revocationEndpoint", "https://revoke.example"),
            ("tokenEndpoint", "https://token.example"),
            ("userinfoEndpoint", "https://who.example"),
        ]
    );
    let reads: Vec<(&str, &str, String)> = want
        .reads
        .iter()
        .map(|read| (read.role, read.kind, read.name.clone()))
        .collect();
    let at = |path: &str| surroundings.at(path).display().to_string();
    assert_eq!(
        reads,
        [
            ("clientSecret", "file", at("home/secret")),
            ("privateKey", "variable", "KEY".to_owned()),
            ("assertion", "file", at("repo/token")),
        ]
    );
    assert_eq!(want.reads[0].refusal, None);
    assert!(!format!("{settings:?}").contains("S3CRET"));

    // An issuer that is asked says where codes and tokens go.
    let asked = Surroundings::new().project(&defining("ours", acme()));
    let settings = asked.load().unwrap();
    let hosts = &file(&settings).providers[0].hosts;
    assert!(
        hosts
            .iter()
            .any(|host| host.role == "issuer" && host.origin == "https://id.acme.example")
    );
}

#[test]
fn a_list_says_of_each_host_all_that_it_gets() {
    let gets = |patch: Value, role: &str| {
        let settings = Surroundings::new()
            .project(&defining("ours", patch))
            .load()
            .unwrap();
        let hosts = &file(&settings).providers[0].hosts;
        hosts.iter().find(|host| host.role == role).unwrap().gets
    };
    let mut ours = acme();
    ours["revocationEndpoint"] = json!("https://r.example/");
    assert!(gets(ours, "revocationEndpoint").contains("client secret"));
    let mcp = json!({ "extends": "mcp", "resource": "https://mcp.example/mcp", "clientSecret": "{file:x}" });
    assert!(gets(mcp, "resource").contains("says where codes, secrets and tokens go"));
    let program = json!({ "tokenEndpoint": "https://t.example/", "origins": ["https://t.example"], "assertion": "{file:x}" });
    assert!(gets(program, "tokenEndpoint").contains("the assertion"));
}

#[test]
fn a_secret_of_the_users_own_that_would_go_to_a_projects_host_is_shown_and_ends_trust() {
    let moved = defining("corp", json!({ "tokenEndpoint": "https://evil.example/t" }));
    let own = |secret: Option<&str>| {
        let mut corp = acme();
        corp["authorizationEndpoint"] = json!("https://id.acme.example/a");
        corp["tokenEndpoint"] = json!("https://id.acme.example/t");
        if let Some(secret) = secret {
            corp["clientSecret"] = json!(secret);
        }
        defining("corp", corp)
    };
    let surroundings = Surroundings::new()
        .user(&own(None))
        .project(&moved)
        .trusted();
    let check = |surroundings: Surroundings, kind: &str, name: &str| {
        let settings = surroundings.load().unwrap();
        assert_eq!(file(&settings).state, TrustState::Changed, "{name}");
        let read = &file(&settings).providers[0].reads[0];
        assert_eq!(
            (read.role, read.kind, &read.refusal),
            ("clientSecret", kind, &None)
        );
        assert!(read.name.ends_with(name), "{}", read.name);
        surroundings
    };
    let surroundings = check(
        surroundings.user(&own(Some("S3CRET"))),
        "configuration",
        "user.jsonc",
    );
    // What a project's file may not name, the user's own may: it is shown as what is read.
    let named = own(Some("{env:PROVIDER_AUTH_MINE}"));
    let surroundings = check(surroundings.user(&named), "variable", "PROVIDER_AUTH_MINE");
    let surroundings = surroundings.file("home/store", "S3CRET");
    #[cfg(unix)]
    std::os::unix::fs::symlink(surroundings.at("home/store"), surroundings.at("home/link"))
        .unwrap();
    #[cfg(unix)]
    check(
        surroundings.user(&own(Some("{file:~/link}"))),
        "file",
        "home/store",
    );
}

#[test]
fn a_file_that_is_far_too_long_costs_no_time() {
    let load = |text: &str| Surroundings::new().project(text).load();
    let many = |count: usize, entry: &dyn Fn(usize) -> String| {
        (0..count).map(entry).collect::<Vec<_>>().join(",")
    };
    let origins = many(40_000, &|n| format!("\"https://h{n}.example\""));
    let fault = load(&format!(
        "{{\"providers\":{{\"ours\":{{\"origins\":[{origins}]}}}}}}"
    ))
    .unwrap_err();
    assert!(fault.why.contains("longer than 65536 bytes"), "{fault}");
    let providers = many(65, &|n| format!("\"p{n}\":{{}}"));
    let fault = load(&format!("{{\"providers\":{{{providers}}}}}")).unwrap_err();
    assert!(fault.why.contains("64 providers at most"), "{fault}");
    // What still fits is told in short.
    let origins = many(2_500, &|n| format!("\"https://h{n}.example\""));
    let settings = load(&format!(
        "{{\"providers\":{{\"ours\":{{\"origins\":[{origins}]}}}}}}"
    ))
    .unwrap();
    assert_eq!(file(&settings).providers[0].hosts.len(), 2_500);
    let told = file(&settings).summary("ours");
    assert!(
        told.len() < 2_000 && told.ends_with("and 2489 more things"),
        "{told}"
    );
    let unknown = many(2_000, &|n| format!("\"unknown-key-number-{n}\":1"));
    let warnings = load(&format!("{{{unknown}}}")).unwrap().warnings;
    assert_eq!(warnings.len(), 2_000);
}

#[test]
fn every_key_that_names_a_host_or_a_secret_is_shown() {
    let all = ProviderKeys::KEYS.iter();
    let names_one = all.filter(|key| {
        ["url", "origin", "secret"]
            .iter()
            .any(|form| Form::of(key.reader).is_some_and(|of_key| of_key.is_text(form)))
    });
    for key in names_one {
        let mut keys = json!({
            "authorizationEndpoint": "https://id.example/a", "tokenEndpoint": "https://id.example/t",
            "origins": ["https://api.example"],
        });
        keys[key.name] = match sample(key.name) {
            Value::Array(_) => json!(["https://own.example/"]),
            Value::String(text) if text.starts_with("http") => json!("https://own.example/"),
            other => other,
        };
        match key.name {
            "resource" => keys["extends"] = json!("mcp"),
            "jwksUri" => keys["dialect"] = json!({ "idToken": "full" }),
            // A list of models lies on one of the origins, which are shown.
            "modelsUrl" => continue,
            _ => {}
        }
        let project = Surroundings::new().project(&defining("ours", keys));
        let settings = project.load().unwrap();
        let shown = &file(&settings).providers[0];
        let hosts = shown.hosts.iter().map(|host| host.role);
        let roles: Vec<&str> = hosts
            .chain(shown.reads.iter().map(|read| read.role))
            .collect();
        // Where a login comes back to is shown under one name.
        let role = key.name.replace("fallbackRedirectUris", "redirectUri");
        assert!(roles.contains(&role.as_str()), "{role}: {roles:?}");
    }
}
