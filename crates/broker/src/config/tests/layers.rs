//! What the layers make together, and what a project file may not say.

use provider_auth_oauth::ClientAuth;
use provider_auth_policy::{Mode, Rotation, Strategy};
use secrecy::ExposeSecret as _;
use serde_json::json;
use url::Url;

use super::*;

#[test]
fn without_any_config_the_built_in_providers_are_there_and_hold_no_client() {
    let settings = Surroundings::new().load().unwrap();
    let ids: Vec<&str> = settings.providers.keys().map(String::as_str).collect();
    assert_eq!(
        ids,
        [
            "anthropic",
            "azure",
            "cursor",
            "github-copilot",
            "google",
            "oci-oidc",
            "openai",
            "qwen"
        ]
    );
    for provider in settings.providers.values() {
        assert!(provider.client_id.is_none() && provider.client_secret.is_none());
        assert_eq!(provider.client_auth, ClientAuth::None);
        // OpenAI's documents do not offer to go on with another plan.
        let pool_logins = &*provider.id != "openai";
        let rotation = Rotation {
            pool_logins,
            ..Rotation::default()
        };
        assert_eq!(provider.rotation, rotation);
        assert_eq!(provider.origin_of_definition, Provenance::BuiltIn);
        for header in ["authorization", "x-api-key", "x-goog-api-key", "api-key"] {
            assert!(
                provider.strip.iter().any(|name| name == header),
                "{} leaves {header}",
                provider.id
            );
        }
    }
    let anthropic = provider(&settings, "anthropic");
    assert_eq!(
        anthropic.api_header,
        HeaderTemplate {
            name: "x-api-key".into(),
            scheme: String::new(),
            form: CredentialForm::Plain,
        }
    );
    assert_eq!(
        anthropic.oauth_header,
        HeaderTemplate {
            name: "authorization".into(),
            scheme: "Bearer".into(),
            form: CredentialForm::Plain,
        }
    );
    assert_eq!(
        lists(&anthropic),
        ["https://api.anthropic.com/v1/models?limit=1000"]
    );
    let google = provider(&settings, "google");
    assert_eq!(
        lists(&google),
        ["https://generativelanguage.googleapis.com/v1beta/models?pageSize=1000"]
    );
    assert_eq!(
        google
            .server
            .as_ref()
            .unwrap()
            .token_endpoint
            .as_ref()
            .unwrap()
            .as_str(),
        "https://oauth2.googleapis.com/token"
    );
    assert!(provider(&settings, "oci-oidc").origins.is_empty());
    assert!(settings.warnings.is_empty());
}

#[test]
fn later_layers_win_key_by_key() {
    let user = json!({ "providers": { "acme": {
        "issuer": "https://id.acme.example", "origins": ["https://api.acme.example"], "clientId": "user", "scopes": ["a", "b"],
        "params": { "authorize": { "prompt": "login", "audience": "user" } },
        "rotation": { "strategy": "balanced", "maxAttempts": 3, "maxWaitMs": 1000 }
    } } });
    let project = json!({ "providers": { "acme": { "rotation": { "strategy": "fill-first", "maxAttempts": 4 } } } });
    let inline = json!({ "providers": { "acme": {
        "clientId": "inline", "scopes": ["c"], "params": { "authorize": { "audience": "inline" }, "token": { "x": "y" } },
        "rotation": { "maxAttempts": 5, "mode": "api", "rotate": false, "holdUntilReset": true }
    } } });
    let surroundings = Surroundings::new()
        .user(&user.to_string())
        .project(&project.to_string());
    let acme = provider(&surroundings.load_with(inline).unwrap(), "acme");
    assert_eq!(acme.client_id.as_deref(), Some("inline"));
    assert_eq!(acme.scopes, ["c"]);
    assert_eq!(origins(&acme), ["https://api.acme.example"]);
    let server = acme.server.as_ref().unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        server.dialect.authorize,
        [pair("audience", "inline"), pair("prompt", "login")]
    );
    assert_eq!(server.dialect.token.params, [pair("x", "y")]);
    assert_eq!(
        acme.rotation,
        Rotation {
            mode: Mode::Api,
            strategy: Strategy::FillFirst,
            rotate: false,
            pool_logins: false,
            max_attempts: Some(5),
            max_wait: std::time::Duration::from_secs(1),
            hold_until_reset: true,
        }
    );
    assert_eq!(acme.origin_of_definition, Provenance::Inline);
    let acme = provider(&surroundings.load().unwrap(), "acme");
    assert_eq!(
        acme.origin_of_definition,
        Provenance::User(surroundings.at("home/user.jsonc"))
    );
    assert_eq!(acme.rotation.max_attempts, Some(4));
}

#[test]
fn every_documented_key_takes_effect() {
    let settings = Surroundings::new()
        .load_with(json!({ "providers": { "acme": {
            "extends": "generic",
            "issuer": "https://id.acme.example/tenant",
            "authorizationEndpoint": "https://id.acme.example/authorize",
            "tokenEndpoint": "https://id.acme.example/token",
            "deviceAuthorizationEndpoint": "https://id.acme.example/device",
            "revocationEndpoint": "https://id.acme.example/revoke",
            "clientId": "id",
            "clientSecret": "secret",
            "clientAuth": "post",
            "scopes": ["openid", "urn:acme:all"],
            "params": { "authorize": { "a": "1" }, "device": { "b": "2", "response_type": "device_code" }, "token": { "c": "3" }, "refresh": { "d": "4" } },
            "redirectUri": "http://127.0.0.1:1455/callback",
            "fallbackRedirectUris": ["http://127.0.0.1:1457/callback"],
            "origins": ["https://api.acme.example", "http://127.0.0.1:4000"],
            "header": "X-Acme-Key",
            "scheme": "",
            "modelsUrl": "http://127.0.0.1:4000/list",
            "namespace": "work",
            "account": "ada",
            "rotation": { "mode": "subscription", "strategy": "round-robin", "rotate": true, "maxAttempts": 2, "maxWaitMs": 0, "holdUntilReset": false }
        } } }))
        .unwrap();
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
    let acme = provider(&settings, "acme");
    let server = acme.server.as_ref().unwrap();
    let url = |url: &Option<url::Url>| url.as_ref().unwrap().to_string();
    assert_eq!(url(&server.issuer), "https://id.acme.example/tenant");
    assert_eq!(
        url(&server.authorization_endpoint),
        "https://id.acme.example/authorize"
    );
    assert_eq!(url(&server.token_endpoint), "https://id.acme.example/token");
    assert_eq!(
        url(&server.device_authorization_endpoint),
        "https://id.acme.example/device"
    );
    assert_eq!(
        url(&server.revocation_endpoint),
        "https://id.acme.example/revoke"
    );
    let params = [
        &server.dialect.authorize,
        &server.dialect.device.params,
        &server.dialect.token.params,
        &server.dialect.refresh.params,
    ];
    assert_eq!(
        params.map(|params| params[0].1.as_str()),
        ["1", "2", "3", "4"]
    );
    assert_eq!(acme.client_auth, ClientAuth::Post);
    assert_eq!(url(&acme.redirect_uri), "http://127.0.0.1:1455/callback");
    assert_eq!(acme.fallback_redirect_uris[0].port(), Some(1457));
    assert_eq!(lists(&acme), ["http://127.0.0.1:4000/list"]);
    let bare = HeaderTemplate {
        name: "x-acme-key".into(),
        scheme: String::new(),
        form: CredentialForm::Plain,
    };
    assert_eq!((&acme.api_header, &acme.oauth_header), (&bare, &bare));
    assert!(
        acme.strip.contains(&"x-acme-key".to_owned())
            && acme.strip.contains(&"authorization".to_owned())
    );
    assert_eq!(acme.pool(None), "work");
    assert_eq!(acme.account.as_deref(), Some("ada"));
    assert_eq!(acme.rotation.mode, Mode::Subscription);
    assert_eq!(acme.rotation.strategy, Strategy::RoundRobin);
    assert!(acme.rotation.max_wait.is_zero());
}

#[test]
fn what_is_not_said_follows_from_what_is() {
    let settings = Surroundings::new()
        .load_with(json!({ "providers": {
            "public": acme(),
            "confidential": { "issuer": "https://a.example", "origins": ["https://a.example"], "clientSecret": "s" },
            "google": { "clientId": "id", "clientSecret": "s" },
            "workforce": { "extends": "google", "issuer": "https://id.example", "origins": ["https://gateway.example"] },
            "custom": { "origins": ["https://a.example"], "header": "x-token" },
            "anthropic": { "origins": ["http://127.0.0.1:8080"] }
        } }))
        .unwrap();
    assert_eq!(provider(&settings, "public").client_auth, ClientAuth::None);
    assert_eq!(
        lists(&provider(&settings, "public")),
        [
            "https://api.acme.example/models",
            "https://api.acme.example/v1/models"
        ]
    );
    assert_eq!(
        provider(&settings, "confidential").client_auth,
        ClientAuth::Basic
    );
    assert_eq!(provider(&settings, "google").client_auth, ClientAuth::Post);
    assert!(
        provider(&settings, "google")
            .server
            .as_ref()
            .unwrap()
            .token_endpoint
            .is_some()
    );
    let workforce = provider(&settings, "workforce");
    let server = workforce.server.as_ref().unwrap();
    assert!(
        server.token_endpoint.is_none() && server.revocation_endpoint.is_none(),
        "another issuer is another server"
    );
    assert_eq!(
        lists(&workforce),
        ["https://gateway.example/v1beta/models?pageSize=1000"]
    );
    assert_eq!(provider(&settings, "custom").api_header.scheme, "Bearer");
    assert!(provider(&settings, "custom").server.is_none());
    assert_eq!(
        provider(&settings, "anthropic").api_header.name,
        "x-api-key"
    );
}

#[test]
fn the_environment_says_where_things_are_and_configure_outranks_it() {
    let surroundings = Surroundings::new()
        .with("PROVIDER_AUTH_DIR", "~/vault")
        .with("PROVIDER_AUTH_KEY_SOURCE", "env")
        .with("OPENCODE_VAULT_KEY", "old")
        .with("PROVIDER_AUTH_PASSPHRASE", "")
        .with("PROVIDER_AUTH_PASSPHRASE_FILE", "phrase")
        .with("CREDENTIALS_DIRECTORY", "/run/credentials")
        .with("PROVIDER_AUTH_LOG", "trace")
        .with("PROVIDER_AUTH_LOG_FILE", "/tmp/log")
        .with("PROVIDER_AUTH_ALLOW_NETWORK_FS", "1");
    let settings = surroundings.load().unwrap();
    assert_eq!(settings.dir, surroundings.at("home/vault"));
    assert_eq!(settings.key_source, KeySource::Env);
    assert_eq!(settings.key.key.as_ref().unwrap().expose_secret(), "old");
    assert!(
        settings.key.passphrase.is_none(),
        "an empty variable is unset"
    );
    assert_eq!(
        settings.key.passphrase_file,
        Some(surroundings.here.join("phrase"))
    );
    assert_eq!(
        settings.key.credentials_directory,
        Some(PathBuf::from("/run/credentials"))
    );
    assert_eq!(
        settings.log,
        LogSettings {
            level: LogLevel::Trace,
            file: Some("/tmp/log".into())
        }
    );

    let inline = Inline {
        dir: Some("/srv/vault".into()),
        key_source: Some("memory".into()),
        log_level: Some("none".into()),
        log_file: Some("log".into()),
        allow_network_fs: Some(false),
        ..Inline::default()
    };
    assert!(settings.allow_network_fs);
    let settings = load(&surroundings.with("PROVIDER_AUTH_KEY", "new"), &inline).unwrap();
    assert!(!settings.allow_network_fs);
    assert_eq!(settings.dir, PathBuf::from("/srv/vault"));
    assert_eq!(settings.key_source, KeySource::Memory);
    assert_eq!(settings.key.key.as_ref().unwrap().expose_secret(), "new");
    assert_eq!(settings.log.level, LogLevel::None);
}

#[test]
fn an_mcp_server_is_configured_by_its_address() {
    let config = json!({ "providers": { "notes": {
        "extends": "mcp", "resource": "https://MCP.notes.example/mcp?key=S3CRET#x",
    } } });
    let notes = provider(&Surroundings::new().load_with(config).unwrap(), "notes");
    let resource = notes.resource.as_ref().map(Url::as_str);
    assert_eq!(resource, Some("https://mcp.notes.example/mcp"));
    assert_eq!(origins(&notes), ["https://mcp.notes.example"]);
    assert!(notes.server.is_some() && !notes.discovers);
}

#[test]
fn extra_origins_stand_behind_those_of_the_provider_in_every_layer() {
    let inline = json!({ "providers": {
        "anthropic": { "extraOrigins": ["http://127.0.0.1:8080", "https://api.anthropic.com"] },
        "openai": { "origins": ["https://a.example"], "extraOrigins": ["https://b.example"] },
        "gateway": { "extraOrigins": ["https://c.example"] },
    } });
    let users =
        json!({ "providers": { "anthropic": { "extraOrigins": ["https://gateway.example"] } } });
    let settings = Surroundings::new()
        .user(&users.to_string())
        .load_with(inline)
        .unwrap();
    assert_eq!(
        origins(&provider(&settings, "anthropic")),
        [
            "https://api.anthropic.com",
            "https://gateway.example",
            "http://127.0.0.1:8080"
        ]
    );
    assert_eq!(
        origins(&provider(&settings, "openai")),
        ["https://a.example", "https://b.example"]
    );
    assert_eq!(
        origins(&provider(&settings, "gateway")),
        ["https://c.example"]
    );
}
