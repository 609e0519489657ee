//! The sockets of one reactor, by connection.

use epush_core::id::ConnId;
use epush_core::shard::Door;

use super::socket::Socket;

/// The sockets of a reactor, in the slots of the shard's slab.
#[derive(Debug, Default)]
pub struct Sockets {
    slots: Vec<Option<(u32, Socket)>>,
    /// How many came through the client listener.
    clients: usize,
}

impl Sockets {
    /// Keeps a socket under the name the shard gave it.
    pub fn insert(&mut self, conn: ConnId, socket: Socket) {
        let index = conn.index as usize;
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, || None);
        }
        debug_assert!(self.slots[index].is_none(), "the shard freed the slot before its socket was closed");
        self.clients += usize::from(socket.door == Door::Client);
        self.slots[index] = Some((conn.generation, socket));
    }

    /// The socket of a connection; a name that outlived its connection finds none.
    pub fn find(&mut self, conn: ConnId) -> Option<&mut Socket> {
        match self.slots.get_mut(conn.index as usize)? {
            Some((generation, socket)) if *generation == conn.generation => Some(socket),
            _ => None,
        }
    }

    /// Takes the socket of a connection out.
    pub fn remove(&mut self, conn: ConnId) -> Option<Socket> {
        self.find(conn)?;
        let (_, socket) = self.slots[conn.index as usize].take()?;
        self.clients -= usize::from(socket.door == Door::Client);
        Some(socket)
    }

    /// The names of all connections.
    #[must_use]
    pub fn names(&self) -> Vec<ConnId> {
        let named = |(index, slot): (usize, &Option<(u32, Socket)>)| {
            slot.as_ref().map(|(generation, _)| ConnId { index: index as u32, generation: *generation })
        };
        self.slots.iter().enumerate().filter_map(named).collect()
    }

    /// Sockets that came through the client listener.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients
    }
}

#[cfg(test)]
mod tests {
    use super::super::socket::pair;
    use super::*;

    const CONN: ConnId = ConnId { index: 3, generation: 1 };

    #[test]
    fn a_name_that_outlived_its_connection_finds_no_socket() {
        let mut sockets = Sockets::default();
        sockets.insert(CONN, pair().0);
        assert_eq!(sockets.clients(), 1);
        let stale = ConnId { generation: 0, ..CONN };
        assert!(sockets.find(stale).is_none() && sockets.remove(stale).is_none());
        assert!(sockets.find(CONN).is_some());
        assert!(sockets.remove(CONN).is_some() && sockets.remove(CONN).is_none());
        assert_eq!(sockets.clients(), 0);
        sockets.insert(ConnId { generation: 2, ..CONN }, pair().0);
        assert!(sockets.find(CONN).is_none());
    }
}
