//! A login server that has the user sign in at another one (RFC 9700 §4.4).

use provider_auth_broker::{LoginPrompt, Method};
use serde_json::{Value, json};

use crate::mcp::{NOTES, belongs, brought_in, login_server, options, page, world};
use crate::world::{Process, World, config};

async fn prompt(world: &World, metadata: Value) -> LoginPrompt {
    let metadata = login_server(metadata);
    world
        .server
        .serves("/.well-known/oauth-authorization-server", metadata);
    world.process().start_login(options()).await.unwrap()
}

/// The path that a login comes back to.
fn way_back(prompt: &LoginPrompt) -> String {
    let (params, _) = page(prompt);
    let redirect: url::Url = params["redirect_uri"].as_str().unwrap().parse().unwrap();
    assert_eq!(redirect.host_str(), Some("127.0.0.1"));
    redirect.path().to_owned()
}

#[tokio::test(start_paused = true)]
async fn each_issuer_has_a_path_of_its_own_and_keeps_it() {
    let world = world();
    let own = way_back(&prompt(&world, json!({})).await);
    assert_eq!(way_back(&prompt(&world, json!({})).await), own);
    let description =
        json!({ "resource": NOTES, "authorization_servers": ["https://other.example"] });
    world
        .server
        .serves("/.well-known/oauth-protected-resource/mcp", description);
    let other = way_back(&prompt(&world, json!({ "issuer": "https://other.example" })).await);
    assert_ne!(other, own);
    for path in [own, other] {
        assert!(
            path.starts_with("/callback/") && path.len() > "/callback/".len() + 20,
            "{path}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_prompt_names_who_gets_the_code_where_that_is_another_than_the_page() {
    let world = world();
    let same = prompt(&world, json!({})).await.instructions;
    assert!(
        same.contains("has you sign in at id.acme.example."),
        "{same}"
    );
    assert!(!same.contains("The code of this login"), "{same}");
    for metadata in [
        json!({ "authorization_endpoint": "https://bank.example/authorize" }),
        json!({ "authorization_endpoint": "https://bank.example:8443/authorize" }),
        json!({ "authorization_endpoint": "https://id.acme.example:8443/authorize" }),
    ] {
        let said = prompt(&world, metadata.clone()).await.instructions;
        let page = metadata["authorization_endpoint"].as_str().unwrap();
        let host = if page.contains("bank") {
            "bank.example"
        } else {
            "id.acme.example:8443"
        };
        assert!(
            said.contains(&format!("has you sign in at {host}.")),
            "{said}"
        );
        assert!(
            said.contains("The code of this login goes to another host, id.acme.example"),
            "{said}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_prompt_of_a_device_login_names_both_too() {
    let world = world();
    let device = json!({ "device_authorization_endpoint": "https://id.acme.example/device" });
    world.server.serves(
        "/.well-known/oauth-authorization-server",
        login_server(device),
    );
    let codes = json!({ "device_code": "x", "user_code": "ABCD", "verification_uri": "https://bank.example/enter" });
    world.server.serves("/device", codes);
    let mut wanted = options();
    wanted.method = Some(Method::Device);
    let said = world
        .process()
        .start_login(wanted)
        .await
        .unwrap()
        .instructions;
    assert!(said.contains("has you sign in at bank.example."), "{said}");
    assert!(
        said.contains("goes to another host, id.acme.example:"),
        "{said}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_prompt_of_an_issuer_names_who_gets_the_code_and_that_of_named_endpoints_does_not() {
    let world = world();
    let metadata =
        login_server(json!({ "authorization_endpoint": "https://page.example/authorize" }));
    world
        .server
        .serves("/.well-known/openid-configuration", metadata);
    let started = async |process: &Process| {
        let mut wanted = options();
        (wanted.provider, wanted.resource) = ("acme".to_owned(), None);
        process.start_login(wanted).await.unwrap().instructions
    };
    let acme = json!({ "providers": { "acme": {
        "origins": ["https://api.acme.example"], "clientId": "ours", "issuer": "https://id.acme.example",
    } } });
    let said = started(&world.process_with(acme)).await;
    assert!(
        said.contains("sign in at page.example; the code of this login goes to id.acme.example"),
        "{said}"
    );
    let named = json!({ "authorizationEndpoint": "https://page.example/authorize" });
    let said = started(&world.process_with(config(named))).await;
    assert!(!said.contains("page.example"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_went_to_another_path_leaves_the_login_open() {
    let world = world();
    let process = world.process();
    let prompt = process.start_login(options()).await.unwrap();
    let (params, right) = page(&prompt);
    let redirect = params["redirect_uri"].as_str().unwrap();
    let (_, query) = right.split_once('?').unwrap();
    for wrong in [
        format!("http://127.0.0.1:8976/callback?{query}"),
        format!("http://127.0.0.1:8976/callback/another?{query}"),
        format!("{redirect}/?{query}"),
    ] {
        let refused = process
            .finish_login(prompt.login, Some(wrong.clone()))
            .await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), "LOGIN_FAILED", "{wrong}");
        assert!(refused.to_string().contains("another server"), "{refused}");
    }
    process
        .finish_login(prompt.login, Some(right))
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_registered_for_another_path_is_used_again() {
    let world = world();
    let id = brought_in(&world, "notes");
    let vault = world.vault();
    let record = crate::world::record_id(&id);
    let guard = vault.lock(&record).unwrap();
    let mut credential: Value =
        serde_json::from_slice(vault.read(&record).unwrap().unwrap().plaintext()).unwrap();
    credential["belongs"]["issuer"] = json!("https://id.acme.example/");
    credential["belongs"]["tokenEndpoint"] = json!("https://id.acme.example/token");
    credential["belongs"]["registration"] =
        json!({ "redirectUri": "http://127.0.0.1:8976/callback" });
    vault
        .replace(&guard, &serde_json::to_vec(&credential).unwrap())
        .unwrap();
    drop(guard);
    let process = world.process();
    let prompt = process.start_login(options()).await.unwrap();
    assert_eq!(way_back(&prompt), "/callback");
    assert_eq!(page(&prompt).0["client_id"], "theirs");
    let pasted = page(&prompt).1;
    process
        .finish_login(prompt.login, Some(pasted))
        .await
        .unwrap();
    assert_eq!(
        belongs(&world, &id)["registration"]["redirectUri"],
        "http://127.0.0.1:8976/callback"
    );
}
