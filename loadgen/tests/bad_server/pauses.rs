//! Servers that pause for 200 ms once a second: what the corrected latency must say is known.
//!
//! A message that is due in a pause waits for its end. Due times are spread evenly, so with a pause `P` in every `T` the latency
//! at quantile `q` is `P − (1 − q) · T`, where that is above 0. A machine that is busy makes pauses longer and everything late: so
//! the answer is made from the pauses as they were, and from when the server wrote each message.

use std::time::Duration;

use epush_loadgen::hist::Hist;
use epush_loadgen::outcome::Outcome;

use crate::book::Book;
use crate::lab::{compare, run, text};
use crate::script::Script;
use crate::server::BadServer;

const MS: u64 = 1_000_000;

const STEADY_MS: u64 = 3_000;

fn measure(rest: &str) -> (Outcome, Book) {
    let server = BadServer::start(Script::good());
    server.pause_every(Duration::from_secs(1), Duration::from_millis(200));
    let text =
        text(&server, "", rest).replace("steady_ms = 200\ndrain_ms = 1500", "steady_ms = 3000\ndrain_ms = 20000");
    let outcome = run(toml::from_str(&text).unwrap()).unwrap();
    let book = server.close();
    compare(&outcome, &book, "");
    (outcome, book)
}

/// Latencies, had the server no work but its pauses.
fn known(book: &Book) -> Hist {
    let mut latencies = Hist::default();
    for (due_ns, _) in &book.written_ns {
        let pause = book.pauses.iter().find(|pause| pause.contains(due_ns));
        latencies.record(pause.map_or(1, |pause| pause.end - due_ns));
    }
    latencies
}

/// Latencies until the server wrote each message.
fn written(book: &Book) -> Hist {
    let mut latencies = Hist::default();
    book.written_ns.iter().for_each(|(due_ns, written_ns)| latencies.record(written_ns - due_ns));
    latencies
}

/// Three digits.
fn about(ns: u64) -> u64 {
    ns - ns / 500
}

/// The corrected latency is at least what the pauses make, and no more than the server and the machine add to it.
#[track_caller]
fn assert_known(outcome: &Outcome, book: &Book) {
    assert!(book.pauses.len() >= 3, "{:?}", book.pauses);
    let (known, written, corrected) = (known(book), written(book), &outcome.latency);
    // How late this tool's threads are on this machine just now. One in a hundred may be later still.
    let late_ns = outcome.client.slip.at(0.99) + 5 * MS;
    for quantile in [0.9, 0.95, 0.99] {
        let [least, most] = [known.at(quantile), written.at(quantile + 0.01) + late_ns];
        let came = corrected.at(quantile);
        assert!(least > 50 * MS, "the pauses are there at {quantile}: {least}");
        assert!(about(least) <= came, "{quantile}: {came} is less than the pauses make: {least}");
        assert!(about(written.at(quantile)) <= came, "{quantile}: {came} is before it was written");
        assert!(about(came) <= most, "{quantile}: {came} is more than {most}");
    }
}

/// The answer of the formula, where the pauses were as they should be.
#[track_caller]
fn assert_formula(book: &Book) {
    let lengths = || book.pauses.iter().take(3).map(|pause| pause.end - pause.start);
    let (shortest, longest) = (lengths().min().unwrap(), lengths().max().unwrap());
    let every_ns = STEADY_MS as f64 * 1e6 / 3.0;
    for quantile in [0.9, 0.95, 0.99] {
        let at = |length: u64| length as f64 - (1.0 - quantile) * every_ns;
        let came = known(book).at(quantile) as f64;
        let room = 5e6;
        assert!(at(shortest) - room < came && came < at(longest) + room, "{quantile}: {came} {:?}", book.pauses);
    }
}

#[test]
fn a_client_that_waits_for_its_answers_is_not_fooled() {
    let rest = "[[group]]\nclients = 20\nchannels = [\"x\"]\n\
        activity = { kind = \"echo\", rate_per_s = 50, in_flight = 1, payload_bytes = 100 }\n";
    let (outcome, book) = measure(rest);
    assert_known(&outcome, &book);
    assert_formula(&book);
    assert_eq!(outcome.counts.sent, 20 * 50 * STEADY_MS / 1_000, "what had to wait was sent all the same");
    let (fooled, honest) = (outcome.latency_uncorrected.at(0.9), outcome.latency.at(0.9));
    assert!(fooled * 3 < honest, "without the correction: {fooled}, with it: {honest}");
}

#[test]
fn an_open_loop_sees_the_pauses_with_and_without_correction() {
    let rest = "[[group]]\nclients = 20\nchannels = [\"x\"]\n\
        activity = { kind = \"echo\", rate_per_s = 50, payload_bytes = 100 }\n";
    let (outcome, book) = measure(rest);
    assert_known(&outcome, &book);
    assert_formula(&book);
    let apart = outcome.latency.at(0.9) - outcome.latency_uncorrected.at(0.9);
    assert!(apart <= outcome.client.slip.at(0.999) + 5 * MS, "nothing waited to be sent: {apart}");
}

#[test]
fn a_publisher_that_waits_for_its_answers_is_not_fooled() {
    let rest = "[[group]]\nclients = 10\nchannels = [\"news\"]\n\
        [[publisher]]\nto = { channels = [\"news\"] }\nrate_per_s = 100\npayload_bytes = 100\n";
    let (outcome, book) = measure(rest);
    assert_eq!(outcome.publishing.published, STEADY_MS / 10);
    assert_known(&outcome, &book);
    let (fooled, honest) = (outcome.latency_uncorrected.at(0.9), outcome.latency.at(0.9));
    assert!(fooled * 3 < honest, "without the correction: {fooled}, with it: {honest}");
}
