//! `oci-auth.config.jsonc`: where it is looked for, what it makes, and what a project's one may not
//! do.

use std::path::Path;

use provider_auth_oauth::ClientAuth;
use serde_json::json;

use super::*;

const FILE: &str = "oci-auth.config.jsonc";

/// A file of a confidential application, with comments and trailing commas.
const CONFIDENTIAL: &str = r#"{
  // Oracle Cloud
  "domain_url": "https://idcs-1.identity.oraclecloud.com:443/",
  "client_id": "ours",
  "client_secret": "{file:~/.oci-secret}", /* not here */
  "redirect_uri": "http://localhost:8976/callback",
  "scope": "openid  offline_access urn:opc:idm:__myscopes__",
  "llm_base_url": "https://llm.example/openai/v1/",
  "auth_method": "confidential_app",
}"#;

const MOBILE: &str = r#"{ "domain_url": "https://idcs-1.identity.oraclecloud.com", "client_id": "ours",
  "llm_base_url": "https://llm.example", "auth_method": "mobile_app" }"#;

impl Surroundings {
    /// Writes the file of the user.
    fn users_oci(self, text: &str) -> Self {
        fs::create_dir_all(self.at("home/.config/opencode")).unwrap();
        self.file(&format!("home/.config/opencode/{FILE}"), text)
    }

    /// Writes the file of the project.
    fn projects_oci(self, text: &str) -> Self {
        self.file(&format!("repo/{FILE}"), text)
    }

    fn oci(&self) -> Arc<Provider> {
        provider(&self.load().unwrap(), "oci-oidc")
    }
}

#[test]
fn a_confidential_application_signs_in_on_its_domain_with_its_secret() {
    let oci = Surroundings::new().users_oci(CONFIDENTIAL).oci();
    let server = oci.server.as_ref().unwrap();
    let url = |url: &Option<url::Url>| url.as_ref().unwrap().to_string();
    let domain = "https://idcs-1.identity.oraclecloud.com";
    assert_eq!(url(&server.issuer), format!("{domain}/"));
    assert_eq!(
        url(&server.authorization_endpoint),
        format!("{domain}/oauth2/v1/authorize")
    );
    assert_eq!(
        url(&server.token_endpoint),
        format!("{domain}/oauth2/v1/token")
    );
    assert_eq!(
        url(&server.revocation_endpoint),
        format!("{domain}/oauth2/v1/revoke")
    );
    assert!(!oci.discovers, "the endpoints go by convention");
    assert_eq!(oci.client_id.as_deref(), Some("ours"));
    assert_eq!(oci.client_auth, ClientAuth::Basic);
    assert_eq!(url(&oci.redirect_uri), "http://localhost:8976/callback");
    assert_eq!(
        oci.scopes,
        ["openid", "offline_access", "urn:opc:idm:__myscopes__"]
    );
    assert_eq!(origins(&oci), ["https://llm.example"]);
    assert_eq!(lists(&oci), ["https://llm.example/openai/v1/models"]);
    assert_eq!(oci.grants, Some(vec![Grant::AuthorizationCode]));
    let secret = oci.client_secret.as_ref().unwrap();
    assert!(!secret.from_project);
    assert!(
        matches!(&secret.source, SecretSource::File(path) if path == Path::new("~/.oci-secret"))
    );
    assert!(oci.fault.is_none());
}

#[test]
fn a_mobile_application_signs_in_by_device_code_without_a_secret() {
    let oci = Surroundings::new().users_oci(MOBILE).oci();
    assert_eq!(oci.client_auth, ClientAuth::None);
    assert!(oci.client_secret.is_none());
    assert_eq!(oci.grants, Some(vec![Grant::DeviceCode]));
    assert_eq!(oci.scopes, ["openid", "offline_access"]);
}

#[test]
fn the_file_of_the_project_counts_before_that_of_the_user() {
    let named = |id: &str| MOBILE.replace("ours", id);
    let surroundings = Surroundings::new().users_oci(&named("users"));
    let oci = surroundings.oci();
    assert_eq!(oci.client_id.as_deref(), Some("users"));
    let users = surroundings.at(&format!("home/.config/opencode/{FILE}"));
    assert_eq!(oci.origin_of_definition, Provenance::User(users.clone()));

    let outside = surroundings.file(FILE, &named("outside"));
    assert_eq!(outside.oci().client_id.as_deref(), Some("users"));
    let both = outside.projects_oci(&named("root")).trusted();
    assert_eq!(both.oci().client_id.as_deref(), Some("root"));
    let inner = both
        .file(&format!("repo/inner/{FILE}"), &named("inner"))
        .trusted();
    let oci = inner.oci();
    assert_eq!(oci.client_id.as_deref(), Some("inner"));
    assert_eq!(
        oci.origin_of_definition,
        Provenance::Project(inner.at(&format!("repo/inner/{FILE}")))
    );

    let elsewhere = Surroundings::new().users_oci(&named("users"));
    let elsewhere = elsewhere.with("XDG_CONFIG_HOME", "/nowhere");
    assert!(elsewhere.oci().client_id.is_none());
    // OpenCode's own folder is the user's, also while one works in it.
    let mut at_home = Surroundings::new().users_oci(&named("users"));
    at_home.here = at_home.at("home/.config/opencode");
    assert!(matches!(
        at_home.oci().origin_of_definition,
        Provenance::User(_)
    ));
}

#[test]
fn config_jsonc_outranks_the_users_file_key_by_key() {
    let user = json!({ "providers": { "oci-oidc": { "clientId": "explicit" } } });
    let oci = Surroundings::new()
        .users_oci(MOBILE)
        .user(&user.to_string())
        .oci();
    assert_eq!(oci.client_id.as_deref(), Some("explicit"));
    assert_eq!(origins(&oci), ["https://llm.example"]);
    assert!(oci.fault.is_none());
}

#[test]
fn origins_of_config_jsonc_leave_the_files_list_of_models_behind() {
    let user = json!({ "providers": { "oci-oidc": { "origins": ["https://other.example"] } } });
    let oci = Surroundings::new()
        .users_oci(CONFIDENTIAL)
        .user(&user.to_string())
        .oci();
    assert_eq!(origins(&oci), ["https://other.example"]);
    let strange = |url: &&str| !url.starts_with("https://other.example/");
    assert_eq!(lists(&oci).into_iter().find(strange), None);
}

#[test]
fn a_project_file_changes_nothing_of_what_the_user_has_set() {
    let rotation =
        json!({ "providers": { "oci-oidc": { "rotation": { "strategy": "balanced" } } } });
    let free = Surroundings::new()
        .projects_oci(MOBILE)
        .user(&rotation.to_string())
        .trusted();
    let oci = free.oci();
    assert_eq!(oci.client_id.as_deref(), Some("ours"));
    assert_eq!(
        oci.rotation.strategy,
        provider_auth_policy::Strategy::Balanced
    );

    let own = json!({ "providers": { "oci-oidc": { "origins": ["https://mine.example"] } } });
    let settings = Surroundings::new()
        .projects_oci(CONFIDENTIAL)
        .user(&own.to_string())
        .load()
        .unwrap();
    assert!(!settings.project.files[0].asks_for_trust());
    assert!(settings.warnings[0].contains("a project file may not change that"));
    let oci = provider(&settings, "oci-oidc");
    assert_eq!(origins(&oci), ["https://mine.example"]);
    assert!(oci.client_id.is_none() && oci.fault.is_none());
}

#[test]
fn the_file_of_a_project_waits_for_trust_and_that_of_the_user_serves_meanwhile() {
    let named = |id: &str| MOBILE.replace("ours", id);
    let both = Surroundings::new()
        .users_oci(&named("users"))
        .projects_oci(&named("projects"));
    assert_eq!(both.oci().client_id.as_deref(), Some("users"));
    assert_eq!(both.trusted().oci().client_id.as_deref(), Some("projects"));
    let alone = Surroundings::new().projects_oci(&named("projects"));
    assert!(alone.oci().client_id.is_none());
}

#[test]
fn all_that_is_wrong_is_told_at_once_and_other_providers_go_on() {
    let template = r#"{
  "domain_url": "https://idcs-<your-guid>.identity.oraclecloud.com",
  "client_id": "<your-client-id>",
  "client_secret": "{file:~/<path>}",
  "redirect_uri": 5,
  "scope": "",
  "auth_method": "confidential"
}"#;
    let surroundings = Surroundings::new().projects_oci(template);
    let settings = surroundings.load().unwrap();
    assert!(provider(&settings, "anthropic").fault.is_none());
    let fault = provider(&settings, "oci-oidc").fault.clone().unwrap();
    let file = surroundings
        .at(&format!("repo/{FILE}"))
        .display()
        .to_string();
    let inner = surroundings
        .at(&format!("repo/inner/{FILE}"))
        .display()
        .to_string();
    let users = surroundings
        .at(&format!("home/.config/opencode/{FILE}"))
        .display()
        .to_string();
    assert_eq!(
        fault.to_string(),
        format!(
            "{file}:2:17: domain_url: still a placeholder: put a value of your own here; \
             client_id (3:16): still a placeholder: put a value of your own here; \
             llm_base_url (1:1): missing; \
             redirect_uri (5:19): expected a string, found a number; \
             auth_method (7:18): expected one of confidential_app, mobile_app; \
             client_secret (4:20): still a placeholder: put a value of your own here. \
             Searched: {inner}, {file}, {users}"
        )
    );

    let of = |text: &str| {
        Surroundings::new()
            .users_oci(text)
            .oci()
            .fault
            .clone()
            .expect("a fault")
            .why
    };
    assert!(of("{").starts_with("not valid JSON"));
    assert!(of("[]").starts_with("expected an object"));
    assert!(
        of("{}").contains(
            "missing; client_id (1:1): missing; llm_base_url (1:1): missing; client_secret"
        )
    );
    let with = |from: &str, to: &str| of(&CONFIDENTIAL.replace(from, to));
    assert!(with("confidential_app", "mobile_app").starts_with("a mobile_app has no secret"));
    assert!(with("{file:~/.oci-secret}", " ").starts_with("missing"));
    assert!(
        with("oraclecloud.com:443/", "oraclecloud.com/ui/v1")
            .starts_with("expected the URL of the domain alone")
    );
    assert!(with("https://idcs", "http://idcs").starts_with("expected https"));
    assert!(with("https://llm", "http://llm").starts_with("expected https"));
    assert!(with("offline_access", "off\\\"line").starts_with("expected one scope"));
    let loud = MOBILE.replace("{ ", "{ \"log_level\": \"loud\", ");
    assert!(of(&loud).starts_with("expected one of none"));
}

#[test]
fn an_unknown_key_is_a_warning_here_too() {
    let text = MOBILE.replace("\"client_id\"", "\"clientid\": 1, \"client_id\"");
    let settings = Surroundings::new().users_oci(&text).load().unwrap();
    assert_eq!(settings.warnings.len(), 1);
    assert!(settings.warnings[0].ends_with("clientid: unknown key; did you mean client_id?"));
}

#[test]
fn the_log_is_the_users_choice_below_the_environment() {
    let text = MOBILE.replace(
        '{',
        "{ \"log_level\": \"DEBUG\", \"log_file\": \"oci.log\",",
    );
    let surroundings = Surroundings::new().users_oci(&text);
    let settings = surroundings.load().unwrap();
    let file = surroundings.at("home/.config/opencode/oci.log");
    assert_eq!(
        settings.log,
        LogSettings {
            level: LogLevel::Debug,
            file: Some(file)
        }
    );
    let set = surroundings
        .with("PROVIDER_AUTH_LOG", "error")
        .with("PROVIDER_AUTH_LOG_FILE", "/tmp/other");
    let other = LogSettings {
        level: LogLevel::Error,
        file: Some("/tmp/other".into()),
    };
    assert_eq!(set.load().unwrap().log, other);

    let settings = Surroundings::new().projects_oci(&text).load().unwrap();
    assert_eq!(settings.log, LogSettings::default());
    for (warning, key) in settings.warnings.iter().zip(["log_level", "log_file"]) {
        assert!(
            warning.contains(&format!("{key}: ignored, since a project file")),
            "{warning}"
        );
    }
    assert!(provider(&settings, "oci-oidc").fault.is_none());
}

#[test]
fn a_level_is_taken_as_opencode_oci_oidc_writes_it() {
    for (name, level) in [
        ("VERBOSE", LogLevel::Trace),
        ("Info", LogLevel::Info),
        ("NONE", LogLevel::None),
    ] {
        let text = MOBILE.replace('{', &format!("{{ \"log_level\": \"{name}\","));
        let settings = Surroundings::new().users_oci(&text).load().unwrap();
        assert_eq!(settings.log.level, level, "{name}");
    }
}

#[test]
fn without_a_file_the_places_that_were_searched_are_known() {
    let surroundings = Surroundings::new();
    let at = |path: &str| surroundings.at(&format!("{path}/{FILE}"));
    let expect = [at("repo/inner"), at("repo"), at("home/.config/opencode")];
    let oci = surroundings.oci();
    assert_eq!(oci.searched, expect);
    assert!(oci.fault.is_none());
}

#[test]
fn no_secret_of_the_file_shows() {
    let text = CONFIDENTIAL.replace("{file:~/.oci-secret}", "S3CRET");
    let settings = Surroundings::new().users_oci(&text).load().unwrap();
    assert!(!format!("{settings:?}").contains("S3CRET"));
    for key in [
        "domain_url",
        "redirect_uri",
        "llm_base_url",
        "auth_method",
        "scope",
    ] {
        let text = format!("{{ \"{key}\": \"https://S3CRET:S3CRET\\\"@x.example\" }}");
        let settings = Surroundings::new().users_oci(&text).load().unwrap();
        assert!(!format!("{settings:?}").contains("S3CRET"), "{key}");
    }
}
