//! Readers that read nothing while the engine has little room for them.

use epush_core::settings::OnSlow;

use crate::node::{engine, run, target};

/// Half of the clients read nothing until everything is published.
const LOAD: &str = "[phases]\nramp_ms = 50\nsteady_ms = 1500\ndrain_ms = 30000\n\
    [[group]]\nclients = 4\nchannels = [\"news\"]\nreader = { kind = \"stall\", share = 0.5, period_ms = 1000, stall_ms = 1000 }\n\
    [[publisher]]\nto = { channels = [\"news\"] }\nrate_per_s = 300\npayload_bytes = 20000\n";

#[test]
fn what_the_engine_drops_for_slow_readers_it_announces() {
    for on_slow in [OnSlow::DropOldest, OnSlow::DropNewest, OnSlow::Latest] {
        let engine = engine(|config| {
            config.limits.outbox_bytes_max = 64 << 10;
            config.server.send_buffer_bytes = 32 << 10;
            config.channels.on_slow = on_slow;
        });
        let scenario = toml::from_str(&(target(&engine) + LOAD)).unwrap();
        let (outcome, _) = run(scenario, || ());
        let counts = &outcome.counts;
        assert_eq!((outcome.publishing.published, outcome.publishing.refused), (450, 0), "{on_slow:?}");
        assert_eq!(counts.expected, 4 * 450, "{on_slow:?}");
        assert!(counts.gaps > 0, "{on_slow:?} {counts:?}");
        assert_eq!(
            (counts.lost, counts.gaps_unfounded, counts.duplicates, counts.reordered),
            (0, 0, 0, 0),
            "{on_slow:?}"
        );
        assert_eq!(counts.expected, counts.received + counts.gaps, "{on_slow:?}");
        assert_eq!((counts.closed_by_server, outcome.failures.len()), (0, 0), "{on_slow:?}");
        engine.stop();
    }
}

#[test]
fn who_is_closed_for_being_slow_is_counted_so() {
    let engine = engine(|config| {
        config.limits.outbox_bytes_max = 64 << 10;
        config.server.send_buffer_bytes = 32 << 10;
        config.channels.on_slow = OnSlow::Close;
    });
    let scenario = toml::from_str(&(target(&engine) + LOAD)).unwrap();
    let (outcome, _) = run(scenario, || ());
    let counts = &outcome.counts;
    // On a busy machine a prompt reader may be too slow for so small an outbox, too.
    assert!(counts.closed_by_server >= 2, "{counts:?}");
    assert_eq!((counts.expected, counts.closed_by_server + counts.closed_by_plan), (4 * 450, 4), "{counts:?}");
    assert!(counts.lost > 0 && counts.lost == counts.lost_after_close, "{counts:?}");
    assert_eq!(counts.expected, counts.received + counts.gaps + counts.lost);
    let failure = &outcome.failures[0];
    assert!(failure.kind.starts_with("closed with 4501"), "{:?}", outcome.failures);
    assert_eq!(failure.count, counts.closed_by_server);
    engine.stop();
}
