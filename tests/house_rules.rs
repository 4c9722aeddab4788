//! The walls and manners of this crate, checked by reading its sources: what the compiler can't see but a reader relies on.
//!
//! Each test holds one rule against every source file, and first against a sample that breaks it, so that no rule can pass by
//! matching nothing. The sources are read as tokens: comments and strings never trip a rule that is about code.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "house_rules/sources.rs"]
mod sources;

use std::fs;
use std::path::Path;

use sources::{Breach, Source, Token, read, root, sources};

/// Code that decides, compiles or computes: time comes in as a parameter, events go out as values.
const PURE: &[&str] = &[
    "src/config/parse",
    "src/health/checker",
    "src/health/failover",
    "src/health/gray",
    "src/health/recording",
    "src/health/report",
    "src/health/status",
    "src/health/verdict",
    "src/journal/retelling",
    "src/journal/timeline",
    "src/journal/told",
    "src/proxy/backend/balance",
    "src/proxy/backend/silence",
    "src/proxy/message/coding",
    "src/proxy/message/headers",
    "src/proxy/request/affinity",
    "src/proxy/request/policy/edits",
    "src/proxy/request/policy/page",
    "src/proxy/request/retry",
    "src/proxy/request/route",
];

/// Where tasks and threads may begin, and what for. Whoever begins one is also the one who ends it.
const SPAWNERS: &[(&str, &str)] = &[
    ("src/serve", "the long-lived tasks and the worker threads"),
    (
        "src/cli/check",
        "a file that may never open, on a thread that ends with the command",
    ),
    ("src/worker", "its own connections"),
    ("src/admin", "its own connections, in a JoinSet"),
    ("src/health/monitor", "probes, in a JoinSet"),
    (
        "src/health/probe/command",
        "commands, killed with the probe; they start on a thread that may wait for the disk",
    ),
    (
        "src/health/probe/postgres",
        "the hash of a password, on a thread that it may keep busy: it ends by itself, within the library's bound",
    ),
    (
        "src/health/program",
        "the operators' programs, killed with their process group",
    ),
    ("src/notify", "one for each target, ended with it"),
    (
        "src/demo",
        "its zones, in JoinSets on a thread that its guard ends",
    ),
    (
        "src/telemetry",
        "threads that write logs, ended by their guards",
    ),
];

/// Where waiting for time to pass is the point of the test, not a guess that something has happened by then.
const SLEEPERS: &[(&str, &str)] = &[
    (
        "tests/support/",
        "the pause between two looks at a condition; origins that are slow on purpose; the pace of a load",
    ),
    (
        "tests/real/",
        "the pause between two looks at a server that starts or stops",
    ),
    (
        "tests/shedding",
        "clients that come back when they are told to",
    ),
    ("tests/data_path", "origins that are slow on purpose"),
    ("tests/greedy/", "attackers that drip on purpose"),
    (
        "tests/greedy_clients",
        "the pace of well-behaved clients meanwhile",
    ),
];

const MAX_LINES: usize = 400;

#[test]
fn proxy_and_health_never_import_each_other() {
    let rule = |source: &Source| {
        let forbidden = if source.is_in("src/proxy") {
            "health"
        } else if source.is_in("src/health") {
            "proxy"
        } else {
            return Vec::new();
        };
        imports(source, forbidden)
    };
    holds(
        rule,
        &[
            (
                "src/proxy/request/retry.rs",
                "use crate::health::verdict::Reason;",
            ),
            (
                "src/proxy/request/retry.rs",
                "use crate::{config::Config, health};",
            ),
            (
                "src/proxy.rs",
                "fn f() { let _ = crate::health::report::Report; }",
            ),
            (
                "src/health/probe/http.rs",
                "use super::super::super::proxy::body;",
            ),
        ],
    );
}

#[test]
fn a_message_and_a_socket_know_no_side_and_a_backend_no_client() {
    let rule = |source: &Source| {
        let forbidden: &[&str] = if source.is_in("src/proxy/message") {
            &["client", "request", "backend", "forward", "socket"]
        } else if source.is_in("src/proxy/socket") {
            &["client", "request", "backend", "forward", "message"]
        } else if source.is_in("src/proxy/backend") {
            &["client", "forward"]
        } else {
            return Vec::new();
        };
        let found = forbidden.iter().flat_map(|wing| {
            let inside_a_path = sequence(source, &["proxy", ":", ":", wing]);
            [imports(source, wing), inside_a_path].concat()
        });
        found.collect()
    };
    holds(
        rule,
        &[
            (
                "src/proxy/message/headers.rs",
                "use crate::proxy::request::record::Record;",
            ),
            (
                "src/proxy/message/headers.rs",
                "fn f() { crate::proxy::client::session::linger(); }",
            ),
            (
                "src/proxy/message/survey.rs",
                "use super::super::backend::upstream::Upstream;",
            ),
            (
                "src/proxy/socket/reading.rs",
                "use crate::proxy::message::interim::Interim;",
            ),
            (
                "src/proxy/backend/multiplex/driver.rs",
                "use crate::proxy::{client::stream::ClientStream, request};",
            ),
            ("src/proxy/backend/prewarm.rs", "use crate::proxy::forward;"),
        ],
    );
}

#[test]
fn the_snapshot_imports_neither_world() {
    let rule = |source: &Source| {
        if !source.is_in("src/snapshot") {
            return Vec::new();
        }
        [imports(source, "proxy"), imports(source, "health")].concat()
    };
    holds(
        rule,
        &[
            ("src/snapshot.rs", "use crate::health::checker::Routing;"),
            ("src/snapshot.rs", "use crate::{proxy, zone};"),
        ],
    );
}

#[test]
fn pure_code_names_no_runtime_no_socket_no_log_no_dice_no_file_no_clock() {
    let rule = |source: &Source| {
        if PURE.iter().any(|room| source.is_in(room)) {
            impurities(source, &source.code)
        } else if source.is_in("src/snapshot") {
            impurities(source, body_of(&source.code, "compile"))
        } else {
            Vec::new()
        }
    };
    holds(
        rule,
        &[
            (
                "src/health/checker.rs",
                "fn f() { let t = Instant::now(); }",
            ),
            ("src/health/checker/gray.rs", "use tokio::time::Instant;"),
            (
                "src/health/failover.rs",
                "fn f() { tracing::info!(\"flip\"); }",
            ),
            (
                "src/proxy/backend/balance.rs",
                "fn f() -> usize { fastrand::usize(..2) }",
            ),
            ("src/proxy/request/route.rs", "use std::net::TcpStream;"),
            (
                "src/config/parse/zone.rs",
                "fn f() { std::fs::read(\"x\").unwrap(); }",
            ),
            (
                "src/snapshot.rs",
                "impl Snapshot { fn compile() { let at = Moment::now(); } }",
            ),
        ],
    );
    // A parameter of that name is how time comes in.
    assert!(
        rule(&Source::new(
            "src/health/checker.rs",
            "fn handle_timeout(now: Moment) { let _ = now; }"
        ))
        .is_empty()
    );
    assert!(
        rule(&Source::new(
            "src/snapshot.rs",
            "fn compile() {} fn other() { Moment::now(); }"
        ))
        .is_empty()
    );
}

#[test]
fn only_config_knows_serde_and_toml() {
    let rule = |source: &Source| {
        if !source.is_in("src/") || source.is_in("src/config") {
            return Vec::new();
        }
        names(
            source,
            &source.code,
            &["serde", "Serialize", "Deserialize", "toml"],
        )
    };
    holds(
        rule,
        &[
            ("src/admin.rs", "#[derive(serde::Serialize)] struct Answer;"),
            ("src/memory.rs", "fn f() { toml::from_str(\"\"); }"),
        ],
    );
    assert!(
        rule(&Source::new(
            "src/admin.rs",
            "fn f() { serde_json::json!({}); }"
        ))
        .is_empty()
    );
}

#[test]
fn only_main_ends_the_process() {
    let rule = |source: &Source| {
        if !source.is_in("src/") || source.path == "src/main.rs" {
            return Vec::new();
        }
        [
            sequence(source, &["process", ":", ":", "exit"]),
            sequence(source, &["process", ":", ":", "abort"]),
        ]
        .concat()
    };
    holds(
        rule,
        &[
            ("src/cli.rs", "fn f() { std::process::exit(2) }"),
            ("src/serve.rs", "fn f() { process::abort() }"),
        ],
    );
}

#[test]
fn tasks_begin_only_where_somebody_ends_them() {
    let rule = |source: &Source| {
        if !source.is_in("src/") || SPAWNERS.iter().any(|(room, _)| source.is_in(room)) {
            return Vec::new();
        }
        names(
            source,
            &source.code,
            &[
                "spawn",
                "spawn_local",
                "spawn_blocking",
                "spawn_on",
                "spawn_local_on",
            ],
        )
    };
    holds(
        rule,
        &[
            ("src/journal.rs", "fn f() { tokio::spawn(async {}); }"),
            (
                "src/proxy/request/hold.rs",
                "fn f() { tokio::task::spawn_local(async {}); }",
            ),
            (
                "src/config/watch.rs",
                "fn f() { std::thread::Builder::new().spawn(|| {}); }",
            ),
        ],
    );
}

#[test]
fn nothing_is_unsafe_but_one_socket_option() {
    let rule = |source: &Source| {
        if source.path == "src/proxy/socket/watermark.rs" {
            return Vec::new();
        }
        names(source, &source.all(), &["unsafe", "unsafe_code"])
    };
    holds(
        rule,
        &[
            ("src/worker.rs", "fn f() { unsafe { g() } }"),
            ("tests/framing.rs", "unsafe impl Send for X {}"),
        ],
    );
}

#[test]
fn no_file_is_too_long_to_keep_in_mind() {
    let rule = |source: &Source| {
        let lines = source.text.lines().count();
        if source.is_in("src/") && lines > MAX_LINES {
            vec![source.breach(
                lines,
                format!("{lines} lines; past {MAX_LINES} a file wants splitting"),
            )]
        } else {
            Vec::new()
        }
    };
    let long = "//\n".repeat(MAX_LINES + 1);
    holds(rule, &[("src/proxy/forward.rs", &long)]);
}

#[test]
fn files_are_named_by_a_noun_and_no_drawer_is_for_odds_and_ends() {
    let rule = |source: &Source| {
        let path = Path::new(&source.path);
        let drawer = path
            .components()
            .filter_map(|part| part.as_os_str().to_str())
            .map(|part| part.trim_end_matches(".rs"))
            .find(|part| {
                [
                    "utils", "util", "common", "types", "prelude", "helpers", "misc",
                ]
                .contains(part)
            });
        let stray_mod = path.ends_with("mod.rs") && source.path != "tests/support/mod.rs";
        match drawer {
            Some(drawer) => {
                vec![source.breach(1, format!("`{drawer}` says nothing about what is inside"))]
            }
            None if stray_mod => {
                vec![source.breach(1, "`foo.rs` beside `foo/`, never mod.rs".to_owned())]
            }
            None => Vec::new(),
        }
    };
    holds(
        rule,
        &[
            ("src/utils.rs", ""),
            ("src/proxy/common/x.rs", ""),
            ("src/health/mod.rs", ""),
        ],
    );
    assert!(rule(&Source::new("tests/support/mod.rs", "")).is_empty());
}

#[test]
fn every_module_opens_with_its_promise() {
    let rule = |source: &Source| {
        let promise = source
            .text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("//! "))
            .unwrap_or_default();
        let is_unit_test = source.is_in("src/") && source.path.ends_with("/tests.rs");
        if promise.len() < 15 && !is_unit_test {
            vec![source.breach(
                1,
                "says what it promises in its first line: `//! …`".to_owned(),
            )]
        } else {
            Vec::new()
        }
    };
    holds(
        rule,
        &[
            ("src/worker.rs", "use std::fmt;"),
            ("src/cli.rs", "//! cli\n"),
            ("tests/framing.rs", "// no promise at all\n"),
        ],
    );
}

#[test]
fn nothing_is_left_for_later() {
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("X", "XX"),
    ];
    let rule = |source: &Source| {
        let in_text = source.text.lines().enumerate().filter_map(|(index, line)| {
            let word = words.iter().find(|word| {
                line.split(|c: char| !c.is_alphanumeric())
                    .any(|part| part == **word)
            })?;
            Some(source.breach(index + 1, format!("{word}: do it, or write an issue")))
        });
        let in_code = names(source, &source.all(), &["todo", "unimplemented"]);
        in_text.chain(in_code).collect()
    };
    let comment = format!("// {}: later", words[0]);
    holds(
        rule,
        &[
            ("src/serve.rs", &comment),
            ("src/serve.rs", "fn f() { unimplemented!() }"),
            ("tests/x.rs", "fn f() { todo!() }"),
        ],
    );
}

#[test]
fn no_test_is_ignored() {
    let rule = |source: &Source| {
        [
            sequence(source, &["#", "[", "ignore"]),
            sequence_in(source, &source.tests, &["#", "[", "ignore"]),
        ]
        .concat()
    };
    holds(
        rule,
        &[
            (
                "tests/failover.rs",
                "#[test] #[ignore = \"flaky\"] fn x() {}",
            ),
            (
                "src/zone.rs",
                "#[cfg(test)] mod tests { #[test] #[ignore] fn x() {} }",
            ),
        ],
    );
}

#[test]
fn tests_wait_for_conditions_and_never_sleep() {
    let rule = |source: &Source| {
        if SLEEPERS.iter().any(|(room, _)| source.is_in(room)) {
            return Vec::new();
        }
        let tests = if source.is_in("src/") {
            source.tests.clone()
        } else {
            source.all()
        };
        names(source, &tests, &["sleep", "sleep_until"])
    };
    holds(
        rule,
        &[
            (
                "tests/failover.rs",
                "fn x() { std::thread::sleep(SECOND); }",
            ),
            (
                "src/serve.rs",
                "#[cfg(test)] mod tests { async fn x() { tokio::time::sleep(SECOND).await; } }",
            ),
        ],
    );
    assert!(
        rule(&Source::new(
            "src/serve.rs",
            "async fn x() { tokio::time::sleep(SECOND).await; }"
        ))
        .is_empty()
    );
}

#[test]
fn no_code_puts_its_thread_to_sleep() {
    let rule = |source: &Source| {
        if !source.is_in("src/") {
            return Vec::new();
        }
        sequence(source, &["thread", ":", ":", "sleep"])
    };
    holds(
        rule,
        &[("src/worker.rs", "fn f() { std::thread::sleep(SECOND); }")],
    );
    assert!(
        rule(&Source::new(
            "src/admin.rs",
            "async fn f() { tokio::time::sleep(SECOND).await; }"
        ))
        .is_empty()
    );
}

#[test]
fn names_of_tests_are_claims() {
    let rule = |source: &Source| {
        let all = source.all();
        let prefixed = all
            .windows(2)
            .filter(|pair| pair[0].text == "fn" && pair[1].text.starts_with("test_"));
        prefixed
            .map(|pair| {
                source.breach(
                    pair[1].line,
                    format!("`{}`: a name that claims something", pair[1].text),
                )
            })
            .collect()
    };
    holds(
        rule,
        &[
            ("tests/framing.rs", "#[test] fn test_framing() {}"),
            ("src/zone.rs", "#[cfg(test)] mod tests { fn test_x() {} }"),
        ],
    );
}

#[test]
fn no_file_names_a_machine_it_was_written_on() {
    // In two pieces, or this file would break its own rule.
    let homes = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/fa", "rm/"),
        concat!("/tmp", "/lab"),
    ];
    let rule = |source: &Source| {
        let lines = source.text.lines().enumerate();
        let found = lines.filter_map(|(index, line)| {
            homes
                .iter()
                .find(|home| line.contains(**home))
                .map(|home| (index, home))
        });
        found
            .map(|(index, home)| {
                source.breach(index + 1, format!("`{home}` exists on one machine only"))
            })
            .collect()
    };
    let sample = format!("const CONFIG: &str = \"{}x/config.toml\";", homes[0]);
    holds(rule, &[("tests/serve.rs", &sample)]);
    for path in [
        "README.md",
        "config/README.md",
        "tests/run",
        ".ci/run",
        "config/minimal.toml",
        "config/firedoor.toml",
        "benches/compare",
        "benches/failover/__main__.py",
    ] {
        let breaches: Vec<Breach> = rule(&Source {
            path: path.to_owned(),
            text: read(path),
            code: Vec::new(),
            tests: Vec::new(),
        });
        assert!(breaches.is_empty(), "{breaches:#?}");
    }
}

#[test]
fn the_top_level_holds_what_was_agreed_and_no_more() {
    let agreed = [
        "Cargo.toml",
        "Cargo.lock",
        "src",
        "config",
        "tests",
        "benches",
        "README.md",
        "LICENSE",
    ];
    let made_here = ["target", "state"]; // what building and running leave behind; never committed
    let stray = |name: &str| {
        !name.starts_with('.') && !agreed.contains(&name) && !made_here.contains(&name)
    };
    assert!(stray("docs") && stray("Makefile") && !stray(".ci"));

    let names: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let strays: Vec<&String> = names.iter().filter(|name| stray(name)).collect();
    assert!(strays.is_empty(), "not in the agreed layout: {strays:?}");
    for name in agreed {
        assert!(names.iter().any(|found| found == name), "{name} is missing");
    }
}

#[test]
fn every_dependency_says_why_it_is_here_and_is_used() {
    assert_eq!(
        dependencies(
            "[package]\nname = \"x\"\n[dev-dependencies]\na-b = \"1\"\nc = \"1\" # c is needed for d\n"
        ),
        [("a_b".to_owned(), false), ("c".to_owned(), true)]
    );

    let found = dependencies(&read("Cargo.toml"));
    assert!(found.len() > 20, "read {} dependencies", found.len());
    let sources = sources();
    for (name, is_justified) in found {
        assert!(is_justified, "{name}: no word in Cargo.toml on why");
        let is_used = sources
            .iter()
            .any(|source| source.all().iter().any(|token| token.text == name));
        assert!(is_used, "{name}: in Cargo.toml, but named nowhere");
    }
}

#[test]
fn the_readme_tells_how_to_test_and_ci_runs_just_that() {
    let readme = read("README.md");
    assert!(
        readme.contains("tests/run"),
        "README doesn't name tests/run"
    );
    let commands: Vec<String> = read(".ci/run")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(str::to_owned)
        .collect();
    assert!(
        matches!(commands.as_slice(), [only] if only.ends_with("/tests/run\"")),
        "CI does something README doesn't tell: {commands:?}"
    );
}

#[test]
fn every_room_that_a_rule_speaks_of_exists() {
    let listed = SPAWNERS.iter().chain(SLEEPERS).map(|(room, _)| room);
    for room in PURE.iter().chain(listed) {
        assert!(
            sources().iter().any(|source| source.is_in(room)),
            "{room}: there is no such file"
        );
    }
}

/// Asserts that `rule` finds something in each of the `bad` samples, and nothing in this crate.
fn holds(rule: impl Fn(&Source) -> Vec<Breach>, bad: &[(&str, &str)]) {
    for (path, text) in bad {
        assert!(
            !rule(&Source::new(path, text)).is_empty(),
            "the rule lets this through, as {path}: {text}"
        );
    }
    let breaches: Vec<Breach> = sources().iter().flat_map(rule).collect();
    assert!(breaches.is_empty(), "{breaches:#?}");
}

/// The dependencies of a manifest, as code names them, and whether a comment on the line says why.
fn dependencies(manifest: &str) -> Vec<(String, bool)> {
    let mut in_dependencies = false;
    let mut found = Vec::new();
    for line in manifest.lines() {
        if let Some(section) = line.strip_prefix('[') {
            in_dependencies = section.trim_end_matches(']').ends_with("dependencies");
        } else if in_dependencies && let Some((name, rest)) = line.split_once('=') {
            found.push((name.trim().replace('-', "_"), rest.contains(" # ")));
        }
    }
    found
}

/// Idents in `tokens` that are one of `forbidden`.
fn names(source: &Source, tokens: &[Token], forbidden: &[&str]) -> Vec<Breach> {
    let found = tokens
        .iter()
        .filter(|token| forbidden.contains(&token.text.as_str()));
    found
        .map(|token| source.breach(token.line, format!("names `{}`", token.text)))
        .collect()
}

/// Places where the code (tests aside) has these tokens in a row.
fn sequence(source: &Source, wanted: &[&str]) -> Vec<Breach> {
    sequence_in(source, &source.code, wanted)
}

fn sequence_in(source: &Source, tokens: &[Token], wanted: &[&str]) -> Vec<Breach> {
    let found = tokens
        .windows(wanted.len())
        .filter(|window| window.iter().map(|token| &token.text).eq(wanted));
    found
        .map(|window| source.breach(window[0].line, format!("has `{}`", wanted.concat())))
        .collect()
}

/// Places where the code names the crate's module `module`: any part of a `use` path of this crate, or a path elsewhere.
fn imports(source: &Source, module: &str) -> Vec<Breach> {
    let code = &source.code;
    let mut in_own_use = false;
    let mut found = Vec::new();
    for (index, token) in code.iter().enumerate() {
        let before = |distance: usize| {
            index
                .checked_sub(distance)
                .map_or("", |at| code[at].text.as_str())
        };
        match token.text.as_str() {
            "crate" | "super" | "self" => in_own_use |= before(1) == "use",
            ";" => in_own_use = false,
            name if name == module
                && (in_own_use
                    || (before(1) == ":" && ["crate", "super"].contains(&before(3)))) =>
            {
                found.push(source.breach(token.line, format!("imports `{module}`")));
            }
            _ => {}
        }
    }
    found
}

/// What ties code to a runtime, the network, the log, chance, files or the clock.
fn impurities(source: &Source, tokens: &[Token]) -> Vec<Breach> {
    const WORLDLY: &[&str] = &[
        "tokio",
        "socket2",
        "TcpStream",
        "TcpListener",
        "TcpSocket",
        "UdpSocket",
        "UnixStream",
        "UnixListener",
        "tracing",
        "println",
        "eprintln",
        "fastrand",
        "rand",
        "fs",
        "env",
    ];
    let clock = tokens
        .windows(3)
        .filter(|window| window[0].text == "now" && window[1].text == "(" && window[2].text == ")");
    let clock =
        clock.map(|window| source.breach(window[0].line, "reads a clock: `now()`".to_owned()));
    names(source, tokens, WORLDLY)
        .into_iter()
        .chain(clock)
        .collect()
}

/// The tokens of the function `name`, up to the next `fn`.
fn body_of<'a>(tokens: &'a [Token], name: &str) -> &'a [Token] {
    let Some(start) = tokens
        .windows(2)
        .position(|pair| pair[0].text == "fn" && pair[1].text == name)
    else {
        return &[];
    };
    let body = &tokens[start + 1..];
    &body[..body
        .iter()
        .position(|token| token.text == "fn")
        .unwrap_or(body.len())]
}
