//! `firedoor replay` on what the real binary has recorded: its own configuration leads to its own flips, another one to others.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use support::load::Plan;
use support::pair::{
    EAGER, PROMPT, Pair, journal_of, until_active, until_both_serve, until_verdict,
};
use support::proxy::Builder;
use support::wait::PATIENCE;
use support::{Proxy, eventually};

const BACK: &str = "failback = \"auto\"\nfailback_after = \"500ms\"\n";

fn firedoor(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_firedoor"))
        .args(arguments)
        .env_remove("FIREDOOR_CONFIG")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Replays `files` under `config`, which must work.
#[track_caller]
fn replay(files: &[&Path], config: &Path) -> Value {
    let files = files.iter().map(|file| file.to_str().unwrap());
    let rest = ["--json", "--config", config.to_str().unwrap()];
    let arguments: Vec<&str> = ["replay"].into_iter().chain(files).chain(rest).collect();
    let output = firedoor(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// The results, flip by flip: `"same fz-1 fz-2"`.
fn results(replayed: &Value) -> Vec<String> {
    let flips = replayed["flips"].as_array().unwrap().iter();
    let results = flips.map(|pair| {
        let side = ["recorded", "replayed"]
            .into_iter()
            .find(|side| pair[side].is_object());
        let flip = &pair[side.unwrap()];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        format!(
            "{} {} {}",
            text(&pair["result"]),
            text(&flip["from"]),
            text(&flip["to"])
        )
    });
    results.collect()
}

/// A flip of one side, whichever of the other it is taken for.
struct Flip {
    at: jiff::Timestamp,
    way: [Value; 3],
}

fn flips(replayed: &Value, side: &str) -> Vec<Flip> {
    let pairs = replayed["flips"].as_array().unwrap().iter();
    let flips = pairs
        .map(|pair| &pair[side])
        .filter(|flip| flip.is_object());
    let flips = flips.map(|flip| Flip {
        at: flip["at"].as_str().unwrap().parse().unwrap(),
        way: ["from", "to", "cause"].map(|field| flip[field].clone()),
    });
    flips.collect()
}

fn remarks(replayed: &Value) -> String {
    replayed["remarks"].to_string()
}

/// A past, with what it was recorded in.
struct Past {
    pair: Pair,
    proxy: Proxy,
}

impl Past {
    /// Both zones serve, and fz-1 is active.
    fn begin(sections: &str, outcomes: &str) -> Self {
        let pair = Pair::start();
        let proxy = pair.proxy(&format!("{sections}[journal]\noutcomes = \"{outcomes}\"\n"));
        Self { pair, proxy }
    }

    /// Ends the process in order: what it has recorded is on disk.
    fn end(&mut self) {
        self.proxy.signal(Signal::TERM);
        self.proxy.wait_for_exit(PATIENCE);
    }

    fn state(&self) -> PathBuf {
        self.proxy.directory().join("state")
    }

    /// Writes another configuration beside the one that was in force.
    fn other(
        &self,
        name: &str,
        change: impl FnOnce(Builder) -> Builder,
        sections: &str,
    ) -> PathBuf {
        let builder = change(self.pair.builder(sections));
        let file = self.proxy.directory().join(name);
        std::fs::write(&file, builder.text(self.proxy.address, self.proxy.admin)).unwrap();
        file
    }

    /// fz-1's database goes, and comes back; with `BACK` so does the traffic.
    fn lose_database(&mut self) {
        self.pair.preferred.database.refuse();
        until_active(&self.proxy, "fz-2");
        self.go_on();
        self.pair.preferred.database.restart();
        until_both_serve(&self.proxy);
    }

    /// Until both zones have been probed a few times more.
    fn go_on(&self) {
        let before = self.pair.zones().map(|zone| zone.servers[0].checks());
        eventually(PATIENCE, "some more probes", || {
            let now = self.pair.zones().map(|zone| zone.servers[0].checks());
            now.into_iter()
                .zip(before)
                .all(|(now, before)| now >= before + 8)
        });
    }

    /// For how many milliseconds nothing was recorded, gap by gap: six components are probed ten times a second, so the process, or the
    /// whole machine, stood still.
    fn standstill(&self) -> f64 {
        let text = std::fs::read_to_string(self.state().join("outcomes.jsonl")).unwrap();
        let times: Vec<jiff::Timestamp> = text
            .lines()
            .map(|line| {
                serde_json::from_str::<Value>(line).unwrap()["at"]
                    .as_str()
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect();
        let gaps = times
            .windows(2)
            .map(|two| two[1].duration_since(two[0]).as_millis_f64());
        gaps.filter(|gap| *gap > 150.0).sum()
    }

    /// Until everything that has been told is in the file of outcomes, too.
    fn until_recorded(&self) {
        let mark = journal_of(&self.proxy, "flip", 1).pop().unwrap();
        let mark: jiff::Timestamp = mark["at"].as_str().unwrap().parse().unwrap();
        let file = self.state().join("outcomes.jsonl");
        eventually(PATIENCE, "records after the last flip", || {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let lines = text.lines().rev().take(2);
            let last = lines
                .filter_map(|line| serde_json::from_str::<Value>(line).ok())
                .next();
            let at = last.and_then(|line| line["at"].as_str()?.parse::<jiff::Timestamp>().ok());
            at.is_some_and(|at| at.duration_since(mark).as_millis() > 300)
        });
    }
}

#[test]
fn what_was_recorded_in_full_is_replayed_flip_by_flip_at_the_very_same_times() {
    let mut past = Past::begin(&format!("{EAGER}{BACK}"), "all");
    let load = Plan {
        rate: 50,
        ..Plan::to(past.proxy.address)
    }
    .start();
    past.lose_database();
    until_active(&past.proxy, "fz-1");
    // Live requests find out first.
    past.pair.preferred.servers[0].refuse();
    until_active(&past.proxy, "fz-2");
    past.pair.preferred.servers[0].restart();
    until_active(&past.proxy, "fz-1");
    // An operator, planned and not.
    for (zone, hold) in [("fz-2", true), ("fz-1", false)] {
        let body = format!("{{\"hold\": {hold}, \"reason\": \"a rehearsal\"}}");
        let answer = past
            .proxy
            .admin_post(&format!("/v1/zones/{zone}/activate"), &body);
        assert!([200, 409].contains(&answer.status), "{}", answer.text());
        until_active(&past.proxy, "fz-1");
    }
    load.finish();
    past.until_recorded();
    past.proxy.crash_and_restart();
    until_both_serve(&past.proxy);
    past.lose_database();
    until_active(&past.proxy, "fz-1");
    past.end();

    let config = past.proxy.config_file();
    let replayed = replay(&[&past.state()], &config);
    let flips = replayed["flips"].as_array().unwrap();
    assert!(flips.len() >= 7, "{replayed:#}");
    for pair in flips {
        assert_eq!(
            (&pair["result"], &pair["moved_ms"]),
            (&"same".into(), &0.0.into()),
            "{replayed:#}"
        );
        for field in ["at", "epoch", "from", "to", "cause"] {
            assert_eq!(pair["recorded"][field], pair["replayed"][field]);
        }
    }
    assert_eq!(replayed["recorded"], replayed["replayed"]);
    // Any of the files stands for all of them.
    let file = past.state().join("journal.jsonl");
    assert_eq!(replay(&[&file], &config)["flips"], replayed["flips"]);
    // But elsewhere it doesn't.
    let outcomes = past.proxy.directory().join("copy");
    std::fs::copy(past.state().join("outcomes.jsonl"), &outcomes).unwrap();
    let alone = firedoor(&[
        "replay",
        outcomes.to_str().unwrap(),
        "-c",
        config.to_str().unwrap(),
    ]);
    assert_eq!(alone.status.code(), Some(1));
    assert!(stderr(&alone).contains("give journal.jsonl, too"));
    let text = std::fs::read_to_string(past.state().join("outcomes.jsonl")).unwrap();
    assert!(
        !text.contains("a rehearsal"),
        "what operators write stands in the journal only"
    );

    let shown = firedoor(&[
        "replay",
        past.state().to_str().unwrap(),
        "-c",
        config.to_str().unwrap(),
    ]);
    let said = stdout(&shown);
    for part in [
        "  same\n",
        "fz-1 → fz-2, failover",
        "It would have flipped as often (",
    ] {
        assert!(said.contains(part), "{part:?} is missing in:\n{said}");
    }
}

#[test]
fn another_configuration_flips_later_or_not_at_all_and_the_outage_is_told() {
    let mut past = Past::begin(EAGER, "all");
    past.pair.preferred.servers[1].refuse();
    until_active(&past.proxy, "fz-2");
    let state = past.state();
    eventually(PATIENCE, "it stays down for a while", || {
        let text = std::fs::read_to_string(state.join("outcomes.jsonl")).unwrap_or_default();
        let refused = text.lines().filter(|line| line.contains("L4CON"));
        refused.count() > 24
    });
    past.pair.preferred.servers[1].restart();
    until_both_serve(&past.proxy);
    past.end();

    let slow = past.other(
        "slow.toml",
        |b| b.check(&format!("{PROMPT}\nfall = 10")),
        EAGER,
    );
    let replayed = replay(&[&state], &slow);
    assert_eq!(results(&replayed), ["moved fz-1 fz-2"], "{replayed:#}");
    // Eight more confirming probes, of which three may be under way already, and none is nearer to the next than 18 ms. Time in which
    // nothing was recorded delays them, and once more the one that was under way, which took as long.
    let later = replayed["flips"][0]["moved_ms"].as_f64().unwrap();
    let latest = 1000.0 + 2.0 * past.standstill();
    assert!((90.0..latest).contains(&later), "{later} of {latest}");
    let outage = |side: &str| replayed[side]["outage_ms"].as_f64().unwrap();
    assert!(
        outage("replayed") > outage("recorded") + 80.0,
        "{replayed:#}"
    );

    let blind = past.other(
        "blind.toml",
        |b| b.check(&format!("{PROMPT}\nfall = 1000")),
        EAGER,
    );
    let shown = firedoor(&[
        "replay",
        state.to_str().unwrap(),
        "--config",
        blind.to_str().unwrap(),
    ]);
    let said = stdout(&shown);
    assert!(said.contains("  only recorded\n"), "{said}");
    assert!(
        said.contains("It would have flipped 1 time fewer (0 instead of 1), with "),
        "{said}"
    );
    assert!(said.contains(" more outage ("), "{said}");

    let loose = format!("{EAGER}[[pool]]\nname = \"default\"\nmin_healthy = \"50%\"\n");
    let loose = past.other("loose.toml", |b| b, &loose);
    let replayed = replay(&[&state], &loose);
    assert_eq!(
        results(&replayed),
        ["only_recorded fz-1 fz-2"],
        "{replayed:#}"
    );
    assert_eq!(replayed["replayed"]["outage_ms"], 0.0);

    // Other components: some are not recorded, some not configured.
    let origin = &past.pair.standby.servers[0];
    let third = past.other("third.toml", |b| b.zone("fz-3", &[origin]), EAGER);
    let replayed = replay(&[&state], &third);
    assert_eq!(results(&replayed), ["same fz-1 fz-2"]);
    assert!(
        remarks(&replayed)
            .contains("never recorded, and taken to be well all the time: fz-3:app-1"),
        "{replayed:#}"
    );
    let fewer = Proxy::builder().zone("fz-1", &[&past.pair.preferred.servers[0]]);
    let file = past.other("fewer.toml", |_| fewer, EAGER);
    let replayed = replay(&[&state], &file);
    assert_eq!(results(&replayed), ["only_recorded fz-1 fz-2"]);
    assert!(
        remarks(&replayed).contains("recorded, but not in fewer.toml, and passed over: fz-1:app-2"),
        "{replayed:#}"
    );
}

#[test]
fn coarser_recordings_lead_to_the_same_flips_and_say_what_they_do_not_know() {
    for outcomes in ["transitions", "changes"] {
        let mut past = Past::begin(&format!("{EAGER}{BACK}"), outcomes);
        for _ in 0..2 {
            past.lose_database();
            until_active(&past.proxy, "fz-1");
            past.go_on();
        }
        past.end();
        let replayed = replay(&[&past.state()], &past.proxy.config_file());
        let [recorded, led_to] = ["recorded", "replayed"].map(|side| flips(&replayed, side));
        assert_eq!(led_to.len(), 4, "{replayed:#}");
        for (at, (one, other)) in recorded.iter().zip(&led_to).enumerate() {
            assert_eq!(one.way, other.way, "{replayed:#}");
            // So coarse a recording doesn't tell when the process came too late to a timer, as it does where the machine stands still.
            // But no flip comes before what it follows from, nor after what follows from it.
            let before = at.checked_sub(1).map(|at| recorded[at].at);
            let after = recorded.get(at + 1).map(|next| next.at);
            assert!(
                before.is_none_or(|before| before < other.at),
                "{replayed:#}"
            );
            assert!(after.is_none_or(|after| other.at < after), "{replayed:#}");
        }
        let told = format!("were recorded (outcomes = \\\"{outcomes}\\\")");
        assert!(remarks(&replayed).contains(&told), "{replayed:#}");
        let spans = replayed["spans"].as_array().unwrap();
        assert_eq!(spans.last().unwrap()["outcomes"], outcomes);
    }
}

const CONFIG: &str = "[[listener]]\nbind = \"127.0.0.1:1\"\n[[zone]]\nname = \"fz-1\"\nbackend = [{ name = \"app\", address = \"127.0.0.1:1\" }]\n";

/// An entry as it stands in a journal.
fn entry(number: u64, rest: &str) -> String {
    format!(
        "{{\"number\":{number},\"at\":\"2026-01-15T03:12:0{number}Z\",\"epoch\":1,\"message\":\"…\",{rest}}}\n"
    )
}

#[test]
fn what_is_no_journal_is_refused_and_what_is_no_entry_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = directory.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let config = write("other.toml", CONFIG);
    let outcome = "{\"time\":\"2026-01-15T03:12:02Z\",\"code\":\"L4CON\",\"ms\":1.5,\"status\":null,\"detail\":\"refused\"}";
    let down = entry(
        2,
        &format!(
            "\"kind\":\"transition\",\"component\":\"fz-1:app\",\"from\":\"up\",\"to\":\"down\",\"evidence\":[{outcome},{outcome}],\"hastened_by\":null"
        ),
    );
    let flip = entry(
        3,
        "\"kind\":\"pin\",\"zone\":\"fz-1\",\"pinned\":true,\"reason\":null",
    );
    let run = |file: &Path| {
        firedoor(&[
            "replay",
            file.to_str().unwrap(),
            "--json",
            "--config",
            config.to_str().unwrap(),
        ])
    };

    let cases = [
        ("empty", "", "not one line is a journal entry"),
        (
            "foreign",
            "Jan 15 03:12:07 host kernel: hello\n{\"msg\":\"hello\"}\n",
            "not one line is a journal entry",
        ),
        (
            "binary",
            "\u{0}\u{1}\u{2}",
            "not one line is a journal entry",
        ),
        ("no outcomes", &flip, "no outcome of any probe is recorded"),
    ];
    for (name, text, said) in cases {
        let file = write(name, text);
        let output = run(&file);
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(
            stderr(&output).contains(said),
            "{name}: {}",
            stderr(&output)
        );
        assert!(stderr(&output).contains(file.to_str().unwrap()));
    }
    let missing = run(&directory.path().join("nothing/journal.jsonl"));
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        stderr(&missing).contains("can't be read: No such file"),
        "{}",
        stderr(&missing)
    );
    let empty = directory.path().join("a folder");
    std::fs::create_dir(&empty).unwrap();
    let output = run(&empty);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("there is neither journal.jsonl nor outcomes.jsonl"),
        "{}",
        stderr(&output)
    );

    // A torn last line, foreign lines, and a line that would not fit into memory.
    let long = format!("{{\"x\":\"{}\"}}\n", "y".repeat(5 << 20));
    let text = format!(
        "### hello\n{down}{long}{{\"t\":1}}\n{flip}{}",
        &down[..down.len() / 2]
    );
    let output = run(&write("damaged", &text));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let replayed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let said = remarks(&replayed);
    assert!(
        said.contains(
            "3 lines are no entries and passed over (line 1, 3, 4); its last line is torn"
        ),
        "{said}"
    );

    let invalid = write("invalid.toml", "[check]\nfal = 3\n");
    let file = write("journal.jsonl", &down);
    let output = firedoor(&[
        "replay",
        file.to_str().unwrap(),
        "--config",
        invalid.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        stderr(&output).contains("did you mean \"fall\"?"),
        "{}",
        stderr(&output)
    );
    for usage in [
        &["replay"][..],
        &["replay", "x"],
        &["replay", "--config", "x"],
    ] {
        assert_eq!(firedoor(usage).status.code(), Some(2), "{usage:?}");
    }
}

#[test]
fn files_are_read_in_the_order_of_their_times_however_they_are_given() {
    let mut past = Past::begin(&format!("{EAGER}{BACK}"), "all");
    past.lose_database();
    until_active(&past.proxy, "fz-1");
    past.end();
    let config = past.proxy.config_file();
    let whole = replay(&[&past.state()], &config);
    assert_eq!(results(&whole), ["same fz-1 fz-2", "same fz-2 fz-1"]);

    // As if each had been rotated in the middle, and then been copied elsewhere under other names.
    let elsewhere = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for name in ["journal", "outcomes"] {
        let text = std::fs::read_to_string(past.state().join(format!("{name}.jsonl"))).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let (older, newer) = lines.split_at(lines.len() / 2);
        for (part, lines) in [("b", newer), ("a", older)] {
            let file = elsewhere.path().join(format!("{part}-{name}"));
            std::fs::write(&file, lines.concat()).unwrap();
            files.push(file);
        }
    }
    let given: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let replayed = replay(&given, &config);
    assert_eq!(replayed["flips"], whole["flips"]);

    // As if the state had been lost in between, so that numbers began anew.
    let newer = elsewhere.path().join("b-journal");
    let lines = std::fs::read_to_string(&newer).unwrap();
    let lines = lines.lines().zip(1..).map(|(line, number)| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line["number"] = number.into();
        format!("{line}\n")
    });
    let lines: String = lines.collect();
    std::fs::write(&newer, lines).unwrap();
    let replayed = replay(&given, &config);
    assert_eq!(replayed["flips"], whole["flips"]);
}

/// A copy of what is recorded in `state`, as a clock would have written it that is set back by so many seconds after each mark.
fn with_clock_set_back(state: &Path, marks: &[(jiff::Timestamp, i64)]) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in ["journal.jsonl", "outcomes.jsonl"] {
        let Ok(text) = std::fs::read_to_string(state.join(name)) else {
            continue;
        };
        let lines = text.lines().map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            for (mark, seconds) in marks {
                set_back(&mut line, *mark, *seconds);
            }
            format!("{line}\n")
        });
        // As if each had been rotated in the middle.
        let lines: Vec<String> = lines.collect();
        let (older, newer) = lines.split_at(lines.len() / 2);
        let rotated = name.replace(".jsonl", ".1.jsonl");
        for (name, lines) in [(rotated.as_str(), older), (name, newer)] {
            std::fs::write(copy.path().join(name), lines.concat()).unwrap();
        }
    }
    copy
}

fn set_back(value: &mut Value, mark: jiff::Timestamp, seconds: i64) {
    match value {
        Value::String(text) => {
            let time = text.parse::<jiff::Timestamp>().ok();
            if let Some(time) = time.filter(|time| *time > mark) {
                *text = (time - jiff::SignedDuration::from_secs(seconds)).to_string();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|v| set_back(v, mark, seconds)),
        Value::Object(fields) => fields.values_mut().for_each(|v| set_back(v, mark, seconds)),
        _ => {}
    }
}

#[test]
fn a_clock_that_was_set_back_hides_no_flip() {
    for outcomes in ["transitions", "changes", "all"] {
        let mut past = Past::begin(&format!("{EAGER}{BACK}"), outcomes);
        past.lose_database();
        until_active(&past.proxy, "fz-1");
        let mark = journal_of(&past.proxy, "flip", 2).pop().unwrap();
        let mark: jiff::Timestamp = mark["at"].as_str().unwrap().parse().unwrap();
        past.lose_database();
        until_active(&past.proxy, "fz-1");
        // Coarse recordings need something after the last flip: in their replay it may come a little later.
        past.pair.standby.database.refuse();
        until_verdict(&past.proxy, "fz-2", "failed");
        past.pair.standby.database.restart();
        until_both_serve(&past.proxy);
        past.end();
        past.proxy.start_again();
        until_both_serve(&past.proxy);
        let restart = jiff::Timestamp::now();
        past.lose_database();
        until_active(&past.proxy, "fz-1");
        past.end();
        let config = past.proxy.config_file();
        let true_times = replay(&[&past.state()], &config);
        assert_eq!(true_times["flips"].as_array().unwrap().len(), 6);

        // So that the later times lie among the earlier ones, or before all of them; of a running process, or of the next one.
        for marks in [
            &[(mark, 2)][..],
            &[(restart, 4)],
            &[(mark, 3600)],
            &[(restart, 86_400)],
            &[(restart, 3), (mark, 2)],
        ] {
            let state = with_clock_set_back(&past.state(), marks);
            let replayed = replay(&[state.path()], &config);
            let flips = replayed["flips"].as_array().unwrap();
            assert_eq!(flips.len(), 6, "{outcomes}, {marks:?}: {replayed:#}");
            for (pair, known) in flips.iter().zip(true_times["flips"].as_array().unwrap()) {
                for field in ["epoch", "from", "to", "cause"] {
                    assert_eq!(pair["recorded"][field], known["recorded"][field]);
                }
                let moved = pair["moved_ms"].as_f64();
                let moved = moved.unwrap_or_else(|| panic!("{outcomes}, {marks:?}: {replayed:#}"));
                let most = if outcomes == "all" { 0.001 } else { 1000.0 };
                assert!(moved.abs() < most, "{outcomes}, {marks:?}: {replayed:#}");
            }
        }
    }
}
