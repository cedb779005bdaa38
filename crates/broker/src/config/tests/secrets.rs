//! Where secrets come from, and that none is ever shown.

use secrecy::ExposeSecret as _;
use serde_json::json;

use super::*;

/// Reads a secret that an inline value names.
fn resolve(surroundings: &Surroundings, text: &str) -> Result<String, ConfigError> {
    let mut acme = acme();
    acme["clientSecret"] = json!(text);
    let settings = surroundings
        .load_with(json!({ "providers": { "acme": acme } }))
        .unwrap();
    let secret = resolve_secret(
        provider(&settings, "acme").client_secret.as_ref().unwrap(),
        surroundings,
    )?;
    Ok(secret.expose_secret().to_owned())
}

#[test]
fn a_secret_is_read_from_where_the_config_says() {
    let surroundings = Surroundings::new()
        .with("ACME_SECRET", "from env")
        .with("LINE", "from env\n")
        .with("LINES", "from env\r\n")
        .with("TWO", "a\n\n")
        .with("MARKED", "\u{feff}from env")
        .file("home/marked", "\u{feff}from file\n")
        .file("home/one", "from file\n")
        .file("home/two", "two\r\n")
        .file("home/three", "a\n\n")
        .file("repo/inner/four", "four");
    for (text, expect) in [
        ("plain", "plain"),
        ("{env:ACME_SECRET}", "from env"),
        ("{env:LINE}", "from env"),
        ("{env:LINES}", "from env"),
        ("{env:TWO}", "a\n"),
        ("{env:MARKED}", "from env"),
        ("{file:~/marked}", "from file"),
        ("{file:~/one}", "from file"),
        ("{file:~/two}", "two"),
        ("{file:~/three}", "a\n"),
        ("{file:four}", "four"),
    ] {
        assert_eq!(resolve(&surroundings, text).unwrap(), expect, "{text}");
    }
}

#[test]
fn a_secret_that_cannot_be_read_names_its_source_and_the_place_that_names_it() {
    let surroundings = Surroundings::new()
        .with("EMPTY", "\n")
        .file("home/empty", "\n")
        .file("home/long", &"S3CRET".repeat(20_000));
    for (text, why) in [
        ("{env:ACME_SECRET}", "the variable ACME_SECRET is not set"),
        ("{env:EMPTY}", "the variable EMPTY is not set"),
        ("{file:~/absent}", "home/absent cannot be read"),
        ("{file:~/empty}", "home/empty is empty"),
        ("{file:~/long}", "home/long is longer than 65536 bytes"),
        ("{file:~/}", "is not a regular file"),
    ] {
        let fault = resolve(&surroundings, text).unwrap_err();
        assert_eq!(fault.path, "providers.acme.clientSecret");
        assert!(
            fault.why.contains(why) && !fault.to_string().contains("S3CRET"),
            "{fault}"
        );
    }
}

#[test]
fn no_secret_shows_in_debug_or_in_a_fault() {
    let mut acme = acme();
    acme["clientSecret"] = json!("S3CRET");
    let config = json!({ "providers": { "acme": acme } });
    let inline = Inline {
        config: Some(config.clone()),
        ..Inline::default()
    };
    let surroundings = Surroundings::new()
        .user(&config.to_string())
        .with("PROVIDER_AUTH_KEY", "S3CRET")
        .with("PROVIDER_AUTH_PASSPHRASE", "S3CRET");
    let settings = load(&surroundings, &inline).unwrap();
    for shown in [
        format!("{inline:?}"),
        format!("{settings:?}"),
        format!("{:?}", provider(&settings, "acme").client_secret),
    ] {
        assert!(!shown.contains("S3CRET"), "{shown}");
    }
    // A secret in the wrong place must not be repeated either.
    for key in [
        "issuer",
        "tokenEndpoint",
        "clientAuth",
        "redirectUri",
        "modelsUrl",
        "extends",
        "rotation",
        "origins",
    ] {
        let fault = fault_of(json!({ key: "https://S3CRET:S3CRET@x.example" }));
        assert!(!format!("{fault} {fault:?}").contains("S3CRET"), "{fault}");
    }
    for key in ["scopes", "origins"] {
        let fault = fault_of(json!({ key: ["S3CRET \""] }));
        assert!(!format!("{fault} {fault:?}").contains("S3CRET"), "{fault}");
    }
}

#[test]
fn a_variable_of_a_secret_that_is_not_set_is_a_warning_at_its_place() {
    let text = |id: &str| {
        format!(
            "{{ \"providers\": {{ \"{id}\": {{ \"origins\": [\"https://{id}.example\"], \
             \"issuer\": \"https://id.{id}.example\", \"clientId\": \"me\",\n\
             \"clientSecret\": \"{{env:{id}_SECRET}}\" }} }} }}"
        )
    };
    let surroundings = Surroundings::new()
        .user(&text("acme"))
        .project(&text("beta"));
    let warned = |surroundings: &Surroundings| -> Vec<String> {
        let report = inspect(surroundings, &Inline::default());
        let warnings = report.files.iter().flat_map(|file| &file.warnings);
        let on_second_line = warnings.filter(|odd| odd.line == Some(2));
        let mut told: Vec<String> = on_second_line
            .map(|odd| format!("{}: {}", odd.path, odd.why))
            .collect();
        told.sort();
        told
    };
    assert_eq!(
        warned(&surroundings),
        [
            "providers.acme.clientSecret: the variable acme_SECRET is not set",
            "providers.beta.clientSecret: the variable beta_SECRET is not set",
        ]
    );
    let set = surroundings
        .with("acme_SECRET", "x")
        .with("beta_SECRET", "x");
    assert_eq!(warned(&set), [] as [&str; 0]);
}
