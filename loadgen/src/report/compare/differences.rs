//! What else is different between two sides, and may be why their figures are.

use serde_json::Value;

use crate::outcome::{Ended, Outcome};
use crate::report::{secrets, units};

/// Differences of scenarios that are listed; more are counted.
const LISTED_MAX: usize = 12;

/// Longest value in a remark.
const VALUE_MAX: usize = 60;

/// Longest remark of a run: the tool's own words, with a way out at their end.
const REMARK_MAX: usize = 320;

/// In words, what is worse first.
pub fn remarks(a: &[Outcome], b: &[Outcome]) -> Vec<String> {
    let mut remarks = Vec::new();
    for (side, runs) in [("A", a), ("B", b)] {
        for (number, run) in (1..).zip(runs) {
            let name = if runs.len() == 1 { side.to_owned() } else { format!("{side}, run {number}") };
            remarks.extend(faults(run).into_iter().map(|fault| format!("{name}: {fault}")));
        }
    }
    let (Some(first), Some(second)) = (a.first(), b.first()) else { return remarks };
    remarks.extend(changes("scenario", &scenario(first), &scenario(second)));
    remarks.extend(changes("machine", &machine(first), &machine(second)));
    if first.version != second.version {
        remarks.push(format!(
            "epush-loadgen: {} and {}",
            units::harmless(&first.version, VALUE_MAX),
            units::harmless(&second.version, VALUE_MAX)
        ));
    }
    for (side, runs) in [("A", a), ("B", b)] {
        let other = |run: &&Outcome| scenario(run) != scenario(&runs[0]) || machine(run) != machine(&runs[0]);
        let others = runs.iter().filter(other).count();
        if others > 0 {
            remarks.push(format!("{side}: {others} of its runs had another scenario or machine than its first"));
        }
    }
    if a.len() == 1 || b.len() == 1 {
        remarks.push(String::from(
            "noise within one run of each side at most: runs differ by more than their seconds; compare several of each (--with)",
        ));
    }
    remarks
}

/// What makes a run's figures worth less.
fn faults(run: &Outcome) -> Vec<String> {
    let mut faults = Vec::new();
    if !run.client.bottleneck.is_empty() {
        let first = units::harmless(&run.client.bottleneck[0], VALUE_MAX * 2);
        faults.push(format!("the tool was the bottleneck, its figures measure the tool ({first})"));
    }
    faults.extend(run.client.remarks.iter().map(|words| units::harmless(words, REMARK_MAX)));
    if !(run.balance.messages && run.balance.bytes) {
        faults.push(String::from("its accounts do not balance"));
    }
    if run.nobody_left {
        faults.push(String::from("the server closed every client before the steady phase was over"));
    }
    if run.ended == Ended::Interrupted {
        faults.push(String::from("it was ended early"));
    }
    faults
}

/// Without what is different in every run.
fn scenario(run: &Outcome) -> Value {
    let mut scenario = secrets::hidden(&run.scenario);
    scenario.target.pid = None;
    serde_json::to_value(&scenario).unwrap_or_default()
}

fn machine(run: &Outcome) -> Value {
    serde_json::to_value(&run.machine).unwrap_or_default()
}

fn changes(what: &str, a: &Value, b: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(what, a, b, &mut found);
    let more = found.len().saturating_sub(LISTED_MAX);
    found.truncate(LISTED_MAX);
    if more > 0 {
        found.push(format!("{what}: {more} more differences"));
    }
    found
}

fn walk(path: &str, a: &Value, b: &Value, found: &mut Vec<String>) {
    match (a, b) {
        _ if a == b => {}
        (Value::Object(first), Value::Object(second)) => {
            let keys = first.keys().chain(second.keys().filter(|key| !first.contains_key(*key)));
            for key in keys {
                let at = |object: &serde_json::Map<String, Value>| object.get(key).cloned().unwrap_or_default();
                walk(&format!("{path}.{key}"), &at(first), &at(second), found);
            }
        }
        (Value::Array(first), Value::Array(second)) if first.len() == second.len() => {
            for (at, (first, second)) in first.iter().zip(second).enumerate() {
                walk(&format!("{path}.{at}"), first, second, found);
            }
        }
        _ => found.push(format!("{}: {} and {}", units::harmless(path, VALUE_MAX), shown(a), shown(b))),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::from("nothing"),
        Value::String(text) => units::harmless(text, VALUE_MAX),
        other => units::harmless(&other.to_string(), VALUE_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample_outcome;

    #[test]
    fn other_scenarios_and_machines_are_named() {
        let a = [sample_outcome::busy(), sample_outcome::busy()];
        let mut b = a.clone();
        for run in &mut b {
            run.scenario.groups[0].clients = 5_000;
            run.scenario.target.pid = Some(7);
            run.machine.processors = 8;
            run.version = "9.9.9".to_owned();
        }
        let remarks = remarks(&a, &b);
        assert_eq!(
            remarks,
            [
                "scenario.group.0.clients: 1000 and 5000",
                "machine.processors: 4 and 8",
                "epush-loadgen: 0.1.0 and 9.9.9"
            ]
        );
    }

    #[test]
    fn faults_of_a_run_are_named() {
        let a = [sample_outcome::busy(), sample_outcome::busy()];
        let mut b = a.clone();
        b[1].client.bottleneck = vec!["worker 0 was busy".to_owned()];
        b[1].client.remarks = vec!["a thread was busy".to_owned()];
        b[1].ended = Ended::Interrupted;
        b[1].scenario.phases.steady_ms = 1;
        let remarks = remarks(&a, &b);
        assert_eq!(
            remarks,
            [
                "B, run 2: the tool was the bottleneck, its figures measure the tool (worker 0 was busy)",
                "B, run 2: a thread was busy",
                "B, run 2: it was ended early",
                "B: 1 of its runs had another scenario or machine than its first",
            ]
        );
    }
}
