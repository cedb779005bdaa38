//! What another program kept in plain files, brought into the vault and back out again.

use std::fs;
use std::path::PathBuf;

use provider_auth_broker::{
    AccountKind, AuthRequest, Direction, EntryAction, Filter, Force, KeyVariables, MigrateOptions,
    MigrationReport, SourceAction, SourceState,
};
use serde_json::{Value, json};

use crate::world::{MARK, Process, START, World, bearer, config, pass, request};

mod entries;
mod erased;
mod files;
mod named;

/// Milliseconds, as OpenCode writes the end of a token.
const IN_AN_HOUR: u64 = (START + 3600) * 1000;

fn login(number: u64) -> Value {
    json!({
        "type": "oauth", "refresh": format!("{MARK}-refresh-{number}"), "access": format!("{MARK}-access-{number}"),
        "expires": IN_AN_HOUR,
    })
}

fn every_kind() -> Value {
    json!({
        "acme": login(1),
        "anthropic": { "type": "api", "key": format!("{MARK}-key"), "metadata": { "x": "y" } },
        "https://host.example/": { "type": "wellknown", "key": "HOST_TOKEN", "token": format!("{MARK}-host") },
    })
}

fn mcp(number: u64) -> Value {
    json!({
        "tokens": { "accessToken": format!("{MARK}-mcp-{number}"), "refreshToken": format!("{MARK}-again"), "expiresAt": START + 3600, "scope": "a b" },
        "clientInfo": { "clientId": "mcp-client", "clientSecret": format!("{MARK}-client") },
        "serverUrl": format!("https://mcp-{number}.example/sse"),
    })
}

/// A world whose `auth.json` holds this.
fn world_with(auth: &Value) -> (World, PathBuf) {
    let world = World::new();
    let file = write(&world, "auth.json", &pretty(auth));
    (world, file)
}

fn write(world: &World, name: &str, text: &str) -> PathBuf {
    let file = world.legacy_file(name);
    fs::write(&file, text).unwrap();
    file
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

fn with(source_action: SourceAction) -> MigrateOptions {
    MigrateOptions {
        source_action,
        ..MigrateOptions::default()
    }
}

fn undo() -> MigrateOptions {
    MigrateOptions {
        direction: Direction::Undo,
        ..MigrateOptions::default()
    }
}

async fn run(process: &Process, options: MigrateOptions) -> MigrationReport {
    process.migrate(options).await.unwrap()
}

fn actions(report: &MigrationReport) -> Vec<EntryAction> {
    report.imported.iter().map(|entry| entry.action).collect()
}

async fn accounts(process: &Process) -> usize {
    process
        .list_accounts(&Filter::default())
        .await
        .unwrap()
        .len()
}

async fn sent(process: &Process, provider: &str, url: &str) -> Vec<(String, String)> {
    let asked = AuthRequest {
        provider: provider.to_owned(),
        url: Some(url.to_owned()),
        ..AuthRequest::default()
    };
    let lease = process.headers(&asked).await.unwrap();
    lease
        .headers()
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn no_file_of_the_vault_shows_a_secret(world: &World) {
    for (path, bytes) in world.files() {
        let marked = bytes
            .windows(MARK.len())
            .any(|part| part == MARK.as_bytes());
        assert!(!marked, "{}", path.display());
    }
}
