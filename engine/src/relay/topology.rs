//! Which servers are masters, and which of them owns a key.
//!
//! One server and what sentinels name are one master with every key; Redis Cluster has several, each with its slots.

use redis::{Value, cmd};

use super::connection::{Access, Connection, Fault, LinkError};
use super::url::{Host, Kind};

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Topology {
    /// The masters. At least one; in a Redis Cluster by their first slot.
    pub masters: Vec<Host>,
    /// Which of `masters` owns each slot; none: there is no Redis Cluster, and one master owns all.
    owners: Option<Box<[u16]>>,
}

impl Topology {
    /// Asks whoever of the URL's hosts answers. Each takes up to three time-outs, the first that knows is believed.
    ///
    /// # Errors
    /// Why the last one that was asked is of no use.
    pub fn discover(access: &Access) -> Result<Self, LinkError> {
        let hosts = &access.url().hosts;
        match &access.url().kind {
            Kind::Single => Ok(Self { masters: hosts.clone(), owners: None }),
            Kind::Sentinel { service } => {
                let master = first(hosts, |host| master_named_by(host, service, access))?;
                Ok(Self { masters: vec![master], owners: None })
            }
            Kind::Cluster => first(hosts, |host| cluster_seen_by(host, access)),
        }
    }

    /// Which of `masters` owns the key.
    #[must_use]
    pub fn master_of(&self, key: &[u8]) -> usize {
        self.owners.as_ref().map_or(0, |owners| usize::from(owners[usize::from(slot(key))]))
    }

    /// Whether it is a Redis Cluster: pub/sub then is by slot too, with SSUBSCRIBE and SPUBLISH.
    #[must_use]
    pub fn is_sharded(&self) -> bool {
        self.owners.is_some()
    }
}

fn first<T>(hosts: &[Host], ask: impl Fn(&Host) -> Result<T, LinkError>) -> Result<T, LinkError> {
    let mut error = None;
    for host in hosts {
        match ask(host) {
            Ok(found) => return Ok(found),
            Err(why) => error = Some(why),
        }
    }
    Err(error.expect("a URL has at least one host"))
}

/// The master of a service, which agrees that it is one: after a failover the old one may be named for a moment.
fn master_named_by(sentinel: &Host, service: &str, access: &Access) -> Result<Host, LinkError> {
    let mut connection = Connection::open_sentinel(sentinel, access)?;
    let named = connection.ask(cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(service))?;
    let master = match &named {
        Value::Array(parts) => endpoint(parts.first(), parts.get(1), sentinel),
        Value::Nil => return Err(refused(sentinel, format!("this sentinel watches no master named {service:?}"))),
        _ => None,
    };
    let Some(master) = master else { return Err(protocol(sentinel, "SENTINEL GET-MASTER-ADDR-BY-NAME")) };
    let mut connection = Connection::open(&master, access)?;
    connection.send(&cmd("ROLE").get_packed_command())?;
    match connection.receive()? {
        Value::Array(parts) if parts.first().and_then(text).is_some_and(|role| role != "master") => {
            Err(refused(&master, format!("{sentinel} names it as the master of {service:?}, and it is none")))
        }
        // One who may not ask finds out when writing.
        _ => Ok(master),
    }
}

fn cluster_seen_by(host: &Host, access: &Access) -> Result<Topology, LinkError> {
    let mut connection = Connection::open(host, access)?;
    let info = connection.ask(cmd("CLUSTER").arg("INFO"))?;
    // A node that is cut off from the others knows a cluster of yesterday.
    if !text(&info).is_some_and(|info| info.lines().any(|line| line.trim_end() == "cluster_state:ok")) {
        return Err(refused(host, "as it sees the cluster, the cluster is down".into()));
    }
    let slots = connection.ask(cmd("CLUSTER").arg("SLOTS"))?;
    let Some(mut ranges) = ranges_of(&slots, host) else { return Err(protocol(host, "CLUSTER SLOTS")) };
    topology_of(&mut ranges).ok_or_else(|| refused(host, "the cluster has slots that no master owns".into()))
}

/// From, to, and whose.
type Range = (u16, u16, Host);

fn ranges_of(slots: &Value, asked: &Host) -> Option<Vec<Range>> {
    let Value::Array(rows) = slots else { return None };
    rows.iter().map(|row| range_of(row, asked)).collect()
}

fn range_of(row: &Value, asked: &Host) -> Option<Range> {
    let Value::Array(row) = row else { return None };
    let [Value::Int(from), Value::Int(to), Value::Array(master), ..] = row.as_slice() else { return None };
    let (from, to) = (u16::try_from(*from).ok()?, u16::try_from(*to).ok()?);
    let owner = endpoint(master.first(), master.get(1), asked)?;
    (from <= to && to < SLOTS).then_some((from, to, owner))
}

/// None: some slot has no owner.
fn topology_of(ranges: &mut [Range]) -> Option<Topology> {
    ranges.sort();
    let (mut masters, mut owners, mut next) = (Vec::new(), vec![0; usize::from(SLOTS)], 0);
    for (from, to, host) in ranges {
        if *from != next {
            return None;
        }
        next = *to + 1;
        let at = masters.iter().position(|known| known == host).unwrap_or(masters.len());
        if at == masters.len() {
            masters.push(host.clone());
        }
        owners[usize::from(*from)..=usize::from(*to)].fill(u16::try_from(at).ok()?);
    }
    (next == SLOTS).then(|| Topology { masters, owners: Some(owners.into()) })
}

/// A server as another one names it; without a name it means itself.
fn endpoint(name: Option<&Value>, port: Option<&Value>, asked: &Host) -> Option<Host> {
    let name = match name? {
        Value::Nil => &asked.name,
        name => match text(name)? {
            "" => &asked.name,
            // It should have a host name and does not know it yet.
            "?" => return None,
            name => name,
        },
    };
    let port = match port? {
        Value::Int(port) => u16::try_from(*port).ok()?,
        port => text(port)?.parse().ok()?,
    };
    Some(Host { name: name.to_owned(), port })
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

fn refused(host: &Host, why: String) -> LinkError {
    LinkError { host: host.clone(), fault: Fault::Refused(why) }
}

fn protocol(host: &Host, command: &str) -> LinkError {
    LinkError { host: host.clone(), fault: Fault::Protocol(format!("an odd answer to {command}")) }
}

/// Whether Redis says that it is not the one to ask, or not now: connect anew with a new topology, and ask again.
#[must_use]
pub fn says_elsewhere(value: &Value) -> bool {
    let Value::ServerError(error) = value else { return false };
    matches!(error.code(), "MOVED" | "ASK" | "READONLY" | "CLUSTERDOWN" | "LOADING" | "MASTERDOWN" | "TRYAGAIN")
}

/// Slots of every Redis Cluster.
const SLOTS: u16 = 16_384;

/// The slot of a key: of the hash tag, what stands between its first `{` and the next `}`, if anything does.
#[must_use]
pub fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        rest.iter().position(|byte| *byte == b'}').filter(|close| *close > 0).map(|close| &rest[..close])
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

/// CRC-16/XMODEM, as Redis Cluster hashes.
#[must_use]
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| (crc << 8) ^ CRC16[usize::from((crc >> 8) as u8 ^ byte)])
}

/// What each byte alone comes to.
const CRC16: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests;
