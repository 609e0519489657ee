//! Two runs on one channel.

use crate::node::{engine, run, target};

const CHANNEL: &str = "[[group]]\nclients = 10\nchannels = [\"news\"]\n\
    [[publisher]]\nto = { channels = [\"news\"] }\nrate_per_s = 50\npayload_bytes = 64\n";

#[test]
fn two_runs_on_one_channel_count_each_others_messages_as_foreign_and_nothing_else() {
    let engine = engine(|_| ());
    let scenario = |steady_ms: u32, processes: u32| {
        let phases = format!("[phases]\nramp_ms = 50\nsteady_ms = {steady_ms}\ndrain_ms = 20000\n");
        let tool = format!("[tool]\nworkers = 1\nprocesses = {processes}\n");
        toml::from_str(&(target(&engine) + &phases + &tool + CHANNEL)).unwrap()
    };
    let mut guest = None;
    // The host's clients are there before the guest begins, and stay until it is over.
    let (host, _) = run(scenario(2_500, 2), || guest = Some(run(scenario(1_500, 1), || ()).0));
    let guest = guest.unwrap();
    assert_eq!((host.publishing.published, guest.publishing.published), (125, 75));
    assert_eq!(host.counts.foreign, 10 * guest.publishing.published);
    for outcome in [host, guest] {
        let counts = &outcome.counts;
        assert_eq!((counts.expected, counts.received), (outcome.publishing.published * 10, counts.expected));
        let faults = [counts.lost, counts.duplicates, counts.reordered, counts.damaged, counts.in_doubt];
        assert_eq!((faults, outcome.failures.as_slice()), ([0; 5], &[][..]));
    }
    engine.stop();
}
