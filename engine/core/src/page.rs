//! A page of the list of all channels: what was asked for, and what shards make of it.
//!
//! A node may have a million channels, so a shard gives no more of them than a page holds. Knows nothing of who lists them.

use std::collections::BinaryHeap;

use crate::message::ChannelName;

/// Which channels a page begins with, and how many it holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelRange {
    /// Only names that begin with it.
    pub prefix: Box<str>,
    /// Only names behind it: the last of the page before.
    pub after: Box<str>,
    /// Channels of the page, at least 1.
    pub channels_max: usize,
}

/// Channels by name, and how many subscribers each has.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ChannelPage {
    /// Invariant: after [`ChannelPage::settle`], sorted and each once.
    pub channels: Vec<ChannelCount>,
    /// Whether there are further ones behind these.
    pub more: bool,
}

/// A channel of a page.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ChannelCount {
    /// Its name.
    pub name: ChannelName,
    /// Sessions of this node subscribed.
    pub here: u64,
    /// Sessions of other nodes subscribed.
    pub elsewhere: u64,
}

impl ChannelRange {
    fn contains(&self, name: &str) -> bool {
        name.starts_with(&*self.prefix) && name > &*self.after
    }

    /// One shard's page: the first of its channels that are in the range.
    ///
    /// A channel on the page of all shards, of all nodes, is among the first of each that has it, so their counts add
    /// up.
    pub fn page<'a>(&self, channels: impl Iterator<Item = (&'a ChannelName, u64)>) -> ChannelPage {
        let mut first = BinaryHeap::new();
        let mut more = false;
        for channel in channels.filter(|(name, _)| self.contains(name.as_str())) {
            if first.len() < self.channels_max {
                first.push(channel);
                continue;
            }
            more = true;
            // Most names of a large shard come to nothing here: one comparison each.
            if let Some(mut last) = first.peek_mut().filter(|last| channel.0 < last.0) {
                *last = channel;
            }
        }
        let counted = |(name, here): (&ChannelName, u64)| ChannelCount { name: name.clone(), here, elsewhere: 0 };
        ChannelPage { channels: first.into_sorted_vec().into_iter().map(counted).collect(), more }
    }
}

impl ChannelPage {
    /// Adds another shard's page of the same range.
    pub fn merge(&mut self, part: Self) {
        self.channels.extend(part.channels);
        self.more |= part.more;
    }

    /// The page as another node sees it, to merge with its own.
    #[must_use]
    pub fn into_elsewhere(mut self) -> Self {
        for channel in &mut self.channels {
            channel.elsewhere = channel.elsewhere.saturating_add(std::mem::take(&mut channel.here));
        }
        self
    }

    /// Sorts by name and adds up what several shards and nodes have.
    pub fn settle(&mut self) {
        self.channels.sort();
        self.channels.dedup_by(|next, kept| {
            let same = next.name == kept.name;
            if same {
                kept.here = kept.here.saturating_add(next.here);
                kept.elsewhere = kept.elsewhere.saturating_add(next.elsewhere);
            }
            same
        });
    }

    /// Keeps what the range has room for. Pages of several shards may hold more together.
    #[must_use]
    pub fn cut(mut self, range: &ChannelRange) -> Self {
        self.more |= self.channels.len() > range.channels_max;
        self.channels.truncate(range.channels_max);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Channels = BTreeMap<ChannelName, u64>;

    fn range(prefix: &str, after: &str, channels_max: usize) -> ChannelRange {
        ChannelRange { prefix: prefix.into(), after: after.into(), channels_max }
    }

    /// The page as a node with these shards shows it.
    fn page(shards: &[Channels], range: &ChannelRange) -> ChannelPage {
        let mut whole = ChannelPage::default();
        for shard in shards {
            whole.merge(range.page(shard.iter().rev().map(|(name, count)| (name, *count))));
        }
        whole.settle();
        whole.cut(range)
    }

    fn names(page: &ChannelPage) -> String {
        page.channels.iter().map(|channel| channel.name.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn pages_follow_each_other_and_keep_to_the_prefix() {
        let named = |name: &&str| (ChannelName::parse(name).expect("valid"), 1);
        let shard: Channels = ["a", "room.1", "room.2", "room.3", "z"].iter().map(named).collect();
        let show = |range| {
            let page = page(std::slice::from_ref(&shard), &range);
            (names(&page), page.more)
        };
        assert_eq!(show(range("", "", 9)), ("a room.1 room.2 room.3 z".into(), false));
        assert_eq!(show(range("room.", "", 3)), ("room.1 room.2 room.3".into(), false));
        assert_eq!(show(range("room.", "", 2)), ("room.1 room.2".into(), true));
        assert_eq!(show(range("room.", "room.2", 2)), ("room.3".into(), false));
        assert_eq!(show(range("", "zz", 2)), (String::new(), false));
    }

    #[test]
    fn a_channel_counts_apart_here_and_elsewhere() {
        let here: Channels = [("a", 1), ("c", 2)].map(|(name, n)| (ChannelName::parse(name).expect("valid"), n)).into();
        let there: Channels =
            [("b", 4), ("c", 8)].map(|(name, n)| (ChannelName::parse(name).expect("valid"), n)).into();
        let range = range("", "", 2);
        let mut whole = page(&[here], &range);
        whole.merge(page(&[there], &range).into_elsewhere());
        whole.settle();
        let counts: Vec<_> = whole.channels.iter().map(|channel| (channel.here, channel.elsewhere)).collect();
        assert_eq!((names(&whole), counts), ("a b c".into(), vec![(1, 0), (0, 4), (2, 8)]));
        assert!(whole.cut(&range).more);
    }

    fn channels() -> impl Strategy<Value = Channels> {
        let name = "[ab]{1,3}".prop_map(|name| ChannelName::parse(&name).expect("valid"));
        prop::collection::btree_map(name, 1..5_u64, 0..12)
    }

    proptest! {
        #[test]
        fn a_page_of_several_shards_is_the_page_of_one_with_all_their_channels(
            shards in prop::collection::vec(channels(), 1..4),
            prefix in "[ab]{0,1}",
            after in "[ab]{0,2}",
            channels_max in 1..8_usize,
        ) {
            let range = range(&prefix, &after, channels_max);
            let mut all = Channels::new();
            for (name, count) in shards.iter().flatten() {
                *all.entry(name.clone()).or_default() += count;
            }
            let mut expected: Vec<_> = all.into_iter().filter(|(name, _)| range.contains(name.as_str())).collect();
            let more = expected.len() > channels_max;
            expected.truncate(channels_max);
            let counted = |(name, here)| ChannelCount { name, here, elsewhere: 0 };
            let channels = expected.into_iter().map(counted).collect();
            prop_assert_eq!(page(&shards, &range), ChannelPage { channels, more });
        }
    }
}
