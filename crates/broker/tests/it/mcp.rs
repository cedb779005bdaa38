//! MCP servers: found out about once, then a login remembers where it belongs.

use provider_auth_broker::{
    AccountKind, AuthRequest, Filter, Force, LoginOptions, LoginPrompt, Method, Revoke,
};
use serde_json::{Value, json};
use url::Url;

use crate::server::Answer;
use crate::world::{Process, World, bearer, config, pass, record_id};

pub(crate) const NOTES: &str = "https://mcp.notes.example/mcp";

/// A world in which the MCP server and its login server say what they are.
pub(crate) fn world() -> World {
    let world = World::new();
    let server = &world.server;
    server.serves(
        "/.well-known/oauth-protected-resource/mcp",
        json!({ "resource": NOTES, "authorization_servers": ["https://id.acme.example"], "scopes_supported": ["notes"] }),
    );
    server.serves(
        "/.well-known/oauth-authorization-server",
        login_server(json!({})),
    );
    server.serves("/register", json!({ "client_id": "registered" }));
    world
}

pub(crate) fn login_server(changes: Value) -> Value {
    let mut metadata = json!({
        "issuer": "https://id.acme.example",
        "authorization_endpoint": "https://id.acme.example/authorize",
        "token_endpoint": "https://id.acme.example/token",
        "registration_endpoint": "https://id.acme.example/register",
        "revocation_endpoint": "https://id.acme.example/revoke",
        "code_challenge_methods_supported": ["S256"],
    });
    for (name, value) in changes.as_object().unwrap() {
        metadata[name] = value.clone();
    }
    metadata
}

pub(crate) fn options() -> LoginOptions {
    LoginOptions {
        provider: "notes".to_owned(),
        resource: Some(NOTES.to_owned()),
        method: Some(Method::Paste),
        ..LoginOptions::default()
    }
}

/// The parameters of the page, and what the user would paste.
pub(crate) fn page(prompt: &LoginPrompt) -> (Value, String) {
    let url = Url::parse(&prompt.url).unwrap();
    let params: serde_json::Map<_, _> = url
        .query_pairs()
        .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
        .collect();
    let (redirect, state) = (&params["redirect_uri"], &params["state"]);
    let answer = format!(
        "{}?code=code-of-ann&state={}",
        redirect.as_str().unwrap(),
        state.as_str().unwrap()
    );
    (params.into(), answer)
}

pub(crate) async fn log_in(process: &Process) -> String {
    let prompt = process.start_login(options()).await.unwrap();
    let (_, pasted) = page(&prompt);
    let account = process.finish_login(prompt.login, Some(pasted)).await;
    account.unwrap().id
}

pub(crate) async fn lend(process: &Process, url: &str) -> Result<String, &'static str> {
    let asked = AuthRequest {
        provider: "notes".to_owned(),
        url: Some(url.to_owned()),
        ..AuthRequest::default()
    };
    let lent = process.headers(&asked).await;
    lent.map(|lease| bearer(&lease))
        .map_err(|error| error.code())
}

/// What the record says about where it belongs.
pub(crate) fn belongs(world: &World, id: &str) -> Value {
    let record = world.vault().read(&record_id(id)).unwrap().unwrap();
    let mut credential: Value = serde_json::from_slice(record.plaintext()).unwrap();
    credential["belongs"].take()
}

/// A login as another program has left it: it says for which server, and not where it was made.
pub(crate) fn brought_in(world: &World, provider: &str) -> String {
    brought_in_with(world, provider, json!({}))
}

/// The same, with more in its secret part.
fn brought_in_with(world: &World, provider: &str, secret: Value) -> String {
    world.server.grants("S3CRET-refresh-brought", "ann");
    let mut credential = json!({
        "provider": provider, "namespace": "default", "label": provider, "enabled": true, "priority": 0,
        "createdAt": 0, "updatedAt": 0,
        "belongs": { "origins": ["https://mcp.notes.example"], "resource": NOTES, "clientId": "theirs" },
        "secret": { "kind": "oauth", "access": "old", "refresh": "S3CRET-refresh-brought", "obtainedAt": 0, "expiresAt": 1 },
    });
    for (name, value) in secret.as_object().unwrap() {
        credential["secret"][name] = value.clone();
    }
    let plaintext = serde_json::to_vec(&credential).unwrap();
    world.vault().create(4, &plaintext).unwrap().0.to_string()
}

#[tokio::test(start_paused = true)]
async fn every_request_for_a_token_names_the_server_and_the_login_remembers_it() {
    let world = world();
    let process = world.process();
    let prompt = process.start_login(options()).await.unwrap();
    let (params, pasted) = page(&prompt);
    assert_eq!(
        (&params["resource"], &params["client_id"], &params["scope"]),
        (&json!(NOTES), &json!("registered"), &json!("notes"))
    );
    assert!(
        prompt
            .instructions
            .contains("has you sign in at id.acme.example")
    );
    let account = process
        .finish_login(prompt.login, Some(pasted))
        .await
        .unwrap();
    assert_eq!(account.kind, AccountKind::Mcp);
    assert_eq!(world.server.last("resource"), NOTES);
    let first = lend(&process, NOTES).await.unwrap();
    assert_eq!(
        lend(&process, "https://mcp.notes.example/other").await,
        Ok(first.clone())
    );
    assert_eq!(
        lend(&process, "https://id.acme.example/").await,
        Err("ORIGIN_NOT_ALLOWED")
    );
    // A later owner of the server does not learn where to renew from it.
    world
        .server
        .serves("/.well-known/oauth-protected-resource/mcp", json!({}));
    let asked = world.server.requests();
    pass(3600).await;
    assert_ne!(lend(&process, NOTES).await.unwrap(), first);
    assert_eq!(world.server.requests(), asked + 1);
    assert_eq!(world.server.last("resource"), NOTES);
    assert_eq!(
        belongs(&world, &account.id),
        json!({
            "origins": ["https://mcp.notes.example"],
            "issuer": "https://id.acme.example/",
            "tokenEndpoint": "https://id.acme.example/token",
            "revocationEndpoint": "https://id.acme.example/revoke",
            "clientId": "registered",
            "clientAuth": "none",
            "resource": NOTES,
            "isElsewhere": true,
            "registration": { "redirectUri": params["redirect_uri"] },
        })
    );
    assert!(
        process
            .remove_account(&account.id, Revoke::AtProvider)
            .await
            .unwrap()
    );
}

#[tokio::test(start_paused = true)]
async fn a_device_login_names_the_server_too() {
    let world = world();
    let device = json!({ "device_authorization_endpoint": "https://id.acme.example/device" });
    world.server.serves(
        "/.well-known/oauth-authorization-server",
        login_server(device),
    );
    let process = world.process();
    let wanted = LoginOptions {
        method: Some(Method::Device),
        ..options()
    };
    let prompt = process.start_login(wanted).await.unwrap();
    assert_eq!(world.server.last("resource"), NOTES);
    let account = process.finish_login(prompt.login, None).await.unwrap();
    assert_eq!(account.kind, AccountKind::Mcp);
    assert_eq!(world.server.last("resource"), NOTES);
    assert_eq!(world.server.last("client_id"), "registered");
    assert!(lend(&process, NOTES).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_login_that_was_brought_in_finds_its_home_once_and_remembers_it() {
    let world = world();
    let id = brought_in(&world, "notes");
    let process = world.process();
    assert!(lend(&process, NOTES).await.unwrap().contains("access-ann"));
    assert_eq!(
        (
            world.server.last("client_id"),
            world.server.last("resource")
        ),
        ("theirs".to_owned(), NOTES.to_owned())
    );
    let sealed = belongs(&world, &id);
    assert_eq!(sealed["tokenEndpoint"], "https://id.acme.example/token");
    assert_eq!(sealed["issuer"], "https://id.acme.example/");
    let asked = world.server.requests();
    process
        .refresh_account(&id, Force::EvenIfGood)
        .await
        .unwrap();
    assert_eq!(
        world.server.requests(),
        asked + 1,
        "it is not looked up again"
    );
    // Signing in again by its name alone.
    let again = LoginOptions {
        resource: None,
        ..options()
    };
    let prompt = process.start_login(again).await.unwrap();
    let (params, pasted) = page(&prompt);
    assert_eq!(params["client_id"], "registered");
    let account = process
        .finish_login(prompt.login, Some(pasted))
        .await
        .unwrap();
    assert_eq!(account.id, id);
}

#[tokio::test(start_paused = true)]
async fn a_client_secret_that_was_brought_in_is_sent_as_the_login_server_wants_it() {
    for (methods, in_body) in [
        (json!(["none", "client_secret_post"]), true),
        (json!(["client_secret_basic", "client_secret_post"]), false),
        (json!(null), false),
    ] {
        let world = world();
        let metadata = match methods {
            Value::Null => login_server(json!({})),
            methods => login_server(json!({ "token_endpoint_auth_methods_supported": methods })),
        };
        world
            .server
            .serves("/.well-known/oauth-authorization-server", metadata);
        brought_in_with(&world, "notes", json!({ "clientSecret": "S3CRET-client" }));
        assert!(lend(&world.process(), NOTES).await.is_ok());
        assert_eq!(!world.server.last("client_secret").is_empty(), in_body);
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_that_was_brought_in_is_kept_where_its_home_cannot_be_trusted() {
    for metadata in [
        json!({ "token_endpoint": "http://id.acme.example/token" }),
        json!({ "token_endpoint": "https://127.0.0.1/token" }),
        json!({ "issuer": "https://evil.example" }),
        json!({ "code_challenge_methods_supported": [] }),
    ] {
        let world = world();
        let id = brought_in(&world, "notes");
        world.server.serves(
            "/.well-known/oauth-authorization-server",
            login_server(metadata.clone()),
        );
        let process = world.impatient_process();
        assert_eq!(
            lend(&process, NOTES).await,
            Err("REFRESH_FAILED"),
            "{metadata}"
        );
        assert_eq!(world.server.refreshes(), 0, "{metadata}");
        assert_eq!(process.state_of(&id).await, "cooling", "{metadata}");
        world.server.serves(
            "/.well-known/oauth-authorization-server",
            login_server(json!({})),
        );
        pass(600).await;
        assert!(lend(&process, NOTES).await.is_ok(), "{metadata}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_configuration_says_where_a_login_that_was_brought_in_is_renewed_if_it_is_the_users_own()
{
    let world = world();
    brought_in(&world, "notes");
    let process = world.process_with(json!({ "providers": { "notes": {
        "extends": "mcp", "resource": NOTES, "clientId": "theirs",
        "authorizationEndpoint": "https://other.example/authorize", "tokenEndpoint": "https://other.example/token",
    } } }));
    assert!(lend(&process, NOTES).await.is_ok());
    assert_eq!(world.server.requests(), 1, "no server was asked where");
}

#[tokio::test(start_paused = true)]
async fn a_project_does_not_say_where_a_login_that_was_brought_in_is_renewed() {
    let world = world();
    let id = brought_in(&world, "notes");
    world.project_says(json!({ "providers": { "notes": {
        "extends": "mcp", "resource": NOTES,
        "authorizationEndpoint": "https://evil.example/authorize", "tokenEndpoint": "https://evil.example/token",
    } } }));
    let process = world.process_with(json!({}));
    process.trust_project(None).await.unwrap();
    assert!(lend(&process, NOTES).await.is_ok());
    assert_eq!(
        belongs(&world, &id)["tokenEndpoint"],
        "https://id.acme.example/token",
        "trusted or not, a project defines no provider that has accounts"
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_the_server_has_forgotten_ends_the_login_and_is_registered_anew() {
    let world = world();
    let process = world.process();
    let id = log_in(&process).await;
    world
        .server
        .serves("/register", json!({ "client_id": "another" }));
    let gone = Answer::Status(401, &[], br#"{"error":"invalid_client"}"#.to_vec());
    world.server.script([gone]);
    let refused = process.refresh_account(&id, Force::EvenIfGood).await;
    assert_eq!(refused.unwrap_err().code(), "NEEDS_LOGIN");
    assert_eq!(process.state_of(&id).await, "needs_login");
    let asked = world.server.requests();
    assert_eq!(lend(&process, NOTES).await, Err("NEEDS_LOGIN"));
    assert_eq!(world.server.requests(), asked, "no call asks again");
    assert_eq!(log_in(&process).await, id);
    assert_eq!(belongs(&world, &id)["clientId"], "another");
    assert_eq!(process.state_of(&id).await, "ready");
}

#[tokio::test(start_paused = true)]
async fn a_login_that_fails_with_an_old_registration_leaves_the_account_as_it_was() {
    let world = world();
    let process = world.process();
    let id = log_in(&process).await;
    world.server.revoke_all();
    assert!(
        process
            .refresh_account(&id, Force::EvenIfGood)
            .await
            .is_err()
    );
    world
        .server
        .serves("/register", json!({ "client_id": "another" }));
    let prompt = process.start_login(options()).await.unwrap();
    assert_eq!(page(&prompt).0["client_id"], "registered");
    assert!(
        process.finish_login(prompt.login, None).await.is_err(),
        "no browser came back"
    );
    assert_eq!(process.state_of(&id).await, "needs_login");
    let prompt = process.start_login(options()).await.unwrap();
    assert_eq!(page(&prompt).0["client_id"], "another");
    process.cancel_login(prompt.login);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_no_longer_is_the_one_of_the_login_gets_nothing() {
    let world = world();
    log_in(&world.process()).await;
    let moved = json!({ "extends": "mcp", "resource": "https://mcp.notes.example/elsewhere" });
    let process = world.process_with(json!({ "providers": { "notes": moved } }));
    assert_eq!(lend(&process, NOTES).await, Err("ORIGIN_NOT_ALLOWED"));
    let process = world.process_with(config(json!({})));
    let accounts = process.list_accounts(&Filter::default()).await.unwrap();
    assert_eq!(accounts.len(), 1);
}
