//! The subscriber connections: one per master of the topology, some of which may be missing.
//!
//! Says which of them a channel comes by. Knows nothing of who wants it, and of how connections are made.

use std::collections::VecDeque;

use epush_core::message::ChannelName;
use epush_core::relay::NodeId;
use mio::{Interest, Registry, Token};

use super::connector::Standing;
use super::link::{Duties, Link, Loss};
use crate::relay::keys::{Keys, PARTITIONS};
use crate::relay::{Polled, Topology};

/// See the module.
#[derive(Debug)]
pub struct Links {
    keys: Keys,
    boot: NodeId,
    topology: Option<Topology>,
    /// By master, as in the topology.
    links: Vec<Option<Link>>,
}

impl Links {
    /// None yet.
    #[must_use]
    pub fn new(keys: Keys, boot: NodeId) -> Self {
        Self { keys, boot, topology: None, links: Vec::new() }
    }

    /// How many there should be.
    #[must_use]
    pub fn len(&self) -> usize {
        self.links.len()
    }

    /// What stands, for the next attempt to connect.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        let missing = (0..self.links.len()).filter(|master| self.links[*master].is_none()).collect();
        Some(Standing { topology: self.topology.clone()?, missing })
    }

    /// Whether this is where they lead.
    #[must_use]
    pub fn lead_to(&self, topology: &Topology) -> bool {
        self.topology.as_ref() == Some(topology)
    }

    /// Redis is here from now on. The old links must have been taken.
    pub fn move_to(&mut self, topology: Topology) {
        debug_assert!(self.links.iter().all(Option::is_none), "a link would lead to another master");
        self.links = topology.masters.iter().map(|_| None).collect();
        self.topology = Some(topology);
    }

    /// Which master the channel comes by; none: nobody knows where Redis is.
    #[must_use]
    pub fn master_of(&self, channel: &ChannelName) -> Option<usize> {
        Some(self.topology.as_ref()?.master_of(self.keys.channel(channel).as_bytes()))
    }

    /// The link a channel comes by, if it stands.
    pub fn of(&mut self, channel: &ChannelName) -> Option<&mut Link> {
        let master = self.master_of(channel)?;
        self.get(master)
    }

    /// One of them, if it stands.
    pub fn get(&mut self, master: usize) -> Option<&mut Link> {
        self.links.get_mut(master)?.as_mut()
    }

    /// Those that stand, with their masters.
    pub fn standing_links(&mut self) -> impl Iterator<Item = (usize, &mut Link)> {
        self.links.iter_mut().enumerate().filter_map(|(master, link)| Some((master, link.as_mut()?)))
    }

    /// A connection to a master stands: everything that comes by it is subscribed.
    ///
    /// # Errors
    /// The poll refuses it.
    pub fn stand(
        &mut self,
        master: usize,
        mut polled: Polled,
        backlog: VecDeque<ChannelName>,
        registry: &Registry,
        now_ms: u64,
    ) -> std::io::Result<()> {
        let Some(topology) = &self.topology else { return Ok(()) };
        registry.register(&mut polled, Token(master), Interest::READABLE | Interest::WRITABLE)?;
        let comes_by = |name: &String| topology.master_of(name.as_bytes()) == master;
        let own = (0..PARTITIONS).map(|partition| self.keys.to_node(partition, self.boot)).filter(comes_by).collect();
        let duties = Duties { own, all: comes_by(&self.keys.all()) };
        self.links[master] = Some(Link::new(polled, &self.keys, topology.is_sharded(), &duties, backlog, now_ms));
        Ok(())
    }

    /// Takes one away.
    pub fn take(&mut self, master: usize, registry: &Registry) -> Option<Link> {
        let mut link = self.links.get_mut(master)?.take()?;
        // Closing the socket removes it from the poll as well; an error here could not change anything.
        let _ = registry.deregister(&mut link.polled);
        Some(link)
    }

    /// Whether all stand and everything is subscribed.
    #[must_use]
    pub fn are_settled(&self) -> bool {
        !self.links.is_empty() && self.links.iter().all(|link| link.as_ref().is_some_and(Link::is_settled))
    }

    /// Whether one is missing.
    #[must_use]
    pub fn is_one_missing(&self) -> bool {
        self.links.is_empty() || self.links.iter().any(Option::is_none)
    }

    /// Sends what waits; those that ended while at it.
    pub fn flush(&mut self, now_ms: u64) -> Vec<(usize, Loss)> {
        let flushed = self.standing_links().map(|(master, link)| (master, link.flush(now_ms)));
        flushed.filter_map(|(master, result)| Some((master, result.err()?))).collect()
    }

    /// Checks that all live; those that do not.
    pub fn check(&mut self, timeout_ms: u64, now_ms: u64) -> Vec<(usize, Loss)> {
        let checked = self.standing_links().map(|(master, link)| (master, link.check(timeout_ms, now_ms)));
        checked.filter_map(|(master, result)| Some((master, result.err()?))).collect()
    }
}
