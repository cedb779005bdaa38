//! The report on the configuration: every fault at once, where each value comes from, no secret.

use super::*;

fn report(surroundings: &Surroundings) -> ConfigReport {
    inspect(surroundings, &Inline::default())
}

#[track_caller]
fn file(report: &ConfigReport, kind: FileKind) -> &FileReport {
    let mut files = report.files.iter();
    files
        .find(|file| file.kind == kind && !matches!(file.state, FileState::Absent))
        .expect("it is there")
}

fn told(problems: &[ConfigError]) -> Vec<(Option<usize>, &str)> {
    problems
        .iter()
        .map(|problem| (problem.line, &*problem.path))
        .collect()
}

/// Each source of a key, in short, with the value: `user:3`.
fn sources(report: &ConfigReport, id: &str, key: &str) -> Vec<(String, Option<Value>)> {
    let provider = report.providers.iter().find(|provider| provider.id == id);
    let values = provider.expect("it is reported").values.iter();
    let short = |source: &ValueSource| match source {
        ValueSource::File(file, place) => {
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            place.map_or(name.clone(), |(line, _)| format!("{name}:{line}"))
        }
        ValueSource::Variable(name) => (*name).to_owned(),
        other => format!("{other:?}").to_lowercase(),
    };
    values
        .filter(|value| value.key == key)
        .map(|value| (short(&value.source), value.value.clone()))
        .collect()
}

fn setting<'a>(report: &'a ConfigReport, name: &str) -> &'a Setting {
    report
        .settings
        .iter()
        .find(|setting| setting.name == name)
        .unwrap()
}

#[test]
fn all_faults_of_all_files_are_told_at_once() {
    let surroundings = Surroundings::new()
        .with("PROVIDER_AUTH_KEY_SOURCE", "S3CRET")
        .with("PROVIDER_AUTH_LOG", "S3CRET")
        .user(
            r#"{ "providers": {
                "acme": {
                    "origins": "S3CRET",
                    "scopes": [1],
                    "rotation": { "mode": "S3CRET",
                        "maxAttempts": 0 }
                },
                "none": 3, "none": 4,
                "fine": { "origins": ["https://fine.example"], "issuer": "https://id.fine.example" },
                "lacks": { "clientId": "me" }
            } }"#,
        )
        .project("{ \"providers\": {\n\"beta\": { \"header\": \"S3CRET S3CRET\",\n\"strip\": [2] } } }")
        .file("repo/oci-auth.config.jsonc", "{\n\"domain_url\": 1,\n\"scope\": 2, \"domain_url\": 1 }");
    let report = report(&surroundings);
    let user = file(&report, FileKind::User);
    assert_eq!(user.state, FileState::Faulty);
    assert_eq!(
        told(&user.faults),
        [
            (Some(3), "providers.acme.origins"),
            (Some(4), "providers.acme.scopes[0]"),
            (Some(5), "providers.acme.rotation.mode"),
            (Some(6), "providers.acme.rotation.maxAttempts"),
            (Some(8), "providers.none"),
            (Some(8), "providers.none"),
            (Some(10), "providers.lacks.origins"),
        ]
    );
    assert_eq!(
        told(&file(&report, FileKind::Project).faults),
        [
            (Some(2), "providers.beta.header"),
            (Some(3), "providers.beta.strip[0]")
        ]
    );
    let oci = told(&file(&report, FileKind::OciProject).faults);
    let expected = [
        (Some(2), "domain_url"),
        (Some(3), "domain_url"),
        (Some(3), "scope"),
        (Some(1), "client_id"),
    ];
    assert!(expected.iter().all(|fault| oci.contains(fault)), "{oci:?}");
    assert_eq!(
        told(&report.faults),
        [
            (None, "PROVIDER_AUTH_KEY_SOURCE"),
            (None, "PROVIDER_AUTH_LOG")
        ]
    );
    assert_eq!(setting(&report, "keySource").value, None);
    assert_eq!(
        sources(&report, "fine", "origins"),
        [("user:9".to_owned(), Some(json!(["https://fine.example"])))]
    );
    // Where the settings are wanted, one of them is told.
    assert!(user.faults.contains(&surroundings.load().unwrap_err()));
    assert!(!format!("{report:?}").contains("S3CRET"), "{report:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_one_fault() {
    for text in ["{", "[]", "{\"providers\":{\"a\":{},\"a\":{}}}", "\u{0}"] {
        let report = report(&Surroundings::new().user(text));
        let user = file(&report, FileKind::User);
        assert_eq!(
            (user.faults.len(), &user.state),
            (1, &FileState::Faulty),
            "{text:?}"
        );
        assert!(report.faults.is_empty());
        // What does not depend on it is still there.
        assert!(
            report
                .providers
                .iter()
                .any(|provider| provider.id == "anthropic")
        );
    }
    let missing = report(&Surroundings::new().with("PROVIDER_AUTH_CONFIG", "~/gone.jsonc"));
    let user = &missing.files[0];
    assert_eq!(
        (user.exists, &user.state, user.faults.len()),
        (false, &FileState::Faulty, 1)
    );
}

#[test]
fn each_value_says_where_it_comes_from() {
    let surroundings = Surroundings::new()
        .with("PROVIDER_AUTH_DIR", "~/vault")
        .user(
            r#"{ "providers": {
                "anthropic": { "rotation": { "strategy": "balanced",
                        "mode": "api" },
                    "account": "of the user",
                    "extraOrigins": ["https://one.example"] },
                "acme": { "issuer": "https://id.acme.example", "origins": ["https://api.acme.example"],
                    "clientSecret": "{env:ACME}" }
            } }"#,
        )
        .project(
            r#"{ "providers": { "anthropic": {
                "namespace": "team",
                "rotation": { "mode": "subscription", "rotate": true },
                "extraOrigins": ["https://two.example"]
            } } }"#,
        );
    let untrusted = report(&surroundings);
    assert_eq!(
        file(&untrusted, FileKind::Project).state,
        FileState::Project(TrustState::Untrusted)
    );
    let one = ("user:5".to_owned(), Some(json!(["https://one.example"])));
    let two = (
        "provider-auth:4".to_owned(),
        Some(json!(["https://two.example"])),
    );
    let of = |key: &str| sources(&untrusted, "anthropic", key);
    assert_eq!(
        of("rotation.strategy"),
        [("user:2".to_owned(), Some(json!("balanced")))]
    );
    assert_eq!(
        of("rotation.mode"),
        [("provider-auth:3".to_owned(), Some(json!("subscription")))]
    );
    assert_eq!(
        of("namespace"),
        [("provider-auth:2".to_owned(), Some(json!("team")))]
    );
    // The pin was of the user's pool; that logins stand in for one another is not a project's to say.
    assert_eq!(of("account"), []);
    assert_eq!(of("rotation.rotate")[0].0, "builtin");
    assert_eq!(of("origins")[0].0, "builtin");
    assert_eq!(of("extraOrigins"), std::slice::from_ref(&one));
    assert_eq!(
        sources(&untrusted, "acme", "clientSecret"),
        [("user:7".to_owned(), Some(json!("{env:ACME}")))]
    );
    assert_eq!(sources(&untrusted, "acme", "clientAuth")[0].0, "builtin");
    let dir = setting(&untrusted, "dir");
    assert_eq!(dir.source, ValueSource::Variable("PROVIDER_AUTH_DIR"));
    assert_eq!(dir.value.as_deref(), surroundings.at("home/vault").to_str());
    assert_eq!(
        setting(&untrusted, "log.level").source,
        ValueSource::Default
    );
    let network = report(&Surroundings::new().with("PROVIDER_AUTH_ALLOW_NETWORK_FS", "1"));
    let network = setting(&network, "allowNetworkFs");
    assert_eq!(network.value.as_deref(), Some("true"));
    assert_eq!(
        network.source,
        ValueSource::Variable("PROVIDER_AUTH_ALLOW_NETWORK_FS")
    );

    let trusted = report(&surroundings.trusted());
    assert_eq!(
        file(&trusted, FileKind::Project).state,
        FileState::Project(TrustState::Trusted)
    );
    assert_eq!(sources(&trusted, "anthropic", "extraOrigins"), [one, two]);
}

#[test]
fn what_configure_says_is_of_no_file() {
    let inline = Inline {
        key_source: Some("env".to_owned()),
        config: Some(json!({ "providers": { "acme": acme(), "anthropic": { "namespace": "p" } } })),
        ..Inline::default()
    };
    let report = inspect(&Surroundings::new(), &inline);
    assert_eq!(setting(&report, "keySource").source, ValueSource::Configure);
    assert_eq!(sources(&report, "anthropic", "namespace")[0].0, "configure");
    let bad = Inline {
        key_source: Some("S3CRET".to_owned()),
        config: Some(json!({ "providers": { "acme": { "origins": 1 } } })),
        ..Inline::default()
    };
    let report = inspect(&Surroundings::new(), &bad);
    assert_eq!(
        told(&report.faults),
        [(None, "providers.acme.origins"), (None, "keySource")]
    );
}

#[test]
fn the_oracle_file_says_its_keys_under_those_of_a_provider() {
    let surroundings = Surroundings::new().file(
        "repo/oci-auth.config.jsonc",
        "{ \"domain_url\": \"https://idcs.example\",\n\"client_id\": \"id\",\n\"client_secret\": \"S3CRET\",\n\
         \"llm_base_url\": \"https://llm.example/v1?key=S3CRET\" }",
    );
    let untrusted = report(&surroundings);
    assert_eq!(sources(&untrusted, "oci-oidc", "clientId"), []);
    let trusted = report(&surroundings.trusted());
    let of = |key: &str| sources(&trusted, "oci-oidc", key);
    let at = |line: usize| format!("oci-auth.config:{line}");
    assert_eq!(of("clientId"), [(at(2), Some(json!("id")))]);
    assert_eq!(of("clientSecret"), [(at(3), None)]);
    assert_eq!(
        of("origins"),
        [(at(4), Some(json!(["https://llm.example"])))]
    );
    assert_eq!(
        of("modelsUrl"),
        [(at(4), Some(json!("https://llm.example/v1/models?…")))]
    );
    assert!(!format!("{trusted:?}").contains("S3CRET"));
}

#[test]
fn every_place_is_named_and_a_farther_file_does_not_count() {
    let surroundings = Surroundings::new()
        .project("{}")
        .file("repo/inner/provider-auth.jsonc", "{}");
    let report = report(&surroundings);
    let of_project = report
        .files
        .iter()
        .filter(|file| file.kind == FileKind::Project);
    let states: Vec<&FileState> = of_project.map(|file| &file.state).collect();
    assert!(matches!(
        states[..],
        [
            FileState::Project(TrustState::Unneeded),
            FileState::Ignored(_)
        ]
    ));
    for kind in [FileKind::User, FileKind::OciUser, FileKind::OciProject] {
        assert!(
            report.files.iter().any(|file| file.kind == kind),
            "{kind:?}"
        );
    }
}

/// A secret in each place where one belongs, and in those where one may land by mistake.
#[test]
fn no_secret_is_in_the_report() {
    let acme = json!({
        "issuer": "https://id.acme.example",
        "origins": ["https://api.acme.example"],
        "clientSecret": "S3CRET-1",
        "privateKey": "S3CRET-2",
        "assertion": "S3CRET-3",
        "headers": { "x-team": "S3CRET-4" },
        "params": { "authorize": { "audience": "S3CRET-5" }, "S3CRET-step": { "a": "S3CRET-6" } },
        "dialect": { "headers": { "token": { "x-more": "S3CRET-7" } }, "apiKey": "S3CRET-8" },
        "rotation": { "apiKey": "S3CRET-9" },
        "limits": [{ "status": 429, "means": "throttled", "apiKey": "S3CRET-10" }],
        "modelsUrl": "https://api.acme.example/models?key=S3CRET-11",
        "apiKey": "S3CRET-12",
        "token": ["S3CRET-13"],
        "namespace": ["S3CRET-14"],
    });
    let fine = {
        let mut fine = acme.clone();
        let keys = fine.as_object_mut().unwrap();
        keys.remove("namespace");
        keys["params"]
            .as_object_mut()
            .unwrap()
            .remove("S3CRET-step");
        fine
    };
    let mut faulty = acme;
    faulty["params"] = json!({ "authorize": "S3CRET-15" });
    let file = |keys: &Value| {
        format!(
            "// S3CRET-16\n{}",
            json!({ "providers": { "acme": keys }, "apiKey": "S3CRET-17" })
        )
    };
    for keys in [&fine, &faulty] {
        let text = file(keys);
        let variables = |surroundings: Surroundings| {
            let names = ["KEY", "PASSPHRASE", "KEY_SOURCE", "LOG", "ALLOW_NETWORK_FS"];
            names.into_iter().fold(surroundings, |surroundings, name| {
                surroundings.with(&format!("PROVIDER_AUTH_{name}"), "S3CRET-18")
            })
        };
        let as_users =
            variables(Surroundings::new().user(&text)).with("OPENCODE_VAULT_KEY", "S3CRET-19");
        let as_projects = Surroundings::new().project(&text);
        let cut = Surroundings::new().user(&text[..text.len() - 3]);
        let inline = Inline {
            config: Some(json!({ "providers": { "acme": keys } })),
            ..Inline::default()
        };
        let reports = [
            report(&as_users),
            report(&as_projects),
            report(&cut),
            inspect(&Surroundings::new(), &inline),
        ];
        for report in reports {
            let all = format!("{report:?}");
            assert!(!all.contains("S3CRET"), "{all}");
        }
    }
    let shown = report(&Surroundings::new().user(&file(&fine)));
    assert_eq!(
        sources(&shown, "acme", "clientSecret"),
        [("user:2".to_owned(), None)]
    );
    assert_eq!(
        sources(&shown, "acme", "headers.x-team"),
        [("user:2".to_owned(), None)]
    );
    let at = "https://api.acme.example/models?…";
    assert_eq!(
        sources(&shown, "acme", "modelsUrl"),
        [("user:2".to_owned(), Some(json!(at)))]
    );
}

#[test]
fn variables_are_named_and_those_that_hold_a_secret_without_value() {
    let surroundings = Surroundings::new()
        .with("PROVIDER_AUTH_KEY", "S3CRET")
        .with("PROVIDER_AUTH_DIR", "/vault")
        .with("PROVIDER_AUTH_LOG", "");
    let report = report(&surroundings);
    let shown: Vec<_> = report
        .variables
        .iter()
        .map(|variable| (&*variable.name, variable.value.as_deref()))
        .collect();
    assert_eq!(
        shown,
        [
            ("PROVIDER_AUTH_CONFIG", Some("~/user.jsonc")),
            ("PROVIDER_AUTH_DIR", Some("/vault")),
            ("PROVIDER_AUTH_KEY", None),
        ]
    );
}
