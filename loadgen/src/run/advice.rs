//! What to do when no client could connect, by the words of the most frequent failure; and when none is left.

use crate::outcome::Outcome;
use crate::recorder::NEVER_SENT;
use crate::talk::Failures;

/// Words for a run in which every client was gone before its steady phase was over; `None`: somebody was left.
#[must_use]
pub fn nobody_left(outcome: &Outcome) -> Option<String> {
    if !outcome.nobody_left {
        return None;
    }
    // Publishers fail, and messages stay unsent, because the server is gone: how it went, connections say.
    let is_of_connection = |kind: &str| !kind.starts_with("publi") && kind != NEVER_SENT;
    let mut of_clients = outcome.failures.iter().filter(|failed| is_of_connection(&failed.kind));
    let most = of_clients.next().map_or_else(String::new, |failed| format!(" ({} × {})", failed.count, failed.kind));
    let closed = outcome.counts.closed_by_server;
    Some(format!(
        "no client was left when the steady phase ended: the server closed {closed} connections{most}. Is it still running? \
         Look into its log, and at its limits: memory, descriptors, time-outs of idle connections"
    ))
}

/// Words for a run in which nobody got ready, and so many failed before it was over. Failures stand with the most frequent first.
#[must_use]
pub fn nobody_got_ready(clients: u32, failed: u64, failures: &[Failures]) -> String {
    let Some(first) = failures.first() else {
        return format!("none of the {clients} clients got ready, and none failed: the server answers nothing. {SLOW}");
    };
    let example = if first.example.is_empty() { String::new() } else { format!(" ({})", first.example) };
    let who = if (1..u64::from(clients)).contains(&failed) {
        format!("gave up: {failed} of the {clients} clients failed, and none got ready")
    } else {
        format!("none of the {clients} clients got ready")
    };
    format!("{who}: {} × {}{example}. {}", first.count, first.kind, advice(&first.kind))
}

/// The first whose words are in the failure's kind.
fn advice(kind: &str) -> &'static str {
    let kind = kind.to_ascii_lowercase();
    let fits = |(words, _): &&(&[&str], &'static str)| words.iter().any(|words| kind.contains(words));
    ADVICE.iter().find(fits).map_or(OTHERWISE, |(_, advice)| advice)
}

const ADVICE: [(&[&str], &str); 9] = [
    (
        &["answered 429", "answered 503"],
        "The server turns connections away: look at its limits, in all and for each address, and at its log",
    ),
    (
        &["refused before"],
        "The server refuses what the dialect says: choose another one (--dialect), or give the clients what they sign in with",
    ),
    (&["connection refused"], "Is the server running, and is this its port? Say where it is with --url"),
    (
        &["answered 401", "answered 403"],
        "The server wants to know who connects: give it what it asks for in the URL or as a header (target.headers)",
    ),
    (
        &["answered 4", "answered 3", "no http", "answered 5"],
        "This is no WebSocket endpoint: check the path of --url, and the dialect",
    ),
    (
        &["no tls"],
        "What listens there speaks no TLS: begin --url with ws:// (and --api with http://), or name the port that does",
    ),
    (
        &["certificate", "tls"],
        "Name the authority that signed the server's certificate (target.ca_file), or accept any (target.insecure)",
    ),
    (&["timed out", "timeout", "not ready in time"], SLOW),
    (
        &["descriptors", "too many open files", "no local port"],
        "Raise ulimit -n, connect from more addresses (tool.source_addresses), or take fewer clients",
    ),
];

const SLOW: &str =
    "Ramp up slower, raise phases.connect_timeout_ms, or check that the dialect waits for what this server says";

const OTHERWISE: &str = "Check --url and the dialect, and look into the server's log";

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: &str, example: &str) -> Vec<Failures> {
        vec![Failures { kind: kind.into(), count: 3, example: example.into() }]
    }

    #[test]
    fn the_most_frequent_failure_decides() {
        let words = nobody_got_ready(5, 5, &failure("handshake answered 403", "Forbidden"));
        assert!(
            words.starts_with("none of the 5 clients got ready: 3 × handshake answered 403 (Forbidden). "),
            "{words}"
        );
        assert!(words.contains("target.headers"), "{words}");
        assert!(nobody_got_ready(5, 5, &failure("connection refused", "")).contains("--url"));
        assert!(nobody_got_ready(5, 5, &failure("no TLS spoken", "")).contains("ws://"));
        assert!(nobody_got_ready(5, 5, &failure("not ready in time", "")).contains("dialect"));
        assert!(nobody_got_ready(5, 5, &failure("closed with 4000", "")).contains("log"));
        assert!(nobody_got_ready(5, 0, &[]).contains("answers nothing"));
    }

    #[test]
    fn a_run_that_was_given_up_says_how_many_had_failed_by_then() {
        let words = nobody_got_ready(5, 3, &failure("not ready in time", "silence"));
        let begin = "gave up: 3 of the 5 clients failed, and none got ready: 3 × not ready in time (silence). ";
        assert!(words.starts_with(begin), "{words}");
    }
}
