//! Drives a target over its corpus and over mutations of it: the same ones in each run, or new ones for as long as one likes.
//!
//! `FIREDOOR_FUZZ_SECONDS=600 cargo test --test fuzz` gives each target ten minutes of mutations that nobody has seen yet, and a
//! failure names the seed and the input. `FIREDOOR_FUZZ_SEED` repeats them.

use std::env;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;

/// Longer inputs are cut: what takes them bounds them too, and shorter ones break more in the same time.
const LONGEST: usize = 16 * 1024;

/// What one input may cost, of the processor's time: how busy the machine is must not matter.
const MOST: Duration = Duration::from_secs(5);

/// Runs `target` on every file of `tests/fuzz/corpus/NAME`, and on `rounds` mutations of them into which `words` are woven.
pub(crate) fn drive(name: &str, words: &[&str], rounds: u32, target: impl FnMut(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(name);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    let corpus = files
        .iter()
        .map(|file| fs::read(file).expect("a file"))
        .collect();
    drive_from(name, corpus, words, rounds, target);
}

/// As [`drive`], from these examples.
pub(crate) fn drive_from(
    name: &str,
    corpus: Vec<Vec<u8>>,
    words: &[&str],
    rounds: u32,
    mut target: impl FnMut(&[u8]),
) {
    assert!(!corpus.is_empty(), "{name}: there is nothing to begin with");
    let number = |name| {
        env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let limit = number("FIREDOOR_FUZZ_SECONDS").map(Duration::from_secs);
    let usual = if limit.is_some() {
        fastrand::u64(..)
    } else {
        1
    };
    let seed = number("FIREDOOR_FUZZ_SEED").unwrap_or(usual);
    let mut rng = Rng::with_seed(seed);
    let mut run = |input: &[u8]| {
        let culprit = Culprit { name, seed, input };
        let before = worked();
        target(input);
        let cost = worked().saturating_sub(before);
        assert!(cost < MOST, "it cost {cost:?}");
        drop(culprit);
    };
    corpus.iter().for_each(|example| run(example));
    let begun = Instant::now();
    let mut round = 0;
    while limit.map_or(round < rounds, |limit| begun.elapsed() < limit) {
        run(&mutated(&corpus, words, &mut rng));
        round += 1;
    }
    println!("{name}: {round} mutations, seed {seed}");
}

/// For how long this thread has been at work (proc(5), `schedstat`).
fn worked() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|text| text.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

/// Says what a target failed on.
struct Culprit<'a> {
    name: &'a str,
    seed: u64,
    input: &'a [u8],
}

impl Drop for Culprit<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (name, seed) = (self.name, self.seed);
            eprintln!("{name}, seed {seed}: b\"{}\"", self.input.escape_ascii());
        }
    }
}

fn mutated(corpus: &[Vec<u8>], words: &[&str], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = rng.choice(corpus).cloned().unwrap_or_default();
    for _ in 0..rng.u32(1..=6) {
        mutate(&mut bytes, corpus, words, rng);
        bytes.truncate(LONGEST);
    }
    bytes
}

fn mutate(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[&str], rng: &mut Rng) {
    let at = rng.usize(..=bytes.len());
    let end = (at + rng.usize(..=16)).min(bytes.len());
    match rng.u32(..10) {
        0 if at < bytes.len() => bytes[at] ^= 1 << rng.u32(..8),
        1 if at < bytes.len() => {
            bytes[at] = *rng.choice(b"\0\x01\x7f\x80\xff\n\r \"%/.:;").unwrap_or(&0)
        }
        2 => drop(bytes.drain(at..end)),
        3 => bytes.truncate(at),
        4 => {
            let part = bytes[at..end].to_vec();
            let part = part.repeat(if rng.u32(..8) == 0 { 500 } else { 1 });
            bytes.splice(at..at, part);
        }
        5 => {
            // Another example goes on where this one ends.
            let other = rng.choice(corpus).map_or(&[][..], Vec::as_slice);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[rng.usize(..=other.len())..]);
        }
        6 => {
            let extremes = [
                "0",
                "-1",
                "255",
                "65536",
                "4294967295",
                "18446744073709551616",
                "1e999",
            ];
            // In the place of a number, if there is one nearby.
            let digits = bytes[at..].iter().position(u8::is_ascii_digit);
            let from = digits.map_or(at, |digits| at + digits);
            let number = bytes[from..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            let word = rng.choice(extremes).unwrap_or("0");
            bytes.splice(from..from + number, word.bytes());
        }
        7 => {
            // A length or count of two or four bytes.
            let width = *rng.choice(&[2, 4]).unwrap_or(&2);
            let end = (at + width).min(bytes.len());
            let filler = *rng.choice(&[0, 0x7f, 0xff]).unwrap_or(&0);
            bytes[at..end].fill(filler);
        }
        _ => {
            let word = rng.choice(words.iter().copied()).unwrap_or("\0");
            bytes.splice(at..end, word.bytes());
        }
    }
}
