//! Results that no run made, for tests: one with something of everything, one with nothing.
//!
//! It names the crate from outside, so that tests of the crate and tests beside it can both use it.

use epush_loadgen::hist::Hist;
use epush_loadgen::outcome::{
    Balance, ClientSide, Ended, Machine, Memory, Metrics, Opening, Outcome, Phase, Publishing, SCHEMA, ServerSide, Tick,
};
use epush_loadgen::scenario::Scenario;
use epush_loadgen::talk::{Counts, Failures};

/// Words that would run in a page that does not escape them.
pub const INJECTION: &str = "<script>document.title='owned'</script>\"'&<img src=x onerror=\"document.title='owned'\">";

/// Fan-out to a thousand clients.
#[must_use]
pub fn scenario() -> Scenario {
    toml::from_str(
        "name = 'fanout'\nabout = '1 000 clients of one channel, 100 messages a second'\n\
         [target]\nurl = 'ws://127.0.0.1:7000'\n\
         [[group]]\nname = 'listeners'\nclients = 1000\nchannels = ['news']\n\
         [[publisher]]\nto = { channels = ['news'] }\nrate_per_s = 100.0\npayload_bytes = 128\n",
    )
    .expect("a scenario")
}

/// A run in which a bit of everything went wrong.
#[must_use]
pub fn busy() -> Outcome {
    let timeline = timeline(1);
    Outcome {
        delivered_steady: counts().delivered(),
        counts: counts(),
        latency: hist(40_000, 900_000.0, 7),
        latency_uncorrected: hist(40_000, 700_000.0, 8),
        connect: hist(1_010, 2_500_000.0, 9),
        skew: hist(500, 4_000_000.0, 10),
        jitter: Hist::default(),
        publishing: Publishing {
            published: 3_000,
            refused: 2,
            slip: hist(3_000, 30_000.0, 11),
            backlog_bytes_max: 4_096,
            answered: hist(3_000, 200_000.0, 12),
            per_s: 100.0,
        },
        failures: failures(),
        balance: Balance { messages: true, bytes: true, disagreements: Vec::new() },
        client: ClientSide {
            cpu_steady_ns: 9_600_000_000,
            receive_cpu_steady_ns: 7_900_000_000,
            deliveries_steady: counts().delivered(),
            busiest_share: 0.41,
            slip: hist(3_000, 40_000.0, 13),
            bytes_per_connection: Some(612.0),
            bottleneck: Vec::new(),
            remarks: Vec::new(),
        },
        server: Some(server()),
        metrics: Some(Metrics {
            before: [("epush_sessions".to_owned(), 0.0), ("epush_gaps_total".to_owned(), 0.0), ("up".to_owned(), 1.0)]
                .into(),
            after: [
                ("epush_sessions".to_owned(), 1_000.0),
                ("epush_gaps_total".to_owned(), 40.0),
                ("up".to_owned(), 1.0),
            ]
            .into(),
            failed: 0,
        }),
        timeline,
        ..empty()
    }
}

/// A run that did nothing at all.
#[must_use]
pub fn empty() -> Outcome {
    Outcome {
        schema: SCHEMA.to_owned(),
        version: "0.1.0".to_owned(),
        started_ms: 1_767_225_600_000,
        duration_ms: 34_200,
        steady_ms: 30_000,
        delivered_steady: 0,
        ended: Ended::Complete,
        nobody_left: false,
        machine: Machine {
            kernel: "Linux 6.12.0".to_owned(),
            processor: "Example CPU @ 3.0 GHz".to_owned(),
            processors: 4,
            memory_bytes: 16 << 30,
            descriptors_max: 20_000,
        },
        scenario: scenario(),
        counts: Counts::default(),
        opened: Opening::default(),
        latency: Hist::default(),
        latency_uncorrected: Hist::default(),
        connect: Hist::default(),
        skew: Hist::default(),
        jitter: Hist::default(),
        publishing: Publishing::default(),
        failures: Vec::new(),
        balance: Balance { messages: true, bytes: true, disagreements: Vec::new() },
        client: ClientSide::default(),
        server: None,
        metrics: None,
        timeline: Vec::new(),
    }
}

/// The busy run once more: as fast in the long run, and its seconds different, as `seed` has it.
#[must_use]
pub fn again(seed: u64) -> Outcome {
    let latency = hist(40_000, 900_000.0, seed);
    let timeline = timeline(seed);
    let delivered_steady = timeline.iter().map(|tick| tick.delivered).sum();
    Outcome { timeline, delivered_steady, latency, ..busy() }
}

fn counts() -> Counts {
    Counts {
        started: 1_010,
        ready: 1_000,
        failed: 10,
        closed_by_server: 3,
        closed_by_plan: 997,
        messages: 2_999_953,
        expected: 3_000_000,
        received: 2_999_950,
        gaps: 40,
        gaps_unfounded: 0,
        lost: 10,
        lost_after_close: 10,
        duplicates: 2,
        reordered: 1,
        in_doubt: 1,
        damaged: 0,
        foreign: 4,
        bytes_read: 520_000_000,
        bytes_handshake: 200_000,
        bytes_frames: 519_800_000,
        bytes_payload: 384_000_000,
        bytes_written: 400_000,
        frames: 3_001_000,
        ..Counts::default()
    }
}

fn failures() -> Vec<Failures> {
    let failure =
        |kind: &str, count, example: &str| Failures { kind: kind.to_owned(), count, example: example.to_owned() };
    vec![
        failure("handshake answered 503", 10, INJECTION),
        failure("closed with 4501 slow consumer", 3, "slow consumer"),
    ]
}

fn server() -> ServerSide {
    let memory = |mib: u64| Memory { rss_bytes: mib << 20, pss_bytes: (mib - 1) << 20, socket_bytes: mib << 16 };
    ServerSide {
        pid: 4_242,
        cpu_steady_ns: 10_900_000_000,
        cpu_ramp_ns: 61_000_000,
        cpu_us_per_delivery: Some(3.63),
        cpu_us_per_connection: Some(61.0),
        before: memory(9),
        open: memory(10),
        after: memory(12),
        bytes_per_connection: Some(438.0),
    }
}

/// Thirty seconds of steady phase between two of ramp and one of draining.
fn timeline(seed: u64) -> Vec<Tick> {
    let mut dice = Dice(seed);
    (0..34).map(|second| tick(second, &mut dice)).collect()
}

fn tick(second: u64, dice: &mut Dice) -> Tick {
    let phase = match second {
        0..=1 => Phase::Ramp,
        2..=31 => Phase::Steady,
        32 => Phase::Drain,
        _ => Phase::RampDown,
    };
    let steady = phase == Phase::Steady;
    let stall = if second == 17 { 40.0 } else { 1.0 };
    let about =
        |value: f64, dice: &mut Dice| if steady { (value * stall * (0.9 + 0.2 * dice.roll())) as u64 } else { 0 };
    Tick {
        at_ms: (second + 1) * 1_000,
        phase,
        connections: [500, 1_000].get(second as usize).copied().unwrap_or(if second < 33 { 1_000 } else { 100 }),
        connected: if phase == Phase::Ramp { 500 } else { 0 },
        failed: if second == 1 { 10 } else { u64::from(second == 17) * 3 },
        published: if steady { 100 } else { 0 },
        delivered: about(100_000.0 / stall, dice),
        bytes: about(17_000_000.0 / stall, dice),
        p50_ns: about(900_000.0, dice),
        p99_ns: about(3_900_000.0, dice),
        max_ns: about(7_000_000.0, dice),
        // Few digits: JSON carries them exactly.
        client_cpu: if steady { 0.3125 + (dice.roll() * 16.0).floor() / 1_024.0 } else { 0.05 },
        server_cpu: Some(if steady { 0.359_375 + (dice.roll() * 16.0).floor() / 1_024.0 } else { 0.03 }),
        server_rss_bytes: Some((9 << 20) + second.min(12) * (256 << 10)),
        ..Tick::default()
    }
}

/// Values around a median, with the long tail that latencies have.
fn hist(values: u32, median_ns: f64, seed: u64) -> Hist {
    let mut dice = Dice(seed);
    let mut hist = Hist::default();
    for _ in 0..values {
        let bell: f64 = (0..6).map(|_| dice.roll() - 0.5).sum();
        let tail = 0.008 / (dice.roll() + 0.002);
        hist.record((median_ns * (bell * 0.6 + tail).exp()) as u64);
    }
    hist
}

/// The same numbers for the same seed, 0 to 1.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        // Sebastiano Vigna's splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
