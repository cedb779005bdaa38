//! Altered config files: settings that keep to the rules, or a fault that says where.

use provider_auth_fuzz::Target;
use provider_auth_oauth::is_https_or_loopback;

use super::*;
use crate::config::keys::Table as _;
use crate::config::provider_keys::{self, ProviderKeys, RotationKeys};
use crate::config::{dialect, oci};

/// What stands in config files beside the keys that the parser knows.
const WORDS: &[&str] = &[
    "providers",
    "acme",
    "openai",
    "anthropic",
    "google",
    "mine",
    "generic",
    "rotation",
    "maxWait",
    "token",
    "refresh",
    "authorize",
    "device",
    "any",
    "mobile_app",
    "confidential_app",
    "<your-client-id>",
    "https://evil.example",
    "http://127.0.0.1:80",
    "http://evil.example",
    "{env:HOME}",
    "{file:/etc/passwd}",
    "basic",
    "//",
    "/*",
    "*/",
    ",",
    "\u{feff}",
];

/// What the user's own file says while the project's is altered.
const USER: &str = r#"{"providers":{"acme":{"issuer":"https://id.acme.example","origins":["https://api.acme.example"],"clientId":"acme-client"}}}"#;

#[test]
fn no_config_file_breaks_the_rules_and_no_project_file_moves_a_known_provider() {
    let as_user = Surroundings::new();
    let as_project = Surroundings::new().user(USER);
    let as_oci = Surroundings::new().user(USER);
    let providers_of = |place: &Surroundings| -> BTreeMap<String, String> {
        let settings = place.load().unwrap();
        let providers = settings.providers.iter();
        providers
            .map(|(id, provider)| (id.clone(), unrotated(provider)))
            .collect()
    };
    let (known, beside_oci) = (providers_of(&as_project), providers_of(&as_oci));
    let words = [
        WORDS,
        ProviderKeys::NAMES,
        RotationKeys::NAMES,
        provider_keys::LimitKeys::NAMES,
        provider_keys::ModelsShapeKeys::NAMES,
        dialect::DialectKeys::NAMES,
        oci::KEYS,
    ]
    .concat();
    let target = Target::new("config", &words);
    let loaded = |place: &Surroundings, path: &str, text: &[u8]| {
        fs::write(place.at(path), text).unwrap();
        place.load()
    };
    let user = |text: &[u8]| loaded(&as_user, "home/user.jsonc", text);
    let project = |text: &[u8]| loaded(&as_project, "repo/provider-auth.jsonc", text);
    let oracle = |text: &[u8]| loaded(&as_oci, "repo/oci-auth.config.jsonc", text);
    assert_eq!(
        target
            .seeds()
            .iter()
            .filter(|seed| user(seed).is_ok())
            .count(),
        7
    );
    assert_eq!(
        target
            .seeds()
            .iter()
            .filter(|seed| project(seed).is_ok())
            .count(),
        8
    );
    target.run(|input| {
        let project = project(input);
        for (id, before) in &known {
            let Ok(project) = &project else { break };
            let after = provider(project, id);
            assert_eq!(unrotated(&after), *before, "a project file moves {id}");
        }
        format!(
            "{} {} {}",
            checked(project),
            checked(user(input)),
            checked_oci(oracle(input), &beside_oci)
        )
    });
}

/// Whatever Oracle Cloud's file of a project holds, it is about one provider, and writes nowhere.
fn checked_oci(loaded: Result<Settings, ConfigError>, known: &BTreeMap<String, String>) -> String {
    let settings = loaded.expect("a fault of one provider is none of the others");
    for (id, before) in known.iter().filter(|(id, _)| *id != "oci-oidc") {
        assert_eq!(unrotated(&provider(&settings, id)), *before);
    }
    assert_eq!(settings.log.file, None);
    let oci = provider(&settings, "oci-oidc");
    if let Some(fault) = &oci.fault {
        assert!(
            fault.file.is_some() && !fault.why.contains("S3CRET"),
            "{fault}"
        );
        return fault.why.chars().take(30).collect();
    }
    assert_eq!(
        unrotated(&oci),
        known["oci-oidc"],
        "without trust it has no effect"
    );
    checked(Ok(settings))
}

/// All that is said of a provider but how its accounts are chosen.
fn unrotated(provider: &Provider) -> String {
    let provider = Provider {
        rotation: Default::default(),
        namespace: None,
        account: None,
        ..provider.clone()
    };
    format!("{provider:?}")
}

/// Checks what holds for all settings and all faults, and says what became of the file.
fn checked(loaded: Result<Settings, ConfigError>) -> String {
    match loaded {
        Ok(settings) => {
            for provider in settings.providers.values() {
                let server = provider.server.iter();
                let endpoints = server.flat_map(|server| {
                    [
                        &server.issuer,
                        &server.authorization_endpoint,
                        &server.token_endpoint,
                        &server.device_authorization_endpoint,
                        &server.revocation_endpoint,
                    ]
                });
                assert!(
                    endpoints
                        .flatten()
                        .chain(&provider.models_urls)
                        .all(is_https_or_loopback)
                );
                let secret = format!("{:?}", provider.client_secret);
                assert!(
                    !secret.contains("Plain") || !secret.contains("S3CRET"),
                    "{secret}"
                );
                for origin in origins(provider) {
                    assert!(is_https_or_loopback(&origin.parse().unwrap()), "{origin}");
                }
            }
            format!(
                "{} providers, {} warnings",
                settings.providers.len(),
                settings.warnings.len()
            )
        }
        Err(fault) => {
            assert!(fault.file.is_some(), "{fault}");
            assert!(!fault.why.is_empty() && fault.line.is_some() == fault.column.is_some());
            assert!(!fault.why.contains("S3CRET"), "{fault}");
            fault.why.chars().take(30).collect()
        }
    }
}
