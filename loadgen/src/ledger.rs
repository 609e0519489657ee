//! The accounts of one session: those of all its streams, and how many losses the server announced to it.

use smallvec::SmallVec;

use crate::account::Account;
use crate::stamp::SEQ_MAX;
use crate::talk::Counts;

/// A session's accounts.
#[derive(Debug, Default)]
pub struct Ledger {
    /// One for each stream, ascending by stream. Most sessions have one.
    accounts: SmallVec<[Account; 1]>,
    /// Messages the server said it dropped.
    announced: u64,
}

/// How a session came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// It was there to the end of the run.
    Stayed,
    /// It left as planned, and so many messages at most were published behind its last one: what of them was announced as lost,
    /// it need not have got, and may well have been dropped.
    Left {
        /// Messages.
        behind: u64,
    },
    /// The server closed it.
    Closed,
}

impl Ledger {
    /// Opens an account.
    pub fn open(&mut self, account: Account) {
        let at = self.accounts.partition_point(|other| other.stream() < account.stream());
        self.accounts.insert(at, account);
    }

    /// The account of a stream.
    #[inline]
    pub fn account(&mut self, stream: u32) -> Option<&mut Account> {
        let at = match self.accounts.as_slice() {
            [only] if only.stream() == stream => 0,
            accounts => accounts.binary_search_by_key(&stream, Account::stream).ok()?,
        };
        self.accounts.get_mut(at)
    }

    /// All of them.
    #[must_use]
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// Bytes it holds beyond itself, as far as it depends on what the server did.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.accounts.iter().map(|account| size_of::<Account>() + account.held_bytes()).sum()
    }

    /// Whether it has no accounts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// The server said that it dropped so many. More than a stream can have numbers count as that many, so that sums over all
    /// sessions have room.
    pub fn announce(&mut self, count: u64) {
        self.announced = self.announced.saturating_add(count).min(SEQ_MAX);
    }

    /// Whether nothing is wrong with it: nothing is missing below the highest of each stream, and nothing was announced.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.announced == 0 && self.accounts.iter().all(|account| account.is_complete(account.next(), &[]))
    }

    /// Whether everything arrived, or was announced as lost. `end`: what a stream should have got everything below, and
    /// those that the server did not take, ascending.
    ///
    /// Where more was announced than is missing, some of it was announced falsely, and what is missing may still come.
    #[must_use]
    pub fn is_complete<'a>(&self, end: impl Fn(&Account) -> (u64, &'a [u64])) -> bool {
        let missing = self.accounts.iter().map(|account| {
            let (end, refused) = end(account);
            account.missing(end, refused)
        });
        let missing = missing.sum::<u64>();
        missing == 0 || missing == self.announced
    }

    /// Closes all accounts, and adds what came out. `end` as above. Losses behind the last message of a session are told
    /// apart where the server closed it.
    ///
    /// Announced losses are a session's, not a stream's: what was announced covers as much of what is missing, and what is
    /// left over had no reason.
    pub fn close<'a>(&self, end: impl Fn(&Account) -> (u64, &'a [u64]), parting: Parting, counts: &mut Counts) {
        let mut missing = 0;
        let mut behind = 0;
        for account in &self.accounts {
            let (end, refused) = end(account);
            let outcome = account.close(end, refused);
            counts.expected += outcome.expected;
            counts.received += outcome.received;
            counts.damaged += outcome.unknown;
            missing += outcome.missing;
            behind += outcome.missing - account.close(end.min(account.next()), refused).missing;
        }
        let gaps = missing.min(self.announced);
        let (lost, left_over) = (missing - gaps, self.announced - gaps);
        counts.gaps += gaps;
        counts.lost += lost;
        match parting {
            Parting::Stayed => counts.gaps_unfounded += left_over,
            Parting::Left { behind } => counts.gaps_unfounded += left_over.saturating_sub(behind),
            Parting::Closed => {
                counts.gaps_unfounded += left_over;
                counts.lost_after_close += behind.min(lost);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ledger(streams: &[(u32, &[u64])]) -> Ledger {
        let mut ledger = Ledger::default();
        for (stream, numbers) in streams {
            ledger.open(Account::new(*stream, 128, 0));
            for seq in *numbers {
                ledger.account(*stream).unwrap().arrived(*seq, || SEQ_MAX);
            }
        }
        ledger
    }

    fn closed(ledger: &Ledger, end: u64, parting: Parting) -> Counts {
        let mut counts = Counts::default();
        ledger.close(|_| (end, &[]), parting, &mut counts);
        assert_eq!(counts.expected, counts.received + counts.gaps + counts.lost);
        counts
    }

    #[test]
    fn each_stream_has_its_own_numbers() {
        let mut ledger = ledger(&[(9, &[0, 1]), (4, &[0, 1, 2]), (6, &[])]);
        assert!(ledger.account(5).is_none());
        assert_eq!(ledger.account(9).unwrap().next(), 2);
        assert_eq!(ledger.account(4).unwrap().next(), 3);
        let counts = closed(&ledger, 3, Parting::Stayed);
        assert_eq!((counts.expected, counts.received, counts.lost), (9, 5, 4));
    }

    #[test]
    fn announced_losses_cover_what_is_missing_and_no_more() {
        let mut ledger = ledger(&[(0, &[0, 3]), (1, &[0, 1, 2, 3])]);
        ledger.announce(1);
        let counts = closed(&ledger, 4, Parting::Stayed);
        assert_eq!((counts.gaps, counts.lost, counts.gaps_unfounded), (1, 1, 0));
        assert!(!ledger.is_complete(|_| (4, &[])));
        ledger.announce(4);
        let counts = closed(&ledger, 4, Parting::Stayed);
        assert_eq!((counts.gaps, counts.lost, counts.gaps_unfounded), (2, 0, 3));
        assert!(!ledger.is_complete(|_| (4, &[])), "what is missing may still come");
        assert!(ledger.is_complete(|_| (1, &[])), "nothing is missing");
        ledger.announce(1);
        assert!(ledger.is_complete(|_| (6, &[])), "six are missing, and six were announced");
        assert!(!ledger.is_clean());
    }

    #[test]
    fn what_a_closed_session_missed_afterwards_is_told_apart() {
        let ledger = ledger(&[(0, &[0, 2])]);
        let counts = closed(&ledger, 10, Parting::Closed);
        assert_eq!((counts.lost, counts.lost_after_close), (8, 7));
        assert_eq!(closed(&ledger, 10, Parting::Stayed).lost_after_close, 0);
    }

    #[test]
    fn what_was_announced_behind_the_last_message_of_who_left_is_not_judged() {
        let mut ledger = ledger(&[(0, &[0, 1, 3])]);
        ledger.announce(7);
        let counts = closed(&ledger, 4, Parting::Left { behind: 6 });
        assert_eq!((counts.gaps, counts.gaps_unfounded, counts.lost), (1, 0, 0));
        assert_eq!(
            closed(&ledger, 4, Parting::Left { behind: 2 }).gaps_unfounded,
            4,
            "so many were not even published"
        );
        assert_eq!(closed(&ledger, 4, Parting::Closed).gaps_unfounded, 6);
    }

    #[test]
    fn numbers_nobody_sent_are_damage() {
        let counts = closed(&ledger(&[(0, &[0, 1, 77])]), 2, Parting::Stayed);
        assert_eq!((counts.expected, counts.received, counts.damaged), (2, 2, 1));
    }

    /// Where an account begins or ends, and what is told of it: small numbers, and the largest there are.
    fn anything() -> impl Strategy<Value = u64> {
        prop_oneof![0..5_000_u64, any::<u64>()]
    }

    /// Numbers as anybody may make them up: first, step, how many. Long ones make more holes than are kept.
    fn forgeries() -> impl Strategy<Value = Vec<(u64, u64, u64)>> {
        prop::collection::vec((anything(), 1..5_u64, 0..1_500_u64), 1..5)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn whatever_numbers_arrive_the_sums_agree(
            streams in prop::collection::vec((anything(), forgeries(), anything()), 1..3),
            refused in prop::collection::btree_set(anything(), 0..30),
            announced in anything(),
        ) {
            let mut ledger = Ledger::default();
            for (stream, (base, forgeries, _)) in (0..).zip(&streams) {
                let mut account = Account::new(stream, 128, *base);
                for (first, step, count) in forgeries {
                    for at in 0..*count {
                        account.arrived_foreign(first.saturating_add(at * step));
                    }
                }
                ledger.open(account);
            }
            ledger.announce(announced);
            let refused: Vec<u64> = refused.into_iter().collect();
            let end = |account: &Account| (streams[account.stream() as usize].2 >> 2, refused.as_slice());
            let mut counts = Counts::default();
            ledger.close(end, Parting::Closed, &mut counts);
            prop_assert_eq!(counts.expected, counts.received + counts.gaps + counts.lost);
            prop_assert!(counts.lost_after_close <= counts.lost && counts.gaps + counts.gaps_unfounded <= SEQ_MAX);
            let missing = counts.gaps + counts.lost;
            prop_assert_eq!(ledger.is_complete(end), missing == 0 || missing == ledger.announced);
        }
    }
}
