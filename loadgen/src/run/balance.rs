//! What must agree whatever the server does. Where it does not, this tool is wrong, and says so.

use crate::outcome::Balance;
use crate::plan::Plan;
use crate::scenario::Activity;
use crate::talk::Counts;

/// Checks the sums.
#[must_use]
pub fn check(counts: &Counts, payload_bytes: Option<usize>) -> Balance {
    let messages = messages(counts);
    let bytes = bytes(counts, payload_bytes);
    Balance {
        messages: messages.is_empty(),
        bytes: bytes.is_empty(),
        disagreements: messages.into_iter().chain(bytes).collect(),
    }
}

/// The length of every payload, where all have the same.
#[must_use]
pub fn payload_bytes(plan: &Plan) -> Option<usize> {
    let publishers = plan.scenario.publishers.iter().map(|publisher| publisher.payload_bytes);
    let clients = plan.scenario.groups.iter().filter_map(|group| match group.activity {
        Activity::Echo { payload_bytes, .. } | Activity::Peer { payload_bytes, .. } => Some(payload_bytes),
        Activity::Listen | Activity::Every { .. } => None,
    });
    let mut sizes = publishers.chain(clients);
    let first = sizes.next()?;
    sizes.all(|size| size == first).then_some(first)
}

fn messages(counts: &Counts) -> Vec<String> {
    let Counts { expected, received, gaps, lost, lost_after_close, .. } = *counts;
    let mut words = Vec::new();
    if expected != received + gaps + lost {
        words.push(format!(
            "{expected} messages expected, but {received} received + {gaps} announced as lost + {lost} lost"
        ));
    }
    if lost_after_close > lost {
        words.push(format!("{lost_after_close} messages lost by closed sessions, but {lost} lost in all"));
    }
    // Each stamped message is exactly one of these.
    let kinds = received + counts.duplicates + counts.in_doubt;
    if counts.damaged == 0 && counts.messages != kinds {
        words.push(format!(
            "{} stamped messages, but {received} received + {} again + {} in doubt",
            counts.messages, counts.duplicates, counts.in_doubt
        ));
    }
    words
}

fn bytes(counts: &Counts, payload_bytes: Option<usize>) -> Vec<String> {
    let Counts { bytes_read, bytes_handshake, bytes_frames, bytes_partial, .. } = *counts;
    let mut words = Vec::new();
    if bytes_read != bytes_handshake + bytes_frames + bytes_partial {
        words.push(format!(
            "{bytes_read} bytes read, but {bytes_handshake} in heads + {bytes_frames} in frames + {bytes_partial} in begun frames"
        ));
    }
    if let Some(size) = payload_bytes.filter(|_| counts.damaged == 0)
        && counts.bytes_payload != counts.messages * size as u64
    {
        words.push(format!(
            "{} messages of {size} bytes, but {} bytes of payload",
            counts.messages, counts.bytes_payload
        ));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right() -> Counts {
        Counts {
            expected: 10,
            received: 7,
            gaps: 2,
            lost: 1,
            messages: 8,
            duplicates: 1,
            bytes_read: 100,
            bytes_handshake: 10,
            bytes_frames: 85,
            bytes_partial: 5,
            bytes_payload: 80,
            ..Counts::default()
        }
    }

    #[test]
    fn what_agrees_says_nothing() {
        let balance = check(&right(), Some(10));
        assert_eq!(balance, Balance { messages: true, bytes: true, disagreements: vec![] });
    }

    #[test]
    fn each_sum_that_is_wrong_is_named() {
        let wrong = [
            (Counts { expected: 11, ..right() }, "11 messages expected", false, true),
            (Counts { lost_after_close: 2, ..right() }, "lost by closed sessions", false, true),
            (Counts { messages: 9, bytes_payload: 90, ..right() }, "9 stamped messages", false, true),
            (Counts { bytes_read: 99, ..right() }, "99 bytes read", true, false),
            (Counts { bytes_payload: 81, ..right() }, "81 bytes of payload", true, false),
        ];
        for (counts, words, messages, bytes) in wrong {
            let balance = check(&counts, Some(10));
            assert_eq!((balance.messages, balance.bytes), (messages, bytes), "{words}");
            assert!(balance.disagreements.len() == 1 && balance.disagreements[0].contains(words), "{balance:?}");
        }
    }

    #[test]
    fn payloads_of_several_sizes_are_not_compared() {
        assert!(check(&Counts { bytes_payload: 81, ..right() }, None).bytes);
    }
}
