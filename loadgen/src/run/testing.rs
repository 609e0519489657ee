//! Scenarios for this module's tests.

use crate::scenario::{Group, Pace, Publisher, Scenario, Target, To};

/// So many clients that only listen, to `news`.
pub fn hold(url: &str, clients: u32) -> Scenario {
    Scenario {
        name: String::from("test"),
        about: String::new(),
        target: Target { url: url.to_owned(), dialect: String::from("raw"), ..Target::default() },
        phases: Default::default(),
        tool: Default::default(),
        groups: vec![Group {
            name: String::new(),
            clients,
            connect_per_s: None,
            user: String::from("user-{client}"),
            channels: vec![String::from("news")],
            activity: Default::default(),
            reader: Default::default(),
            churn_per_s: 0.0,
        }],
        publishers: Vec::new(),
        dialect: Some(crate::dialect::Dialect {
            publish: Some(String::from("{payload}")),
            ..crate::dialect::Dialect::default()
        }),
    }
}

/// The same, and a publisher.
pub fn fanout(url: &str, clients: u32, rate_per_s: f64) -> Scenario {
    let publisher = Publisher {
        name: String::new(),
        to: To::Channels(vec![String::from("news")]),
        pace: Pace::RatePerS(rate_per_s),
        burst: 1,
        payload_bytes: 64,
        connections: 1,
        via: None,
    };
    Scenario { publishers: vec![publisher], ..hold(url, clients) }
}
