//! What values must have to do with each other: groups with publishers, and both with what the server's dialect can say.

use std::collections::HashMap;

use super::ranges::PHASE_MS_MAX;
use super::subscribed::is_subscribed;
use super::{CLIENTS_MAX, Findings};
use crate::dialect::words::Words;
use crate::dialect::{Dialect, ready};
use crate::scenario::{Activity, Pace, Publisher, Scenario, To, Via};

pub(super) fn check(scenario: &Scenario, findings: &mut Findings<'_>) {
    clients(scenario, findings);
    rivals(&scenario.publishers, findings);
    waiting(&scenario.publishers, findings);
    for (at, publisher) in scenario.publishers.iter().enumerate() {
        audience(&format!("publisher[{at}]"), publisher, scenario, findings);
        pace(&format!("publisher[{at}]"), publisher, scenario, findings);
    }
    let key = if scenario.dialect.is_some() { "dialect" } else { "target.dialect" };
    if let Some(dialect) =
        findings.attempt(key, ready::of(scenario).and_then(|dialect| Words::new(&dialect).map(|_| dialect)))
    {
        heartbeat(key, &dialect, findings);
        words_of_groups(scenario, &dialect, findings);
        words_of_publishers(scenario, &dialect, findings);
    }
}

fn clients(scenario: &Scenario, findings: &mut Findings<'_>) {
    let key = "group";
    findings.require(!scenario.groups.is_empty(), key, "there is none: [[group]] with clients = … says who connects");
    let all: u64 = scenario.groups.iter().map(|group| u64::from(group.clients)).sum();
    findings.require(all <= u64::from(CLIENTS_MAX), key, "all groups together have more than 10000000 clients");
    for (at, group) in scenario.groups.iter().enumerate() {
        let paired = !matches!(group.activity, Activity::Peer { .. }) || group.clients % 2 == 0;
        findings.require(paired, &format!("group[{at}].clients"), "peers come in pairs: expected an even number");
        let in_step = group.churn_per_s <= f64::from(group.clients) * CHURN_PER_CLIENT_MAX;
        findings.require(
            in_step,
            &format!("group[{at}].churn_per_s"),
            "expected at most ten comings and goings a second of each client",
        );
    }
}

/// Comings and goings of one client in a second: beyond it a session would be gone before it is there.
const CHURN_PER_CLIENT_MAX: f64 = 10.0;

/// Two publishers that number the messages of one destination would contradict each other.
fn rivals(publishers: &[Publisher], findings: &mut Findings<'_>) {
    let mut taken: HashMap<String, usize> = HashMap::new();
    for (at, publisher) in publishers.iter().enumerate() {
        for destination in destinations(&publisher.to) {
            let first = *taken.entry(destination.clone()).or_insert(at);
            if first == at {
                continue;
            }
            let why = format!("{destination} has a publisher already, number {}: one numbers its messages", first + 1);
            findings.add(format!("publisher[{at}].to"), why);
            break;
        }
    }
}

/// Deliveries are told to the publisher that waits for them: of two, neither would know which are its own.
fn waiting(publishers: &[Publisher], findings: &mut Findings<'_>) {
    let waiting = publishers.iter().enumerate().filter(|(_, publisher)| publisher.pace == Pace::Delivered);
    for (at, _) in waiting.skip(1) {
        findings.add(
            format!("publisher[{at}].pace"),
            String::from("another publisher waits for delivery: one of a run can"),
        );
    }
}

/// Destinations, by words that are the same only for the same. All users of a publisher count as one destination.
fn destinations(to: &To) -> Vec<String> {
    match to {
        To::Channels(channels) => channels.iter().map(|channel| format!("channel {channel}")).collect(),
        To::ChannelRange { name, count } => (0..*count).map(|at| format!("channel {name}.{at}")).collect(),
        To::Users(_) => vec![String::from("the first group's users")],
        To::All => vec![String::from("everybody")],
    }
}

/// A message that nobody gets measures nothing.
fn audience(path: &str, publisher: &Publisher, scenario: &Scenario, findings: &mut Findings<'_>) {
    let key = format!("{path}.to");
    let first = match &publisher.to {
        To::Channels(channels) => channels.iter().find(|channel| !is_subscribed(channel, &scenario.groups)).cloned(),
        To::ChannelRange { name, count } => {
            let mut channels = (0..*count).map(|at| format!("{name}.{at}"));
            channels.find(|channel| !is_subscribed(channel, &scenario.groups))
        }
        To::Users(users) => {
            let clients = scenario.groups.first().map_or(0, |group| group.clients);
            let why = format!("the first group has {clients} clients: there are not {users} users among them");
            return findings.require(*users <= clients, &key, &why);
        }
        To::All => None,
    };
    if let Some(channel) = first {
        findings.add(key, format!("nobody subscribes to {channel}: add it to a group's channels"));
    }
}

fn pace(path: &str, publisher: &Publisher, scenario: &Scenario, findings: &mut Findings<'_>) {
    let alone = publisher.pace != Pace::Delivered || scenario.tool.processes == 1;
    let why = "\"delivered\" needs tool.processes = 1: one process sees only its own clients' deliveries";
    findings.require(alone, &format!("{path}.pace"), why);
}

/// A keepalive that is always due would leave no time for anything else.
fn heartbeat(key: &str, dialect: &Dialect, findings: &mut Findings<'_>) {
    let Some(keepalive) = &dialect.keepalive else { return };
    if !(1..=PHASE_MS_MAX).contains(&keepalive.interval_ms) {
        let place = if key == "dialect" { "dialect.keepalive.interval_ms" } else { key };
        let whose = if place == key { format!("{}: keepalive.interval_ms: ", dialect.name) } else { String::new() };
        findings.add(place, format!("{whose}expected 1 to {PHASE_MS_MAX}"));
    }
}

fn words_of_groups(scenario: &Scenario, dialect: &Dialect, findings: &mut Findings<'_>) {
    let missing = |thing: &str, key: &str| format!("dialect `{}` has no words for {thing} (`{key}`)", dialect.name);
    for (at, group) in scenario.groups.iter().enumerate() {
        let path = format!("group[{at}]");
        let subscribes = group.channels.is_empty() || dialect.subscribe.is_some() || dialect.path.contains("{channel}");
        findings.require(subscribes, &format!("{path}.channels"), &missing("subscribing", "subscribe"));
        let (can, words) = match group.activity {
            Activity::Peer { .. } => (dialect.send_user.is_some(), missing("a message to a user", "send_user")),
            Activity::Every { .. } => (dialect.every.is_some(), missing("periodic pushes", "every")),
            Activity::Listen | Activity::Echo { .. } => continue,
        };
        findings.require(can, &format!("{path}.activity.kind"), &words);
    }
}

fn words_of_publishers(scenario: &Scenario, dialect: &Dialect, findings: &mut Findings<'_>) {
    for (at, publisher) in scenario.publishers.iter().enumerate() {
        let key = if publisher.via.is_some() { format!("publisher[{at}].via") } else { format!("publisher[{at}].to") };
        let via = publisher.via.unwrap_or_else(|| dialect.via());
        match via {
            Via::Http => {
                findings.require(
                    can_post(dialect, &publisher.to),
                    &key,
                    &unsayable(dialect, &publisher.to, "an HTTP request"),
                );
                let why = "is needed to publish by HTTP: where the server takes publications, as in \"http://127.0.0.1:7001\"";
                findings.require(scenario.target.api.is_some(), "target.api", why);
            }
            Via::WebSocket => {
                findings.require(
                    can_send(dialect, &publisher.to),
                    &key,
                    &unsayable(dialect, &publisher.to, "a WebSocket"),
                );
            }
        }
    }
}

fn can_post(dialect: &Dialect, to: &To) -> bool {
    dialect.http.as_ref().is_some_and(|http| match to {
        To::Channels(_) | To::ChannelRange { .. } => !http.body.is_empty(),
        To::Users(_) => http.body_user.is_some(),
        To::All => http.body_all.is_some(),
    })
}

fn can_send(dialect: &Dialect, to: &To) -> bool {
    match to {
        To::Channels(_) | To::ChannelRange { .. } => dialect.publish.is_some(),
        To::Users(_) => dialect.publish_user.is_some() || dialect.send_user.is_some(),
        To::All => dialect.publish_all.is_some(),
    }
}

fn unsayable(dialect: &Dialect, to: &To, over: &str) -> String {
    let to = match to {
        To::Channels(_) | To::ChannelRange { .. } => "a channel",
        To::Users(_) => "users",
        To::All => "everybody",
    };
    format!("dialect `{}` has no words for publishing to {to} over {over}{}", dialect.name, dialect.why_not())
}

#[cfg(test)]
mod tests {

    #[test]
    fn of_several_publishers_one_may_wait_for_delivery() {
        let publisher = |pace: &str, channel: &str| {
            format!("[[publisher]]\nto = {{ channels = [\"{channel}\"] }}\n{pace}\npayload_bytes = 64\n")
        };
        let found = |paces: [&str; 3]| {
            let mut text = String::from("name = \"a\"\n[target]\napi = \"http://127.0.0.1:1\"\n");
            text += "[[group]]\nclients = 1\nchannels = [\"a\", \"b\", \"c\"]\n";
            paces.iter().zip(["a", "b", "c"]).for_each(|(pace, channel)| text += &publisher(pace, channel));
            super::super::check(&toml::from_str(&text).unwrap())
        };
        let (waits, paced, taken) = ("pace = \"delivered\"", "rate_per_s = 1", "pace = \"taken\"");
        assert_eq!(found([paced, waits, taken]), []);
        let [finding] = &found([waits, paced, waits])[..] else { panic!("one of them is too many") };
        assert_eq!(finding.key, "publisher[2].pace");
        assert!(finding.why.contains("one of a run can"), "{}", finding.why);
    }
}
