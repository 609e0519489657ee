//! Wakes the loop at an exact time: `epoll_wait` counts in milliseconds and rounds up, a timer descriptor does not.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use rustix::time::{timerfd_create, timerfd_settime};

/// One alarm.
#[derive(Debug)]
pub struct Alarm {
    timer: OwnedFd,
    /// When it rings; `u64::MAX`: never.
    set_ns: u64,
}

impl Alarm {
    /// An alarm that makes `token` readable. Nobody has to read it: each ringing is an edge of its own.
    ///
    /// # Errors
    /// When the system has no descriptor for it.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self { timer, set_ns: u64::MAX })
    }

    /// Rings at this time, monotonic nanoseconds, and not at the one set before. `u64::MAX`: never.
    ///
    /// # Errors
    /// None that the kernel documents for a timer that is there.
    pub fn set(&mut self, at_ns: u64) -> io::Result<()> {
        if self.set_ns == at_ns {
            return Ok(());
        }
        self.set_ns = at_ns;
        // A value of zero would switch it off, which is what `u64::MAX` asks for.
        let at_ns = if at_ns == u64::MAX { 0 } else { at_ns.max(1) };
        let value = Timespec { tv_sec: (at_ns / 1_000_000_000) as i64, tv_nsec: (at_ns % 1_000_000_000) as _ };
        let times = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &times)?;
        Ok(())
    }

    /// It rang: the time set is over, and the same may be set again.
    pub const fn rang(&mut self) {
        self.set_ns = u64::MAX;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mio::{Events, Poll};

    use super::*;
    use crate::clock::now_ns;

    #[test]
    fn rings_at_its_time_and_again_without_being_read() {
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(4);
        let mut alarm = Alarm::new(poll.registry(), Token(9)).unwrap();
        for _ in 0..3 {
            let at_ns = now_ns() + 2_000_000;
            alarm.set(at_ns).unwrap();
            poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
            assert_eq!(events.iter().next().map(|event| event.token()), Some(Token(9)));
            assert!(now_ns() >= at_ns);
            alarm.rang();
        }
    }

    #[test]
    fn an_earlier_time_replaces_a_later_one() {
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(4);
        let mut alarm = Alarm::new(poll.registry(), Token(9)).unwrap();
        alarm.set(now_ns() + 3_600_000_000_000).unwrap();
        alarm.set(now_ns()).unwrap();
        poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
        assert!(!events.is_empty());
    }
}
