//! How long a person's trust in a project's file lasts.

use provider_auth_policy::Timestamp;
use serde_json::json;

use super::*;

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
fn trust_that_was_taken_back_or_whose_file_is_damaged_does_not_count() {
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
        let warnings = surroundings.load().unwrap().warnings;
        let is_told = |warning: &String| warning.contains("trust.json is damaged");
        // An empty list is a list.
        assert!(
            damage == "[]" || warnings.iter().any(is_told),
            "{damage:?}: {warnings:?}"
        );
    }
    fs::write(&path, kept).unwrap();
    assert_eq!(state(&surroundings), TrustState::Trusted);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o666);
        assert_eq!(state(&surroundings), TrustState::Untrusted);
        let warnings = surroundings.load().unwrap().warnings;
        let is_told = |warning: &String| warning.starts_with("no project file is trusted");
        assert!(warnings.iter().any(is_told), "{warnings:?}");
        mode(0o600);
    }
    let files = [file(&settings).file.clone()];
    TrustedFiles::untrust(&settings.dir, &files).unwrap();
    assert_eq!(state(&surroundings), TrustState::Untrusted);
    let again = file(&settings).clone();
    let now = Timestamp::from_millis(1);
    TrustedFiles::trust(&settings.dir, &[again.trusted_at(now)]).unwrap();
    assert_eq!(state(&surroundings), TrustState::Trusted);
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
