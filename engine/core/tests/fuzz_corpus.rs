//! The fuzz targets as ordinary tests: the saved corpus, then some seconds of mutations of it.
//!
//! A failure prints the input and the seed; `EPUSH_FUZZ_SEED=<seed>` repeats the run.

use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

#[path = "../fuzz/targets_common.rs"]
mod targets_common;

use targets_common::{TARGETS, Target};

/// How long each target is attacked.
const ATTACK_TIME: Duration = Duration::from_secs(2);

/// Inputs per attack at most, so that a fast machine ends early.
const ATTACKS_MAX: usize = 200_000;

/// Bytes of a mutated input: beyond, it only gets slower.
const INPUT_BYTES_MAX: usize = 4 * 1024;

#[test]
fn request_heads_keep_their_promises() {
    attack("request_head");
}

#[test]
fn frames_keep_their_promises() {
    attack("frames");
}

#[test]
fn native_json_keeps_its_promises() {
    attack("native_json");
}

#[test]
fn shard_operations_keep_their_promises() {
    attack("shard_operations");
}

#[test]
fn envelopes_keep_their_promises() {
    attack("envelope");
}

#[test]
fn every_target_has_a_program_and_a_corpus() {
    for (name, _) in TARGETS {
        let program = fuzz_folder().join("fuzz_targets").join(name).with_extension("rs");
        assert!(program.is_file(), "{}", program.display());
        assert!(corpus(name).len() >= 3, "{name}");
    }
}

fn attack(name: &str) {
    let target = TARGETS.iter().find(|(known, _)| *known == name).expect("a target").1;
    let corpus = corpus(name);
    for input in &corpus {
        run(target, input, 0);
    }
    let seed = seed();
    let mut random = Random(seed);
    let deadline = Instant::now() + ATTACK_TIME;
    for _ in 0..ATTACKS_MAX {
        if Instant::now() >= deadline {
            break;
        }
        run(target, &random.mutation(&corpus), seed);
    }
}

fn run(target: Target, input: &[u8], seed: u64) {
    if let Err(panic) = catch_unwind(|| target(input)) {
        println!("seed {seed}, input b\"{}\"", input.escape_ascii());
        std::panic::resume_unwind(panic);
    }
}

fn fuzz_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = fuzz_folder().join("corpus").join(name);
    let mut files: Vec<_> =
        fs::read_dir(&folder).expect("a corpus").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("readable")).collect()
}

fn seed() -> u64 {
    let given = std::env::var("EPUSH_FUZZ_SEED").ok().map(|seed| seed.parse().expect("a number"));
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_nanos() as u64);
    // Zero is where xorshift stands still.
    given.unwrap_or(now).max(1)
}

/// Marsaglia's xorshift: enough for mutations, and repeatable.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound.max(1)
    }

    fn mutation(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(6) {
            self.mutate(&mut bytes, corpus);
        }
        bytes.truncate(INPUT_BYTES_MAX);
        bytes
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        const TELLING: &[u8] = b"\0\r\n :;,%/?&=0159afAF+-\x7f\x80\x81\x82\x88\x89\xc0\xed\xf4\xfe\xff";
        let at = self.below(bytes.len() + 1);
        let until = at + self.below(bytes.len() - at + 1);
        match self.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = TELLING[self.below(TELLING.len())],
            2 => bytes.insert(at, TELLING[self.below(TELLING.len())]),
            3 => bytes.insert(at, self.below(256) as u8),
            4 => drop(bytes.drain(at..until)),
            5 => {
                let copy = bytes[at..until].to_vec();
                bytes.splice(at..at, copy);
            }
            6 => {
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len() + 1);
                bytes.splice(at.., other[from..].iter().copied());
            }
            _ => bytes.truncate(at),
        }
    }
}
