//! Which providers the configuration names.

use super::*;

fn named(settings: &Settings) -> Vec<&str> {
    settings.named.iter().map(String::as_str).collect()
}

#[test]
fn nothing_is_named_where_nothing_is_configured() {
    assert!(named(&Surroundings::new().load().unwrap()).is_empty());
}

#[test]
fn the_users_file_and_configure_name_providers_whatever_they_say_of_them() {
    let user = json!({ "providers": { "acme": acme(), "openai": {} } });
    let inline = json!({ "providers": { "google": { "rotation": { "mode": "api" } } } });
    let surroundings = Surroundings::new().user(&user.to_string());
    let settings = surroundings.load_with(inline).unwrap();
    assert_eq!(named(&settings), ["acme", "google", "openai"]);
}

#[test]
fn a_project_file_names_providers_once_it_is_trusted_or_asks_for_nothing() {
    let choosing = json!({ "providers": { "openai": { "account": "work" } } });
    let settings = Surroundings::new().project(&choosing.to_string());
    assert_eq!(named(&settings.load().unwrap()), ["openai"]);

    let defining = json!({ "providers": { "acme": acme(), "openai": { "account": "work" } } });
    let surroundings = Surroundings::new().project(&defining.to_string());
    assert!(named(&surroundings.load().unwrap()).is_empty());
    let settings = surroundings.trusted().load().unwrap();
    assert_eq!(named(&settings), ["acme", "openai"]);
}

#[test]
fn the_file_of_oci_names_its_provider_also_with_a_fault_and_not_where_it_is_missing() {
    let file = |text: &str| {
        let home = Surroundings::new();
        fs::create_dir_all(home.at("home/.config/opencode")).unwrap();
        home.file("home/.config/opencode/oci-auth.config.jsonc", text)
    };
    assert_eq!(named(&file("{").load().unwrap()), ["oci-oidc"]);
    assert_eq!(named(&file("{}").load().unwrap()), ["oci-oidc"]);
}
