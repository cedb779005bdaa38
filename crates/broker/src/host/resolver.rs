//! Looks names up for `reqwest`, and keeps a request from where it may not go.
//!
//! The addresses that are judged are the very ones that are connected to. Behind a proxy it is the
//! proxy that looks a name up: the only name that comes by here is then its own, which is the
//! user's and is not judged.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use provider_auth_oauth::{Reach, is_local_address};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Finds the addresses of a name.
pub(crate) type LookUp = Arc<dyn Fn(String) -> LookingUp + Send + Sync>;

pub(crate) type LookingUp = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Looks names up as the system does.
pub(crate) fn system() -> LookUp {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

/// Looks names up for one request.
pub(crate) struct Resolver {
    look_up: LookUp,
    /// The host that the request is for.
    host: String,
    reach: Reach,
    /// Whether all that the host leads to is this machine or its network.
    is_nearby: Arc<AtomicBool>,
}

impl Resolver {
    pub(crate) fn new(look_up: LookUp, host: &str, reach: Reach) -> Self {
        Self {
            look_up,
            host: host.to_owned(),
            reach,
            is_nearby: Arc::default(),
        }
    }

    /// Becomes true when the host was looked up and leads to this machine or its network alone.
    pub(crate) fn is_nearby(&self) -> Arc<AtomicBool> {
        self.is_nearby.clone()
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let is_ours = name.as_str().eq_ignore_ascii_case(&self.host);
        let looking_up = (self.look_up)(name.as_str().to_owned());
        let (reach, is_nearby) = (self.reach, self.is_nearby.clone());
        Box::pin(async move {
            let mut found = looking_up.await?;
            if is_ours {
                let leads_out = |address: &IpAddr| !is_local_address(*address);
                is_nearby.store(!found.iter().any(leads_out), Ordering::Relaxed);
                if reach == Reach::PublicOnly {
                    let had_any = !found.is_empty();
                    found.retain(leads_out);
                    if had_any && found.is_empty() {
                        return Err(LeadsHome.into());
                    }
                }
            }
            let found = found.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(found) as Addrs)
        })
    }
}

/// A name leads to this machine or its network alone, where the request may not go.
#[derive(Debug)]
pub(crate) struct LeadsHome;

impl fmt::Display for LeadsHome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name leads to this machine or its network")
    }
}

impl Error for LeadsHome {}

#[cfg(test)]
mod tests {
    use super::*;

    fn answering(addresses: &'static [&'static str]) -> LookUp {
        Arc::new(move |_| {
            let found = addresses.iter().map(|address| address.parse().unwrap());
            let found = found.collect();
            Box::pin(async move { Ok(found) })
        })
    }

    /// What a name leads to, or whether it was refused; and whether it counts as nearby.
    async fn resolved(
        look_up: LookUp,
        name: &str,
        reach: Reach,
    ) -> (Result<Vec<String>, bool>, bool) {
        let resolver = Resolver::new(look_up, "mcp.example", reach);
        let is_nearby = resolver.is_nearby();
        let found = resolver.resolve(name.parse().unwrap()).await;
        let found = found
            .map(|found| found.map(|address| address.ip().to_string()).collect())
            .map_err(|error| error.is::<LeadsHome>());
        (found, is_nearby.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn a_name_leads_to_no_address_of_this_machine_or_its_network() {
        for (addresses, expect) in [
            (
                &["8.8.8.8", "2606:4700::1"][..],
                Ok(&["8.8.8.8", "2606:4700::1"][..]),
            ),
            (&["10.0.0.1", "8.8.8.8", "::1"], Ok(&["8.8.8.8"])),
            (&["10.0.0.1"], Err(true)),
            (&["127.0.0.1", "::1"], Err(true)),
            (&["100.64.0.1"], Err(true)),
            (&["::ffff:0.0.0.0"], Err(true)),
            (&["::ffff:192.168.0.1"], Err(true)),
            (&["64:ff9b::a00:1"], Err(true)),
            (&["64:ff9b::808:808"], Ok(&["64:ff9b::808:808"])),
            (&["2002:a00:1::1", "fe80::1", "fd00::1"], Err(true)),
            (&[], Ok(&[])),
        ] {
            let (found, _) = resolved(answering(addresses), "mcp.example", Reach::PublicOnly).await;
            let expect = expect.map(|list| list.iter().map(ToString::to_string).collect());
            assert_eq!(found, expect, "{addresses:?}");
        }
    }

    #[tokio::test]
    async fn a_host_is_nearby_if_it_leads_nowhere_else() {
        for (addresses, nearby) in [
            (&["10.0.0.1", "fd00::1"][..], true),
            (&["10.0.0.1", "8.8.8.8"], false),
            (&["8.8.8.8"], false),
        ] {
            let (found, told) =
                resolved(answering(addresses), "MCP.example", Reach::Observed).await;
            assert_eq!((found.unwrap().len(), told), (addresses.len(), nearby));
        }
    }

    #[tokio::test]
    async fn the_name_of_a_proxy_is_not_judged() {
        let proxy = answering(&["10.0.0.8"]);
        let (found, nearby) = resolved(proxy, "proxy.corp.example", Reach::PublicOnly).await;
        assert_eq!((found, nearby), (Ok(vec!["10.0.0.8".to_owned()]), false));
    }

    #[tokio::test]
    async fn what_the_system_says_of_this_machine_is_judged_like_any_other() {
        for name in ["localhost", "localhost."] {
            let resolver = Resolver::new(system(), name, Reach::PublicOnly);
            let found = resolver.resolve(name.parse().unwrap()).await;
            let error = found.map(Iterator::count).unwrap_err();
            // Some systems do not know the name with its dot.
            assert!(error.is::<LeadsHome>() || name == "localhost.", "{error}");
        }
    }
}
