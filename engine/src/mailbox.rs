//! What crosses threads: a queue, a flag and a waker, so that a sleeping reactor is woken once per batch.
//!
//! Bounded by what is put in, not by itself: control mail is at most one per waiting connection, publications are
//! bounded in bytes by [`crate::intake`], sockets by the descriptor limit. Knows nothing of what the posts mean.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender};
use mio::Waker;

/// The sending side; clones share the queue.
pub struct Mailbox<T> {
    queue: Sender<T>,
    bell: Arc<Bell>,
}

/// The receiving side, owned by the thread that polls.
pub struct Inbox<T> {
    queue: Receiver<T>,
    bell: Arc<Bell>,
}

struct Bell {
    /// Whether the receiver was woken, or is awake and will look into the queue before it sleeps.
    ///
    /// No wake-up is lost: a sender pushes and then swaps in `true`; the receiver swaps in `false` and then pops.
    /// A sender that finds `true` does not wake. That `true` was put there by a sender that did wake, and the
    /// receiver's next swap comes after ours in the order of this flag, so it reads a value that our release
    /// published, and the pops that follow see our push. Hence: the flag is cleared BEFORE draining, and both
    /// sides swap (a plain store by the receiver would not acquire).
    rung: AtomicBool,
    waker: Waker,
}

/// Makes both sides of a mailbox whose receiver sleeps in the poll that `waker` belongs to.
#[must_use]
pub fn mailbox<T>(waker: Waker) -> (Mailbox<T>, Inbox<T>) {
    let (sender, receiver) = crossbeam_channel::unbounded();
    let bell = Arc::new(Bell { rung: AtomicBool::new(false), waker });
    (Mailbox { queue: sender, bell: Arc::clone(&bell) }, Inbox { queue: receiver, bell })
}

impl<T> Mailbox<T> {
    /// Queues a post and wakes the receiver unless somebody did since it last looked.
    ///
    /// A post to a thread that has ended is dropped: nobody is left whom it could concern.
    pub fn post(&self, post: T) {
        if self.queue.send(post).is_err() {
            return;
        }
        if !self.bell.rung.swap(true, Ordering::AcqRel) {
            // The eventfd can only fail when its poll is gone, and then so is the receiver.
            let _ = self.bell.waker.wake();
        }
    }
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), bell: Arc::clone(&self.bell) }
    }
}

impl<T> std::fmt::Debug for Mailbox<T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Mailbox").field("len", &self.queue.len()).finish()
    }
}

impl<T> Inbox<T> {
    /// Starts a look into the queue: from here on every post rings again.
    ///
    /// Must come before the first [`Inbox::take`] of a turn. A receiver that stops taking before the queue is empty
    /// must not sleep before it looked again ([`Inbox::is_empty`]).
    pub fn open(&self) {
        self.bell.rung.swap(false, Ordering::AcqRel);
    }

    /// The oldest post.
    #[must_use]
    pub fn take(&self) -> Option<T> {
        self.queue.try_recv().ok()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll, Token};
    use std::time::Duration;

    const BELL: Token = Token(0);

    fn polled<T>() -> (Poll, Mailbox<T>, Inbox<T>) {
        let poll = Poll::new().expect("poll");
        let waker = Waker::new(poll.registry(), BELL).expect("waker");
        let (mailbox, inbox) = mailbox(waker);
        (poll, mailbox, inbox)
    }

    /// Whether the poll was woken (without waiting).
    fn woken(poll: &mut Poll) -> bool {
        let mut events = Events::with_capacity(4);
        poll.poll(&mut events, Some(Duration::ZERO)).expect("poll");
        !events.is_empty()
    }

    #[test]
    fn a_batch_wakes_the_receiver_once_until_it_looks() {
        let (mut poll, mailbox, inbox) = polled();
        mailbox.post(1);
        mailbox.post(2);
        assert!(woken(&mut poll));
        mailbox.post(3);
        assert!(!woken(&mut poll), "nobody looked since the first wake-up");
        inbox.open();
        mailbox.post(4);
        assert!(woken(&mut poll), "the receiver looked: the next post rings again");
        assert_eq!(std::iter::from_fn(|| inbox.take()).collect::<Vec<_>>(), [1, 2, 3, 4]);
    }

    #[test]
    fn a_post_to_a_thread_that_ended_is_dropped() {
        let (poll, mailbox, inbox) = polled();
        drop((poll, inbox));
        mailbox.post(1);
        assert!(mailbox.queue.is_empty());
    }

    /// Each sender waits for its answer before it posts again, so nobody else's post can make up for a lost wake-up.
    #[test]
    fn senders_that_wait_for_an_answer_are_never_left_waiting() {
        const SENDERS: usize = 3;
        const ROUNDS: usize = 10_000;
        let (mut poll, mailbox, inbox) = polled::<usize>();
        std::thread::scope(|scope| {
            let answers: Vec<Sender<()>> = (0..SENDERS)
                .map(|sender| {
                    let (mailbox, (answer, answered)) = (mailbox.clone(), crossbeam_channel::unbounded());
                    scope.spawn(move || {
                        for round in 0..ROUNDS {
                            mailbox.post(sender);
                            let patience = Duration::from_secs(30);
                            answered.recv_timeout(patience).unwrap_or_else(|_| panic!("unheard in round {round}"));
                        }
                    });
                    answer
                })
                .collect();
            let mut events = Events::with_capacity(4);
            let mut received = 0;
            while received < SENDERS * ROUNDS {
                poll.poll(&mut events, Some(Duration::from_secs(40))).expect("poll");
                assert!(!events.is_empty(), "a wake-up was lost after {received} posts");
                inbox.open();
                while let Some(sender) = inbox.take() {
                    received += 1;
                    // A sender that gave up says so itself.
                    let _ = answers[sender].send(());
                }
            }
        });
    }

    #[test]
    fn two_senders_in_a_hurry_lose_no_wake_up() {
        const POSTS: usize = 50_000;
        let (mut poll, mailbox, inbox) = polled::<usize>();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let mailbox = mailbox.clone();
                scope.spawn(move || (0..POSTS).for_each(|number| mailbox.post(number)));
            }
            let mut events = Events::with_capacity(4);
            let mut received = 0;
            while received < 2 * POSTS {
                // The receiver sleeps whenever it believes the queue is empty: a lost wake-up ends in the time-out.
                let patience = if inbox.is_empty() { Duration::from_secs(30) } else { Duration::ZERO };
                poll.poll(&mut events, Some(patience)).expect("poll");
                assert!(!events.is_empty() || patience.is_zero(), "a wake-up was lost after {received} posts");
                inbox.open();
                received += (0..64).map_while(|_| inbox.take()).count();
            }
        });
    }
}
