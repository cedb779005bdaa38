//! A vault for many machines: who may name one, which says so in the end, and that no password of it
//! is shown.

use secrecy::ExposeSecret as _;
use serde_json::json;

use super::*;

const ONE: &str = "postgres://ci@db.example/auth?vault=team";

fn named(surroundings: &Surroundings, inline: &Inline) -> Option<String> {
    let settings = load(surroundings, inline).unwrap();
    let store = settings.store?;
    Some(store.address.url.expose_secret().to_owned())
}

fn at(host: &str) -> String {
    ONE.replace("db.example", host)
}

/// Why an address of the environment is refused.
#[track_caller]
fn why(url: &str) -> String {
    let fault = Surroundings::new().with("PROVIDER_AUTH_STORE", url).load();
    let fault = fault.map(|_| ()).expect_err(url);
    assert_eq!(fault.path, "PROVIDER_AUTH_STORE", "{url}");
    fault.why
}

#[test]
fn configure_outranks_the_environment_and_that_the_users_file() {
    let surroundings = Surroundings::new();
    assert_eq!(named(&surroundings, &Inline::default()), None);
    let surroundings = surroundings.user(&json!({ "store": at("file.example") }).to_string());
    let default = Inline::default();
    assert_eq!(named(&surroundings, &default), Some(at("file.example")));
    let surroundings = surroundings.with("PROVIDER_AUTH_STORE", &at("env.example"));
    assert_eq!(named(&surroundings, &default), Some(at("env.example")));
    let mut inline = Inline {
        config: Some(json!({ "store": at("config.example") })),
        ..Inline::default()
    };
    assert_eq!(named(&surroundings, &inline), Some(at("config.example")));
    inline.store = Some(at("option.example"));
    assert_eq!(named(&surroundings, &inline), Some(at("option.example")));

    let report = inspect(&surroundings, &default);
    let shown = |report: &ConfigReport| {
        let setting = report.settings.iter().find(|it| it.name == "store");
        setting.map(|it| (it.value.clone(), it.source.clone()))
    };
    let variable = ValueSource::Variable("PROVIDER_AUTH_STORE");
    let without_user = "postgres://env.example/auth?vault=team".to_owned();
    assert_eq!(shown(&report), Some((Some(without_user), variable)));
    let report = inspect(&surroundings, &inline);
    assert_eq!(shown(&report).unwrap().1, ValueSource::Configure);
}

#[test]
fn a_projects_file_names_no_store_and_no_command() {
    let text = json!({ "store": ONE, "storePasswordCommand": ["steal"], "offlineMs": 0 });
    let settings = Surroundings::new()
        .project(&text.to_string())
        .load()
        .unwrap();
    assert!(settings.store.is_none());
    assert_eq!(settings.offline, limits::OFFLINE);
    for key in ["store", "storePasswordCommand", "offlineMs"] {
        let why = format!("without effect: set {key} in your own configuration");
        assert!(
            settings.warnings.iter().any(|odd| odd.contains(&why)),
            "{key}"
        );
    }
    // Nor does it add a command to the store of the user.
    let both = Surroundings::new()
        .project(&text.to_string())
        .with("PROVIDER_AUTH_STORE", ONE);
    assert!(
        both.load()
            .unwrap()
            .store
            .unwrap()
            .password_command
            .is_empty()
    );
}

#[test]
fn a_password_stands_in_the_address_in_the_environment_alone() {
    let secret = "postgres://ci:S3CRET@db.example/auth?vault=team";
    let of_variable = Surroundings::new().with("PROVIDER_AUTH_STORE", secret);
    let settings = of_variable.load().unwrap();
    let shown = &settings.store.as_ref().unwrap().address.shown;
    assert_eq!(shown, "postgres://db.example/auth?vault=team");
    for all in [
        format!("{settings:?}"),
        format!("{:?}", inspect(&of_variable, &Inline::default())),
    ] {
        assert!(
            !all.contains("S3CRET") && all.contains("db.example"),
            "{all}"
        );
    }
    let of_file = Surroundings::new().user(&json!({ "store": secret }).to_string());
    let of_option = Inline {
        store: Some(secret.to_owned()),
        ..Inline::default()
    };
    let faults = [
        of_file.load().map(|_| ()).unwrap_err(),
        Surroundings::new()
            .load_with(json!({ "store": secret }))
            .map(|_| ())
            .unwrap_err(),
        check(&of_option).unwrap_err(),
    ];
    for fault in &faults {
        assert_eq!(fault.path, "store");
        assert!(
            fault.why.contains("PROVIDER_AUTH_STORE_PASSWORD"),
            "{fault}"
        );
    }
    assert_eq!((faults[0].line, faults[0].column), (Some(1), Some(10)));
    let reports = [
        inspect(&of_file, &Inline::default()),
        inspect(&Surroundings::new(), &of_option),
    ];
    for all in reports
        .iter()
        .map(|report| format!("{report:?} {of_option:?} {faults:?}"))
    {
        assert!(!all.contains("S3CRET"), "{all}");
    }
}

#[test]
fn what_is_wrong_with_an_address_is_said_without_it() {
    for (url, expect) in [
        (
            "mysql://ci:S3CRET@db.example/auth?vault=v",
            "expected postgres://",
        ),
        ("S3CRET", "expected postgres://"),
        ("postgres://ci:S3CRET@db.example/auth", "names no vault"),
        (
            "postgres://ci:S3CRET@db.example/auth?vault=",
            "names no vault",
        ),
        (
            "postgres://ci:S3@CRET@db.example/auth?vault=v",
            "write @ as %40",
        ),
        (
            "postgres://ci:S3/CRET@db.example/auth?vault=v",
            "write @ as %40",
        ),
        (
            "postgres://ci:S3?CRET@db.example/auth?vault=v",
            "write @ as %40",
        ),
        (
            "postgres://ci:S3#CRET@db.example/auth?vault=v",
            "write @ as %40",
        ),
        (
            "postgres://ci:S3 CRET@db.example/auth?vault=v",
            "expected postgres://",
        ),
        (
            "postgres://ci@db.example:S3CRET/auth?vault=v",
            "expected postgres://",
        ),
        ("postgres:///auth?vault=v", "expected postgres://"),
        (
            "postgres://ci@db.example/auth?vault=v&password=S3CRET",
            "not known",
        ),
        (
            "postgres://ci@db.example/auth?vault=v&ssl_mode=S3CRET",
            "did you mean sslmode?",
        ),
        (
            "postgres://ci@db.example/auth?vault=v&sslrootcert=S3CRET.pem",
            "whole path",
        ),
        (
            "postgres://ci@db.example/auth?vault=v&sslcert=/S3CRET.pem",
            "go together",
        ),
        (
            "postgres://c%ff:S3CRET@db.example/auth?vault=v",
            "write @ as %40",
        ),
    ] {
        let why = why(url);
        assert!(
            why.contains(expect) && !why.contains("S3") && !why.contains("CRET"),
            "{url}: {why}"
        );
        let report = inspect(
            &Surroundings::new().with("PROVIDER_AUTH_STORE", url),
            &Inline::default(),
        );
        let all = format!("{report:?}");
        // The folder's name is drawn at random, and may have two of these letters in it.
        assert!(!all.contains("S3C") && !all.contains("CRET"), "{all}");
        assert_eq!(report.faults.len(), 1, "{all}");
    }
}

#[test]
fn the_parts_of_an_address_are_read_as_they_are_meant() {
    let url = "postgresql://c%40i@one.example,[::1]:6000,%2Frun%2Fpg/a%20b?vault=v&sslrootcert=~/ca.pem&sslcert=/c.pem&sslkey=/k.pem";
    let surroundings = Surroundings::new().with("PROVIDER_AUTH_STORE", url);
    let StoreSettings { address, .. } = surroundings.load().unwrap().store.unwrap();
    assert_eq!(address.user, "c@i");
    assert_eq!(address.database, "a b");
    let servers: Vec<_> = address
        .servers
        .iter()
        .map(|(name, port)| (&**name, &**port))
        .collect();
    assert_eq!(
        servers,
        [
            ("one.example", "5432"),
            ("::1", "6000"),
            ("/run/pg", "5432")
        ]
    );
    assert_eq!(address.roots, Some(surroundings.at("home/ca.pem")));
    assert_eq!(
        address.certificate,
        Some(("/c.pem".into(), "/k.pem".into()))
    );
    let of_system = format!("{ONE}&sslrootcert=system");
    let of_system = Surroundings::new().with("PROVIDER_AUTH_STORE", &of_system);
    assert_eq!(of_system.load().unwrap().store.unwrap().address.roots, None);
}

#[test]
fn where_the_password_comes_from_is_read_and_not_shown() {
    let surroundings = Surroundings::new()
        .user(&json!({ "store": ONE, "storePasswordCommand": ["~/bin/get", "S3CRET"], "offlineMs": 1000 }).to_string())
        .with("PROVIDER_AUTH_STORE_PASSWORD", "S3CRET")
        .with("PROVIDER_AUTH_STORE_PASSWORD_FILE", "~/pw")
        .with("PGPASSFILE", "/etc/pw");
    let settings = surroundings.load().unwrap();
    let store = settings.store.as_ref().unwrap();
    assert_eq!(store.password.as_ref().unwrap().expose_secret(), "S3CRET");
    assert_eq!(store.password_file, Some(surroundings.at("home/pw")));
    assert_eq!(store.passwords, Some("/etc/pw".into()));
    let program = surroundings.at("home/bin/get").display().to_string();
    assert_eq!(store.password_command, [program, "S3CRET".to_owned()]);
    assert_eq!(settings.offline, Duration::from_secs(1));
    let report = inspect(&surroundings, &Inline::default());
    let value = |name: &str| {
        report
            .settings
            .iter()
            .find(|it| it.name == name)
            .unwrap()
            .value
            .clone()
    };
    assert_eq!(value("storePasswordCommand").as_deref(), Some("~/bin/get"));
    assert_eq!(value("offlineMs").as_deref(), Some("1000"));
    assert!(!format!("{report:?}").contains("S3CRET"), "{report:?}");
    let without = Surroundings::new()
        .with("PROVIDER_AUTH_STORE", ONE)
        .load()
        .unwrap();
    assert!(
        without
            .store
            .unwrap()
            .passwords
            .unwrap()
            .ends_with(".pgpass")
    );
}

#[test]
fn a_command_is_a_program_that_is_the_same_in_each_folder() {
    let fault = |command: Value| {
        let config = json!({ "storePasswordCommand": command });
        Surroundings::new()
            .load_with(config)
            .map(|_| ())
            .unwrap_err()
    };
    for command in [
        json!([]),
        json!([""]),
        json!(["./S3CRET"]),
        json!(["bin/S3CRET"]),
    ] {
        let fault = fault(command);
        assert!(fault.why.contains("expected a program"), "{fault}");
        assert!(!fault.to_string().contains("S3CRET"));
    }
    assert_eq!(fault(json!(["aws", 1])).path, "storePasswordCommand[1]");
    assert_eq!(fault(json!("aws")).why, "expected a list, found a string");
    for config in [
        json!({ "offlineMs": -1 }),
        json!({ "offlineMs": 2_592_000_001_u64 }),
    ] {
        let fault = Surroundings::new()
            .load_with(config)
            .map(|_| ())
            .unwrap_err();
        assert!(fault.why.contains("from 0 to 2592000000"), "{fault}");
    }
}

#[test]
fn the_schema_has_the_bounds_of_the_parser() {
    let schema: Value =
        serde_json::from_str(include_str!("../../../../../schemas/config.schema.json")).unwrap();
    let offline = &schema["properties"]["offlineMs"];
    assert_eq!(
        offline["default"],
        json!(limits::OFFLINE.as_millis() as u64)
    );
    assert_eq!(
        offline["maximum"],
        json!(limits::LONGEST_OFFLINE.as_millis() as u64)
    );
}

#[test]
fn no_project_reads_the_file_with_the_password() {
    let project = defining(
        "ours",
        json!({ "origins": ["https://ours.example"], "tokenEndpoint": "https://ours.example/t", "authorizationEndpoint": "https://ours.example/a",
                "clientSecret": "{file:~/pw}" }),
    );
    let surroundings = Surroundings::new()
        .file("home/pw", "S3CRET")
        .project(&project);
    let refusal = |surroundings: &Surroundings| {
        let settings = surroundings.load().unwrap();
        file(&settings).providers[0].reads[0].refusal.clone()
    };
    assert_eq!(refusal(&surroundings), None);
    let surroundings = surroundings
        .with("PROVIDER_AUTH_STORE", ONE)
        .with("PROVIDER_AUTH_STORE_PASSWORD_FILE", "~/pw");
    assert!(
        refusal(&surroundings)
            .unwrap()
            .contains("provider-auth's own")
    );
}
