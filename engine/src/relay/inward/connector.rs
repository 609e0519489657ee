//! Connecting, aside: a thread that lives for one attempt looks where Redis is and opens what is asked of it.
//!
//! Connecting blocks: names are resolved, a server that hangs is waited for. The receiving thread answers the shards all
//! the while, so it only takes what an attempt brings. Knows nothing of what the connections are for.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender};
use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

use crate::relay::{Access, Connection, Fault, LinkError, Polled, Topology};

/// See the module.
#[derive(Debug)]
pub struct Connector {
    access: Access,
    /// Kept to give to attempts.
    teller: Sender<(u64, News)>,
    /// What attempts bring, each with its round.
    news: Receiver<(u64, News)>,
    /// Rung by an attempt when it has news; the other end is registered with the poll. A poll has one waker, and that is
    /// the mailbox's.
    bell: Arc<UnixStream>,
    ear: UnixStream,
    /// The attempt under way. What earlier ones bring is dropped.
    round: u64,
    busy: bool,
}

/// What an attempt brings.
#[derive(Debug)]
pub enum News {
    /// Where Redis is.
    Found(Topology),
    /// A connection to one of its masters.
    Opened {
        /// Which.
        master: usize,
        /// The connection.
        polled: Polled,
    },
    /// Something did not work; the attempt goes on with the rest.
    Failed(LinkError),
    /// The attempt is over.
    Over,
}

/// What is open: not to be opened again if Redis is still there.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Where Redis was.
    pub topology: Topology,
    /// Its masters without a connection.
    pub missing: Vec<usize>,
}

impl Connector {
    /// Rings at `token`.
    ///
    /// # Errors
    /// The system's.
    pub fn new(access: Access, registry: &Registry, token: Token) -> io::Result<Self> {
        let (bell, mut ear) = UnixStream::pair()?;
        registry.register(&mut ear, token, Interest::READABLE)?;
        let (teller, news) = crossbeam_channel::unbounded();
        Ok(Self { access, teller, news, bell: Arc::new(bell), ear, round: 0, busy: false })
    }

    /// Whether an attempt is under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Begins an attempt. What an earlier one still brings is dropped.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn begin(&mut self, standing: Option<Standing>) -> io::Result<()> {
        self.round += 1;
        let attempt = Attempt {
            access: self.access.clone(),
            round: self.round,
            news: self.teller.clone(),
            bell: Arc::clone(&self.bell),
        };
        // It ends by itself: every step of it is bounded by cluster.timeout_ms, and it owns nothing but sockets.
        thread::Builder::new().name("relay-connect".into()).spawn(move || attempt.run(standing))?;
        self.busy = true;
        Ok(())
    }

    /// Gives up the attempt under way, if there is one.
    pub fn abandon(&mut self) {
        self.round += 1;
        self.busy = false;
    }

    /// What the attempt brought, oldest first.
    pub fn take(&mut self) -> Option<News> {
        loop {
            let Ok((round, news)) = self.news.try_recv() else { return None };
            if round != self.round {
                continue;
            }
            if matches!(news, News::Over) {
                self.busy = false;
            }
            return Some(news);
        }
    }

    /// Silences the bell. Must come before [`Connector::take`]: what is rung after it rings again.
    pub fn silence(&self) {
        let mut rung = [0; 64];
        while matches!((&self.ear).read(&mut rung), Ok(1..)) {}
    }
}

struct Attempt {
    access: Access,
    round: u64,
    news: Sender<(u64, News)>,
    bell: Arc<UnixStream>,
}

impl Attempt {
    fn run(&self, standing: Option<Standing>) {
        match Topology::discover(&self.access) {
            Ok(topology) => {
                self.tell(News::Found(topology.clone()));
                let missing = match standing {
                    Some(standing) if standing.topology == topology => standing.missing,
                    _ => (0..topology.masters.len()).collect(),
                };
                // All at once: one that hangs keeps none of the others waiting.
                thread::scope(|scope| {
                    for master in missing {
                        let host = &topology.masters[master];
                        scope.spawn(move || self.tell(self.open(master, host)));
                    }
                });
            }
            Err(error) => self.tell(News::Failed(error)),
        }
        self.tell(News::Over);
    }

    fn open(&self, master: usize, host: &crate::relay::Host) -> News {
        let opened = Connection::open(host, &self.access).and_then(|connection| {
            let refused = |error: io::Error| LinkError { host: host.clone(), fault: Fault::Closed(error.to_string()) };
            connection.into_polled().map_err(refused)
        });
        match opened {
            Ok(polled) => News::Opened { master, polled },
            Err(error) => News::Failed(error),
        }
    }

    fn tell(&self, news: News) {
        // Whoever left does not want to know. A full pipe has rung long since.
        let _ = self.news.send((self.round, news));
        let _ = (&*self.bell).write(&[1]);
    }
}
