//! Which channels the shards want, and how far each is subscribed in Redis.
//!
//! Pure: told of joins, leaves, confirmations and cuts, it says what to subscribe, to unsubscribe and to answer. Knows
//! nothing of connections; time is an argument. A channel costs about 130 bytes: its place in the map, and a small
//! list of shards. Its name is the shards' own.

use std::collections::{HashMap, VecDeque};

use epush_core::id::ShardId;
use epush_core::message::ChannelName;

/// See the module.
#[derive(Debug)]
pub struct Interest {
    channels: HashMap<ChannelName, Want>,
    /// Who waits for [`Interest::confirmed`].
    ///
    /// Invariant: only channels in [`State::Asked`], never an empty list, only shards that want the channel.
    waiting: HashMap<ChannelName, Vec<ShardId>>,
    /// When to look whether a channel is still wanted by nobody, soonest first: the linger is the same for all.
    idle: VecDeque<(u64, ChannelName)>,
    linger_ms: u64,
    /// Invariant: how many channels are in [`State::Subscribed`].
    subscribed: usize,
}

#[derive(Debug)]
struct Want {
    /// Who wants it, each once; empty: it lingers.
    shards: Vec<ShardId>,
    state: State,
    /// When the linger ends; means nothing while a shard wants it.
    idle_until_ms: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Its connection does not stand.
    Away,
    /// To be subscribed, or that is under way.
    Asked,
    /// The cluster's messages arrive.
    Subscribed,
}

/// What a join takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Join {
    /// Nothing: the shard can be told at once.
    Answer,
    /// To subscribe; the shard is among those [`Interest::confirmed`] returns.
    Subscribe,
    /// Nothing more than is under way.
    Wait,
}

/// What a cut leaves to do.
#[derive(Default, Debug)]
pub struct Cut {
    /// Who waited for a channel: to be told now, since nobody knows when it will come.
    pub waited: Vec<(ShardId, ChannelName)>,
    /// Channels that only lingered: forgotten.
    pub forgotten: Vec<ChannelName>,
}

impl Interest {
    /// No channels; they linger for so long when nobody wants them any more.
    #[must_use]
    pub fn new(linger_ms: u64) -> Self {
        Self { channels: HashMap::new(), waiting: HashMap::new(), idle: VecDeque::new(), linger_ms, subscribed: 0 }
    }

    /// A shard wants the channel. `stands` is whether the channel's connection does.
    pub fn join(&mut self, channel: &ChannelName, shard: ShardId, stands: bool) -> Join {
        let Some(want) = self.channels.get_mut(channel) else {
            let state = if stands { State::Asked } else { State::Away };
            self.channels.insert(channel.clone(), Want { shards: vec![shard], state, idle_until_ms: 0 });
            if !stands {
                return Join::Answer;
            }
            self.waiting.insert(channel.clone(), vec![shard]);
            return Join::Subscribe;
        };
        if !want.shards.contains(&shard) {
            want.shards.push(shard);
        }
        if want.state != State::Asked {
            return Join::Answer;
        }
        let waiting = self.waiting.entry(channel.clone()).or_default();
        if !waiting.contains(&shard) {
            waiting.push(shard);
        }
        Join::Wait
    }

    /// A shard wants it no longer. Returns whether the channel is forgotten, because it was not subscribed.
    pub fn leave(&mut self, channel: &ChannelName, shard: ShardId, now_ms: u64) -> bool {
        let Some(want) = self.channels.get_mut(channel) else { return false };
        want.shards.retain(|one| *one != shard);
        if let Some(waiting) = self.waiting.get_mut(channel) {
            waiting.retain(|one| *one != shard);
            if waiting.is_empty() {
                self.waiting.remove(channel);
            }
        }
        if !want.shards.is_empty() {
            return false;
        }
        if want.state == State::Away {
            self.channels.remove(channel);
            return true;
        }
        want.idle_until_ms = now_ms + self.linger_ms;
        self.idle.push_back((want.idle_until_ms, channel.clone()));
        false
    }

    /// The channel is subscribed. Returns who waited for it.
    pub fn confirmed(&mut self, channel: &ChannelName) -> Vec<ShardId> {
        let Some(want) = self.channels.get_mut(channel).filter(|want| want.state == State::Asked) else {
            return Vec::new();
        };
        want.state = State::Subscribed;
        self.subscribed += 1;
        self.waiting.remove(channel).unwrap_or_default()
    }

    /// The connection of these channels was lost.
    pub fn cut(&mut self, is_cut: impl Fn(&ChannelName) -> bool) -> Cut {
        let mut cut = Cut::default();
        let Self { channels, waiting, subscribed, .. } = self;
        channels.retain(|channel, want| {
            if want.state == State::Away || !is_cut(channel) {
                return true;
            }
            if want.state == State::Subscribed {
                *subscribed -= 1;
            }
            want.state = State::Away;
            let waited = waiting.remove(channel).unwrap_or_default();
            cut.waited.extend(waited.into_iter().map(|shard| (shard, channel.clone())));
            if want.shards.is_empty() {
                cut.forgotten.push(channel.clone());
            }
            !want.shards.is_empty()
        });
        cut
    }

    /// The connection of these channels stands again: they are to be subscribed, and these are they.
    pub fn revive(&mut self, stands: impl Fn(&ChannelName) -> bool) -> VecDeque<ChannelName> {
        let away = self.channels.iter_mut().filter(|(channel, want)| want.state == State::Away && stands(channel));
        away.map(|(channel, want)| {
            want.state = State::Asked;
            channel.clone()
        })
        .collect()
    }

    /// A channel whose linger is over: forgotten, to be unsubscribed.
    pub fn expire(&mut self, now_ms: u64) -> Option<ChannelName> {
        while self.idle.front().is_some_and(|(until_ms, _)| *until_ms <= now_ms) {
            let (until_ms, channel) = self.idle.pop_front()?;
            let Some(want) = self.channels.get_mut(&channel) else { continue };
            if !want.shards.is_empty() || want.idle_until_ms != until_ms {
                continue;
            }
            if want.state == State::Asked {
                // What is under way comes to its end first: its answer must not be taken for that of a later one.
                want.idle_until_ms = now_ms + self.linger_ms.max(ASKED_AGAIN_MS);
                self.idle.push_back((want.idle_until_ms, channel));
                continue;
            }
            self.subscribed -= 1;
            self.channels.remove(&channel);
            return Some(channel);
        }
        None
    }

    /// When to call [`Interest::expire`] next.
    #[must_use]
    pub fn next_ms(&self) -> Option<u64> {
        self.idle.front().map(|(until_ms, _)| *until_ms)
    }

    /// Whether anybody wants the channel, or it lingers.
    #[must_use]
    pub fn knows(&self, channel: &ChannelName) -> bool {
        self.channels.contains_key(channel)
    }

    /// Channels whose messages arrive.
    #[must_use]
    pub fn subscribed(&self) -> usize {
        self.subscribed
    }
}

/// When a channel that nobody wants is looked at again while its subscription is under way: a round trip, generously.
const ASKED_AGAIN_MS: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    const ONE: ShardId = ShardId(1);
    const TWO: ShardId = ShardId(2);

    fn name(text: &str) -> ChannelName {
        ChannelName::parse(text).expect("valid")
    }

    #[test]
    fn the_first_shard_subscribes_and_all_that_came_meanwhile_are_answered_together() {
        let (mut interest, a) = (Interest::new(100), name("a"));
        assert_eq!(interest.join(&a, ONE, true), Join::Subscribe);
        assert_eq!(interest.join(&a, TWO, true), Join::Wait);
        assert_eq!(interest.subscribed(), 0);
        assert_eq!(interest.confirmed(&a), [ONE, TWO]);
        assert_eq!(interest.join(&a, ShardId(3), true), Join::Answer);
        assert_eq!(interest.confirmed(&a), [], "once");
        assert_eq!(interest.subscribed(), 1);
    }

    #[test]
    fn a_channel_lingers_after_its_last_shard_and_a_join_meanwhile_costs_nothing() {
        let (mut interest, a) = (Interest::new(100), name("a"));
        interest.join(&a, ONE, true);
        interest.join(&a, TWO, true);
        interest.confirmed(&a);
        interest.leave(&a, ONE, 1_000);
        assert_eq!(interest.next_ms(), None, "another shard wants it");
        interest.leave(&a, TWO, 1_000);
        assert_eq!((interest.expire(1_099), interest.next_ms()), (None, Some(1_100)));
        assert_eq!(interest.join(&a, TWO, true), Join::Answer);
        assert_eq!(interest.expire(1_100), None, "it is wanted again");
        interest.leave(&a, TWO, 1_200);
        assert_eq!(interest.expire(1_299), None, "the linger counts from the last leave");
        assert_eq!(interest.expire(1_300), Some(a.clone()));
        assert!(!interest.knows(&a));
        assert_eq!(interest.join(&a, TWO, true), Join::Subscribe);
    }

    #[test]
    fn a_subscription_under_way_is_not_undone_before_it_is_confirmed() {
        let (mut interest, a) = (Interest::new(0), name("a"));
        interest.join(&a, ONE, true);
        interest.leave(&a, ONE, 0);
        assert_eq!(interest.expire(5), None);
        assert_eq!(interest.confirmed(&a), [], "who left does not wait");
        assert_eq!(interest.expire(5 + ASKED_AGAIN_MS), Some(a));
    }

    #[test]
    fn a_shard_that_left_and_came_back_is_answered_once() {
        let (mut interest, a) = (Interest::new(100), name("a"));
        interest.join(&a, ONE, true);
        interest.leave(&a, ONE, 0);
        assert_eq!(interest.join(&a, ONE, true), Join::Wait);
        assert_eq!(interest.confirmed(&a), [ONE]);
        assert_eq!(interest.expire(1_000), None);
    }

    #[test]
    fn without_a_connection_a_join_is_answered_at_once_and_subscribed_when_it_stands() {
        let (mut interest, a, b) = (Interest::new(100), name("a"), name("b"));
        assert_eq!(interest.join(&a, ONE, false), Join::Answer);
        assert_eq!(interest.join(&b, ONE, false), Join::Answer);
        assert!(interest.leave(&b, ONE, 0), "nothing to linger for");
        assert!(interest.revive(|_| true).contains(&a));
        assert_eq!(interest.join(&a, TWO, true), Join::Wait);
        assert_eq!(interest.confirmed(&a), [TWO], "the first has its answer");
    }

    #[test]
    fn a_cut_answers_who_waits_and_forgets_what_only_lingers() {
        let (mut interest, a, b, c) = (Interest::new(100), name("a"), name("b"), name("c"));
        for (channel, confirmed) in [(&a, false), (&b, true), (&c, true)] {
            interest.join(channel, ONE, true);
            if confirmed {
                interest.confirmed(channel);
            }
        }
        interest.leave(&b, ONE, 0);
        let cut = interest.cut(|channel| *channel != c);
        assert_eq!((cut.waited, cut.forgotten), (vec![(ONE, a.clone())], vec![b]));
        assert_eq!(interest.subscribed(), 1, "the other connection stands");
        assert_eq!(interest.expire(1_000), None);
        assert_eq!(interest.revive(|_| true), [a]);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Join(u8, u16),
        Leave(u8, u16),
        /// The oldest subscription under way is confirmed.
        Confirm,
        Wait(u64),
        Cut,
        Stand,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..3_u8, 0..3_u16).prop_map(|(channel, shard)| Step::Join(channel, shard)),
            4 => (0..3_u8, 0..3_u16).prop_map(|(channel, shard)| Step::Leave(channel, shard)),
            3 => Just(Step::Confirm),
            2 => (0..80_u64).prop_map(Step::Wait),
            1 => Just(Step::Cut),
            1 => Just(Step::Stand),
        ];
        prop::collection::vec(step, 0..80)
    }

    proptest! {
        #[test]
        fn every_join_is_answered_once_and_redis_holds_what_is_wanted(steps in steps()) {
            let mut interest = Interest::new(50);
            let (mut now_ms, mut stands) = (0, true);
            let mut under_way: VecDeque<ChannelName> = VecDeque::new();
            let mut in_redis: BTreeSet<ChannelName> = BTreeSet::new();
            let mut wanted: BTreeMap<ChannelName, BTreeSet<u16>> = BTreeMap::new();
            let mut unanswered: BTreeSet<(ChannelName, u16)> = BTreeSet::new();
            let end = [Step::Stand, Step::Confirm, Step::Confirm, Step::Confirm, Step::Wait(80), Step::Wait(80)];
            for step in steps.into_iter().chain(end) {
                match step {
                    Step::Join(channel, shard) => {
                        let channel = name(&channel.to_string());
                        if !wanted.entry(channel.clone()).or_default().insert(shard) {
                            continue; // Shards join once.
                        }
                        unanswered.insert((channel.clone(), shard));
                        match interest.join(&channel, ShardId(shard), stands) {
                            Join::Answer => {
                                prop_assert!(!stands || in_redis.contains(&channel));
                                unanswered.remove(&(channel, shard));
                            }
                            Join::Subscribe => under_way.push_back(channel),
                            Join::Wait => prop_assert!(under_way.contains(&channel)),
                        }
                    }
                    Step::Leave(channel, shard) => {
                        let channel = name(&channel.to_string());
                        if !wanted.entry(channel.clone()).or_default().remove(&shard) {
                            continue;
                        }
                        unanswered.remove(&(channel.clone(), shard));
                        interest.leave(&channel, ShardId(shard), now_ms);
                    }
                    Step::Confirm => {
                        let Some(channel) = under_way.pop_front() else { continue };
                        prop_assert!(in_redis.insert(channel.clone()), "subscribed twice");
                        for shard in interest.confirmed(&channel) {
                            prop_assert!(unanswered.remove(&(channel.clone(), shard.0)));
                        }
                    }
                    Step::Wait(ms) => {
                        now_ms += ms;
                        while let Some(channel) = interest.expire(now_ms) {
                            prop_assert!(in_redis.remove(&channel));
                        }
                    }
                    Step::Cut => {
                        stands = false;
                        under_way.clear();
                        in_redis.clear();
                        for (shard, channel) in interest.cut(|_| true).waited {
                            prop_assert!(unanswered.remove(&(channel, shard.0)));
                        }
                    }
                    Step::Stand if stands => {}
                    Step::Stand => {
                        stands = true;
                        under_way = interest.revive(|_| true);
                    }
                }
                prop_assert_eq!(interest.subscribed(), in_redis.len());
            }
            prop_assert!(unanswered.is_empty(), "{unanswered:?}");
            let all: BTreeSet<_> = wanted.into_iter().filter(|(_, by)| !by.is_empty()).map(|(name, _)| name).collect();
            prop_assert_eq!(in_redis, all);
        }
    }
}
