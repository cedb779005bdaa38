//! What a project's file may say without a person's trust, and with it.

use provider_auth_policy::Mode;
use serde_json::json;

use super::*;
use crate::config::keys::{Role, Table as _};
use crate::config::provider_keys::ProviderKeys;

/// All keys of a provider that say more than how accounts are chosen, each with a value.
fn defining_keys() -> impl Iterator<Item = (&'static str, Value)> {
    let all = ProviderKeys::KEYS.iter();
    let defining = all.filter(|key| !key.has(Role::ChoosesAccounts));
    defining.map(|key| (key.name, sample(key.name)))
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
            assert_eq!(claimed.asks_for_trust(), made.is_ok());
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
