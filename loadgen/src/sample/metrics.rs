//! A metrics page in Prometheus' or OpenMetrics' text: read by a thread of its own, so that a slow page delays nothing.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::outcome::Metrics;

/// Samples by name with labels.
pub type Page = BTreeMap<String, f64>;

/// Reads a page whenever it is asked to.
#[derive(Debug)]
pub struct Scraper {
    asks: Sender<()>,
    pages: Receiver<Result<Page, String>>,
    /// Invariant: at most one ask is unanswered, so neither channel ever blocks.
    under_way: bool,
    before: Page,
    last: Page,
    failed: u64,
}

impl Scraper {
    /// Reads the page for the first time.
    ///
    /// # Errors
    /// When it cannot be read, in words.
    pub fn start(url: &str) -> Result<Self, String> {
        let agent = agent();
        let before = scrape(&agent, url)?;
        let (asks, asked) = bounded::<()>(1);
        let (answer, pages) = bounded(1);
        let url = url.to_owned();
        let work = move || {
            while asked.recv().is_ok() {
                if answer.send(scrape(&agent, &url)).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name(String::from("metrics")).spawn(work).map_err(|error| error.to_string())?;
        Ok(Self { asks, pages, under_way: false, last: before.clone(), before, failed: 0 })
    }

    /// Asks for the page, unless the last one is still under way; returns at once.
    pub fn ask(&mut self) {
        if !self.under_way {
            self.under_way = self.asks.send(()).is_ok();
        }
    }

    /// What changed in the page that came since the last call.
    pub fn changes(&mut self) -> Page {
        match self.pages.try_recv() {
            Ok(answer) => self.take(answer),
            Err(_) => Page::new(),
        }
    }

    /// Reads it for the last time, and waits for it.
    #[must_use]
    pub fn finish(mut self) -> Metrics {
        if self.under_way
            && let Ok(answer) = self.pages.recv()
        {
            self.take(answer);
        }
        self.ask();
        if let Ok(answer) = self.pages.recv() {
            self.take(answer);
        }
        Metrics { before: self.before, after: self.last, failed: self.failed }
    }

    fn take(&mut self, answer: Result<Page, String>) -> Page {
        self.under_way = false;
        let Ok(page) = answer else {
            self.failed += 1;
            return Page::new();
        };
        let changed = page.iter().filter(|(name, value)| self.last.get(*name) != Some(value));
        let changed = changed.map(|(name, value)| (name.clone(), *value)).collect();
        self.last = page;
        changed
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().timeout_global(Some(SCRAPE_TIMEOUT));
    config.user_agent(concat!("epush-loadgen/", env!("CARGO_PKG_VERSION"))).build().into()
}

fn scrape(agent: &ureq::Agent, url: &str) -> Result<Page, String> {
    let words = |error: ureq::Error| format!("{url}: {error}");
    let mut answer = agent.get(url).call().map_err(words)?;
    let text = answer.body_mut().with_config().limit(PAGE_BYTES_MAX).read_to_string().map_err(words)?;
    let page = parse(&text);
    if page.is_empty() {
        return Err(format!("{url}: there are no samples in what it answers"));
    }
    Ok(page)
}

/// The samples of a page. Comments, what is no sample, and values JSON cannot hold (NaN, infinities) are left out.
#[must_use]
pub fn parse(text: &str) -> Page {
    text.lines().filter_map(sample).take(SAMPLES_MAX).collect()
}

/// `name{label="value"} 1.5 1700000000 # {trace="…"}`: time and exemplar are not wanted.
fn sample(line: &str) -> Option<(String, f64)> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let (name, rest) = line.split_at_checked(name_len(line)?)?;
    let value: f64 = rest.split_ascii_whitespace().next()?.parse().ok()?;
    value.is_finite().then(|| (name.to_owned(), value))
}

/// Length of a name with its labels; values of labels stand in quotes and may hold spaces, braces and escaped quotes.
fn name_len(line: &str) -> Option<usize> {
    let (mut braces, mut quoted, mut escaped) = (false, false, false);
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' => braces = true,
            b'}' => return Some(at + 1),
            b' ' | b'\t' if !braces => return (at > 0).then_some(at),
            _ => {}
        }
    }
    None
}

/// A page that takes longer is counted as failed: the next second's is due soon.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(5);

/// A page of epush has some 20 KiB; one of a large Java server has a MiB or two.
const PAGE_BYTES_MAX: u64 = 16 << 20;

/// Bounds what is kept of a page: more samples are more than anybody reads.
const SAMPLES_MAX: usize = 20_000;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn names_keep_their_labels_and_values_lose_times_and_exemplars() {
        let text = "# HELP a b\n# TYPE a counter\na 1\nb{x=\"y z}\",q=\"\\\"\"} 2.5 1700000000\n\
                    c_bucket{le=\"+Inf\"} 7 # {trace=\"1\"} 0.5\nd NaN\ne +Inf\n\nno_value\n# EOF\n";
        let page = parse(text);
        let expected = [("a", 1.0), ("b{x=\"y z}\",q=\"\\\"\"}", 2.5), ("c_bucket{le=\"+Inf\"}", 7.0)];
        assert_eq!(page, expected.map(|(name, value)| (name.to_owned(), value)).into());
    }

    /// A server that answers with these bodies in turn; a status in place of an empty one.
    fn server(bodies: &'static [&'static str]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/metrics", listener.local_addr().unwrap());
        thread::spawn(move || {
            for body in bodies {
                let (mut socket, _) = listener.accept().unwrap();
                let _head = socket.read(&mut [0; 4_096]).unwrap();
                let status = if body.is_empty() { "500 Broken" } else { "200 OK" };
                let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                socket.write_all(format!("{head}{body}").as_bytes()).unwrap();
            }
        });
        url
    }

    #[test]
    fn before_changes_and_after_are_told_and_failures_are_counted() {
        let url = server(&["a 1\nb 1\n", "a 2\nb 1\n", "", "a 3\nb 1\n"]);
        let mut scraper = Scraper::start(&url).expect("the first page is there");
        scraper.ask();
        let answer = scraper.pages.recv_timeout(Duration::from_secs(10)).expect("it answers");
        assert_eq!(scraper.take(answer), Page::from([("a".to_owned(), 2.0)]));
        scraper.ask();
        scraper.ask();
        let metrics = scraper.finish();
        assert_eq!((metrics.before["a"], metrics.after["a"], metrics.failed), (1.0, 3.0, 1));
    }

    #[test]
    fn a_page_without_samples_is_an_error_in_words() {
        let words = Scraper::start(&server(&["<html>"])).expect_err("no samples");
        assert!(words.contains("no samples"), "{words}");
    }
}
