//! A way to Redis that a test can cut, hold and heal: one node is given its address in place of Redis's.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::client::tcp;

/// A running proxy. It ends with the test.
pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

/// What becomes of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    /// They pass.
    Open,
    /// Connections end, and new ones end at once: the peer's machine is there, its Redis is not.
    Cut,
    /// Connections stay, new ones are taken, and nothing passes: a cable that was pulled.
    Held,
    /// What Redis sends to its subscribers is not read; everything else passes.
    Stalled,
    /// The test is over.
    Ended,
}

struct Shared {
    target: SocketAddr,
    mode: Mutex<Mode>,
    changed: Condvar,
    /// Both ends of every connection, to shut them down.
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// A proxy to a port of this machine.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            target: ([127, 0, 0, 1], port).into(),
            mode: Mutex::new(Mode::Open),
            changed: Condvar::new(),
            open: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accepting.accept(&listener));
        Self { address, shared }
    }

    /// For `cluster.redis`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Ends every connection, and every new one at once.
    pub fn cut(&self) {
        self.shared.set(Mode::Cut);
        self.shared.end_all();
    }

    /// Lets nothing pass any more; both ends find out by themselves.
    pub fn hold(&self) {
        self.shared.set(Mode::Held);
    }

    /// Reads nothing any more that comes for subscribers.
    pub fn stall_subscribers(&self) {
        self.shared.set(Mode::Stalled);
    }

    /// Everything passes again. Held bytes do too.
    pub fn heal(&self) {
        self.shared.set(Mode::Open);
    }

    /// Ends every connection once; new ones are served.
    pub fn reset(&self) {
        self.shared.end_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.set(Mode::Ended);
        self.shared.end_all();
        // Wakes the accepting thread, which then sees the mode.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming().map_while(Result::ok) {
            match self.mode() {
                Mode::Ended => return,
                Mode::Cut => continue,
                Mode::Open | Mode::Held | Mode::Stalled => {}
            }
            // Without Redis behind it there is nothing to connect to either.
            if TcpStream::connect(self.target).is_ok() {
                self.join(stream);
            }
        }
    }

    fn join(self: &Arc<Self>, node: TcpStream) {
        // A small window: what a stalled subscriber does not read must fill Redis's buffer, not the kernel's.
        let redis = tcp(self.target, Some(WINDOW_BYTES));
        redis.set_read_timeout(None).expect("a socket option");
        node.set_nodelay(true).expect("a socket option");
        let clone = |stream: &TcpStream| stream.try_clone().expect("a descriptor");
        {
            let mut open = self.open.lock().expect("open");
            open.push(clone(&node));
            open.push(clone(&redis));
        }
        // After they are known: a cut that came in between has missed them.
        if matches!(self.mode(), Mode::Cut | Mode::Ended) {
            self.end_all();
        }
        let subscribes = Arc::new(AtomicBool::new(false));
        let (up, down) = (Arc::clone(self), Arc::clone(self));
        let (up_from, up_to, up_subscribes) = (clone(&node), clone(&redis), Arc::clone(&subscribes));
        std::thread::spawn(move || {
            up.pump(
                up_from,
                up_to,
                |mode| mode == Mode::Held,
                |bytes| {
                    if bytes.windows(SUBSCRIBE.len()).any(|window| window.eq_ignore_ascii_case(SUBSCRIBE)) {
                        up_subscribes.store(true, Ordering::Release);
                    }
                },
            );
        });
        std::thread::spawn(move || {
            let waits = |mode| mode == Mode::Held || (mode == Mode::Stalled && subscribes.load(Ordering::Acquire));
            down.pump(redis, node, waits, |_| {});
        });
    }

    /// Carries bytes one way until either end is gone.
    fn pump(&self, mut from: TcpStream, mut to: TcpStream, waits: impl Fn(Mode) -> bool, mut see: impl FnMut(&[u8])) {
        let mut bytes = vec![0; 16 * 1024];
        loop {
            self.wait_while(&waits);
            let count = match from.read(&mut bytes) {
                Ok(0) => break,
                Ok(count) => count,
                Err(why) if why.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            see(&bytes[..count]);
            // The mode may have changed while the bytes were awaited.
            self.wait_while(&waits);
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    fn wait_while(&self, waits: impl Fn(Mode) -> bool) {
        drop(self.changed.wait_while(self.lock(), |mode| waits(*mode)).expect("mode"));
    }

    fn set(&self, mode: Mode) {
        *self.lock() = mode;
        self.changed.notify_all();
    }

    fn mode(&self) -> Mode {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Mode> {
        self.mode.lock().expect("mode")
    }

    fn end_all(&self) {
        for stream in self.open.lock().expect("open").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// What a subscriber says; `SSUBSCRIBE` has it too.
const SUBSCRIBE: &[u8] = b"SUBSCRIBE";

const WINDOW_BYTES: usize = 64 * 1024;
