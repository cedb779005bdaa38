//! The configuration from files to settings, over real folders and an environment made up for each
//! test.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

mod combinations;
mod contract;
mod dialect;
mod disclosure;
mod faults;
mod files;
mod fuzz;
mod layers;
mod named;
mod oci;
#[cfg(unix)]
mod ownership;
mod project;
mod report;
mod unused_keys;

mod secrets;
mod store;
mod trust;

/// A home folder, a project in a repository, and variables.
struct Surroundings {
    root: TempDir,
    vars: BTreeMap<String, String>,
    here: PathBuf,
}

impl Surroundings {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let here = root.path().join("repo/inner");
        for folder in [
            root.path().join("home"),
            root.path().join("repo/.git"),
            here.clone(),
        ] {
            fs::create_dir_all(folder).unwrap();
        }
        Self {
            root,
            vars: BTreeMap::new(),
            here,
        }
        .with("PROVIDER_AUTH_CONFIG", "~/user.jsonc")
        .user("")
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.vars.insert(name.to_owned(), value.to_owned());
        self
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn file(self, path: &str, text: &str) -> Self {
        fs::write(self.at(path), text).unwrap();
        self
    }

    fn user(self, text: &str) -> Self {
        self.file("home/user.jsonc", text)
    }

    fn project(self, text: &str) -> Self {
        self.file("repo/provider-auth.jsonc", text)
    }

    /// As after a person has trusted the files of the project.
    fn trusted(self) -> Self {
        let settings = self.load().unwrap();
        let now = provider_auth_policy::Timestamp::from_millis(1);
        let files = settings.project.files.iter();
        let asking = files.filter(|file| file.asks_for_trust());
        let asking: Vec<_> = asking.map(|file| file.trusted_at(now)).collect();
        TrustedFiles::trust(&settings.dir, &asking).unwrap();
        self
    }

    fn load(&self) -> Result<Settings, ConfigError> {
        load(self, &Inline::default())
    }

    fn load_with(&self, config: Value) -> Result<Settings, ConfigError> {
        load(
            self,
            &Inline {
                config: Some(config),
                ..Inline::default()
            },
        )
    }
}

impl Env for Surroundings {
    fn var(&self, name: &str) -> Option<String> {
        self.vars.get(name).cloned()
    }

    fn home_dir(&self) -> Option<PathBuf> {
        Some(self.at("home"))
    }

    fn current_dir(&self) -> Option<PathBuf> {
        Some(self.here.clone())
    }
}

/// A provider that lacks nothing.
fn acme() -> Value {
    json!({ "issuer": "https://id.acme.example", "origins": ["https://api.acme.example"], "clientId": "acme-client" })
}

#[track_caller]
fn provider(settings: &Settings, id: &str) -> Arc<Provider> {
    let provider = settings.provider(id, || false);
    provider.expect("the provider is there").unwrap()
}

fn lists(provider: &Provider) -> Vec<&str> {
    provider.models_urls.iter().map(url::Url::as_str).collect()
}

fn origins(provider: &Provider) -> Vec<&str> {
    provider.origins.iter().map(Origin::as_str).collect()
}

/// The fault of acme with these keys set.
#[track_caller]
fn fault_of(keys: Value) -> ConfigError {
    let mut acme = acme();
    acme.as_object_mut()
        .unwrap()
        .extend(keys.as_object().unwrap().clone());
    let config = json!({ "providers": { "acme": acme } });
    Surroundings::new().load_with(config).expect_err("a fault")
}

/// A file that sets these keys of a provider.
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

#[track_caller]
fn check_fault(keys: Value, path: &str, why: &str) {
    let fault = fault_of(keys);
    assert_eq!(fault.path, path, "{fault}");
    assert!(fault.why.contains(why), "{fault}");
    assert_eq!((fault.file, fault.line), (None, None));
}

/// A value for each key of a provider.
fn sample(key: &str) -> Value {
    match key {
        "extends" => json!("generic"),
        "resource" => json!("https://mcp.example.com/mcp"),
        "issuer" => json!("https://id.example"),
        "jwksUri" => json!("https://id.example/keys"),
        "assertion" | "clientSecret" | "privateKey" => json!("{env:SOME}"),
        "clientAuth" => json!("none"),
        "grants" => json!(["authorization_code", "device_code", "jwt_bearer"]),
        "scopes" => json!(["a"]),
        "redirectUri" => json!("http://127.0.0.1:4000/"),
        "fallbackRedirectUris" => json!(["http://127.0.0.1:4001/"]),
        "origins" | "extraOrigins" => json!(["https://mcp.example.com"]),
        "header" => json!("x-key"),
        "scheme" => json!("Token"),
        "headers" => json!({ "x-one": "1" }),
        "strip" => json!(["x-two"]),
        "modelsUrl" => json!("https://mcp.example.com/list"),
        "modelsShape" => json!({ "id": "/name" }),
        "limits" => json!([{ "status": 418, "means": "throttled" }]),
        "rotation" => json!({ "maxAttempts": 2 }),
        "params" => json!({ "authorize": { "a": "b" } }),
        "dialect" => json!({ "requiredScope": "a" }),
        key if key.ends_with("Endpoint") => json!("https://id.example/endpoint"),
        "privateKeyId" | "clientId" | "namespace" | "account" => json!("some"),
        other => panic!("give {other} a value"),
    }
}
