//! Accounts that say themselves where they belong, of providers that no configuration knows.

use provider_auth_broker::{AuthRequest, Filter};
use provider_auth_policy::AccountKind;
use serde_json::{Value, json};

use crate::world::{API, World, bearer};

const SERVER: &str = "https://mcp.notes.example";

#[tokio::test(start_paused = true)]
async fn an_mcp_login_and_a_hosts_token_serve_where_they_belong_and_nowhere_else() {
    let world = World::new();
    record(&world, 4, mcp("notes"));
    record(&world, 3, host_token("https://host.example"));
    let process = world.process();
    check(&process, "notes", &format!("{SERVER}/mcp"), Ok("m")).await;
    check(
        &process,
        "https://host.example",
        "https://host.example/x",
        Ok("w"),
    )
    .await;
    for provider in ["notes", "https://host.example"] {
        check(
            &process,
            provider,
            "https://evil.example",
            Err("ORIGIN_NOT_ALLOWED"),
        )
        .await;
    }
    check(&process, "other", SERVER, Err("UNKNOWN_PROVIDER")).await;
    let accounts = process.list_accounts(&Filter::default()).await.unwrap();
    let kinds: Vec<_> = accounts.iter().map(|account| account.kind).collect();
    assert_eq!(kinds, [AccountKind::Mcp, AccountKind::Wellknown]);
    assert_eq!(
        process.pool_status(&Filter::default()).await.unwrap().len(),
        2
    );
}

#[tokio::test(start_paused = true)]
async fn an_mcp_server_that_is_named_as_a_provider_gets_nothing_of_it() {
    let world = World::new();
    record(&world, 4, mcp("acme"));
    let process = world.process();
    check(&process, "acme", API, Err("ORIGIN_NOT_ALLOWED")).await;
    process.add_key("a").await;
    check(&process, "acme", API, Ok("S3CRET-key-a")).await;
}

async fn check(
    process: &crate::world::Process,
    provider: &str,
    url: &str,
    expected: Result<&str, &'static str>,
) {
    let asked = AuthRequest {
        provider: provider.to_owned(),
        url: Some(url.to_owned()),
        ..AuthRequest::default()
    };
    let lent = process.headers(&asked).await;
    let found = lent
        .map(|lease| bearer(&lease))
        .map_err(|error| error.code());
    assert_eq!(found, expected.map(str::to_owned), "{provider} at {url}");
}

fn record(world: &World, kind: u8, credential: Value) {
    let plaintext = serde_json::to_vec(&credential).unwrap();
    world.vault().create(kind, &plaintext).unwrap();
}

fn mcp(name: &str) -> Value {
    account(
        name,
        json!({ "origins": [SERVER], "resource": format!("{SERVER}/mcp") }),
        json!({ "kind": "oauth", "access": "m", "obtainedAt": 0 }),
    )
}

fn host_token(host: &str) -> Value {
    account(
        host,
        json!({ "origins": [host] }),
        json!({ "kind": "wellknown", "token": "w", "variable": "HOST_TOKEN" }),
    )
}

fn account(provider: &str, belongs: Value, secret: Value) -> Value {
    json!({
        "provider": provider, "namespace": "default", "label": "", "enabled": true, "priority": 0,
        "createdAt": 0, "updatedAt": 0, "belongs": belongs, "secret": secret,
    })
}
