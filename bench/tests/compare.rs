//! `bench/compare` does not rot: a small run of it, with debug builds, from the scenario files to the tables.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

/// Connections of every measurement: enough that a burst goes to many, few enough for a debug build.
const SUBSCRIBERS: &str = "50";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// One run for all tests: what it printed, and its raw results.
static RUN: LazyLock<(String, Value)> = LazyLock::new(compare);

fn compare() -> (String, Value) {
    let results = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compare.json");
    let output = Command::new("python3")
        .arg(repository().join("bench/compare"))
        .args(["--quick", "--debug", "--only", "floor,epush", "--rounds", "1"])
        .args(["--subscribers", SUBSCRIBERS, "--work", "fanout,echo,idle,storm", "--results"])
        .arg(&results)
        .output()
        .expect("python3 runs");
    let (printed, progress) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}\n{progress}");
    let raw = std::fs::read(&results).expect("raw results");
    (printed.into_owned(), serde_json::from_slice(&raw).expect("JSON"))
}

#[test]
fn its_own_tests_pass() {
    let output = Command::new("python3")
        .args(["-B", "-m", "unittest", "discover", "-t", "bench", "-s", "bench/comparison/tests"])
        .current_dir(repository())
        .output()
        .expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Figures of the rows of a piece of work and a server.
fn figures<'a>(raw: &'a Value, work: &str, server: &str) -> Vec<&'a Value> {
    let rows = raw["rows"].as_array().expect("rows");
    let rows = rows.iter().filter(|row| row["work"] == work && row["server"] == server);
    rows.map(|row| &row["figures"]).collect()
}

#[test]
fn the_comparison_measures_both_and_tells_their_ratio() {
    let (printed, raw) = &*RUN;
    for server in ["floor", "epush"] {
        let deliveries = figures(raw, "fanout", server);
        assert_eq!(deliveries.len(), 8, "two payloads, four bursts: {raw}");
        assert!(deliveries.iter().all(|one| one["cpu_us"].as_f64() > Some(0.0)), "{raw}");
        assert_eq!(figures(raw, "echo", server).len(), 2, "{raw}");
        assert!(figures(raw, "storm", server)[0]["cpu_us"].as_f64() > Some(0.0), "{raw}");
        assert_eq!(figures(raw, "idle", server).len(), 1, "{raw}");
    }
    for heading in ["A delivery: epush and the floor", "Echo", "Memory of an idle connection", "Connect storm"] {
        assert!(printed.contains(heading), "{printed}");
    }
    assert!(printed.contains("epush / floor"), "{printed}");
}

#[test]
fn the_floor_sends_exactly_the_bytes_that_epush_sends() {
    let (_, raw) = &*RUN;
    let (floor, epush) = (figures(raw, "fanout", "floor"), figures(raw, "fanout", "epush"));
    assert_eq!((floor.len(), epush.len()), (8, 8), "two payloads, four bursts: {raw}");
    let count = |row: &Value, name: &str| row[name].as_u64().expect("a count");
    let of_a_session = floor.iter().zip(&epush).map(|(floor, epush)| {
        // The floor says nothing but messages, all of a length.
        let message = count(floor, "bytes_frames") / count(floor, "messages");
        assert_eq!(count(floor, "bytes_frames"), message * count(floor, "messages"), "{floor}");
        // What is left is what epush says to sessions themselves, so nothing that grows with the messages.
        let left = count(epush, "bytes_frames").checked_sub(message * count(epush, "messages"));
        let left = left.unwrap_or_else(|| panic!("epush's messages are shorter: floor {floor}, epush {epush}"));
        left / SUBSCRIBERS.parse::<u64>().expect("a number")
    });
    let of_a_session: Vec<u64> = of_a_session.collect();
    let (least, most) = (of_a_session.iter().min().expect("eight"), of_a_session.iter().max().expect("eight"));
    // Welcome and the answer to `subscribe`; later sessions have longer names.
    assert!(*most < 400 && most - least <= 4, "bytes of a session beside its messages: {of_a_session:?}");
}
