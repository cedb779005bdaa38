//! Files that another user may have made or that lead elsewhere: what a project's file may not be,
//! and may not have read.

use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use provider_auth_policy::{Mode, Timestamp};
use serde_json::json;

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
fn a_file_that_another_user_may_have_made_does_not_count() {
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
fn a_git_folder_that_another_user_may_have_made_makes_no_repository() {
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
        let read = &file(&settings).providers[0].reads[0];
        assert!(read.name.ends_with(shows), "{text}: {}", read.name);
        assert_eq!(
            read.refusal.is_some(),
            refusal.is_some(),
            "{text}: {:?}",
            read.refusal
        );
        let asking = [file(&settings).trusted_at(Timestamp::from_millis(1))];
        TrustedFiles::trust(&settings.dir, &asking).unwrap();
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
        let refusal = file(&settings).providers[0].reads[0].refusal.clone();
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
    assert!(!broken(&file.summary("ours")), "{:?}", file.summary("ours"));
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
