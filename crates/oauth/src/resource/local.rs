//! Which addresses and names belong to this machine or its network, so that a server elsewhere has
//! no business with them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Ends of names that the public name service does not answer: of this machine (RFC 6761 §6.3), and
/// of the network that asks (RFC 6762 §3 and appendix G, RFC 8375, ICANN's `internal`).
const LOCAL_ENDS: [&str; 11] = [
    "localhost",
    "localdomain",
    "localhost6",
    "localdomain6",
    "local",
    "internal",
    "intranet",
    "private",
    "lan",
    "home",
    "corp",
];

/// Whether a connection to this address ends on this machine or in its network, or nowhere that a
/// server could be: all that is not global unicast, also where it is embedded in an address of
/// IPv6.
#[must_use]
pub fn is_local_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_local_v4(address),
        IpAddr::V6(address) => is_local_v6(address),
    }
}

/// Whether `url` names such a place, by its address or by a name that says so itself.
#[must_use]
pub fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_local_v4(address),
        // Name servers of a network make addresses of its translator; a server that names one means
        // that network.
        Some(Host::Ipv6(address)) => is_local_v6(address) || is_translated(address),
        Some(Host::Domain(name)) => is_local_name(name),
        None => true,
    }
}

fn is_local_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    match name.rsplit_once('.') {
        // A name without a dot is looked up in the network's own domain.
        None => true,
        Some((rest, last)) => {
            LOCAL_ENDS.contains(&last) || (last == "arpa" && is_home(rest.rsplit('.').next()))
        }
    }
}

/// Of `home.arpa` (RFC 8375).
fn is_home(label: Option<&str>) -> bool {
    label == Some("home")
}

/// What the registry of special addresses (RFC 6890) does not call globally reachable, but for
/// those of documentation, which belong to no network.
fn is_local_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        // This network, private use, loopback.
        (0 | 10 | 127, ..) => true,
        // Shared by carriers and overlay networks (RFC 6598).
        (100, 64..=127, _) => true,
        (169, 254, _) | (172, 16..=31, _) | (192, 168, _) => true,
        // Protocol assignments; relays of 6to4; tests of devices (RFC 2544).
        (192, 0, 0) | (192, 88, 99) | (198, 18..=19, _) => true,
        // Multicast, reserved, broadcast.
        (224..=255, ..) => true,
        _ => false,
    }
}

fn is_local_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let v4 = |high: u16, low: u16| {
        let [[a, b], [c, d]] = [high, low].map(u16::to_be_bytes);
        is_local_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // Mapped (RFC 4291 §2.5.5.2), and NAT64 with the well-known prefix (RFC 6052), which
        // networks without IPv4 make of any public address.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        // Teredo (RFC 4380): its server, and the client's address with every bit turned.
        [0x2001, 0, high, low, _, _, client_high, client_low] => {
            v4(high, low) || v4(!client_high, !client_low)
        }
        // Tests of devices, ORCHID.
        [0x2001, 2, 0, ..] | [0x2001, 0x10..=0x1f, ..] => true,
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => v4(high, low),
        // ISATAP (RFC 5214).
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] if v4(high, low) => true,
        // Only 2000::/3 is global unicast. Outside of it are `::`, loopback, IPv4-compatible and
        // IPv4-translated addresses, local NAT64 (RFC 8215), unique-local, link-local, site-local
        // and multicast ones.
        [first, ..] => first & 0xe000 != 0x2000,
    }
}

/// Whether the address is one of a translator to IPv4 (RFC 6052 §2.1, RFC 8215).
fn is_translated(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [0x64, 0xff9b, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_global_unicast_is_local_in_every_notation() {
        for host in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.254",
            "127.0.0.1",
            "127.1",
            "0x7f000001",
            "2130706433",
            "0177.0.0.1",
            "127.0.0.1.",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.254",
            "192.0.0.8",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.254",
            "224.0.0.251",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "[::]",
            "[::1]",
            "[::7f00:1]",
            "[::10.0.0.1]",
            "[::8.8.8.8]",
            "[::ffff:0.0.0.0]",
            "[::ffff:0.1.2.3]",
            "[::ffff:127.0.0.1]",
            "[::ffff:100.64.0.1]",
            "[::ffff:a9fe:a9fe]",
            "[::ffff:224.0.0.1]",
            "[::ffff:255.255.255.255]",
            "[::ffff:0:10.0.0.1]",
            "[64:ff9b::127.0.0.1]",
            "[64:ff9b::10.0.0.1]",
            "[64:ff9b::8.8.8.8]",
            "[64:ff9b:1::1]",
            "[64:ff9b:1:a00:1::]",
            "[100::1]",
            "[2001:0:a00:1::1]",
            "[2001:0:808:808:0:0:f5ff:fffe]",
            "[2001:2::1]",
            "[2001:10::1]",
            "[2002:a00:1::1]",
            "[2002:7f00:1::]",
            "[2002:c0a8:101::1]",
            "[2a00::5efe:10.0.0.1]",
            "[2a00::200:5efe:192.168.0.1]",
            "[fc00::1]",
            "[fd12:3456::1]",
            "[fe80::1]",
            "[febf::1]",
            "[fec0::1]",
            "[ff02::1]",
            "[ff05::2]",
            "localhost",
            "localhost.",
            "LOCALHOST",
            "app.localhost",
            "app.localhost.",
            "a.b.localhost",
            "localhost.localdomain",
            "localhost6.localdomain6",
            "ip6-loopback",
            "router",
            "intranet.",
            "printer.local",
            "metadata.google.internal",
            "nas.lan",
            "box.home.arpa",
            "box.home.arpa.",
        ] {
            let url: Url = format!("https://{host}/x").parse().unwrap();
            assert!(is_local(&url), "{host}");
        }
    }

    #[test]
    fn a_public_address_is_not_local() {
        for host in [
            "8.8.8.8",
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "169.253.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.167.0.1",
            "198.17.0.1",
            "203.0.113.7",
            "223.255.255.255",
            "[2606:4700::1111]",
            "[2a00:1450::5efe:808:808]",
            "[2002:808:808::1]",
            "[2001:0:808:808:0:0:f7f7:f7f7]",
            "[2001:4860:4860::8888]",
            "[::ffff:8.8.8.8]",
            "id.example",
            "id.example.",
            "localhost.example",
            "notlocalhost.example",
            "local.example",
            "home.example",
            "home.arpa.example",
            "in-addr.arpa",
        ] {
            let url: Url = format!("https://{host}/x").parse().unwrap();
            assert!(!is_local(&url), "{host}");
        }
    }

    #[test]
    fn where_a_name_of_a_public_place_leads_through_a_translator_is_public() {
        for (address, local) in [
            ("64:ff9b::8.8.8.8", false),
            ("64:ff9b::10.0.0.1", true),
            ("64:ff9b::100.64.0.1", true),
            ("64:ff9b:1::8.8.8.8", true),
        ] {
            assert_eq!(
                is_local_address(address.parse().unwrap()),
                local,
                "{address}"
            );
        }
    }
}
