//! The way to the server: its addresses, ours, and TLS if it wants that.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use mio::net::TcpStream;
use nix::sys::socket::{setsockopt, sockopt::IpBindAddressNoPort};
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use super::tls::{self, Named, Tls};
use crate::error::Error;
use crate::plan::Plan;

/// The way to the server.
#[derive(Debug)]
pub struct Route {
    /// IPv4 first.
    addresses: Vec<SocketAddr>,
    /// Addresses to come from, in turn; empty: the system chooses.
    sources: Vec<IpAddr>,
    tls: Option<Named>,
}

impl Route {
    /// Finds the server of a plan. Asks the resolver, and reads certificates for `wss`.
    ///
    /// # Errors
    /// [`Error::Usage`] in words when its name, its certificates or our addresses are wrong.
    pub fn new(plan: &Plan) -> Result<Self, Error> {
        let addresses = resolve(&plan.url.host, plan.url.port).map_err(Error::Usage)?;
        let tls = tls::of_url(&plan.url, &plan.scenario.target).map_err(Error::Usage)?;
        for source in &plan.sources {
            if !addresses.iter().any(|address| address.is_ipv4() == source.is_ipv4()) {
                let words = format!(
                    "tool.source_addresses: {source} cannot reach {}, which is of the other family",
                    addresses[0]
                );
                return Err(Error::Usage(words));
            }
        }
        Ok(Self { addresses, sources: plan.sources.clone(), tls })
    }

    /// Begins to connect client `number`: the stream becomes writable when it is there, or has an error to take.
    ///
    /// # Errors
    /// When there is no descriptor, no port, or no such address of ours.
    pub fn dial(&self, number: u32) -> io::Result<TcpStream> {
        let source = match self.sources.len() {
            0 => None,
            count => Some(self.sources[number as usize % count]),
        };
        let fits = |address: &&SocketAddr| source.is_none_or(|source| source.is_ipv4() == address.is_ipv4());
        let address = *self.addresses.iter().find(fits).unwrap_or(&self.addresses[0]);
        let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), None)?;
        if let Some(source) = source {
            // Ports are then chosen when the target is known, and one is used for as many targets as there are (ip(7)).
            setsockopt(&socket, IpBindAddressNoPort, &true)?;
            let bound = socket.bind(&SocketAddr::new(source, 0).into());
            bound.map_err(|error| io::Error::new(error.kind(), format!("{source} cannot be used: {error}")))?;
        }
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => Err(error),
            _ => Ok(TcpStream::from_std(socket.into())),
        }
    }

    /// The TLS to speak over a stream; none for `ws`.
    ///
    /// # Errors
    /// When the configuration allows no handshake.
    pub fn tls(&self) -> Result<Option<Box<Tls>>, rustls::Error> {
        self.tls.as_ref().map(|(config, name)| Tls::new(config, name).map(Box::new)).transpose()
    }
}

/// The addresses of a host, IPv4 first. Asks the resolver of the system: may take its time.
///
/// # Errors
/// When the name is unknown, in words.
pub fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let found = (host, port).to_socket_addrs();
    let mut addresses: Vec<SocketAddr> =
        found.map_err(|error| format!("host {host:?} cannot be found: {error}"))?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    if addresses.is_empty() { Err(format!("host {host:?} has no address")) } else { Ok(addresses) }
}

#[cfg(test)]
mod tests {
    use super::super::failure::Failure;
    use super::*;

    fn route(to: SocketAddr, sources: &[&str]) -> Route {
        let sources = sources.iter().map(|source| source.parse().unwrap()).collect();
        Route { addresses: vec![to], sources, tls: None }
    }

    #[test]
    fn a_host_that_is_not_there_is_named() {
        assert!(resolve("no-such-host.invalid", 80).unwrap_err().contains("no-such-host.invalid"));
        assert_eq!(resolve("127.0.0.1", 80).unwrap(), [SocketAddr::from(([127, 0, 0, 1], 80))]);
    }

    #[test]
    fn clients_come_from_the_source_addresses_in_turn() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let route = route(listener.local_addr().unwrap(), &["127.1.2.3", "127.4.5.6"]);
        let streams: Vec<_> = (0..3).map(|number| route.dial(number).unwrap()).collect();
        let from: Vec<_> = streams.iter().map(|_| listener.accept().unwrap().1.ip().to_string()).collect();
        assert_eq!(from, ["127.1.2.3", "127.4.5.6", "127.1.2.3"]);
    }

    #[test]
    fn a_port_is_chosen_when_connecting_for_that_target_alone() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = route(listener.local_addr().unwrap(), &["127.9.8.7"]).dial(0).unwrap();
        let option = nix::sys::socket::getsockopt(&stream, IpBindAddressNoPort);
        assert_eq!((option, stream.local_addr().unwrap().port() != 0), (Ok(true), true));
    }

    #[test]
    fn an_address_that_is_not_ours_is_an_error_of_dialling() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let error = route(listener.local_addr().unwrap(), &["192.0.2.1"]).dial(0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
        let failure = Failure::of_dialling(&error);
        assert_eq!(failure.kind, "source address not usable");
        assert!(failure.example.contains("192.0.2.1"), "{failure:?}");
    }
}
