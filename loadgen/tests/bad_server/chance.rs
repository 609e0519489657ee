//! Many faults at once, by chance: whatever the server did, the report says it. A failure prints its seed.

use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::lab::{compare, try_out};
use crate::script::{Damage, End, Fate, Fault, Oddity, Script, Welcome};

/// Clients of three groups, several streams of each session, echo and peers beside them.
const REST: &str = r#"
[[group]]
clients = 14
channels = ["news", "room.{client%3}"]
[[group]]
clients = 4
channels = ["news"]
activity = { kind = "peer", rate_per_s = 50, payload_bytes = 80 }
[[group]]
clients = 3
channels = ["quiet"]
activity = { kind = "echo", rate_per_s = 50, payload_bytes = 120 }
[[publisher]]
to = { channels = ["news"] }
rate_per_s = 200
burst = 2
payload_bytes = 90
[[publisher]]
to = { channel_range = { name = "room", count = 3 } }
rate_per_s = 150
payload_bytes = 300
via = "websocket"
connections = 2
"#;

/// Chance that depends on a seed and a place alone, whatever came before: splitmix64.
fn chance(seed: u64, place: [u64; 3]) -> u64 {
    place.iter().fold(seed, |state, part| {
        let mut mixed = (state ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

fn faults(roll: u64) -> Vec<Fault> {
    let amount = (roll >> 32) % 4;
    match roll % 1_000 {
        0..50 => vec![Fault::Drop],
        50..80 => vec![Fault::Drop, Fault::Announce(1)],
        80..95 => vec![Fault::Announce(amount)],
        95..135 => vec![Fault::Again(1 + amount as usize)],
        135..185 => vec![Fault::Late(1 + 3 * amount as usize)],
        185..195 => vec![Fault::Late(2), Fault::Again(1)],
        195..225 => {
            vec![Fault::Damage([Damage::Filler, Damage::Stamp, Damage::Cut, Damage::Stretched][amount as usize])]
        }
        225..230 => vec![Fault::Stall(30)],
        230..270 => {
            let how = [Oddity::Fragments, Oddity::Trickle, Oddity::AfterNoise, Oddity::AfterPing][amount as usize];
            vec![Fault::Oddly(how)]
        }
        270..275 => vec![Fault::End(
            [End::Close(4_501, "slow consumer"), End::Silent, End::HalfFrame, End::CloseEmpty][amount as usize],
        )],
        _ => Vec::new(),
    }
}

fn script(seed: u64) -> Script {
    Script {
        faults: Box::new(move |client, stream, seq| {
            faults(chance(seed, [u64::from(client) + 1, u64::from(stream) + 1, seq + 1]))
        }),
        welcome: Box::new(move |client| match chance(seed, [u64::from(client), 7, 0]) % 12 {
            0 => Welcome::Status(503),
            1 => Welcome::RefusesToSubscribe,
            _ => Welcome::Good,
        }),
        fate: Box::new(move |stream, seq| match chance(seed, [u64::from(stream), seq, 99]) % 20 {
            // What clients send has no answer.
            0 | 1 if stream < 1 << 31 => Fate::Refused,
            2 => Fate::Forgotten,
            3 if stream < 1 << 31 => Fate::RefusedAndSent,
            _ => Fate::Taken,
        }),
    }
}

#[test]
fn whatever_the_server_did_is_what_is_reported() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let own = std::env::var("LOADGEN_SEED").ok().map(|seed| seed.parse().unwrap());
    let seeds = own.map_or_else(|| vec![1, 2, 3, now, now ^ 0x5555], |seed| vec![seed]);
    thread::scope(|scope| {
        for (at, seed) in seeds.into_iter().enumerate() {
            scope.spawn(move || {
                let change = |scenario: &mut epush_loadgen::scenario::Scenario| {
                    scenario.phases.steady_ms = 400;
                    // Peers are in one process together: some runs have two, some more workers.
                    scenario.tool.processes = 1 + at % 2;
                    scenario.tool.workers = 1 + at % 3;
                };
                let (outcome, book) = try_out(script(seed), change, REST);
                let words = format!("LOADGEN_SEED={seed}, processes {}", 1 + at % 2);
                compare(&outcome, &book, &words);
                let sum = book.wrong();
                assert!(sum.lost > 0 && sum.duplicates > 0 && sum.reordered > 0 && sum.damaged > 0, "{words} {sum:?}");
            });
        }
    });
}
