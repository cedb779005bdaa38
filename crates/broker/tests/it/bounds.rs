//! Names that lead to this machine or its network: for a server elsewhere they lead nowhere.

use provider_auth_broker::{Force, Method, Revoke};
use serde_json::json;

use crate::mcp::{NOTES, belongs, brought_in, lend, log_in, login_server, options, page, world};
use crate::world::{World, config, pass};

const SERVER: &str = "mcp.notes.example";
const LOGIN: &str = "id.acme.example";

#[tokio::test(start_paused = true)]
async fn a_server_elsewhere_sends_us_to_no_name_that_leads_home() {
    for (what, metadata, hosts) in [
        ("its metadata", json!({}), &[LOGIN][..]),
        (
            "its registration",
            json!({ "registration_endpoint": "https://reg.acme.example/register" }),
            &["reg.acme.example"],
        ),
        (
            "its codes",
            json!({ "device_authorization_endpoint": "https://dev.acme.example/device" }),
            &["dev.acme.example"],
        ),
    ] {
        let world = world();
        let server = &world.server;
        server.serves(
            "/.well-known/oauth-authorization-server",
            login_server(metadata),
        );
        server.nearby(hosts);
        let process = world.process();
        let mut wanted = options();
        if what == "its codes" {
            wanted.method = Some(Method::Device);
        }
        let error = process.start_login(wanted).await.unwrap_err();
        assert_eq!(error.code(), "LOGIN_FAILED", "{what}");
        let told = format!(
            "https://{} resolves to an address of this machine or its local network",
            hosts[0]
        );
        assert!(error.to_string().contains(&told), "{what}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_leads_home_once_the_page_is_open_gets_neither_code_nor_token() {
    let world = world();
    let process = world.process();
    let prompt = process.start_login(options()).await.unwrap();
    world.server.nearby(&[LOGIN]);
    let asked = world.server.requests();
    let error = process
        .finish_login(prompt.login, Some(page(&prompt).1))
        .await;
    assert_eq!(error.unwrap_err().code(), "LOGIN_FAILED");
    assert_eq!(world.server.requests(), asked);

    world.server.nearby(&[]);
    let id = log_in(&process).await;
    pass(3600).await;
    world.server.nearby(&[LOGIN]);
    let impatient = world.impatient_process();
    assert_eq!(lend(&impatient, NOTES).await, Err("REFRESH_FAILED"));
    assert_eq!(world.server.refreshes(), 0);
    let kept = process.remove_account(&id, Revoke::AtProvider).await;
    assert_eq!(kept.unwrap_err().code(), "NETWORK");
    world.server.nearby(&[]);
    pass(600).await;
    assert!(lend(&process, NOTES).await.is_ok(), "the login was kept");
}

#[tokio::test(start_paused = true)]
async fn a_login_that_was_brought_in_is_held_to_it_too() {
    let world = world();
    let id = brought_in(&world, "notes");
    world.server.nearby(&[LOGIN]);
    assert_eq!(
        lend(&world.impatient_process(), NOTES).await,
        Err("REFRESH_FAILED")
    );
    assert_eq!(world.server.refreshes(), 0);
    world.server.nearby(&[]);
    pass(600).await;
    assert!(lend(&world.process(), NOTES).await.is_ok());
    assert_eq!(belongs(&world, &id)["isElsewhere"], true);
}

#[tokio::test(start_paused = true)]
async fn a_server_of_the_same_network_may_name_what_is_there() {
    let world = world();
    world.server.nearby(&[SERVER, LOGIN]);
    let endpoint = json!({ "revocation_endpoint": "https://10.0.0.7/revoke" });
    let metadata = login_server(endpoint);
    world
        .server
        .serves("/.well-known/oauth-authorization-server", metadata);
    let process = world.process();
    let id = log_in(&process).await;
    assert_eq!(belongs(&world, &id)["isElsewhere"], json!(null));
    process
        .refresh_account(&id, Force::EvenIfGood)
        .await
        .unwrap();
    assert!(
        process
            .remove_account(&id, Revoke::AtProvider)
            .await
            .unwrap()
    );
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_comes_home_goes_on_with_a_login_of_elsewhere() {
    let world = world();
    let process = world.process();
    let id = log_in(&process).await;
    world.server.nearby(&[SERVER, LOGIN]);
    process
        .refresh_account(&id, Force::EvenIfGood)
        .await
        .unwrap();
    assert_eq!(world.server.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_user_has_named_may_lead_home() {
    let world = World::new();
    world.server.nearby(&[LOGIN]);
    let process = world.process_with(config(json!({})));
    let id = process.log_in("ann").await;
    process
        .refresh_account(&id, Force::EvenIfGood)
        .await
        .unwrap();

    let world = self::world();
    world.server.nearby(&[LOGIN]);
    let process = world.process_with(json!({ "providers": { "notes": {
        "extends": "mcp", "resource": NOTES, "clientId": "ours",
        "authorizationEndpoint": "https://id.acme.example/authorize", "tokenEndpoint": "https://id.acme.example/token",
    } } }));
    let id = log_in(&process).await;
    process
        .refresh_account(&id, Force::EvenIfGood)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_person_is_sent_to_a_page_of_the_local_network_to_enter_a_code() {
    for (page, complete) in [
        ("https://192.168.0.1/", json!(null)),
        ("http://router/reboot", json!(null)),
        ("https://localhost./", json!(null)),
        ("http://127.0.0.1:8080/", json!(null)),
        ("http://id.acme.example/enter", json!(null)),
        (
            "https://id.acme.example/enter",
            json!("https://100.64.0.1/?code=ABCD"),
        ),
    ] {
        let world = world();
        let device = json!({ "device_authorization_endpoint": "https://id.acme.example/device" });
        let metadata = login_server(device);
        world
            .server
            .serves("/.well-known/oauth-authorization-server", metadata);
        let codes = json!({ "device_code": "x", "user_code": "ABCD", "verification_uri": page, "verification_uri_complete": complete });
        world.server.serves("/device", codes);
        let mut wanted = options();
        wanted.method = Some(Method::Device);
        let error = world.process().start_login(wanted).await.unwrap_err();
        assert_eq!(error.code(), "LOGIN_FAILED", "{page}: {error}");
    }
}
