//! The result as one page: a file that loads nothing, runs without its script, and is as legible in the dark.
//!
//! Everything that comes from outside, and that is nearly everything, is escaped; a policy in the page forbids it to load
//! anything and to run any script but its own.

use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::outcome::Outcome;
use crate::report::chart::{self, escape};
use crate::report::{secrets, section};

mod charts;
mod tables;
mod tiles;
mod timeline;

const CSS: &str = include_str!("html/page.css");

/// Shows values where the pointer is sooner than the browser would. The page is whole without it.
const SCRIPT: &str = include_str!("html/hover.js");

/// SHA-256 of [`SCRIPT`]: the browser runs no other. The browser's test says the right one when it is wrong.
const SCRIPT_HASH: &str = "Zd3x+5aXLNsJYxjmbHMHKTR2CF7Xt/86R35Oc71rqc8=";

/// Writes the page.
///
/// # Errors
/// [`Error::Failed`] when the file cannot be written.
pub fn write(outcome: &Outcome, path: &Path) -> Result<(), Error> {
    fs::write(path, page(outcome)).map_err(|error| Error::Failed(format!("cannot write {}: {error}", path.display())))
}

/// The page.
#[must_use]
pub fn page(outcome: &Outcome) -> String {
    [
        head(outcome),
        header(outcome),
        warnings(outcome),
        tiles::tiles(outcome),
        charts(outcome),
        tables::tables(outcome),
        details(outcome),
        footer(outcome),
    ]
    .concat()
}

fn head(outcome: &Outcome) -> String {
    let title = escape(&section::title(outcome));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; \
         style-src 'unsafe-inline'; script-src 'sha256-{SCRIPT_HASH}'; base-uri 'none'; form-action 'none'\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{title}</title>\n<style>\n{}{CSS}</style>\n</head>\n<body>\n",
        chart::CSS
    )
}

fn header(outcome: &Outcome) -> String {
    let lines: String = section::summary(outcome).iter().map(|line| format!("<p>{}</p>\n", escape(line))).collect();
    format!("<header>\n<h1>{}</h1>\n{lines}</header>\n<main>\n", escape(&section::title(outcome)))
}

fn warnings(outcome: &Outcome) -> String {
    let item = |reason: &String| format!("<li>{}</li>", escape(reason));
    let warnings = section::warnings(outcome).into_iter().map(|(heading, reasons)| {
        let items: String = reasons.iter().map(item).collect();
        format!(
            "<aside class=\"warning\" role=\"alert\"><strong>{}</strong><ul>{items}</ul></aside>\n",
            escape(heading)
        )
    });
    warnings.collect()
}

fn charts(outcome: &Outcome) -> String {
    let charts: String =
        charts::charts(outcome).iter().map(|chart| format!("<figure>{}</figure>\n", chart.inline())).collect();
    if charts.is_empty() {
        return String::from(
            "<p class=\"nothing\">No message arrived and no second passed: there is nothing to draw.</p>\n",
        );
    }
    format!("<div class=\"charts\">\n{charts}</div>\n")
}

/// What few will want to read, folded.
fn details(outcome: &Outcome) -> String {
    let mut text = section::metrics(outcome).map_or_else(String::new, |metrics| {
        let summary = format!("{}: {}", metrics.title, metrics.rows.len());
        format!("<details>\n<summary>{summary}</summary>\n{}</details>\n", tables::table(&metrics))
    });
    let scenario = escape(&scenario(outcome));
    text.push_str(&format!("<details>\n<summary>Scenario</summary>\n<pre>{scenario}</pre>\n</details>\n"));
    text
}

/// As the file that would do the same again; JSON where TOML cannot say it.
fn scenario(outcome: &Outcome) -> String {
    let scenario = secrets::hidden(&outcome.scenario);
    toml::to_string_pretty(&scenario)
        .or_else(|_| serde_json::to_string_pretty(&scenario))
        .unwrap_or_else(|error| format!("cannot be shown: {error}"))
}

fn footer(outcome: &Outcome) -> String {
    let version = escape(&outcome.version);
    let started = outcome.started_ms / 1_000;
    format!(
        "</main>\n<footer>epush-loadgen {version}, begun at {} UTC. Latency counts from when a message was due, \
         whether or not it could be sent then; uncorrected latency counts from when it was sent.</footer>\n\
         <script>{SCRIPT}</script>\n</body>\n</html>\n",
        timeline::date(started)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample_outcome;

    #[test]
    fn nothing_from_outside_becomes_a_tag() {
        let mut outcome = sample_outcome::busy();
        let injection = sample_outcome::INJECTION;
        outcome.scenario.name = injection.to_owned();
        outcome.scenario.about = injection.to_owned();
        outcome.scenario.target.url = injection.to_owned();
        outcome.scenario.groups[0].name = format!("</pre>{injection}");
        outcome.machine.processor = injection.to_owned();
        outcome.version = injection.to_owned();
        outcome.failures[0].kind = injection.to_owned();
        outcome.balance.messages = false;
        outcome.balance.disagreements = vec![injection.to_owned()];
        outcome.client.bottleneck = vec![injection.to_owned()];
        outcome.client.remarks = vec![injection.to_owned()];
        outcome.metrics =
            Some(crate::outcome::Metrics { after: [(injection.to_owned(), 1.0)].into(), ..Default::default() });
        let page = page(&outcome);
        assert_eq!(page.matches("<script").count(), 1, "its own");
        assert_eq!(page.matches("<img").count(), 0);
        assert!(page.matches("&lt;script&gt;").count() >= 9);
    }

    #[test]
    fn the_page_loads_nothing() {
        let page = page(&sample_outcome::busy());
        for word in [" src=", "@import", "url(", "<link rel=\"stylesheet"] {
            assert!(!page.replace(&escape(sample_outcome::INJECTION), "").contains(word), "{word}");
        }
        let links = page.split("http").skip(1).filter(|rest| rest.starts_with("://") || rest.starts_with("s://"));
        assert!(
            links.clone().all(|rest| rest.starts_with("://www.w3.org/2000/svg")),
            "{:?}",
            links.collect::<Vec<_>>()
        );
    }

    #[test]
    fn secrets_stay_out_of_the_page() {
        let mut outcome = sample_outcome::busy();
        outcome.scenario.target.headers.insert("Authorization".to_owned(), "Bearer hush".to_owned());
        outcome.scenario.target.url = "ws://h/?token=s3cret".to_owned();
        let page = page(&outcome);
        assert!(!page.contains("hush") && !page.contains("s3cret"));
        assert!(page.contains("(hidden)"));
    }

    #[test]
    fn a_bottleneck_stands_before_the_numbers() {
        let mut outcome = sample_outcome::busy();
        outcome.client.bottleneck = vec!["worker 0 was busy".to_owned()];
        let page = page(&outcome);
        let at = |words: &str| page.find(words).unwrap_or_else(|| panic!("{words}"));
        assert!(at("worker 0 was busy") < at("class=\"tiles\""));
    }

    #[test]
    fn remarks_stand_before_the_numbers() {
        let mut outcome = sample_outcome::busy();
        outcome.client.remarks = vec!["worker 0 was busy".to_owned()];
        let page = page(&outcome);
        let at = |words: &str| page.find(words).unwrap_or_else(|| panic!("{words}"));
        assert!(at("worker 0 was busy") < at("class=\"tiles\""));
    }

    #[test]
    fn a_run_that_did_nothing_has_a_page() {
        let page = page(&sample_outcome::empty());
        assert!(page.contains("there is nothing to draw"));
        assert!(page.ends_with("</html>\n") && !page.contains("NaN"));
    }

    #[test]
    fn the_scenario_can_be_run_again() {
        let outcome = sample_outcome::busy();
        let again: crate::scenario::Scenario = toml::from_str(&scenario(&outcome)).expect("TOML");
        assert_eq!(again, outcome.scenario);
    }
}
