//! What keeps the documentation honest: tables that must agree with the code, examples that must be read, links that
//! must lead somewhere, dependencies that must say what they are for.

use std::fs;
use std::path::{Path, PathBuf};

use epush_core::close::CloseReason;
use epush_core::error::ErrorCode;
use epush_core::wire::native;
use epush_core::wire::native::reply::GapReason;
use serde_json::value::RawValue;

const MANIFESTS: [&str; 7] = [
    "Cargo.toml",
    "engine/Cargo.toml",
    "engine/core/Cargo.toml",
    "engine/core/fuzz/Cargo.toml",
    "bench/Cargo.toml",
    "bench/instructions/Cargo.toml",
    "loadgen/Cargo.toml",
];

#[test]
fn every_close_reason_has_its_row_in_lifecycle() {
    let page = page("docs/LIFECYCLE.md");
    for reason in CloseReason::ALL {
        let comes_back = if reason.reconnect() { "yes" } else { "no" };
        let row = format!("| {} | `{}` | {comes_back} |", reason.code(), reason.word());
        assert!(page.lines().any(|line| line.starts_with(&row)), "docs/LIFECYCLE.md has no row {row}");
    }
    let word = CloseReason::Application(4_000).word();
    assert!(page.contains(&format!("| `{word}` |")), "docs/LIFECYCLE.md has no row for {word}");
}

#[test]
fn every_close_code_of_the_engine_is_in_protocol() {
    let page = page("docs/PROTOCOL.md");
    for reason in CloseReason::ALL.into_iter().filter(|reason| reason.code() != 1000) {
        let listed = page.lines().any(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let codes = cells.get(1).map(|cell| cell.split(", ").any(|code| code == reason.code().to_string()));
            codes == Some(true) && cells.get(2) == Some(&if reason.reconnect() { "true" } else { "false" })
        });
        assert!(listed, "docs/PROTOCOL.md does not list {} with its reconnect", reason.code());
    }
}

#[test]
fn every_reason_of_a_gap_is_explained_in_protocol() {
    let page = page("docs/PROTOCOL.md");
    for reason in GapReason::ALL {
        let row = format!("| `{}` |", reason.word());
        assert!(page.lines().any(|line| line.starts_with(&row)), "docs/PROTOCOL.md has no row {row}");
    }
}

#[test]
fn every_error_code_is_explained_in_protocol_and_has_its_status_in_api() {
    let (protocol, api) = (page("docs/PROTOCOL.md"), page("docs/API.md"));
    for (at, code) in ERROR_CODES.into_iter().enumerate() {
        assert_eq!(place(code), at, "ERROR_CODES holds each code once");
        let row = format!("| `{}` |", code.word());
        assert!(protocol.lines().any(|line| line.starts_with(&row)), "docs/PROTOCOL.md has no row {row}");
        let row = format!("| `{}` | {} |", code.word(), code.status());
        assert!(api.lines().any(|line| line.starts_with(&row)), "docs/API.md has no row {row}");
    }
}

const ERROR_CODES: [ErrorCode; 9] = [
    ErrorCode::BadRequest,
    ErrorCode::Unauthorized,
    ErrorCode::Forbidden,
    ErrorCode::NotFound,
    ErrorCode::TooLarge,
    ErrorCode::RateLimited,
    ErrorCode::LimitReached,
    ErrorCode::Unavailable,
    ErrorCode::Internal,
];

/// Does not compile when a code is added, so that [`ERROR_CODES`] gets it too.
fn place(code: ErrorCode) -> usize {
    match code {
        ErrorCode::BadRequest => 0,
        ErrorCode::Unauthorized => 1,
        ErrorCode::Forbidden => 2,
        ErrorCode::NotFound => 3,
        ErrorCode::TooLarge => 4,
        ErrorCode::RateLimited => 5,
        ErrorCode::LimitReached => 6,
        ErrorCode::Unavailable => 7,
        ErrorCode::Internal => 8,
    }
}

#[test]
fn every_client_frame_that_is_shown_is_one() {
    let protocol = page("docs/PROTOCOL.md");
    let readme = page("README.md");
    let shown: Vec<&str> = fenced(&protocol, "json client").into_iter().chain(fenced(&readme, "json")).collect();
    assert!(shown.len() > 15, "only {} frames found", shown.len());
    for frame in shown {
        let incoming = native::parse(frame);
        assert!(incoming.command.is_ok(), "{frame}: {:?}", incoming.command);
        assert!(!incoming.id.as_str().is_empty(), "{frame} has no id");
    }
}

#[test]
fn every_answer_that_is_shown_is_json() {
    let (protocol, api) = (page("docs/PROTOCOL.md"), page("docs/API.md"));
    let shown: Vec<&str> = fenced(&protocol, "json engine").into_iter().chain(fenced(&api, "json")).collect();
    assert!(shown.len() > 25, "only {} answers found", shown.len());
    for answer in shown {
        assert!(serde_json::from_str::<&RawValue>(answer).is_ok(), "{answer}");
    }
}

#[test]
fn every_room_in_the_map_is_there() {
    let page = page("docs/ARCHITECTURE.md");
    let mut folder = None;
    let mut rooms = 0;
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("### `") {
            folder = Some(root().join(heading.trim_end_matches('`')));
        }
        let (Some(folder), Some(row)) = (&folder, line.strip_prefix("| `")) else { continue };
        let files = row.split(" | ").next().unwrap_or_default().split(", ").map(|file| file.trim_matches('`'));
        for file in files {
            assert!(folder.join(file).exists(), "docs/ARCHITECTURE.md: there is no {file} in {}", folder.display());
            rooms += 1;
        }
    }
    assert!(rooms > 40, "only {rooms} rooms found");
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut broken = Vec::new();
    for file in pages() {
        let text = fs::read_to_string(&file).expect("readable");
        for target in links(&text) {
            if !leads_somewhere(&file, &text, &target) {
                broken.push(format!("{}: {target}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// All pages whose links are checked.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    for folder in ["docs", "docs/decisions"] {
        let files = fs::read_dir(root().join(folder)).expect("readable").map(|entry| entry.expect("readable").path());
        pages.extend(files.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    pages
}

fn leads_somewhere(file: &Path, text: &str, target: &str) -> bool {
    if target.contains("://") || target.starts_with("mailto:") {
        return true;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let aimed_at = if path.is_empty() { file.to_owned() } else { file.with_file_name(path) };
    if !aimed_at.exists() {
        return false;
    }
    let aimed_text = if path.is_empty() { text.to_owned() } else { fs::read_to_string(aimed_at).unwrap_or_default() };
    anchor.is_empty() || prose(&aimed_text).any(|line| line.starts_with('#') && slug(line) == anchor)
}

/// The targets of `[text](target)`, outside code.
fn links(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    for line in prose(text) {
        // Every other piece between backticks is code.
        let plain: String = line.split('`').step_by(2).collect();
        for after in plain.split("](").skip(1) {
            let target = after.split(')').next().unwrap_or_default();
            targets.push(target.to_owned());
        }
    }
    targets
}

#[test]
fn every_dependency_says_in_a_line_what_it_is_for() {
    for manifest in MANIFESTS {
        let text = page(manifest);
        let mut section = "";
        for line in text.lines() {
            if line.starts_with('[') {
                section = line;
            }
            let is_dependency = section.ends_with("dependencies]") && line.contains(" = ");
            // What comes from the workspace is explained there.
            let explained = line.contains(" # ") || line.contains("workspace = true");
            assert!(!is_dependency || explained, "{manifest}: {line}");
        }
    }
}

/// A heading as GitHub writes it in an anchor.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

/// The lines outside fences.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fence = false;
    text.lines().filter(move |line| {
        let mark = line.starts_with("```");
        fence ^= mark;
        !fence && !mark
    })
}

/// The lines inside fences that open with exactly this information.
fn fenced<'t>(text: &'t str, info: &str) -> Vec<&'t str> {
    let mut inside = None;
    let mut lines = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("```"), inside) {
            (Some(opening), None) => inside = Some(opening == info),
            (Some(_), Some(_)) => inside = None,
            (None, Some(true)) => lines.push(line),
            (None, _) => {}
        }
    }
    lines
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
