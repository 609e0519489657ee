//! Questions under way between nodes: those of this node to the others, and those of others to its shards.
//!
//! Pure: says which answers are complete. Knows nothing of how they travel; time is an argument.

use std::collections::{HashMap, VecDeque};
use std::mem::discriminant;

use epush_core::mail::{Answer, Question, Report};
use epush_core::page::{ChannelPage, ChannelRange};
use epush_core::relay::NodeId;

/// See the module.
#[derive(Debug)]
pub struct Gather {
    boot: NodeId,
    timeout_ms: u64,
    /// The name of the next question, of either way.
    next: u64,
    ours: HashMap<u64, Ours>,
    theirs: HashMap<u64, Theirs>,
    /// When each question is given up, soonest first: the time-out is the same for all.
    deadlines: VecDeque<(u64, u64)>,
}

#[derive(Debug)]
struct Ours {
    report: Report,
    whole: Answer,
    /// Who has answered. This node has when its own question comes back to it: only then it was among the receivers.
    heard: Vec<NodeId>,
    /// How many got the question; none: not known yet.
    receivers: Option<u64>,
}

#[derive(Debug)]
struct Theirs {
    to: NodeId,
    ticket: u64,
    question: Question,
    whole: Answer,
    /// Shards that have not answered.
    open: usize,
}

/// The other nodes' part of an answer, for who asked.
#[derive(Debug)]
pub struct Done {
    /// Who.
    pub report: Report,
    /// The part.
    pub answer: Answer,
}

/// This node's part, for another.
#[derive(Debug)]
pub struct Part {
    /// Who asked.
    pub to: NodeId,
    /// Its name for the question.
    pub ticket: u64,
    /// The part.
    pub answer: Answer,
}

impl Gather {
    /// Nothing under way; a question is given up after `timeout_ms`.
    #[must_use]
    pub fn new(boot: NodeId, timeout_ms: u64) -> Self {
        Self { boot, timeout_ms, next: 0, ours: HashMap::new(), theirs: HashMap::new(), deadlines: VecDeque::new() }
    }

    /// A question of this node to the others. Returns its ticket; none: it is none that nodes ask each other.
    pub fn ask(&mut self, question: &Question, report: Report, now_ms: u64) -> Option<u64> {
        let whole = nobody(question)?;
        let ticket = self.open(now_ms);
        self.ours.insert(ticket, Ours { report, whole, heard: Vec::new(), receivers: None });
        Some(ticket)
    }

    /// So many nodes got the question; none: it did not go out.
    pub fn asked(&mut self, ticket: u64, receivers: Option<u64>) -> Option<Done> {
        self.ours.get_mut(&ticket)?.receivers = Some(receivers.unwrap_or_default());
        self.done(ticket)
    }

    /// The own question came back: this node was among the receivers, and has nothing to add.
    pub fn echo(&mut self, ticket: u64) -> Option<Done> {
        let boot = self.boot;
        self.ours.get_mut(&ticket)?.hear(boot);
        self.done(ticket)
    }

    /// Another node answers. Twice counts once: what was in doubt is sent again.
    pub fn answered(&mut self, ticket: u64, from: NodeId, answer: Answer) -> Option<Done> {
        let ours = self.ours.get_mut(&ticket)?;
        if ours.hear(from) && is_part_of(&ours.whole, &answer) {
            ours.whole.merge(elsewhere(answer));
        }
        self.done(ticket)
    }

    /// Another node asks: the name of the question for this node's shards, `shards` of them; none: it is none that
    /// nodes ask each other.
    pub fn asked_by(
        &mut self,
        to: NodeId,
        ticket: u64,
        question: &Question,
        shards: usize,
        now_ms: u64,
    ) -> Option<u64> {
        let whole = nobody(question)?;
        let own = self.open(now_ms);
        self.theirs.insert(own, Theirs { to, ticket, question: question.clone(), whole, open: shards });
        Some(own)
    }

    /// One shard's answer to another node's question.
    pub fn part(&mut self, own: u64, answer: Answer) -> Option<Part> {
        let theirs = self.theirs.get_mut(&own)?;
        if is_part_of(&theirs.whole, &answer) {
            theirs.whole.merge(answer);
        }
        theirs.open -= 1;
        if theirs.open > 0 {
            return None;
        }
        let Theirs { to, ticket, question, mut whole, .. } = self.theirs.remove(&own)?;
        whole.settle();
        let answer = match (whole, question) {
            // No more of them than the asker has room for.
            (Answer::Channels(page), Question::Channels(range)) => Answer::Channels(page.cut(&range)),
            (whole, _) => whole,
        };
        Some(Part { to, ticket, answer })
    }

    /// A question that nobody will complete any more: answered with what came. Others' are dropped: they gave up too.
    pub fn expire(&mut self, now_ms: u64) -> Option<Done> {
        while self.deadlines.front().is_some_and(|(at_ms, _)| *at_ms <= now_ms) {
            let (_, ticket) = self.deadlines.pop_front()?;
            self.theirs.remove(&ticket);
            if let Some(ours) = self.ours.remove(&ticket) {
                return Some(ours.done());
            }
        }
        None
    }

    /// When to call [`Gather::expire`] next.
    #[must_use]
    pub fn next_ms(&self) -> Option<u64> {
        self.deadlines.front().map(|(at_ms, _)| *at_ms)
    }

    fn open(&mut self, now_ms: u64) -> u64 {
        self.next += 1;
        self.deadlines.push_back((now_ms + self.timeout_ms, self.next));
        self.next
    }

    fn done(&mut self, ticket: u64) -> Option<Done> {
        let ours = self.ours.get(&ticket)?;
        if ours.receivers.is_none_or(|receivers| (ours.heard.len() as u64) < receivers) {
            return None;
        }
        self.ours.remove(&ticket).map(Ours::done)
    }
}

impl Ours {
    /// Whether this node is heard for the first time.
    fn hear(&mut self, node: NodeId) -> bool {
        let first = !self.heard.contains(&node);
        if first {
            self.heard.push(node);
        }
        first
    }

    fn done(mut self) -> Done {
        self.whole.settle();
        Done { report: self.report, answer: self.whole }
    }
}

/// What the answer is when no other node has anything to say; none: it is no question between nodes.
#[must_use]
pub fn nobody(question: &Question) -> Option<Answer> {
    match question {
        Question::Channels(ChannelRange { .. }) => Some(Answer::Channels(ChannelPage::default())),
        Question::Channel { channel, .. } => {
            Some(Answer::Channel { channel: channel.clone(), subscribers: 0, elsewhere: 0, users: Vec::new() })
        }
        _ => None,
    }
}

/// Whether they answer the same question. What another node sends may be anything.
fn is_part_of(whole: &Answer, part: &Answer) -> bool {
    match (whole, part) {
        (Answer::Channel { channel, .. }, Answer::Channel { channel: of, .. }) => channel == of,
        _ => discriminant(whole) == discriminant(part),
    }
}

/// Another node's own sessions, as this one sees them.
fn elsewhere(answer: Answer) -> Answer {
    match answer {
        Answer::Channel { channel, subscribers, users, .. } => {
            Answer::Channel { channel, subscribers: 0, elsewhere: subscribers, users }
        }
        Answer::Channels(page) => Answer::Channels(page.into_elsewhere()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use epush_core::id::ShardId;
    use epush_core::message::{ChannelName, UserName};

    const OWN: NodeId = 9;
    const REPORT: Report = Report { shard: ShardId(3), ticket: 77 };

    fn room() -> ChannelName {
        ChannelName::parse("room").expect("valid")
    }

    fn question() -> Question {
        Question::Channel { channel: room(), members: true }
    }

    fn part(subscribers: u64, user: &str) -> Answer {
        let users = UserName::parse(user).into_iter().collect();
        Answer::Channel { channel: room(), subscribers, elsewhere: 0, users }
    }

    /// How many elsewhere, and their users.
    fn seen(done: Option<Done>) -> (u64, Vec<String>) {
        let Some(Done { report: REPORT, answer: Answer::Channel { subscribers: 0, elsewhere, users, .. } }) = done
        else {
            panic!("not complete: {done:?}")
        };
        (elsewhere, users.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_question_is_complete_when_all_receivers_answered_whatever_came_first() {
        let mut gather = Gather::new(OWN, 100);
        let ticket = gather.ask(&question(), REPORT, 0).expect("between nodes");
        assert!(gather.answered(ticket, 1, part(2, "ann")).is_none(), "nobody knows yet how many will");
        assert!(gather.asked(ticket, Some(3)).is_none());
        assert!(gather.echo(ticket).is_none());
        assert_eq!(seen(gather.answered(ticket, 2, part(5, "bob"))), (7, vec!["ann".into(), "bob".into()]));
        assert!(gather.expire(1_000).is_none(), "answered once");
    }

    #[test]
    fn a_node_that_is_not_subscribed_itself_waits_for_all_receivers() {
        let mut gather = Gather::new(OWN, 100);
        let ticket = gather.ask(&question(), REPORT, 0).expect("between nodes");
        assert!(gather.asked(ticket, Some(2)).is_none());
        assert!(gather.answered(ticket, 1, part(2, "ann")).is_none());
        assert_eq!(seen(gather.answered(ticket, 2, part(1, "ann"))), (3, vec!["ann".into()]));
    }

    #[test]
    fn an_answer_that_comes_twice_counts_once_and_one_to_another_question_not_at_all() {
        let mut gather = Gather::new(OWN, 100);
        let ticket = gather.ask(&question(), REPORT, 0).expect("between nodes");
        gather.asked(ticket, Some(4));
        gather.answered(ticket, 1, part(2, "ann"));
        assert!(gather.answered(ticket, 1, part(2, "ann")).is_none());
        assert!(gather.answered(ticket, 2, Answer::Kicked(3)).is_none());
        let other = ChannelName::parse("other").expect("valid");
        let foreign = Answer::Channel { channel: other, subscribers: 8, elsewhere: 0, users: Vec::new() };
        assert!(gather.answered(ticket, 3, foreign).is_none());
        assert!(gather.answered(ticket + 1, 3, part(1, "eve")).is_none(), "no such question");
        assert_eq!(seen(gather.answered(ticket, 4, part(1, "bob"))), (3, vec!["ann".into(), "bob".into()]));
    }

    #[test]
    fn a_question_that_did_not_go_out_or_reached_nobody_is_answered_at_once() {
        let mut gather = Gather::new(OWN, 100);
        for receivers in [None, Some(0)] {
            let ticket = gather.ask(&question(), REPORT, 0).expect("between nodes");
            assert_eq!(seen(gather.asked(ticket, receivers)), (0, vec![]));
        }
    }

    #[test]
    fn silence_ends_after_the_time_out_with_what_came() {
        let mut gather = Gather::new(OWN, 100);
        let ticket = gather.ask(&question(), REPORT, 50).expect("between nodes");
        gather.asked(ticket, Some(2));
        gather.answered(ticket, 1, part(2, "ann"));
        assert_eq!(gather.next_ms(), Some(150));
        assert!(gather.expire(149).is_none());
        assert_eq!(seen(gather.expire(150)), (2, vec!["ann".into()]));
        assert!(gather.answered(ticket, 2, part(2, "late")).is_none());
    }

    #[test]
    fn another_nodes_question_is_answered_when_all_shards_have() {
        let mut gather = Gather::new(OWN, 100);
        let own = gather.asked_by(4, 12, &question(), 2, 0).expect("between nodes");
        assert!(gather.part(own, part(2, "ann")).is_none());
        let Some(Part { to: 4, ticket: 12, answer: Answer::Channel { subscribers: 3, elsewhere: 0, users, .. } }) =
            gather.part(own, part(1, "ann"))
        else {
            panic!("complete")
        };
        assert_eq!(users.len(), 1);
        assert!(gather.part(own, part(1, "ann")).is_none(), "no shard is left");
        let own = gather.asked_by(4, 13, &question(), 1, 0).expect("between nodes");
        assert!(gather.expire(100).is_none());
        assert!(gather.part(own, part(1, "late")).is_none());
    }

    #[test]
    fn questions_that_are_not_between_nodes_are_refused() {
        let mut gather = Gather::new(OWN, 100);
        assert_eq!(gather.ask(&Question::Online, REPORT, 0), None);
        assert_eq!(gather.asked_by(4, 12, &Question::Counters, 1, 0), None);
    }
}
