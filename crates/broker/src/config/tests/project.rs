//! What a project's file may say, what it wants, and a person's trust in it.

use provider_auth_policy::{Mode, Timestamp};
use serde_json::json;

use super::*;

fn defining(id: &str, patch: Value) -> String {
    json!({ "providers": { id: patch } }).to_string()
}

/// The one file of the project.
#[track_caller]
fn file(settings: &Settings) -> &ProjectFile {
    let [file] = &settings.project.files[..] else {
        panic!("{:?}", settings.project.files);
    };
    file
}

/// All keys of a provider that say more than how accounts are chosen, each with a value.
fn defining_keys() -> Vec<(&'static str, Value)> {
    let url = |path: &str| json!(format!("https://evil.example/{path}"));
    let keys = vec![
        ("extends", json!("generic")),
        ("issuer", url("")),
        ("resource", url("mcp")),
        ("authorizationEndpoint", url("a")),
        ("tokenEndpoint", url("t")),
        ("deviceAuthorizationEndpoint", url("d")),
        ("revocationEndpoint", url("r")),
        ("userinfoEndpoint", url("u")),
        ("exchangeEndpoint", url("x")),
        ("jwksUri", url("j")),
        ("assertion", json!("{env:HOME}")),
        ("clientId", json!("evil")),
        ("clientSecret", json!("{file:~/.ssh/id_rsa}")),
        ("privateKey", json!("{file:~/.ssh/id_rsa}")),
        ("privateKeyId", json!("k")),
        ("clientAuth", json!("none")),
        ("grants", json!(["client_credentials"])),
        ("scopes", json!(["admin"])),
        (
            "params",
            json!({ "refresh": { "resource": "https://other.example" } }),
        ),
        (
            "dialect",
            json!({ "fields": { "access_token": "refresh_token" } }),
        ),
        ("redirectUri", json!("http://127.0.0.1:1/")),
        ("fallbackRedirectUris", json!(["http://127.0.0.1:1/"])),
        ("origins", json!(["https://evil.example"])),
        ("extraOrigins", json!(["https://evil.example"])),
        ("header", json!("x-evil")),
        ("scheme", json!("")),
        ("headers", json!({ "x-evil": "1" })),
        ("strip", json!(["x-evil"])),
        ("modelsUrl", url("m")),
        ("modelsShape", json!({ "id": "/name" })),
        ("limits", json!([{ "status": 418, "means": "throttled" }])),
    ];
    let named: Vec<&str> = keys.iter().map(|(key, _)| *key).collect();
    let all = schema::PROVIDER_KEYS.iter();
    let defining: Vec<&str> = all
        .filter(|key| !schema::SELECTING_KEYS.contains(key))
        .copied()
        .collect();
    assert_eq!(named.len(), defining.len(), "a key without a test");
    assert!(defining.iter().all(|key| named.contains(key)));
    keys
}

#[test]
fn without_trust_a_project_file_says_nothing_of_any_provider_but_how_accounts_are_chosen() {
    for (key, value) in defining_keys() {
        for id in ["anthropic", "oci-oidc", "acme", "mine", "theirs"] {
            let surroundings = Surroundings::new().user(&defining("acme", acme()));
            let inline = json!({ "providers": { "mine": acme() } });
            let known = surroundings.load_with(inline.clone()).unwrap();
            let surroundings = surroundings.project(&defining(id, json!({ key: value })));
            let loaded = surroundings.load_with(inline).unwrap();
            let shown = |settings: &Settings| {
                let provider = Provider::clone(&*settings.provider(id, || false)?.unwrap());
                let searched = Vec::new();
                Some(format!(
                    "{:?}",
                    Provider {
                        searched,
                        ..provider
                    }
                ))
            };
            assert_eq!(shown(&loaded), shown(&known), "{key} of {id}");
            let place = surroundings.at("repo/provider-auth.jsonc");
            let (claimed, made) = loaded.project.claim(id).unwrap();
            assert_eq!(claimed.asks(), made.is_ok());
            let warned = match made {
                Ok(_) => format!("{}: not trusted, so what it says of {id}", place.display()),
                Err(fault) => fault.to_string(),
            };
            let is_told = loaded.warnings.iter().any(|it| it.starts_with(&warned));
            assert!(is_told, "{:?}", loaded.warnings);
        }
    }
}

#[test]
fn without_trust_a_project_file_chooses_among_the_accounts_of_known_providers() {
    let chosen = json!({ "rotation": { "mode": "api" }, "namespace": "work", "account": "ada" });
    let surroundings = Surroundings::new()
        .user(&defining("acme", acme()))
        .project(&json!({ "providers": { "acme": chosen, "anthropic": chosen } }).to_string());
    let settings = surroundings.load().unwrap();
    for id in ["acme", "anthropic"] {
        let provider = provider(&settings, id);
        assert_eq!(provider.rotation.mode, Mode::Api);
        assert_eq!(provider.pool(None), "work");
        assert_eq!(provider.pool(Some("home")), "home");
        assert_eq!(provider.account.as_deref(), Some("ada"));
    }
    assert_eq!(file(&settings).state, TrustState::Unneeded);
    assert!(settings.warnings.is_empty());

    // The pin of an earlier layer is of that layer's pool.
    let pinned = Surroundings::new()
        .user(&defining("openai", json!({ "account": "ada" })))
        .project(&defining("openai", json!({ "namespace": "work" })));
    let openai = provider(&pinned.load().unwrap(), "openai");
    assert_eq!((openai.pool(None), &openai.account), ("work", &None));

    let unknown = Surroundings::new().project(&defining("anthropc", chosen));
    let warnings = unknown.load().unwrap().warnings;
    assert!(
        warnings[0].contains("did you mean anthropic?"),
        "{warnings:?}"
    );
}

#[test]
fn with_trust_a_project_file_counts_as_the_users_own() {
    let patch = json!({ "extends": "google", "issuer": "https://id.ours.example", "origins": ["https://ours.example"], "clientSecret": "{file:secret.txt}" });
    let surroundings = Surroundings::new()
        .project(&defining("ours", patch))
        .file("repo/secret.txt", "S3CRET\n")
        .trusted();
    let settings = surroundings.load().unwrap();
    assert_eq!(file(&settings).state, TrustState::Trusted);
    let ours = provider(&settings, "ours");
    let place = surroundings.at("repo/provider-auth.jsonc");
    assert_eq!(ours.origin_of_definition, Provenance::Project(place));
    let secret = ours.client_secret.as_ref().unwrap();
    assert!(secret.from_project);
    let secret = resolve_secret(secret, &surroundings).unwrap();
    assert_eq!(secrecy::ExposeSecret::expose_secret(&secret), "S3CRET");
    // Not where the id has accounts that were made elsewhere.
    assert!(settings.provider("ours", || true).is_none());
    assert!(settings.warnings.is_empty());
}

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
    let [want] = &file(&settings).wants[..] else {
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
    let hosts = &file(&settings).wants[0].hosts;
    assert!(
        hosts
            .iter()
            .any(|host| host.role == "issuer" && host.origin == "https://id.acme.example")
    );
}

#[test]
fn trust_is_good_for_what_was_shown_and_ends_with_any_change() {
    let state = |surroundings: &Surroundings| file(&surroundings.load().unwrap()).state;
    let ours = |origin: &str| {
        defining(
            "ours",
            json!({ "origins": [origin], "clientSecret": "{file:~/a/secret}", "tokenEndpoint": "https://t.example/", "authorizationEndpoint": "https://t.example/a" }),
        )
    };
    let surroundings = Surroundings::new().project(&ours("https://ours.example"));
    fs::create_dir(surroundings.at("home/a")).unwrap();
    assert_eq!(state(&surroundings), TrustState::Untrusted);
    let surroundings = surroundings.file("home/a/secret", "s").trusted();
    assert_eq!(state(&surroundings), TrustState::Trusted);

    let changed = surroundings.project(&ours("https://other.example"));
    assert_eq!(state(&changed), TrustState::Changed);
    assert!(changed.load().unwrap().provider("ours", || false).is_none());
    let back = changed.project(&ours("https://ours.example"));
    assert_eq!(state(&back), TrustState::Trusted);
    let commented = back.project(&format!("{} // more", ours("https://ours.example")));
    assert_eq!(state(&commented), TrustState::Changed);

    // The user's own configuration adds what the file would then send elsewhere.
    let own = commented
        .project(&ours("https://ours.example"))
        .user(&defining(
            "ours",
            json!({ "issuer": "https://mine.example", "origins": ["https://mine.example"] }),
        ));
    assert_eq!(state(&own), TrustState::Changed);
    let own = own.user("");
    assert_eq!(state(&own), TrustState::Trusted);

    // What is read lies elsewhere by now.
    #[cfg(unix)]
    {
        fs::rename(own.at("home/a"), own.at("home/b")).unwrap();
        std::os::unix::fs::symlink(own.at("home/b"), own.at("home/a")).unwrap();
        assert_eq!(state(&own), TrustState::Changed);
    }

    // Another project's file at another place has no share in it.
    let moved = Surroundings::new().project(&ours("https://ours.example"));
    assert_eq!(state(&moved), TrustState::Untrusted);
}

#[test]
fn trust_that_was_taken_back_or_whose_file_is_damaged_is_none() {
    let state = |surroundings: &Surroundings| file(&surroundings.load().unwrap()).state;
    let surroundings = Surroundings::new()
        .project(&defining("ours", acme()))
        .trusted();
    let settings = surroundings.load().unwrap();
    let path = settings.dir.join("trust.json");
    let kept = fs::read_to_string(&path).unwrap();
    for damage in ["", "{", "[]", "{\"files\":[{}]}", "\u{0}", "null"] {
        fs::write(&path, damage).unwrap();
        assert_eq!(state(&surroundings), TrustState::Untrusted, "{damage:?}");
    }
    fs::write(&path, kept).unwrap();
    assert_eq!(state(&surroundings), TrustState::Trusted);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o666);
        assert_eq!(state(&surroundings), TrustState::Untrusted);
        mode(0o600);
    }
    let files = [file(&settings).file.clone()];
    TrustedFiles::untrust(&settings.dir, &files).unwrap();
    assert_eq!(state(&surroundings), TrustState::Untrusted);
    let again = file(&settings).clone();
    let now = Timestamp::from_millis(1);
    TrustedFiles::trust(&settings.dir, &[again], now).unwrap();
    assert_eq!(state(&surroundings), TrustState::Trusted);
}

#[test]
fn a_fault_of_a_definition_is_told_to_who_needs_it_and_to_no_one_else() {
    let surroundings = Surroundings::new().project(&defining("ours", json!({ "header": "x" })));
    let settings = surroundings.load().unwrap();
    let fault = settings
        .project
        .claim("ours")
        .unwrap()
        .1
        .as_ref()
        .unwrap_err();
    assert_eq!(fault.path, "providers.ours.origins");
    assert!(settings.providers.contains_key("anthropic"));
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
        let read = &file(&settings).wants[0].reads[0];
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
fn a_list_says_of_each_host_all_that_it_gets() {
    let gets = |patch: Value, role: &str| {
        let settings = Surroundings::new()
            .project(&defining("ours", patch))
            .load()
            .unwrap();
        let hosts = &file(&settings).wants[0].hosts;
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
fn no_address_hides_in_its_query_who_gets_the_code() {
    for name in [
        "redirect_uri",
        "Redirect_URI",
        "redirect_uri[]",
        "%20redirect_uri",
        "client_id",
        "code_challenge",
        "request_uri",
        "REQUEST",
        "state",
    ] {
        let page = format!("https://honest.example/a?tenant=1&{name}=https://evil.example/");
        let fault = fault_of(
            json!({ "authorizationEndpoint": page, "tokenEndpoint": "https://honest.example/t" }),
        );
        assert_eq!(fault.path, "providers.acme.authorizationEndpoint", "{name}");
        let name = name.replace("%20", " ");
        let fault = fault_of(json!({ "params": { "authorize": { name.clone(): "x" } } }));
        assert!(
            fault.path.starts_with("providers.acme.params.authorize"),
            "{name}: {fault}"
        );
    }
    let tenant = json!({ "authorizationEndpoint": "https://honest.example/a?tenant=1", "tokenEndpoint": "https://honest.example/t?p=1" });
    let mut fine = acme();
    fine.as_object_mut()
        .unwrap()
        .extend(tenant.as_object().unwrap().clone());
    assert!(
        Surroundings::new()
            .load_with(json!({ "providers": { "acme": fine } }))
            .is_ok()
    );
}

#[test]
fn a_project_lets_no_logins_stand_in_for_one_another() {
    let rotating = |rotate: bool| {
        defining(
            "openai",
            json!({ "rotation": { "rotate": rotate, "strategy": "balanced" } }),
        )
    };
    let own = Surroundings::new()
        .user(&rotating(false))
        .project(&rotating(true));
    let settings = own.load().unwrap();
    let openai = provider(&settings, "openai");
    assert!(!openai.rotation.rotate && !openai.rotation.pool_logins);
    assert!(
        settings.warnings[0].contains("rotate: no effect"),
        "{:?}",
        settings.warnings
    );
    let settings = own.user("").load().unwrap();
    assert!(!provider(&settings, "openai").rotation.pool_logins);
    let narrowed = Surroundings::new()
        .user(&rotating(true))
        .project(&rotating(false));
    let openai = provider(&narrowed.load().unwrap(), "openai");
    assert!(!openai.rotation.rotate && !openai.rotation.pool_logins);
}

#[test]
fn a_file_that_is_far_too_long_costs_nobody_any_time() {
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
    assert_eq!(file(&settings).wants[0].hosts.len(), 2_500);
    let told = file(&settings).told("ours");
    assert!(
        told.len() < 2_000 && told.ends_with("and 2489 things more"),
        "{told}"
    );
    let unknown = many(2_000, &|n| format!("\"unknown-key-number-{n}\":1"));
    let warnings = load(&format!("{{{unknown}}}")).unwrap().warnings;
    assert_eq!(warnings.len(), 2_000);
}

#[test]
fn a_file_that_is_not_there_yet_asks_once() {
    let patch = json!({ "tokenEndpoint": "https://t.example/", "authorizationEndpoint": "https://t.example/a", "origins": ["https://t.example"], "clientSecret": "{file:.secret}" });
    let surroundings = Surroundings::new()
        .project(&defining("ours", patch))
        .trusted();
    let surroundings = surroundings.file("repo/.secret", "S3CRET");
    assert_eq!(
        file(&surroundings.load().unwrap()).state,
        TrustState::Trusted
    );
}

#[cfg(unix)]
mod files_of_others {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    /// Another user, where this one may give files away.
    const OTHER: u32 = 65_534;

    /// Only root can give a file to another user; continuous integration is root.
    fn is_root() -> bool {
        let file = tempfile::NamedTempFile::new().unwrap();
        chown(file.path(), Some(OTHER), None).is_ok()
    }

    fn state(surroundings: &Surroundings) -> TrustState {
        file(&surroundings.load().unwrap()).state
    }

    #[test]
    fn a_file_that_somebody_else_may_have_made_does_not_count() {
        let chosen = defining("anthropic", json!({ "rotation": { "mode": "api" } }));
        let surroundings = Surroundings::new().project(&chosen);
        let path = surroundings.at("repo/provider-auth.jsonc");
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let rotates = || {
            provider(&surroundings.load().unwrap(), "anthropic")
                .rotation
                .mode
        };
        assert_eq!(rotates(), Mode::Api);
        mode(0o666);
        assert_eq!(rotates(), Mode::Auto);
        assert!(matches!(state(&surroundings), TrustState::Ignored(why) if why.contains("chmod")));
        let warnings = surroundings.load().unwrap().warnings;
        assert!(
            warnings[0].contains("repo/provider-auth.jsonc: this file does not count"),
            "{warnings:?}"
        );
        mode(0o644);
        if is_root() {
            chown(&path, Some(OTHER), None).unwrap();
            assert_eq!(rotates(), Mode::Auto);
            assert!(
                matches!(state(&surroundings), TrustState::Ignored(why) if why.contains("another user"))
            );
            // Who became root with sudo is the user.
            let by_sudo = surroundings.with("SUDO_UID", &OTHER.to_string());
            assert_eq!(state(&by_sudo), TrustState::Unneeded);
            chown(&path, Some(0), Some(0)).unwrap();
            // A group of one's own has no other members.
            chown(&path, Some(OTHER), Some(OTHER)).unwrap();
            mode(0o664);
            assert_eq!(state(&by_sudo), TrustState::Unneeded);
            chown(&path, Some(OTHER), Some(1)).unwrap();
            assert!(matches!(state(&by_sudo), TrustState::Ignored(_)));
        }
    }

    #[test]
    fn a_git_folder_that_somebody_else_may_have_made_makes_no_repository() {
        let surroundings = Surroundings::new().project(&defining("ours", acme()));
        let git = surroundings.at("repo/.git");
        let counts = || {
            let project = surroundings.load().unwrap().project;
            let is_told = project.files.iter().any(|file| file.file == git);
            assert_ne!(is_told, project.claim("ours").is_some());
            !is_told
        };
        assert!(counts());
        fs::set_permissions(&git, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(!counts());
        fs::set_permissions(&git, fs::Permissions::from_mode(0o755)).unwrap();
        if is_root() {
            chown(&git, Some(OTHER), None).unwrap();
            assert!(!counts());
        }
    }

    #[test]
    fn of_files_only_the_users_own_behind_no_link_are_read() {
        let surroundings = Surroundings::new()
            .with("PROVIDER_AUTH_KEY", "S3CRET")
            .file("home/own", "own")
            .file("repo/own", "own")
            .file("home/long", &"x".repeat(70_000));
        fs::create_dir(surroundings.at("home/.ssh")).unwrap();
        let surroundings = surroundings.file("home/.ssh/id", "S3CRET");
        symlink("/proc/self/environ", surroundings.at("repo/environ")).unwrap();
        symlink(
            surroundings.at("home/.ssh/id"),
            surroundings.at("repo/notes.txt"),
        )
        .unwrap();
        symlink(surroundings.at("home/.ssh"), surroundings.at("repo/folder")).unwrap();
        symlink("/proc/self", surroundings.at("repo/self")).unwrap();
        symlink(
            surroundings.at("home/.ssh/id"),
            surroundings.at("home/link"),
        )
        .unwrap();
        assert!(
            std::process::Command::new("mkfifo")
                .arg(surroundings.at("repo/pipe"))
                .status()
                .unwrap()
                .success()
        );
        let check = |text: &str, refusal: Option<&str>, shows: &str| {
            let patch = json!({ "tokenEndpoint": "https://t.example/", "authorizationEndpoint": "https://t.example/a", "origins": ["https://t.example"], "clientSecret": text });
            fs::write(
                surroundings.at("repo/provider-auth.jsonc"),
                defining("ours", patch),
            )
            .unwrap();
            let settings = surroundings.load().unwrap();
            let read = &file(&settings).wants[0].reads[0];
            assert!(read.name.ends_with(shows), "{text}: {}", read.name);
            assert_eq!(
                read.refusal.is_some(),
                refusal.is_some(),
                "{text}: {:?}",
                read.refusal
            );
            let asking = [file(&settings).clone()];
            TrustedFiles::trust(&settings.dir, &asking, Timestamp::from_millis(1)).unwrap();
            let settings = surroundings.load().unwrap();
            let secret = provider(&settings, "ours").client_secret.clone().unwrap();
            let outcome = resolve_secret(&secret, &surroundings).map(|_| ());
            match (outcome, refusal) {
                (Ok(()), None) => {}
                (Err(fault), Some(why)) => {
                    assert!(fault.why.contains(why), "{text}: {fault}");
                    assert_eq!(fault.path, "providers.ours.clientSecret");
                }
                (outcome, _) => panic!("{text}: {outcome:?}"),
            }
        };
        check("{file:~/own}", None, "home/own");
        check("{file:own}", None, "repo/own");
        check("{file:../home/own}", None, "home/own");
        check(
            "{file:notes.txt}",
            Some("is reached by a link"),
            "home/.ssh/id",
        );
        check(
            "{file:folder/id}",
            Some("is reached by a link"),
            "home/.ssh/id",
        );
        check(
            "{file:~/link}",
            Some("is reached by a link"),
            "home/.ssh/id",
        );
        check("{file:environ}", Some("made by the system"), "environ");
        check("{file:self/environ}", Some("made by the system"), "environ");
        check(
            "{file:/proc/self/environ}",
            Some("made by the system"),
            "environ",
        );
        check("{file:/dev/stdin}", Some("made by the system"), "");
        check(
            "{file:/sys/kernel/uevent_seqnum}",
            Some("made by the system"),
            "uevent_seqnum",
        );
        check("{file:pipe}", Some("is not a regular file"), "repo/pipe");
        check(
            "{file:~/long}",
            Some("is longer than 65536 bytes"),
            "home/long",
        );
        check("{file:~/absent}", Some("cannot be read"), "home/absent");
        check("{file:/proc/self/cwd/own}", Some("made by the system"), "");
        check(
            "{file:~/.local/share/provider-auth/trust.json}",
            Some("one of provider-auth's own"),
            "trust.json",
        );
        fs::write(
            surroundings.at("home/.local/share/provider-auth.key"),
            "S3CRET",
        )
        .unwrap();
        check(
            "{file:~/.local/share/provider-auth.key}",
            Some("one of provider-auth's own"),
            "provider-auth.key",
        );
        fs::hard_link(
            surroundings.at("home/.ssh/id"),
            surroundings.at("repo/hard"),
        )
        .unwrap();
        check("{file:hard}", Some("hard links"), "repo/hard");
        fs::remove_file(surroundings.at("repo/hard")).unwrap();
        check(
            "{env:PROVIDER_AUTH_KEY}",
            Some("keeps its own secrets"),
            "PROVIDER_AUTH_KEY",
        );
        check(
            "{env:provider_auth_passphrase}",
            Some("keeps its own secrets"),
            "provider_auth_passphrase",
        );
        check(
            "{env:OPENCODE_VAULT_KEY}",
            Some("keeps its own secrets"),
            "OPENCODE_VAULT_KEY",
        );
        if is_root() {
            chown(surroundings.at("home/own"), Some(OTHER), None).unwrap();
            check("{file:~/own}", Some("belongs to another user"), "home/own");
        }
    }

    #[test]
    fn a_home_that_is_a_link_hides_none_below_it() {
        let surroundings = Surroundings::new().file("home/store", "S3CRET");
        fs::create_dir(surroundings.at("home/real")).unwrap();
        fs::rename(
            surroundings.at("home/store"),
            surroundings.at("home/real/store"),
        )
        .unwrap();
        symlink(surroundings.at("home/real"), surroundings.at("home/linked")).unwrap();
        symlink(surroundings.at("home"), surroundings.at("house")).unwrap();
        let through = format!(
            "{{file:{}}}",
            surroundings.at("house/linked/store").display()
        );
        let true_home = format!(
            "{{file:{}}}",
            surroundings.at("home/linked/store").display()
        );
        for text in [through, true_home] {
            let patch = json!({ "tokenEndpoint": "https://t.example/", "authorizationEndpoint": "https://t.example/a", "origins": ["https://t.example"], "clientSecret": text });
            fs::write(
                surroundings.at("repo/provider-auth.jsonc"),
                defining("ours", patch),
            )
            .unwrap();
            let settings = load(
                &HomeAt(&surroundings, surroundings.at("house")),
                &Inline::default(),
            )
            .unwrap();
            let refusal = file(&settings).wants[0].reads[0].refusal.clone();
            assert!(
                refusal.is_some_and(|why| why.contains("by a link")),
                "{text}"
            );
        }
    }

    /// The same surroundings with another home folder.
    struct HomeAt<'a>(&'a Surroundings, PathBuf);

    impl Env for HomeAt<'_> {
        fn var(&self, name: &str) -> Option<String> {
            self.0.var(name)
        }

        fn home_dir(&self) -> Option<PathBuf> {
            Some(self.1.clone())
        }

        fn current_dir(&self) -> Option<PathBuf> {
            self.0.current_dir()
        }
    }

    #[test]
    fn what_is_shown_holds_nothing_that_a_terminal_acts_on() {
        let name = "a\u{1b}[2J\u{202e}\rb";
        let surroundings = Surroundings::new();
        fs::create_dir(surroundings.at("repo").join(name)).unwrap();
        let surroundings = surroundings.file(&format!("repo/{name}/provider-auth.jsonc"), &defining("ours", json!({ "origins": ["https://t.example"], "tokenEndpoint": "https://t.example/", "authorizationEndpoint": "https://t.example/", "clientSecret": format!("{{file:{name}}}") })));
        let inside = Surroundings {
            here: surroundings.at(&format!("repo/{name}")),
            ..surroundings
        };
        let settings = inside.load().unwrap();
        let file = file(&settings);
        let broken = |text: &str| text.chars().any(|c| c.is_control() || c == '\u{202e}');
        assert!(!broken(&file.told("ours")), "{:?}", file.told("ours"));
        assert!(
            !broken(&settings.warnings.concat()),
            "{:?}",
            settings.warnings
        );
        let secret = settings
            .project
            .claim("ours")
            .unwrap()
            .1
            .as_ref()
            .unwrap()
            .client_secret
            .clone()
            .unwrap();
        let fault = resolve_secret(&secret, &inside).unwrap_err();
        assert!(!broken(&fault.to_string()), "{fault:?}");
        let oci = inside.file(&format!("repo/{name}/oci-auth.config.jsonc"), "{}");
        let settings = oci.load().unwrap();
        let fault = provider(&settings, "oci-oidc").fault.clone().unwrap();
        assert!(!broken(&fault.to_string()), "{fault:?}");
    }
}
