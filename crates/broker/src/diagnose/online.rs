//! The hosts of the providers in use: a request to each, without any credential.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http::header::DATE;
use provider_auth_oauth::HttpError;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;
use url::Url;

use provider_auth_policy::Gather as _;

use super::clock;
use super::finding::Finding;
use crate::config::{Provider, variable};
use crate::host::Host;
use crate::limits;
use crate::store::Store;

/// What a host is asked for, and for whom.
type Uses = BTreeSet<String>;

/// What came of one host: what is told of it, and by how much its clock is ahead, in ms.
type Answer = (Finding, Option<i64>);

pub(super) async fn check(store: &Arc<Store>) -> Vec<Finding> {
    let mut asking = JoinSet::new();
    for (origin, uses) in hosts(store).into_iter().take(limits::ASKED_HOSTS) {
        let host = store.host.clone();
        asking.spawn(async move { ask(&host, &origin, &uses).await });
    }
    let mut findings = Vec::new();
    let mut clocks = Vec::new();
    while let Some(answer) = asking.join_next().await {
        if let Ok((finding, ahead)) = answer {
            findings.push(finding);
            clocks.extend(ahead);
        }
    }
    findings.sort_by(|a, b| a.details["host"].cmp(&b.details["host"]));
    if findings.is_empty() {
        findings.push(Finding::note(
            "host.none",
            "no provider is in use, so no host was asked",
        ));
    }
    findings.extend(clock::of_hosts(clocks));
    findings
}

/// The origins of providers that have accounts or are configured.
fn hosts(store: &Store) -> BTreeMap<String, Uses> {
    let accounts = store.accounts();
    let settings = store.settings();
    let pools = accounts.pools();
    let used = pools.iter().map(|(provider, _, _)| *provider);
    let used: BTreeSet<&str> = used
        .chain(settings.named.iter().map(String::as_str))
        .gather();
    let mut hosts: BTreeMap<String, Uses> = BTreeMap::new();
    for id in used {
        let Ok(provider) = store.provider(id) else {
            continue;
        };
        for (origin, role) in origins(&provider) {
            hosts
                .entry(origin)
                .or_default()
                .insert(format!("{role} of {id}"));
        }
    }
    hosts
}

fn origins(provider: &Provider) -> Vec<(String, &'static str)> {
    let api = provider
        .origins
        .iter()
        .map(|origin| (origin.to_string(), "API"));
    let mut found: Vec<_> = api.collect();
    if let Some(server) = &provider.server {
        let roles = [
            (&server.token_endpoint, "tokens"),
            (&server.exchange_endpoint, "tokens"),
            (&server.issuer, "logins"),
            (&server.authorization_endpoint, "logins"),
        ];
        let known = roles
            .into_iter()
            .filter_map(|(url, role)| Some((url.as_ref()?, role)));
        found.extend(known.map(|(url, role)| (url.origin().ascii_serialization(), role)));
    }
    found
}

async fn ask(host: &Host, origin: &str, uses: &Uses) -> Answer {
    let began = host.clock.uptime();
    let answer = match http::Request::head(format!("{origin}/")).body(Vec::new()) {
        Ok(request) => timeout(limits::HOST_TIMEOUT, host.http.send(request)).await,
        Err(_) => Ok(Err(HttpError::Other)),
    };
    let took = host.clock.uptime() - began;
    let told = |finding: Finding| {
        let uses: Vec<_> = uses.iter().map(String::as_str).collect();
        finding.with("host", origin).with("for", uses.join(", "))
    };
    match answer {
        Ok(Ok(response)) => {
            let status = response.status().as_u16();
            let title = format!("{origin} answers in {} ms", took.as_millis());
            let finding = Finding::ok("host.reached", title)
                .with("status", status)
                .with("tookMs", took.as_millis());
            (told(finding), ahead(host, &response, took))
        }
        // It has answered.
        Ok(Err(HttpError::TooLarge)) => (
            told(Finding::ok("host.reached", format!("{origin} answers"))),
            None,
        ),
        Ok(Err(error)) => (told(trouble(host, origin, &error).await), None),
        Err(_) => (told(trouble(host, origin, &HttpError::Timeout).await), None),
    }
}

/// By how much the host's clock is ahead of this machine's, in ms.
fn ahead(host: &Host, response: &http::Response<Vec<u8>>, took: Duration) -> Option<i64> {
    let date = response.headers().get(DATE)?.to_str().ok()?;
    let said = httpdate::parse_http_date(date).ok()?;
    let said = i64::try_from(said.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()?;
    let now = i64::try_from(host.clock.now().as_millis()).ok()?;
    // It was said half way between question and answer, in whole seconds.
    Some(said + 500 + (took / 2).as_millis() as i64 - now)
}

/// Why a host does not answer, and what to do about it.
async fn trouble(host: &Host, origin: &str, error: &HttpError) -> Finding {
    const WHY: &str = "requests, logins or refreshes that need it fail";
    let failed = |id, what: &str| Finding::problem(id, format!("{origin} {what}")).why(WHY);
    match error {
        HttpError::Tls => failed("host.tls", "is reached, but its certificate is not trusted, or TLS cannot be agreed").remedy(
            "if a company's proxy signs what comes through it, set NODE_EXTRA_CA_CERTS to a PEM file with its certificate authority",
        ),
        HttpError::NoRoots => failed("host.tls", "cannot be checked: this machine has no certificates")
            .remedy("install the package ca-certificates, or set SSL_CERT_FILE or NODE_EXTRA_CA_CERTS"),
        HttpError::SocksProxy(_)
        | HttpError::NoProxy(_)
        | HttpError::ProxyLogin(_)
        | HttpError::ProxyRefused { .. }
        | HttpError::ProxyFailed { .. } => failed("host.proxy", "cannot be reached through the proxy").remedy(error.to_string()),
        HttpError::Connect | HttpError::Timeout if !has_proxy(host) => unconnected(origin, error).await.why(WHY),
        HttpError::Timeout => failed("host.timeout", "does not answer in time")
            .remedy("look at the network, the proxy and a firewall"),
        _ => failed("host.failed", &format!("does not answer: {error}")).remedy("look at the network, the proxy and a firewall"),
    }
}

/// At which step a connection fails.
async fn unconnected(origin: &str, error: &HttpError) -> Finding {
    let silent = || {
        Finding::problem("host.timeout", format!("{origin} does not answer in time")).remedy(
            "look at the network and a firewall; where only a proxy leads out, set HTTPS_PROXY",
        )
    };
    let Some((name, port)) = Url::parse(origin).ok().and_then(|url| {
        let name = url.host_str()?.trim_matches(['[', ']']).to_owned();
        Some((name, url.port_or_known_default()?))
    }) else {
        return silent();
    };
    let found = timeout(limits::CONNECT_TIMEOUT, lookup_host((name.as_str(), port))).await;
    let addresses: Vec<_> = match found {
        Ok(Ok(found)) => found.collect(),
        _ => Vec::new(),
    };
    if addresses.is_empty() {
        return Finding::problem("host.dns", format!("the name {name} cannot be resolved"))
            .remedy("look at the name, the network and its DNS; where only a proxy leads out, set HTTPS_PROXY");
    }
    if *error == HttpError::Timeout {
        return silent();
    }
    match timeout(
        limits::CONNECT_TIMEOUT,
        TcpStream::connect(addresses.as_slice()),
    )
    .await
    {
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
            Finding::problem("host.refused", format!("{origin} refuses connections"))
                .remedy("look whether the server runs, and whether the port is right")
        }
        _ => silent(),
    }
}

fn has_proxy(host: &Host) -> bool {
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    names
        .iter()
        .any(|name| variable(&*host.env, name).is_some())
}
