//! Calls that send, and those that ask what was sent.

use std::sync::LazyLock;

use epush_core::message::{ChannelName, UserName};
use epush_core::relay::{NodeId, Number};
use redis::Script;

use super::{Call, Calls, PUBLISH_CHANNEL, PUBLISH_USER};

impl Calls {
    /// Sends to every other node that has the user, and notes the number; an announcement likewise.
    ///
    /// Its reply: [`super::reply::reach`].
    #[must_use]
    pub fn publish_user(&self, user: &UserName, number: Number, envelope: &[u8]) -> Call {
        static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(PUBLISH_USER));
        let call = Call::script(&SCRIPT, self.keys.user(user), []);
        self.numbered(call, number, envelope).arg(self.keys.of_partition(self.keys.partition(user)))
    }

    /// Sends to every node that has subscribers, this one too, and notes the number; an announcement likewise.
    ///
    /// Its reply: [`super::reply::count`], how many nodes heard it.
    #[must_use]
    pub fn publish_channel(&self, channel: &ChannelName, number: Number, envelope: &[u8]) -> Call {
        self.publish(self.keys.channel_heads(channel), self.keys.channel(channel), number, envelope)
    }

    /// Sends to every node, this one too, and notes the number; an announcement likewise.
    ///
    /// Its reply: [`super::reply::count`], how many nodes heard it.
    #[must_use]
    pub fn publish_all(&self, number: Number, envelope: &[u8]) -> Call {
        self.publish(self.keys.all_heads(), self.keys.all(), number, envelope)
    }

    fn publish(&self, heads: String, to: String, number: Number, envelope: &[u8]) -> Call {
        static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(PUBLISH_CHANNEL));
        self.numbered(Call::script(&SCRIPT, heads, []), number, envelope).arg(to)
    }

    fn numbered(&self, call: Call, number: Number, envelope: &[u8]) -> Call {
        let first = number.number.saturating_sub(number.lost);
        let call = call.arg(format!("{:x}", self.me.boot)).arg(number.generation).arg(number.number).arg(first);
        call.arg(self.verb.as_str()).arg(envelope)
    }

    /// Sends what has no number to the nodes with subscribers of a channel. Its reply: [`super::reply::count`].
    #[must_use]
    pub fn tell_channel(&self, channel: &ChannelName, envelope: &[u8]) -> Call {
        self.tell(self.keys.channel(channel), envelope)
    }

    /// Sends what has no number to every node, this one too. Its reply: [`super::reply::count`].
    #[must_use]
    pub fn tell_all(&self, envelope: &[u8]) -> Call {
        self.tell(self.keys.all(), envelope)
    }

    /// Sends what has no number to one node, after what was sent to it before about users of the partition.
    ///
    /// Its reply: [`super::reply::count`], 0 when the node is gone.
    #[must_use]
    pub fn tell_node(&self, node: NodeId, partition: u8, envelope: &[u8]) -> Call {
        self.tell(self.keys.to_node(partition, node), envelope)
    }

    fn tell(&self, to: String, envelope: &[u8]) -> Call {
        Call::plain(self.verb.as_str(), to).arg(envelope)
    }
}

/// What Redis remembers of what was sent. The receiving thread asks for it in the middle of its subscriptions.
#[cfg(test)]
impl Calls {
    /// What was sent to a user. Its reply: [`super::reply::heads`].
    #[must_use]
    pub fn user_heads(&self, user: &UserName) -> Call {
        Call::plain("HGETALL", self.keys.user(user))
    }

    /// What was sent to a channel. Its reply: [`super::reply::heads`].
    #[must_use]
    pub fn channel_heads(&self, channel: &ChannelName) -> Call {
        Call::plain("HGETALL", self.keys.channel_heads(channel))
    }

    /// What was sent to all. Its reply: [`super::reply::heads`].
    #[must_use]
    pub fn all_heads(&self) -> Call {
        Call::plain("HGETALL", self.keys.all_heads())
    }
}

#[cfg(test)]
mod tests {
    use epush_core::relay::Head;

    use super::super::reply;
    use super::*;
    use crate::relay::scripts::testing::{Line, Redis, entry, session, user};

    fn number(generation: u64, number: u64, lost: u64) -> Number {
        Number { generation, number, lost }
    }

    fn sign_in(redis: &mut Redis, calls: &Calls, index: u32) {
        redis.run(&calls.sign_in(&user("ada"), &entry(calls.me.boot, index), 0, b"close"));
    }

    fn publish(redis: &mut Redis, calls: &Calls, number: Number) -> Option<u64> {
        reply::reach(&redis.run(&calls.publish_user(&user("ada"), number, b"envelope"))).expect("a number")
    }

    fn heads(redis: &mut Redis, calls: &Calls) -> Vec<Head> {
        let mut heads = reply::heads(&redis.run(&calls.user_heads(&user("ada"))), 0).expect("a hash");
        heads.sort_by_key(|head| head.origin);
        heads
    }

    fn listen(redis: &Redis, calls: &Calls) -> Line {
        redis.listen(&calls.keys.to_node(calls.keys.partition(&user("ada")), calls.me.boot))
    }

    #[test]
    fn a_message_goes_once_to_every_other_node_that_has_the_user() {
        let mut redis = Redis::start();
        let [a, b, c] = [1, 2, 3].map(|boot| redis.calls(boot));
        let [mut to_a, mut to_b, mut to_c] = [&a, &b, &c].map(|calls| listen(&redis, calls));
        for (calls, index) in [(&a, 1), (&b, 1), (&b, 2), (&b, 3)] {
            sign_in(&mut redis, calls, index);
        }
        assert_eq!(publish(&mut redis, &a, number(1, 1, 0)), Some(1));
        assert_eq!(publish(&mut redis, &c, number(1, 1, 0)), Some(2));
        for (calls, line, copies) in [(&a, &mut to_a, 1), (&b, &mut to_b, 2), (&c, &mut to_c, 0)] {
            let channel = calls.keys.to_node(calls.keys.partition(&user("ada")), calls.me.boot);
            redis.command(redis::cmd("PUBLISH").arg(channel).arg(b"end"));
            assert_eq!(line.hear_until(b"end"), vec![b"envelope"; copies], "{}", calls.me);
        }
    }

    #[test]
    fn to_a_user_who_is_nowhere_nothing_is_sent_or_noted() {
        let mut redis = Redis::start();
        let a = redis.calls(1);
        assert_eq!(publish(&mut redis, &a, number(1, 1, 0)), None);
        assert_eq!(redis.all("KEYS", "*"), Vec::<String>::new());
        sign_in(&mut redis, &a, 1);
        assert_eq!(publish(&mut redis, &a, number(1, 2, 0)), Some(0));
        redis.run(&a.sign_out(&user("ada"), session(1, 1)));
        assert_eq!(publish(&mut redis, &a, number(1, 3, 0)), None);
    }

    #[test]
    fn a_head_keeps_the_first_number_of_its_generation_and_never_goes_back() {
        let mut redis = Redis::start();
        let a = redis.calls(1);
        let b = redis.calls(2);
        sign_in(&mut redis, &b, 1);
        let mut head_after = |number| {
            publish(&mut redis, &a, number);
            let [head] = heads(&mut redis, &a)[..] else { panic!("one head") };
            (head.generation, head.first, head.last)
        };
        assert_eq!(head_after(number(1, 5, 2)), (1, 3, 5), "the two lost before it were meant for this user too");
        assert_eq!(head_after(number(1, 9, 3)), (1, 3, 9));
        assert_eq!(head_after(number(1, 5, 2)), (1, 3, 9), "sent again");
        assert_eq!(head_after(number(1, 10, 0)), (1, 3, 10), "not compared as text");
        assert_eq!(head_after(number(2, 1, 0)), (2, 1, 1));
        assert_eq!(head_after(number(2, 2, 0)), (2, 1, 2));
        assert_eq!(head_after(number(1, 11, 0)), (2, 1, 2), "sent again, of the generation before");
    }

    #[test]
    fn a_user_who_signs_in_anew_is_told_what_others_sent() {
        let mut redis = Redis::start();
        let (a, b) = (redis.calls(1), redis.calls(2));
        sign_in(&mut redis, &a, 1);
        publish(&mut redis, &a, number(1, 1, 0));
        publish(&mut redis, &b, number(4, 7, 0));
        let reply = redis.run(&a.sign_in(&user("ada"), &entry(1, 2), 0, b"close"));
        let registered = super::super::Registered::read(&reply, a.me).expect("it signs in");
        assert_eq!(registered.heads, [Head { origin: 2, generation: 4, first: 7, last: 7 }]);
    }

    #[test]
    fn a_swept_user_has_heads_still_and_its_end_stays_where_it_was() {
        let mut redis = Redis::start();
        let (a, b) = (redis.calls(1), redis.calls(2));
        let partition = a.keys.partition(&user("ada"));
        sign_in(&mut redis, &a, 1);
        redis.run(&b.sweep(partition, a.me, 500));
        redis.command(redis::cmd("EXPIRE").arg(a.keys.user(&user("ada"))).arg(100));
        assert_eq!(publish(&mut redis, &b, number(1, 1, 0)), Some(0));
        assert!((90..=100).contains(&redis.ttl(&a.keys.user(&user("ada")))));
        let reply = redis.run(&a.sync(&user("ada"), &[entry(1, 1)], &[], 0, b"close"));
        let synced = super::super::Registered::read(&reply, a.me).expect("synced");
        assert_eq!(synced.heads, [Head { origin: 2, generation: 1, first: 1, last: 1 }]);
    }

    #[test]
    fn heads_of_senders_long_silent_go_when_a_new_one_comes() {
        let mut redis = Redis::start();
        let (a, b) = (redis.calls(1), redis.calls(2));
        sign_in(&mut redis, &a, 1);
        let key = a.keys.user(&user("ada"));
        redis.command(redis::cmd("HSET").arg(&key).arg("h:9").arg("1:1:5:1700000000000").arg("h:8").arg("odd"));
        publish(&mut redis, &a, number(1, 1, 0));
        publish(&mut redis, &b, number(1, 1, 0));
        assert_eq!(heads(&mut redis, &a).iter().map(|head| head.origin).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(redis.all("HKEYS", &key).len(), 3);
    }

    #[test]
    fn a_message_to_a_channel_reaches_its_listeners_and_leaves_a_head_for_a_while() {
        let mut redis = Redis::start();
        let a = redis.calls(1);
        let channel = ChannelName::parse("news").expect("valid");
        assert_eq!(reply::count(&redis.run(&a.publish_channel(&channel, number(1, 1, 0), b"one"))), Ok(0));
        let mut line = redis.listen(&a.keys.channel(&channel));
        assert_eq!(reply::count(&redis.run(&a.publish_channel(&channel, number(1, 4, 2), b"two"))), Ok(1));
        assert_eq!(reply::count(&redis.run(&a.tell_channel(&channel, b"three"))), Ok(1));
        assert_eq!([line.hear(), line.hear()], [b"two".to_vec(), b"three".to_vec()]);
        let of = |redis: &mut Redis, except| reply::heads(&redis.run(&a.channel_heads(&channel)), except);
        assert_eq!(of(&mut redis, 2), Ok(vec![Head { origin: 1, generation: 1, first: 1, last: 4 }]));
        assert_eq!(of(&mut redis, 1), Ok(vec![]), "nobody is told of its own");
        assert!((890..=900).contains(&redis.ttl(&a.keys.channel_heads(&channel))));
    }

    #[test]
    fn a_message_to_all_and_one_to_a_node_reach_them() {
        let mut redis = Redis::start();
        let (a, b) = (redis.calls(1), redis.calls(2));
        let mut all = redis.listen(&a.keys.all());
        let mut to_b = redis.listen(&a.keys.to_node(a.keys.node_partition(), 2));
        assert_eq!(reply::count(&redis.run(&a.publish_all(number(1, 1, 0), b"one"))), Ok(1));
        assert_eq!(reply::count(&redis.run(&a.tell_all(b"two"))), Ok(1));
        assert_eq!([all.hear(), all.hear()], [b"one".to_vec(), b"two".to_vec()]);
        assert_eq!(reply::count(&redis.run(&a.tell_node(2, a.keys.node_partition(), b"three"))), Ok(1));
        assert_eq!(to_b.hear(), b"three");
        assert_eq!(reply::count(&redis.run(&b.tell_node(1, 5, b"four"))), Ok(0));
        let heads = reply::heads(&redis.run(&b.all_heads()), 2).expect("a hash");
        assert_eq!(heads, [Head { origin: 1, generation: 1, first: 1, last: 1 }]);
    }
}
