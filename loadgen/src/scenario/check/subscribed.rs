//! Whether anybody subscribes to a channel, without writing out the channels of every client.

use crate::scenario::Group;

/// Whether some client of the groups subscribes to this channel.
pub(super) fn is_subscribed(channel: &str, groups: &[Group]) -> bool {
    let mut first = 0;
    groups.iter().any(|group| {
        let clients = first..first + u64::from(group.clients);
        first = clients.end;
        group.channels.iter().any(|template| can_become(template, channel, clients.clone()))
    })
}

/// Whether a template becomes this channel for one of these clients. One with several places may.
fn can_become(template: &str, channel: &str, clients: std::ops::Range<u64>) -> bool {
    let Some((before, rest)) = template.split_once("{client") else { return template == channel };
    let Some((inside, after)) = rest.split_once('}') else { return template == channel };
    if after.contains("{client") {
        return true;
    }
    let number = channel.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    // `{client}` never writes 007.
    let number = number.filter(|text| *text == "0" || !text.starts_with('0'));
    let Some(number) = number.and_then(|text| text.parse::<u64>().ok()) else { return false };
    match inside.strip_prefix('%').map(str::parse::<u64>) {
        None => clients.contains(&number),
        Some(Ok(modulus)) if number < modulus => {
            let first = clients.start + (number + modulus - clients.start % modulus) % modulus;
            clients.contains(&first)
        }
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::can_become;

    #[test]
    fn a_template_is_known_by_what_it_can_become() {
        assert!(can_become("news", "news", 0..1));
        assert!(!can_become("news", "new", 0..1));
        assert!(can_become("user.{client}", "user.12", 10..20));
        assert!(!can_become("user.{client}", "user.20", 10..20));
        assert!(!can_become("user.{client}", "user.012", 10..20));
        assert!(can_become("room.{client%10}.x", "room.3.x", 0..4));
        assert!(!can_become("room.{client%10}.x", "room.4.x", 0..4));
        assert!(!can_become("room.{client%10}", "room.10", 0..1_000));
    }

    #[test]
    fn remainders_agree_with_writing_every_channel_out() {
        for clients in [0_u64..3, 5..9, 17..40] {
            for modulus in 1..12 {
                for number in 0..14 {
                    let some = clients.clone().any(|client| client % modulus == number);
                    let template = format!("c{{client%{modulus}}}");
                    assert_eq!(
                        can_become(&template, &format!("c{number}"), clients.clone()),
                        some,
                        "{clients:?} % {modulus} = {number}"
                    );
                }
            }
        }
    }
}
