//! Who may come in: how many connections there are, from where, and how fast they may arrive.
//!
//! The control API has a number of its own: neither listener can use up the other's. Knows nothing of sockets.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use epush_core::network::Network;
use epush_core::rate::TokenBucket;

/// The limits of the `[limits]` section that are enforced before a byte is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AcceptLimits {
    /// Client connections of the node.
    pub connections: usize,
    /// Client connections of one address; 0: no limit.
    pub connections_per_ip: usize,
    /// Connections to the control API.
    pub api_connections: usize,
    /// Client connections accepted a second; 0: no limit.
    pub accepts_per_second: u32,
}

/// Which limit a connection was over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Over {
    /// `limits.connections`.
    Connections,
    /// `limits.connections_per_ip`.
    PerIp,
    /// `limits.api_connections`.
    Api,
}

/// The account of connections.
pub struct Admission {
    limits: AcceptLimits,
    /// Proxies: their connections belong to their clients, who are counted when they are known.
    trusted: Vec<Network>,
    /// Client connections now.
    clients: usize,
    /// Connections to the control API now.
    callers: usize,
    /// Client connections by address (see [`household`]), trusted proxies left out.
    ///
    /// Invariant: no entry is 0.
    by_ip: HashMap<IpAddr, usize>,
    pace: Option<TokenBucket>,
}

impl Admission {
    /// Nobody is in yet.
    #[must_use]
    pub fn new(limits: AcceptLimits, trusted: Vec<Network>) -> Self {
        Self { limits, trusted, clients: 0, callers: 0, by_ip: HashMap::new(), pace: pace(limits) }
    }

    /// New limits, for connections from now on.
    pub fn set_limits(&mut self, limits: AcceptLimits) {
        if limits.accepts_per_second != self.limits.accepts_per_second {
            self.pace = pace(limits);
        }
        self.limits = limits;
    }

    /// Whether the pace allows another accept now; if not, how many µs to leave the connections in the backlog.
    ///
    /// # Errors
    /// The µs to wait.
    pub fn pace(&self, now_us: u64) -> Result<(), u64> {
        let wait_us = self.pace.map_or(0, |bucket| bucket.next_us().saturating_sub(now_us));
        if wait_us == 0 { Ok(()) } else { Err(wait_us) }
    }

    /// A client connection was accepted. Apart from [`Admission::pace`]: a look into an empty backlog costs nothing.
    pub fn spend(&mut self, now_us: u64) {
        if let Some(bucket) = &mut self.pace {
            bucket.take(now_us);
        }
    }

    /// Counts a client connection in.
    ///
    /// # Errors
    /// The limit it is over; then it is not counted.
    pub fn enter(&mut self, ip: IpAddr) -> Result<(), Over> {
        if self.clients >= self.limits.connections {
            return Err(Over::Connections);
        }
        if !self.is_trusted(ip) {
            if self.is_full(ip) {
                return Err(Over::PerIp);
            }
            *self.by_ip.entry(household(ip)).or_default() += 1;
        }
        self.clients += 1;
        Ok(())
    }

    /// Counts a connection to the control API in.
    ///
    /// # Errors
    /// When there are as many as may be; then it is not counted.
    pub fn enter_api(&mut self) -> Result<(), Over> {
        if self.callers >= self.limits.api_connections {
            return Err(Over::Api);
        }
        self.callers += 1;
        Ok(())
    }

    /// Counts a connection to the control API out.
    pub fn leave_api(&mut self) {
        debug_assert!(self.callers > 0, "more callers left than came");
        self.callers = self.callers.saturating_sub(1);
    }

    /// Counts a client connection out.
    pub fn leave(&mut self, ip: IpAddr) {
        debug_assert!(self.clients > 0, "more clients left than came");
        self.clients = self.clients.saturating_sub(1);
        self.forget(ip);
    }

    /// A connection counted under `before` turned out to be `client`'s; returns whether it may stay.
    ///
    /// It is counted either way, until it leaves.
    pub fn behind(&mut self, before: IpAddr, client: IpAddr) -> bool {
        self.forget(before);
        if self.is_trusted(client) {
            return true;
        }
        let may_stay = !self.is_full(client);
        *self.by_ip.entry(household(client)).or_default() += 1;
        may_stay
    }

    /// Client connections now.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients
    }

    fn forget(&mut self, ip: IpAddr) {
        // A proxy was never counted, and must not be counted out of the household that its address lies in.
        if self.is_trusted(ip) {
            return;
        }
        let Some(count) = self.by_ip.get_mut(&household(ip)) else { return };
        *count -= 1;
        if *count == 0 {
            self.by_ip.remove(&household(ip));
        }
    }

    fn is_full(&self, ip: IpAddr) -> bool {
        let limit = self.limits.connections_per_ip;
        limit > 0 && self.by_ip.get(&household(ip)).is_some_and(|count| *count >= limit)
    }

    fn is_trusted(&self, ip: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(ip))
    }
}

/// The bucket holds a tenth of a second: a burst that large is what the rate itself would let in at a poll's grain.
fn pace(limits: AcceptLimits) -> Option<TokenBucket> {
    let rate = limits.accepts_per_second;
    (rate > 0).then(|| TokenBucket::new(rate, (rate / 10).max(1)))
}

/// What one customer has: an IPv4 address, or a /64 of IPv6 (RFC 6177), in which addresses cost nothing.
fn household(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    fn admission(connections: usize, connections_per_ip: usize) -> Admission {
        let limits = AcceptLimits { connections, connections_per_ip, api_connections: 1, accepts_per_second: 0 };
        Admission::new(limits, vec!["10.0.0.0/8".parse().expect("network")])
    }

    #[test]
    fn the_node_has_a_limit_and_a_leaver_makes_room() {
        let mut admission = admission(2, 0);
        assert_eq!(admission.enter(ip("1.1.1.1")), Ok(()));
        assert_eq!(admission.enter(ip("1.1.1.1")), Ok(()));
        assert_eq!(admission.enter(ip("2.2.2.2")), Err(Over::Connections));
        admission.leave(ip("1.1.1.1"));
        assert_eq!(admission.enter(ip("2.2.2.2")), Ok(()));
        assert_eq!(admission.clients(), 2);
    }

    #[test]
    fn an_address_has_a_limit_and_mapped_addresses_are_the_same() {
        let mut admission = admission(100, 2);
        assert_eq!(admission.enter(ip("1.1.1.1")), Ok(()));
        assert_eq!(admission.enter(ip("::ffff:1.1.1.1")), Ok(()));
        assert_eq!(admission.enter(ip("1.1.1.1")), Err(Over::PerIp));
        assert_eq!(admission.enter(ip("1.1.1.2")), Ok(()));
        admission.leave(ip("1.1.1.1"));
        assert_eq!(admission.enter(ip("1.1.1.1")), Ok(()));
    }

    #[test]
    fn a_household_of_ipv6_is_one_address() {
        let mut admission = admission(100, 1);
        assert_eq!(admission.enter(ip("2001:db8::1")), Ok(()));
        assert_eq!(admission.enter(ip("2001:db8::2")), Err(Over::PerIp));
        assert_eq!(admission.enter(ip("2001:db8:0:1::1")), Ok(()));
    }

    #[test]
    fn a_trusted_proxy_is_exempt_and_its_clients_are_counted_when_known() {
        let mut admission = admission(100, 1);
        let (proxy, client) = (ip("10.0.0.1"), ip("1.1.1.1"));
        assert_eq!(admission.enter(proxy), Ok(()));
        assert_eq!(admission.enter(proxy), Ok(()));
        assert!(admission.behind(proxy, client));
        assert!(!admission.behind(proxy, client), "over its limit");
        admission.leave(client);
        admission.leave(client);
        assert!(admission.by_ip.is_empty(), "every count was given back");
        assert_eq!(admission.clients(), 0);
    }

    #[test]
    fn a_proxy_that_leaves_takes_no_neighbour_of_its_household_along() {
        let limits = AcceptLimits { connections: 9, connections_per_ip: 1, api_connections: 1, accepts_per_second: 0 };
        let mut admission = Admission::new(limits, vec!["fd00::1".parse().expect("network")]);
        assert_eq!(admission.enter(ip("fd00::2")), Ok(()));
        assert_eq!(admission.enter(ip("fd00::1")), Ok(()), "the proxy");
        admission.leave(ip("fd00::1"));
        assert_eq!(admission.enter(ip("fd00::3")), Err(Over::PerIp), "its neighbour is still there");
    }

    #[test]
    fn the_api_has_a_number_of_its_own() {
        let mut admission = admission(1, 0);
        assert_eq!(admission.enter(ip("1.1.1.1")), Ok(()));
        assert_eq!(admission.enter_api(), Ok(()));
        assert_eq!(admission.enter_api(), Err(Over::Api));
        admission.leave_api();
        assert_eq!(admission.enter_api(), Ok(()));
    }

    #[test]
    fn a_paced_door_says_how_long_to_wait() {
        let limits = AcceptLimits { connections: 9, connections_per_ip: 0, api_connections: 1, accepts_per_second: 20 };
        let mut admission = Admission::new(limits, Vec::new());
        assert!((0..100).all(|_| admission.pace(1).is_ok()), "a look costs nothing");
        let mut accepted = |now_us| admission.pace(now_us).map(|()| admission.spend(now_us)).is_ok();
        let admitted = (0..100).filter(|_| accepted(1)).count();
        assert_eq!(admitted, 2, "a tenth of a second's worth at once");
        let wait_us = admission.pace(1).expect_err("empty");
        assert!((49_000..=50_000).contains(&wait_us), "{wait_us}");
        assert_eq!(admission.pace(1 + wait_us), Ok(()));
        admission.set_limits(AcceptLimits { accepts_per_second: 0, ..limits });
        assert!((0..100).all(|_| admission.pace(50_002).is_ok()));
    }
}
