//! MCP servers whose login server is behind another host, is silent, or takes no `resource`: as the
//! configuration says it.

use provider_auth_broker::{LoginOptions, LoginPrompt, Method};
use serde_json::{Value, json};

use crate::mcp::{NOTES, login_server, page};
use crate::world::{MARK, Process, World, pass};

/// A process whose configuration says this of the MCP server too.
fn process(world: &World, changes: Value) -> Process {
    let mut notes = json!({ "extends": "mcp", "resource": NOTES });
    for (key, value) in changes.as_object().unwrap() {
        notes[key] = value.clone();
    }
    world.process_with(json!({ "providers": { "notes": notes } }))
}

/// A world in which the MCP server names one login server, and another one answers there.
fn behind() -> World {
    let world = crate::mcp::world();
    let other = json!({ "issuer": "https://login.behind.example" });
    world.server.serves(
        "/.well-known/oauth-authorization-server",
        login_server(other),
    );
    world
}

async fn begin(process: &Process) -> Result<LoginPrompt, String> {
    let options = LoginOptions {
        provider: "notes".to_owned(),
        method: Some(Method::Paste),
        ..LoginOptions::default()
    };
    let begun = process.start_login(options).await;
    begun.map_err(|error| error.to_string())
}

/// Logs in, and renews; returns the parameters of the page.
async fn log_in(world: &World, process: &Process) -> Value {
    let prompt = begin(process).await.unwrap();
    let (params, pasted) = page(&prompt);
    let account = process.finish_login(prompt.login, Some(pasted)).await;
    assert_eq!(account.unwrap().provider, "notes");
    pass(3600).await;
    let asked = world.server.refreshes();
    crate::mcp::lend(process, NOTES).await.unwrap();
    assert_eq!(world.server.refreshes(), asked + 1);
    params
}

#[tokio::test(start_paused = true)]
async fn a_login_server_of_another_name_is_refused_with_the_key_that_allows_it() {
    let world = behind();
    let error = begin(&process(&world, json!({}))).await.unwrap_err();
    assert!(
        error.contains(r#"set providers.notes.dialect.issuers to ["https://login.behind.example"], or to "any""#),
        "{error}"
    );
    let other = json!({ "dialect": { "issuers": ["https://third.example"] } });
    assert!(begin(&process(&world, other)).await.is_err());
    // By its address alone, without a configuration, the key is named with what goes with it.
    let bare = world.process_with(json!({}));
    let error = bare.start_login(crate::mcp::options()).await.unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("dialect.issuers") && error.contains(r#""extends": "mcp""#),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_login_server_may_have_the_name_that_the_configuration_says() {
    for issuers in [json!(["https://login.behind.example"]), json!("any")] {
        let world = behind();
        let process = process(&world, json!({ "dialect": { "issuers": issuers } }));
        log_in(&world, &process).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_description_of_the_login_server_lies_where_the_configuration_says() {
    let world = crate::mcp::world();
    world
        .server
        .serves("/.well-known/oauth-authorization-server", json!({}));
    world.server.serves("/own", login_server(json!({})));
    world
        .server
        .serves("/nested", json!({ "server": login_server(json!({})) }));
    assert!(begin(&process(&world, json!({}))).await.is_err());
    for discovery in [
        json!({ "url": "https://id.acme.example/own" }),
        json!({ "url": "https://id.acme.example/nested", "key": "server" }),
    ] {
        // With an issuer in the configuration, and with that of the server's own description.
        for mut changes in [json!({}), json!({ "issuer": "https://id.acme.example" })] {
            changes["dialect"] = json!({ "discovery": discovery });
            log_in(&world, &process(&world, changes)).await;
        }
    }
    // Where nothing may be looked up, nothing is.
    let asked = world.server.requests();
    let never = json!({ "issuer": "https://id.acme.example", "dialect": { "discovery": false } });
    assert!(begin(&process(&world, never)).await.is_err());
    assert_eq!(world.server.requests(), asked);
}

#[tokio::test(start_paused = true)]
async fn a_resource_of_null_is_left_out_of_each_step() {
    for step in ["authorize", "token", "refresh"] {
        let world = crate::mcp::world();
        let process = process(&world, json!({ "params": { step: { "resource": null } } }));
        let prompt = begin(&process).await.unwrap();
        let (params, pasted) = page(&prompt);
        assert_eq!(
            params.get("resource").is_none(),
            step == "authorize",
            "{step}"
        );
        process
            .finish_login(prompt.login, Some(pasted))
            .await
            .unwrap();
        let named = |grant: &str| world.server.sent(grant, "resource");
        assert_eq!(
            named("authorization_code").is_none(),
            step == "token",
            "{step}"
        );
        pass(3600).await;
        crate::mcp::lend(&process, NOTES).await.unwrap();
        assert_eq!(
            named("refresh_token").is_none(),
            step == "refresh",
            "{step}"
        );
    }
}

/// Microsoft Entra: it says nothing of PKCE, registers no clients, refuses `resource`, and has an
/// issuer per tenant.
#[tokio::test(start_paused = true)]
async fn entra_is_a_login_server_as_documented() {
    let world = crate::mcp::world();
    let issuer = "https://login.entra.example/{tenantid}/v2.0";
    let metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": "https://login.entra.example/organizations/oauth2/v2.0/authorize",
        "token_endpoint": "https://login.entra.example/organizations/oauth2/v2.0/token",
    });
    world.server.serves(
        "/organizations/v2.0/.well-known/openid-configuration",
        metadata,
    );
    let process = process(
        &world,
        json!({
            "issuer": "https://login.entra.example/organizations/v2.0",
            "clientId": "00000000-1111",
            "scopes": ["api://notes/.default", "offline_access"],
            "params": {
                "authorize": { "resource": null }, "token": { "resource": null }, "refresh": { "resource": null },
            },
            "dialect": { "issuers": "any" },
        }),
    );
    let params = log_in(&world, &process).await;
    assert_eq!(params.get("resource"), None);
    assert_eq!(params["code_challenge_method"], "S256");
    assert_eq!(params["scope"], "api://notes/.default offline_access");
    for grant in ["authorization_code", "refresh_token"] {
        assert_eq!(world.server.sent(grant, "resource"), None, "{grant}");
        assert_eq!(
            world.server.sent(grant, "client_id").unwrap(),
            "00000000-1111"
        );
    }
}

/// A login server that says nothing of PKCE ends the login, unless the user names it.
#[tokio::test(start_paused = true)]
async fn a_server_silent_about_pkce_is_named_by_the_user() {
    let world = crate::mcp::world();
    let silent = json!({ "code_challenge_methods_supported": null });
    world.server.serves(
        "/.well-known/oauth-authorization-server",
        login_server(silent.clone()),
    );
    let error = begin(&process(&world, json!({}))).await.unwrap_err();
    assert!(
        error.contains(r#"set providers.notes.issuer to "https://id.acme.example/""#),
        "{error}"
    );
    assert!(!error.contains(MARK));
    world
        .server
        .serves("/.well-known/openid-configuration", login_server(silent));
    let named = process(&world, json!({ "issuer": "https://id.acme.example" }));
    let params = log_in(&world, &named).await;
    assert_eq!(params["code_challenge_method"], "S256");
}
