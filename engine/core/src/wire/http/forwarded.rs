//! Who the client is, behind proxies that say whom they speak for. Knows nothing of who trusts them.

use std::net::{IpAddr, SocketAddr};

use super::head::Head;
use crate::network::Network;

/// The client's address.
///
/// Each proxy appends to `X-Forwarded-For` the address it was spoken to from, so the list is believed from its end
/// on, as long as the one who wrote an entry is trusted. An entry that is no address ends the belief.
#[must_use]
pub fn forwarded_for(head: &Head<'_>, peer: IpAddr, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    let mut values =
        head.header_values("x-forwarded-for").rev().flat_map(|value| value.split(|byte| *byte == b',').rev());
    while is_trusted(client)
        && let Some(address) = values.next().and_then(parse_entry)
    {
        client = address;
    }
    client
}

/// An address, with or without a port and the brackets of IPv6.
fn parse_entry(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(IpAddr::to_canonical(&address))
}

#[cfg(test)]
mod tests {
    use super::super::parse_head;
    use super::*;

    fn client(peer: &str, lines: &str) -> String {
        let trusted = ["10.0.0.0/8", "::1"].map(|network| network.parse().expect("network"));
        let request = format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
        let (head, _) = parse_head(request.as_bytes()).expect("valid").expect("whole");
        forwarded_for(&head, peer.parse().expect("address"), &trusted).to_string()
    }

    #[test]
    fn a_trusted_proxy_is_believed() {
        assert_eq!(client("10.0.0.1", "X-Forwarded-For: 1.2.3.4\r\n"), "1.2.3.4");
        assert_eq!(client("::1", "x-forwarded-for: fd00::7\r\n"), "fd00::7");
        assert_eq!(client("::ffff:10.0.0.1", "X-Forwarded-For: ::ffff:1.2.3.4\r\n"), "1.2.3.4");
        assert_eq!(client("10.0.0.1", "X-Forwarded-For: [fd00::7]:80, 10.0.0.2:99, [::1]\r\n"), "fd00::7");
        assert_eq!(client("10.0.0.1", ""), "10.0.0.1");
    }

    #[test]
    fn a_stranger_is_not_believed() {
        assert_eq!(client("8.8.8.8", "X-Forwarded-For: 1.2.3.4\r\n"), "8.8.8.8");
    }

    #[test]
    fn what_stands_left_of_an_untrusted_address_was_made_up_by_the_client() {
        assert_eq!(client("10.0.0.1", "X-Forwarded-For: 127.0.0.1, 6.6.6.6, 10.0.0.2\r\n"), "6.6.6.6");
        assert_eq!(
            client("10.0.0.1", "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 6.6.6.6 , 10.0.0.2\r\n"),
            "6.6.6.6"
        );
        assert_eq!(client("10.0.0.1", "X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n"), "10.0.0.3");
    }

    #[test]
    fn an_entry_that_is_no_address_ends_the_walk() {
        for garbage in ["unknown", "", "_hidden", "1.2.3", "1.2.3.4:x", "[fd00::1", "é"] {
            let lines = format!("X-Forwarded-For: 6.6.6.6, {garbage}, 10.0.0.2\r\n");
            assert_eq!(client("10.0.0.1", &lines), "10.0.0.2", "{garbage}");
        }
    }
}
