//! The addresses to connect from: one address has at most 64 511 ports to one server's port, by default 28 232.

use std::net::{IpAddr, Ipv4Addr};

/// Addresses taken of one network, from its first: with 28 232 ports each, for 28 million connections.
pub const NETWORK_MAX: u32 = 1_024;

/// Addresses, and networks such as `127.0.0.0/8`, as single addresses.
///
/// # Errors
/// What is neither, in words.
pub fn expand(texts: &[String]) -> Result<Vec<IpAddr>, String> {
    let mut all = Vec::new();
    for text in texts {
        match text.split_once('/') {
            None => all.push(text.parse().map_err(|_| wrong(text))?),
            Some((address, bits)) => {
                let address: Ipv4Addr = address.parse().map_err(|_| wrong(text))?;
                let bits: u32 = bits.parse().ok().filter(|bits| *bits <= 32).ok_or_else(|| wrong(text))?;
                all.extend(of_network(address, bits).map(IpAddr::V4));
            }
        }
    }
    Ok(all)
}

/// The hosts of a network: neither the network's own address nor that of all.
fn of_network(address: Ipv4Addr, bits: u32) -> impl Iterator<Item = Ipv4Addr> {
    let size = 1_u64 << (32 - bits);
    let first = u64::from(u32::from(address)) / size * size;
    let hosts = if size <= 2 { 0..size } else { 1..size - 1 };
    hosts.take(NETWORK_MAX as usize).map(move |host| Ipv4Addr::from((first + host) as u32))
}

fn wrong(text: &str) -> String {
    format!("tool.source_addresses: {text} is neither an address nor an IPv4 network such as 127.0.0.0/8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Vec<String> {
        expand(&[text.into()]).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn networks_become_their_hosts_within_a_limit() {
        assert_eq!(expanded("10.1.2.9/30"), ["10.1.2.9", "10.1.2.10"]);
        assert_eq!(expanded("10.1.2.9/32"), ["10.1.2.9"]);
        assert_eq!(expanded("10.1.2.9/31"), ["10.1.2.8", "10.1.2.9"]);
        let loopback = expanded("127.0.0.0/8");
        assert_eq!(loopback.len(), NETWORK_MAX as usize);
        assert_eq!((loopback[0].as_str(), loopback[255].as_str()), ("127.0.0.1", "127.0.1.0"));
        assert_eq!(expanded("0.0.0.0/0").len(), NETWORK_MAX as usize);
        assert_eq!(expanded("::1"), ["::1"]);
    }

    #[test]
    fn what_is_no_address_is_named() {
        for text in ["", "localhost", "10.0.0.0/33", "10.0.0.0/", "::1/64", "10.0.0/8"] {
            assert!(expand(&[text.into()]).unwrap_err().contains("is neither an address"), "{text}");
        }
    }
}
