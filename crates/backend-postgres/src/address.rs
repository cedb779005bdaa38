//! A store's address, as its owner writes it:
//! `postgres://role@host:5432,other:5432/database?vault=team-a`.

use std::{net::IpAddr, sync::Arc};

use percent_encoding::percent_decode_str;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio_postgres::config::{Config, Host, SslMode};

use crate::error::{BackendError, Failure};

/// Where to connect, and which vault is meant. It may hold a password and shows nothing.
pub(crate) struct Address {
    pub(crate) config: Config,
    pub(crate) vault: String,
    pub(crate) targets: Vec<Target>,
    pub(crate) pooler: Pooler,
}

/// One server of several.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) host: Host,
    pub(crate) port: u16,
    /// The name that its certificate must have; `None` where the line needs no TLS.
    pub(crate) name: Option<ServerName<'static>>,
}

/// Whether something stands between us and the server that hands sessions around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pooler {
    /// Found out by comparing ports; over a Unix socket there is nothing to compare, and one is
    /// assumed.
    Detect,
    /// The owner says that there is none.
    None,
    /// The owner says that there is one.
    Transaction,
}

impl Address {
    /// Reads an address. The parameters `vault`, `sslmode` and `pooler` are ours, the others those
    /// of libpq that tokio-postgres knows, and those of libpq that name files: whoever makes
    /// [`Options::tls`](crate::Options::tls) reads those.
    pub(crate) fn parse(url: &str) -> Result<Self, BackendError> {
        Self::read(url).map_err(|why| BackendError::Refused { why: why.into() })
    }

    pub(crate) fn read(url: &str) -> Result<Self, &'static str> {
        const UNREADABLE: &str =
            "its address cannot be read: postgres://role@host/database?vault=name";
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        if !place.starts_with("postgres://") && !place.starts_with("postgresql://") {
            return Err(UNREADABLE);
        }
        let (mut vault, mut plain, mut pooler) = (None, false, Pooler::Detect);
        let mut others = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or(UNREADABLE)?;
            let text = percent_decode_str(value)
                .decode_utf8()
                .map_err(|_| UNREADABLE)?;
            match (key, &*text) {
                ("vault", name) => vault = Some(name.to_owned()),
                ("sslmode", mode) => plain = is_plain(mode)?,
                ("pooler", "none") => pooler = Pooler::None,
                ("pooler", "transaction") => pooler = Pooler::Transaction,
                ("pooler", _) => {
                    return Err("its address has a pooler that is neither none nor transaction");
                }
                ("sslrootcert" | "sslcert" | "sslkey", _) => {}
                // A server that takes no writes is passed over in any case.
                ("target_session_attrs", "any" | "primary" | "read-write") => {}
                ("target_session_attrs", _) => {
                    return Err(
                        "its address asks for a server that takes no writes: use target_session_attrs=read-write",
                    );
                }
                _ => others.push(pair),
            }
        }
        let mut config: Config = format!("{place}?{}", others.join("&"))
            .parse()
            .map_err(|_| UNREADABLE)?;
        config.application_name("provider-auth");
        config.ssl_mode(if plain {
            SslMode::Disable
        } else {
            SslMode::Require
        });
        let targets = targets(&config, plain)?;
        Ok(Self {
            config,
            vault: vault
                .filter(|name| !name.is_empty())
                .ok_or("its address names no vault: add ?vault=name")?,
            targets,
            pooler,
        })
    }

    /// Returns what people call this vault: servers, database and name, without user and password.
    pub(crate) fn name(&self) -> String {
        let servers = self.targets.iter().map(|target| {
            let host = match &target.host {
                Host::Tcp(name) => name.clone(),
                #[cfg(unix)]
                Host::Unix(folder) => folder.display().to_string(),
            };
            match target.port {
                5432 => host,
                port => format!("{host}:{port}"),
            }
        });
        let servers: Vec<String> = servers.collect();
        let database = self.config.get_dbname().or(self.config.get_user());
        format!(
            "{}/{}, vault {}",
            servers.join(","),
            database.unwrap_or_default(),
            self.vault
        )
    }

    /// Returns what connects to one server, and the TLS that it needs.
    pub(crate) fn config_for(&self, target: &Target, password: Option<&str>) -> Config {
        let mut config = self.config.clone();
        if target.name.is_none() {
            config.ssl_mode(SslMode::Disable);
        }
        if let Some(password) = password {
            config.password(password);
        }
        config
    }
}

/// Whether a line may be in clear. What libpq would try without proof of who answers is verified
/// here all the same.
fn is_plain(mode: &str) -> Result<bool, &'static str> {
    match mode {
        "disable" => Ok(true),
        "require" | "verify-ca" | "verify-full" => Ok(false),
        "allow" | "prefer" => {
            Err("its address has an sslmode that may send in clear: use verify-full")
        }
        _ => Err("its address has an sslmode that is not known: use verify-full"),
    }
}

fn targets(config: &Config, plain: bool) -> Result<Vec<Target>, &'static str> {
    let ports = config.get_ports();
    let addresses = config.get_hostaddrs();
    let named = config.get_hosts().iter().enumerate().map(|(at, host)| {
        let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
        let name = match host {
            #[cfg(unix)]
            Host::Unix(_) => None,
            Host::Tcp(name) if plain => {
                if !is_this_machine(name) {
                    return Err(
                        "its address has sslmode=disable, which only this machine itself may have",
                    );
                }
                None
            }
            Host::Tcp(name) => {
                Some(ServerName::try_from(name.clone()).map_err(|_| "its host has no valid name")?)
            }
        };
        // libpq's hostaddr: where to go, while the name is what the certificate must have.
        let host = match addresses.get(at) {
            Some(address) if name.is_some() => Host::Tcp(address.to_string()),
            _ => host.clone(),
        };
        Ok(Target { host, port, name })
    });
    let found = named.collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() {
        return Err("its address names no host");
    }
    Ok(found)
}

fn is_this_machine(name: &str) -> bool {
    name == "localhost"
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The TLS of a target; for one in clear there is none.
pub(crate) fn tls_for(target: &Target, config: &Arc<ClientConfig>) -> Option<crate::tls::Verified> {
    let name = target.name.clone()?;
    Some(crate::tls::Verified {
        config: config.clone(),
        name,
    })
}

impl From<BackendError> for Failure {
    fn from(error: BackendError) -> Self {
        Self::Final(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(url: &str) -> String {
        match Address::parse(url) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("this is no address"),
        }
    }

    #[test]
    fn an_address_names_hosts_and_a_vault() {
        let address =
            Address::parse("postgres://me@one.example,two.example:6000/auth?vault=team%20a")
                .unwrap();
        assert_eq!(address.vault, "team a");
        let hosts: Vec<_> = address
            .targets
            .iter()
            .map(|target| (target.host.clone(), target.port))
            .collect();
        let named = |name: &str, port| (Host::Tcp(name.to_owned()), port);
        assert_eq!(
            hosts,
            [named("one.example", 5432), named("two.example", 6000)]
        );
        assert!(address.targets.iter().all(|target| target.name.is_some()));
        assert_eq!(address.pooler, Pooler::Detect);
    }

    #[test]
    fn what_libpq_says_of_files_and_servers_is_taken() {
        let libpq =
            "sslrootcert=/ca.pem&sslcert=/me.pem&sslkey=/me.key&target_session_attrs=read-write";
        Address::parse(&format!("postgres://me@db.example/a?vault=v&{libpq}")).unwrap();
        let standby = "postgres://me@db.example/a?vault=v&target_session_attrs=standby";
        assert!(why(standby).contains("target_session_attrs"));
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_clear() {
        for host in ["127.0.0.1", "localhost", "%2Frun%2Fpg"] {
            let address =
                Address::parse(&format!("postgres://me@{host}/a?sslmode=disable&vault=v")).unwrap();
            assert!(address.targets[0].name.is_none(), "{host}");
        }
        assert!(
            why("postgres://me@db.example/a?sslmode=disable&vault=v").contains("sslmode=disable")
        );
        assert!(why("postgres://me@10.0.0.1/a?sslmode=prefer&vault=v").contains("sslmode"));
        let plain = Address::parse("postgres://me@127.0.0.1/a?vault=v").unwrap();
        assert!(
            plain.targets[0].name.is_some(),
            "verified unless it is said otherwise"
        );
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said_without_its_password() {
        for url in [
            "postgres://me:hunter2@db.example/a",
            "postgres://me:hunter2@db.example/a?vault=",
            "postgres://me:hunter2@db.example/a?vault=v&nonsense=hunter2",
            "postgres://me:hunter2@db.example:port/a?vault=v",
            "postgres://me:hunter2@db.example/a?vault=v&pooler=hunter2",
            "mysql://me:hunter2@db.example/a?vault=v",
        ] {
            assert!(!why(url).contains("hunter2"), "{url}");
        }
    }
}
