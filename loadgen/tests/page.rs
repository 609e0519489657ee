//! The page of `--html` in a real browser: it shows its charts, and loads and complains about nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use epush_loadgen::outcome::Outcome;
use epush_loadgen::report::html;

#[path = "../src/report/sample_outcome.rs"]
#[allow(dead_code)]
mod sample_outcome;

/// Pages written for a test, removed with it.
struct Pages(PathBuf);

impl Pages {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("epush-loadgen-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    fn write(&self, name: &str, outcome: &Outcome) -> PathBuf {
        let path = self.0.join(name);
        html::write(outcome, &path).expect("written");
        path
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_page_of_a_run_shows_its_charts_and_loads_nothing() {
    let pages = Pages::new("page");
    let mut outcome = sample_outcome::busy();
    outcome.client.bottleneck = vec![format!("worker 0: {}", sample_outcome::INJECTION)];
    in_chromium(&pages.write("busy.html", &outcome), 7);
}

#[test]
fn the_page_of_a_run_that_did_nothing_is_whole() {
    let pages = Pages::new("empty-page");
    in_chromium(&pages.write("empty.html", &sample_outcome::empty()), 0);
}

/// Opens the page in light and dark, and looks for so many charts. `EPUSH_PAGE_PICTURES`: a folder for pictures of it.
fn in_chromium(page: &Path, charts: usize) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page.mjs");
    let output = Command::new("node")
        .arg(script)
        .arg(format!("file://{}", page.display()))
        .arg(charts.to_string())
        .arg(tool("chromium"))
        .env("EPUSH_NODE_MODULES", cache().join("node/node_modules"))
        .stdin(Stdio::null())
        .output()
        .expect("node is not installed: run ./test, which installs it");
    let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", words(&output.stdout), words(&output.stderr));
}

fn tool(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed: run ./test, which installs it"))
}

/// `EPUSH_TEST_CACHE`, or `epush-test` in the user's cache folder: as in `./test`.
fn cache() -> PathBuf {
    if let Some(folder) = std::env::var_os("EPUSH_TEST_CACHE") {
        return folder.into();
    }
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache");
    std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("epush-test")
}
