//! The way to the providers, as far as it can be told without going it: proxies and certificates.

use std::path::Path;

use url::Url;

use super::finding::Finding;
use crate::config::variable;
use crate::host::Host;
use crate::host::http::{certificates_in, has_system_roots};

/// In the order in which they count for https.
const PROXIES: [&str; 6] = [
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "HTTP_PROXY",
    "http_proxy",
];

pub(super) fn check(host: &Host) -> Vec<Finding> {
    let mut findings = proxies(host);
    findings.extend(extra_certificates(host));
    if !has_system_roots() {
        let finding = Finding::warning("ca.system", "this machine has no certificates of its own")
            .why("without them no https server is trusted, and no login or refresh works")
            .remedy("install the package ca-certificates, or set SSL_CERT_FILE or NODE_EXTRA_CA_CERTS to a PEM file");
        findings.push(finding);
    } else {
        findings.push(Finding::ok(
            "ca.system",
            "the system's certificates can be used",
        ));
    }
    findings
}

fn proxies(host: &Host) -> Vec<Finding> {
    let env = &*host.env;
    let mut findings = Vec::new();
    for name in PROXIES {
        let Some(value) = variable(env, name) else {
            continue;
        };
        let Some((scheme, place)) = place(&value) else {
            let finding =
                Finding::warning("proxy.unreadable", format!("{name} is no URL of a proxy"))
                    .why("requests go without a proxy, or fail")
                    .remedy(format!("set {name} to http://host:port, or unset it"));
            findings.push(finding.with("variable", name));
            continue;
        };
        let finding = if scheme.starts_with("socks") {
            Finding::problem(
                "proxy.socks",
                format!("{name} names a SOCKS proxy, {place}"),
            )
            .why("logins and refreshes cannot use one")
            .remedy(
                "set HTTPS_PROXY to an HTTP proxy, or leave the providers' hosts out with NO_PROXY",
            )
        } else {
            Finding::note("proxy.used", format!("{name} names the proxy {place}"))
                .why("logins, refreshes and lists of models go through it, but for hosts in NO_PROXY and this machine")
        };
        findings.push(finding.with("variable", name).with("proxy", place));
    }
    if findings.is_empty() {
        findings.push(Finding::ok("proxy.none", "no proxy is set"));
    } else if let Some((name, hosts)) = ["NO_PROXY", "no_proxy"]
        .into_iter()
        .find_map(|name| Some((name, variable(env, name)?)))
    {
        let title = format!("{name} leaves out: {hosts}");
        findings.push(Finding::note("proxy.left_out", title).with("variable", name));
    }
    findings
}

/// Scheme and place of a proxy, without the name and password for it.
fn place(value: &str) -> Option<(String, String)> {
    let whole = match value.contains("://") {
        true => value.to_owned(),
        false => format!("http://{value}"),
    };
    let url = Url::parse(&whole).ok()?;
    let host = url.host_str()?;
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    Some((
        url.scheme().to_owned(),
        format!("{}://{host}{port}", url.scheme()),
    ))
}

fn extra_certificates(host: &Host) -> Option<Finding> {
    let file = variable(&*host.env, "NODE_EXTRA_CA_CERTS")?;
    let broken = |what: &str| {
        Finding::problem(
            "ca.extra",
            format!("NODE_EXTRA_CA_CERTS names a file that {what}"),
        )
        .why("servers behind a company's own certificate authority are not trusted")
        .remedy("name a PEM file with at least one certificate, or unset the variable")
    };
    let finding = match certificates_in(Path::new(&file)) {
        Ok(0) => broken("has no certificate in it"),
        Ok(count) => {
            let title = format!("NODE_EXTRA_CA_CERTS adds {count} to the trusted certificates");
            Finding::ok("ca.extra", title)
        }
        Err(why) => broken(&format!("cannot be used: {why}")),
    };
    Some(finding.with("file", file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_told_without_its_password() {
        let told = |value| place(value).map(|(_, place)| place);
        for value in [
            "http://ann:S3CRET@proxy.example:3128",
            "ann:S3CRET@proxy.example:3128",
            "http://ann:S3CRET@proxy.example:3128/path?x=S3CRET",
        ] {
            assert_eq!(told(value).as_deref(), Some("http://proxy.example:3128"));
        }
        assert_eq!(
            told("socks5h://10.0.0.1:1080").as_deref(),
            Some("socks5h://10.0.0.1:1080")
        );
        assert_eq!(told("http://:S3CRET@"), None);
    }
}
