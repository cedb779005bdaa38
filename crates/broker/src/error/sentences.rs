//! Parts of the sentences of errors.

use std::path::PathBuf;
use std::time::Duration;

use provider_auth_policy::{AccountId, Standing, Timestamp};

use crate::named;
use crate::printable::visible;

pub(super) fn looked_for(searched: &[PathBuf]) -> String {
    let files: Vec<String> = searched.iter().map(|file| visible(file)).collect();
    match files.is_empty() {
        true => String::new(),
        false => format!(". None of these files is there: {}", files.join(", ")),
    }
}

pub(super) fn as_mcp_server(id: Option<&str>) -> String {
    id.map_or_else(String::new, |id| {
        format!("; where it is to be your name of an MCP server, sign in to it first: login({{ provider: \"{id}\", resource: \"https://…\" }})")
    })
}

pub(super) fn by(holder: Option<&str>) -> String {
    holder.map_or_else(String::new, |holder| format!(" by {holder}"))
}

pub(super) fn end_it(port: u16, holder: Option<&str>) -> String {
    if holder.is_some() {
        return "end that program".to_owned();
    }
    let command = if cfg!(windows) {
        format!("netstat -ano | findstr :{port}")
    } else if cfg!(target_os = "macos") {
        format!("lsof -nP -iTCP:{port} -sTCP:LISTEN")
    } else {
        format!("ss -ltnp 'sport = :{port}'")
    };
    format!("end the program there (`{command}` names it)")
}

pub(super) fn login_time(limit: Option<Duration>) -> String {
    match limit {
        Some(limit) => format!(
            "within {} s; start it again, with a larger timeoutMs if that was too short",
            limit.as_secs_f64().ceil()
        ),
        None => "in the time that its server gives; start it again".to_owned(),
    }
}

pub(super) fn no_account(
    kind: &str,
    provider: &str,
    namespace: &str,
    switched_off: &[AccountId],
) -> String {
    let switch_on = |id| format!("with updateAccount(\"{id}\", {{ enabled: true }})");
    match switched_off {
        [] => format!(
            "provider-auth has no {kind}account for {provider} in the namespace {namespace}; sign in or add an API key first"
        ),
        [id] => format!(
            "the {kind}account {id} of {provider} is switched off; switch it on {}",
            switch_on(id)
        ),
        [id, ..] => format!(
            "all {} {kind}accounts of {provider} in the namespace {namespace} are switched off; switch one on {}",
            switched_off.len(),
            switch_on(id)
        ),
    }
}

pub(super) fn needs_login(
    provider: &str,
    standing: Standing,
    moved_at: Option<Timestamp>,
) -> String {
    if let Some(at) = moved_at {
        return format!(
            "the login of {provider} was moved to a bundle, or to another vault, at {}; use it there, import that bundle, or sign in again here",
            named::time(at)
        );
    }
    match standing {
        Standing::NeedsVerification => format!(
            "{provider} wants the account verified; open the provider's page, then sign in again"
        ),
        Standing::BlockedByProvider => {
            format!("{provider} has blocked the account; ask the provider")
        }
        Standing::RollbackSuspected => {
            format!(
                "the login of {provider} seems to come from a restored copy of the vault; sign in again"
            )
        }
        _ => format!(
            "{provider} no longer takes this login or API key; sign in again, or add a new key"
        ),
    }
}
