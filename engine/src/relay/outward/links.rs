//! The connections to Redis: one to each master, blocking, with pipelines over all of them at once.
//!
//! Knows nothing of what the calls are for.

use redis::Value;

use crate::relay::connection::{Access, Connection, LinkError};
use crate::relay::scripts::{self, Call, is_noscript};
use crate::relay::topology::{Topology, says_elsewhere};

/// See the module.
#[derive(Debug)]
pub struct Links {
    topology: Topology,
    /// By the number of the master.
    connections: Vec<Connection>,
}

/// How a pipeline ended that did not go through.
#[derive(Debug)]
pub struct Broken(pub String);

/// Bytes given to one master before its replies are read: what a dead link leaves in doubt, and what Redis holds of
/// replies. A whole call more goes when the first alone is larger.
const WINDOW_BYTES: usize = 256 * 1024;

/// Calls given to one master before its replies are read: small ones have replies too.
const WINDOW_CALLS: usize = 2_048;

/// How often scripts are loaded for one pipeline: whoever keeps flushing them gets the better of us.
const LOADS_MAX: usize = 3;

impl Links {
    /// Finds out who the masters are, connects to all of them and loads the scripts.
    ///
    /// Waits for the network.
    pub fn open(access: &Access) -> Result<Self, LinkError> {
        let topology = Topology::discover(access)?;
        let mut connections = Vec::with_capacity(topology.masters.len());
        for master in &topology.masters {
            let mut connection = Connection::open(master, access)?;
            load_scripts(&mut connection)?;
            connections.push(connection);
        }
        Ok(Self { topology, connections })
    }

    /// Who the masters are.
    pub const fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Sends the calls, those of a master in their order, and reads all replies.
    ///
    /// The replies stand at their calls' places. With an error some are missing: those calls were not carried out,
    /// or nobody knows; the links are of no further use.
    pub fn exchange(&mut self, calls: &[&Call]) -> (Vec<Option<Value>>, Result<(), Broken>) {
        let mut replies: Vec<Option<Value>> = calls.iter().map(|_| None).collect();
        let outcome = self.drive(calls, &mut replies);
        (replies, outcome)
    }

    fn drive(&mut self, calls: &[&Call], replies: &mut [Option<Value>]) -> Result<(), Broken> {
        // Popped from the end.
        let mut routes: Vec<Vec<usize>> = self.connections.iter().map(|_| Vec::new()).collect();
        for (index, call) in calls.iter().enumerate().rev() {
            routes[self.topology.master_of(call.key())].push(index);
        }
        let (mut packed, mut loads) = (Vec::new(), 0);
        loop {
            let mut windows: Vec<Vec<usize>> = Vec::with_capacity(routes.len());
            for (connection, route) in self.connections.iter_mut().zip(&mut routes) {
                packed.clear();
                let window = fill_window(calls, route, &mut packed);
                if !window.is_empty() {
                    connection.send(&packed).map_err(|error| Broken(error.to_string()))?;
                }
                windows.push(window);
            }
            if windows.iter().all(Vec::is_empty) {
                return Ok(());
            }
            for ((connection, route), window) in self.connections.iter_mut().zip(&mut routes).zip(windows) {
                let again = read_window(connection, &window, replies)?;
                if !again.is_empty() {
                    loads += 1;
                    if loads > LOADS_MAX {
                        return Err(Broken("it keeps forgetting scripts".into()));
                    }
                    load_scripts(connection).map_err(|error| Broken(error.to_string()))?;
                    route.extend(again.into_iter().rev());
                }
            }
        }
    }
}

/// Takes as many calls off the route as a window holds, at least one, and packs them.
fn fill_window(calls: &[&Call], route: &mut Vec<usize>, packed: &mut Vec<u8>) -> Vec<usize> {
    let mut window = Vec::new();
    while packed.len() < WINDOW_BYTES && window.len() < WINDOW_CALLS {
        let Some(index) = route.pop() else { break };
        calls[index].pack_into(packed);
        window.push(index);
    }
    window
}

/// Reads a window's replies. Returns the calls whose script Redis does not have.
fn read_window(
    connection: &mut Connection,
    window: &[usize],
    replies: &mut [Option<Value>],
) -> Result<Vec<usize>, Broken> {
    let mut again = Vec::new();
    for index in window {
        let reply = connection.receive().map_err(|error| Broken(error.to_string()))?;
        if says_elsewhere(&reply) {
            return Err(Broken(format!("it said {}", error_text(&reply))));
        }
        if is_noscript(&reply) {
            again.push(*index);
        } else {
            replies[*index] = Some(reply);
        }
    }
    Ok(again)
}

fn load_scripts(connection: &mut Connection) -> Result<(), LinkError> {
    let (packed, count) = scripts::load_all();
    connection.send(&packed)?;
    for _ in 0..count {
        connection.receive()?;
    }
    Ok(())
}

/// What an error reply says.
fn error_text(reply: &Value) -> String {
    match reply {
        Value::ServerError(error) => error.to_string(),
        _ => "something unexpected".into(),
    }
}
