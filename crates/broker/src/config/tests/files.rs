//! Which files are read, and how a fault in one is told.

use std::fs;

use serde_json::json;

use super::*;
use crate::config::paths::Platform;

#[test]
fn a_file_may_have_comments_trailing_commas_and_a_byte_order_mark() {
    let text = "\u{feff}// mine\n{ /* all */ \"providers\": {\n  \"acme\": { \"origins\": [\"https://api.acme.example\",], }, // one\n}, }\n";
    let settings = Surroundings::new().user(text).load().unwrap();
    assert_eq!(
        origins(&provider(&settings, "acme")),
        ["https://api.acme.example"]
    );
    assert!(Surroundings::new().user("// nothing yet\n").load().is_ok());
}

#[test]
fn a_fault_in_a_file_names_file_line_column_and_path() {
    let check = |text: &str, expect: &str| {
        let surroundings = Surroundings::new().user(text);
        let file = surroundings.at("home/user.jsonc");
        assert_eq!(
            surroundings.load().unwrap_err().to_string(),
            format!("{}:{expect}", file.display())
        );
    };
    let text = "{\n  // é\n  \"providers\": { \"acme\": {\n    \"tokenEndpoint\": 5,\n  } }\n}";
    check(
        text,
        "4:22: providers.acme.tokenEndpoint: expected a string, found a number",
    );
    check(
        "{ \"é\": 1, \"providers\": 1 }",
        "1:24: providers: expected an object, found a number",
    );
    check(
        "{\r\n\"providers\":\r\n7}",
        "3:1: providers: expected an object, found a number",
    );
    check(
        "{ \"providers\": { \"a\": {}, \"a\": {} } }",
        "1:27: providers.a: this key is written twice; remove one",
    );
    check(
        "{ \"providers\": {\n ",
        "1:16: not valid JSON: unterminated object",
    );
    check(
        "{ providers: {} }",
        "1:3: not valid JSON: expected string for object property",
    );
    check("{ \"a\": NaN }", "1:8: not valid JSON: unexpected word");
    check(
        "{ \"a\": 'b' }",
        "1:8: not valid JSON: single-quoted strings are not allowed",
    );
    check(
        "{} {}",
        "1:4: not valid JSON: text cannot contain more than one JSON value",
    );
    check(
        &"[".repeat(100_000),
        "1:513: not valid JSON: maximum nesting depth exceeded",
    );
    let lacking = "{ \"providers\": {\n  \"acme\": {} } }";
    let surroundings = Surroundings::new().user(lacking);
    let fault = surroundings.load().unwrap_err();
    assert_eq!(
        (fault.line, fault.column, fault.path.as_str()),
        (Some(2), Some(11), "providers.acme.origins")
    );
}

#[test]
fn a_file_cut_off_anywhere_is_a_fault_with_a_place() {
    let text = json!({ "providers": { "acme": acme() } }).to_string();
    for end in 1..text.len() {
        let fault = Surroundings::new()
            .user(&text[..end])
            .load()
            .expect_err("half a file");
        assert!(
            fault.file.is_some() && fault.line.is_some() && fault.column.is_some(),
            "{fault}"
        );
    }
    assert!(Surroundings::new().user(&text).load().is_ok());
}

#[test]
fn a_file_that_is_no_config_is_refused_by_name() {
    let check = |surroundings: Surroundings, why: &str| {
        let fault = surroundings.load().unwrap_err();
        assert_eq!(fault.file, Some(surroundings.at("home/user.jsonc")));
        assert!(fault.why.contains(why), "{fault}");
    };
    let surroundings = Surroundings::new();
    fs::write(surroundings.at("home/user.jsonc"), b"{ \"\xff\": 1 }").unwrap();
    check(surroundings, "not UTF-8");
    check(
        Surroundings::new().user(&" ".repeat(1024 * 1024 + 1)),
        "longer than 1048576 bytes",
    );
    let surroundings = Surroundings::new();
    fs::remove_file(surroundings.at("home/user.jsonc")).unwrap();
    fs::create_dir(surroundings.at("home/user.jsonc")).unwrap();
    check(surroundings, "not a regular file");
    let surroundings = Surroundings::new();
    fs::remove_file(surroundings.at("home/user.jsonc")).unwrap();
    check(surroundings, "PROVIDER_AUTH_CONFIG names this file");
}

#[test]
fn the_nearest_project_file_counts_up_to_the_root_of_the_repository() {
    let named = |name: &str| {
        json!({ "providers": { name: { "origins": ["https://a.example"] } } }).to_string()
    };
    let outside = Surroundings::new().file("provider-auth.jsonc", &named("outside"));
    let defines = |settings: &Settings, id: &str| settings.project.claim(id).is_some();
    assert!(!defines(&outside.load().unwrap(), "outside"));

    let both = outside
        .project(&named("root"))
        .file("repo/inner/provider-auth.jsonc", &named("inner"));
    let settings = both.load().unwrap();
    assert!(defines(&settings, "inner") && !defines(&settings, "root"));

    fs::remove_dir(both.at("repo/.git")).unwrap();
    fs::remove_file(both.at("repo/inner/provider-auth.jsonc")).unwrap();
    let settings = both.load().unwrap();
    assert!(
        !defines(&settings, "root"),
        "outside a repository only the working folder counts"
    );
}

#[test]
fn a_project_file_that_the_user_names_is_the_users() {
    let redirected =
        json!({ "providers": { "anthropic": { "origins": ["https://gateway.example"] } } });
    let surroundings = Surroundings::new()
        .project(&redirected.to_string())
        .with("PROVIDER_AUTH_CONFIG", "../provider-auth.jsonc");
    assert_eq!(
        origins(&provider(&surroundings.load().unwrap(), "anthropic")),
        ["https://gateway.example"]
    );
}

#[test]
fn an_unknown_key_is_a_warning_that_names_the_nearest_known_one() {
    let text = "{ \"$schema\": \"x\", \"provider\": 1,\n\"providers\": { \"acme\": { \"tokenEndpiont\": 5, \"origins\": [\"https://a.example\"], \"zzz\": 1, \"rotation\": { \"max_attempts\": 1 }, \"params\": { \"authorise\": {} } } } }";
    let surroundings = Surroundings::new().user(text);
    let file = surroundings.at("home/user.jsonc").display().to_string();
    assert_eq!(
        surroundings.load().unwrap().warnings,
        [
            format!("{file}:1:19: provider: unknown key; did you mean providers?"),
            format!(
                "{file}:2:26: providers.acme.tokenEndpiont: unknown key; did you mean tokenEndpoint?"
            ),
            format!("{file}:2:80: providers.acme.zzz: unknown key"),
            format!(
                "{file}:2:104: providers.acme.rotation.max_attempts: unknown key; did you mean maxAttempts?"
            ),
            format!(
                "{file}:2:137: providers.acme.params.authorise: unknown key; did you mean authorize?"
            ),
            // With the key that was meant, there is a login.
            format!(
                "{file}:2:135: providers.acme.params: without effect: no login server of this provider is known, so only API keys \
                 serve; set issuer, or authorizationEndpoint and tokenEndpoint"
            ),
        ]
    );
}

#[test]
fn the_default_folders_are_those_of_the_platform() {
    let check = |platform: Platform, vars: &[(&str, &str)], dir: &str, file: &str| {
        let surroundings = vars.iter().fold(Surroundings::new(), |all, (name, value)| {
            all.with(name, value)
        });
        assert_eq!(
            paths::default_dir(&surroundings, platform),
            Some(surroundings.at(dir))
        );
        assert_eq!(
            paths::default_user_file(&surroundings, platform),
            Some(surroundings.at(file))
        );
    };
    check(
        Platform::Unix,
        &[],
        "home/.local/share/provider-auth",
        "home/.config/provider-auth/config.jsonc",
    );
    check(
        Platform::Unix,
        &[("XDG_DATA_HOME", "relative")],
        "home/.local/share/provider-auth",
        "home/.config/provider-auth/config.jsonc",
    );
    check(
        Platform::Unix,
        &[("XDG_DATA_HOME", "/data"), ("XDG_CONFIG_HOME", "/etc/xdg")],
        "/data/provider-auth",
        "/etc/xdg/provider-auth/config.jsonc",
    );
    check(
        Platform::MacOs,
        &[],
        "home/Library/Application Support/provider-auth",
        "home/.config/provider-auth/config.jsonc",
    );
    check(
        Platform::Windows,
        &[],
        "home/AppData/Local/provider-auth",
        "home/AppData/Roaming/provider-auth/config.jsonc",
    );
    check(
        Platform::Windows,
        &[("LOCALAPPDATA", "/l"), ("APPDATA", "/r")],
        "/l/provider-auth",
        "/r/provider-auth/config.jsonc",
    );

    let mut absent = Surroundings::new();
    absent.vars.clear();
    assert!(
        absent.load().is_ok(),
        "without PROVIDER_AUTH_CONFIG the user's file may be absent"
    );
}

#[test]
fn a_text_without_a_file_is_read_alike_and_its_faults_name_line_and_column() {
    let fault = |text: &str| parse_jsonc(text).err().map(|fault| fault.to_string());
    assert_eq!(fault("\u{feff}{ \"a\": [1, /* b */ null,], }"), None);
    assert_eq!(fault(""), None);
    for (text, expect) in [
        (
            "{\n  \"a\": é }",
            "line 2, column 8: not valid JSON: unexpected word",
        ),
        (
            "{ \"a\": 1, \"a\": 2 }",
            "line 1, column 11: a: this key is written twice; remove one",
        ),
    ] {
        assert_eq!(fault(text).as_deref(), Some(expect));
    }
    let mebibyte = 1024 * 1024;
    assert_eq!(fault(&" ".repeat(mebibyte)), None);
    let long = fault(&" ".repeat(mebibyte + 1)).unwrap();
    assert_eq!(long, "the text is longer than 1048576 bytes");
    let deep = fault(&"[".repeat(mebibyte)).unwrap();
    assert!(deep.contains("nesting depth"), "{deep}");
}

#[test]
fn whether_counts_are_kept_is_a_setting_with_its_place() {
    let of = |surroundings: &Surroundings| {
        let report = inspect(surroundings, &Inline::default());
        let mut settings = report.settings.into_iter();
        let found = settings.find(|setting| setting.name == "stats").unwrap();
        (found.value, found.source)
    };
    assert_eq!(
        of(&Surroundings::new()),
        (Some("true".to_owned()), ValueSource::Default)
    );
    let off = Surroundings::new().user("{\n\"stats\": false }");
    let place = ValueSource::File(off.at("home/user.jsonc"), Some((2, 10)));
    assert_eq!(of(&off), (Some("false".to_owned()), place));
}
