//! The PROXY protocol, version 2: who the client behind a load balancer is.
//!
//! Knows nothing of which peers may be believed.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of a header, type-length-values included: fits a TLS client certificate's name and more, and a peer
/// that announces more is not a load balancer.
const HEADER_BYTES_MAX: usize = 4 * 1024;

/// How every version 2 header begins.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family, length.
const FIXED_BYTES: usize = 16;

/// How every version 1 header begins.
const VERSION_1: &[u8] = b"PROXY ";

/// The bytes are not a version 2 header this engine can take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProxyError {
    /// No header at all: a client that came around the load balancer, or one that sends none.
    NoHeader,
    /// The text header of version 1, which has no length and is not supported.
    Version1,
    /// A version or command the protocol does not define.
    Unknown,
    /// A family other than TCP over IPv4 or IPv6, or addresses shorter than the family's.
    BadAddress,
    /// Longer than any honest header.
    TooLong,
}

impl fmt::Display for ProxyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NoHeader => "no PROXY protocol header",
            Self::Version1 => "PROXY protocol version 1 is not supported",
            Self::Unknown => "unknown PROXY protocol version or command",
            Self::BadAddress => "malformed PROXY protocol address",
            Self::TooLong => "PROXY protocol header too long",
        })
    }
}

impl std::error::Error for ProxyError {}

/// Reads the header at the start of a connection: the client's address and the header's length in bytes.
///
/// `Ok(None)`: more bytes are needed. No address: the proxy speaks for itself (a health check) or does not know;
/// the peer's own address counts. IPv4-mapped addresses come out as IPv4.
///
/// # Errors
/// The bytes are no such header, which is known at the first byte that differs.
pub fn parse(bytes: &[u8]) -> Result<Option<(Option<SocketAddr>, usize)>, ProxyError> {
    check_signature(bytes)?;
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED_BYTES>() else { return Ok(None) };
    let [version_command, family, length @ ..] = [fixed[12], fixed[13], fixed[14], fixed[15]];
    let local = match version_command {
        0x20 => true,
        0x21 => false,
        _ => return Err(ProxyError::Unknown),
    };
    let length = usize::from(u16::from_be_bytes(length));
    if FIXED_BYTES + length > HEADER_BYTES_MAX {
        return Err(ProxyError::TooLong);
    }
    let Some(addresses) = rest.get(..length) else { return Ok(None) };
    let source = if local { None } else { source(family, addresses)? };
    Ok(Some((source, FIXED_BYTES + length)))
}

fn check_signature(bytes: &[u8]) -> Result<(), ProxyError> {
    let there = bytes.len().min(SIGNATURE.len());
    if bytes[..there] == SIGNATURE[..there] {
        return Ok(());
    }
    Err(if bytes.starts_with(VERSION_1) { ProxyError::Version1 } else { ProxyError::NoHeader })
}

/// The source address; what follows the addresses (type-length-values) is skipped.
fn source(family: u8, addresses: &[u8]) -> Result<Option<SocketAddr>, ProxyError> {
    let port = |at: usize| addresses.get(at..at + 4).map(|ports| u16::from_be_bytes([ports[0], ports[1]]));
    let source = match family {
        // AF_UNSPEC, and AF_UNIX, whose clients have no address on a network.
        0x00 | 0x31 | 0x32 => return Ok(None),
        0x11 => addresses.first_chunk::<4>().map(|ip| Ipv4Addr::from(*ip).into()).zip(port(8)),
        0x21 => addresses.first_chunk::<16>().map(|ip| Ipv6Addr::from(*ip).to_canonical()).zip(port(32)),
        _ => None,
    };
    source.map(|(ip, port)| Some(SocketAddr::new(ip, port))).ok_or(ProxyError::BadAddress)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version_command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let mut header = SIGNATURE.to_vec();
        header.extend([version_command, family]);
        header.extend((addresses.len() as u16).to_be_bytes());
        header.extend(addresses);
        header
    }

    fn tcp4() -> Vec<u8> {
        header(0x21, 0x11, &[10, 1, 2, 3, 127, 0, 0, 1, 0x12, 0x34, 0x1b, 0x58])
    }

    fn source_of(header: &[u8]) -> Option<SocketAddr> {
        let (source, used) = parse(header).expect("valid").expect("whole");
        assert_eq!(used, header.len());
        source
    }

    #[test]
    fn the_source_address_is_the_clients() {
        assert_eq!(source_of(&tcp4()), Some("10.1.2.3:4660".parse().expect("address")));
        let mut addresses = [0_u8; 36];
        addresses[..16].copy_from_slice(&"fd00::7".parse::<Ipv6Addr>().expect("address").octets());
        addresses[32..].copy_from_slice(&[0, 80, 0, 81]);
        assert_eq!(source_of(&header(0x21, 0x21, &addresses)), Some("[fd00::7]:80".parse().expect("address")));
        addresses[..16].copy_from_slice(&"::ffff:1.2.3.4".parse::<Ipv6Addr>().expect("address").octets());
        assert_eq!(source_of(&header(0x21, 0x21, &addresses)), Some("1.2.3.4:80".parse().expect("address")));
    }

    #[test]
    fn a_proxy_that_speaks_for_itself_names_nobody() {
        assert_eq!(source_of(&header(0x20, 0x00, &[])), None);
        assert_eq!(source_of(&header(0x20, 0x11, &[1, 2, 3])), None, "the addresses of LOCAL are not looked at");
        assert_eq!(source_of(&header(0x21, 0x00, &[9, 9])), None);
        assert_eq!(source_of(&header(0x21, 0x31, &[0; 216])), None);
    }

    #[test]
    fn what_follows_the_addresses_is_skipped_and_what_follows_the_header_is_left() {
        let mut addresses = tcp4()[16..].to_vec();
        addresses.extend([0x04, 0, 3, 1, 2, 3]);
        let mut bytes = header(0x21, 0x11, &addresses);
        let length = bytes.len();
        bytes.extend(b"GET / HTTP/1.1");
        assert_eq!(parse(&bytes), Ok(Some((Some("10.1.2.3:4660".parse().expect("address")), length))));
    }

    #[test]
    fn a_header_cut_short_waits_for_more() {
        let whole = tcp4();
        for cut in 0..whole.len() {
            assert_eq!(parse(&whole[..cut]), Ok(None), "{cut}");
        }
    }

    #[test]
    fn other_bytes_are_refused_at_the_first_that_differs() {
        assert_eq!(parse(b"G"), Err(ProxyError::NoHeader));
        assert_eq!(parse(b"\r\n\r\n\0\r\nQUIX"), Err(ProxyError::NoHeader));
        assert_eq!(parse(b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), Err(ProxyError::Version1));
        for version_command in [0x11, 0x22, 0x01, 0x2f] {
            assert_eq!(parse(&header(version_command, 0x11, &[0; 12])), Err(ProxyError::Unknown));
        }
    }

    #[test]
    fn addresses_must_be_tcp_and_whole() {
        assert_eq!(parse(&header(0x21, 0x11, &[0; 11])), Err(ProxyError::BadAddress));
        assert_eq!(parse(&header(0x21, 0x21, &[0; 35])), Err(ProxyError::BadAddress));
        assert_eq!(parse(&header(0x21, 0x12, &[0; 12])), Err(ProxyError::BadAddress), "UDP");
        assert_eq!(parse(&header(0x21, 0x55, &[0; 12])), Err(ProxyError::BadAddress));
    }

    #[test]
    fn a_huge_length_is_refused_before_it_arrives() {
        assert!(matches!(parse(&header(0x21, 0x11, &[0; 4_080])), Ok(Some(_))));
        assert_eq!(parse(&header(0x21, 0x11, &[0; 4_081])[..16]), Err(ProxyError::TooLong));
    }
}
