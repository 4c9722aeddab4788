//! Configuration files: whatever stands in one, it is valid, or each problem has a place and words.

use std::path::Path;

use firedoor::config::Config;
use firedoor::config::parse::Environment;

use crate::mutator::drive_from;

/// Some files and variables, one of them a secret.
struct Small;

const SECRET: &str = "tell-nobody-31415";

impl Environment for Small {
    fn variable(&self, name: &str) -> Option<String> {
        matches!(name, "SECRET" | "HOME").then(|| SECRET.to_owned())
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        match path.to_str() {
            Some(path) if path.ends_with(".token") || path.ends_with(".pw") => {
                Ok(SECRET.to_owned())
            }
            _ => Err("no such file".to_owned()),
        }
    }
}

const WORDS: &[&str] = &[
    "[[listener]]\n",
    "[listener.tls]\n",
    "[listener.tls.acme]\n",
    "[[zone]]\n",
    "[[zone.backend]]\n",
    "[[zone.dependency]]\n",
    "[[route]]\n",
    "[[pool]]\n",
    "[failover]\n",
    "[check]\n",
    "[limits]\n",
    "names = [\"a.example\"]\n",
    "path = \"/%2e\"\n",
    "host = \"*.example\"\n",
    "kind = \"postgres\"\n",
    "\"${SECRET}\"",
    "\"${file:pg.pw}\"",
    "${",
    "}",
    "\"\"\"",
    "'''",
    "[",
    "]",
    "{",
    "}",
    "\"",
    " = ",
    "\u{1F525}",
    "\u{0}",
    "\u{202e}",
    "inf",
    "nan",
    "1979-05-27",
    "0x",
    "\"-1s\"",
    "\"0s\"",
    "\"9999999h\"",
    "\"100%\"",
    "\"300-200\"",
    "\"::1\"",
    "a.b.c.d = 1\n",
    "#",
];

/// The files that we hand out, and every mistake that we know of.
fn corpus() -> Vec<Vec<u8>> {
    let complete = include_str!("../../config/firedoor.toml");
    // What is commented out there is configuration, too.
    let uncommented: Vec<&str> = complete
        .lines()
        .map(|line| {
            line.strip_prefix("# ")
                .filter(|line| line.contains(" = ") || line.starts_with('['))
                .unwrap_or(line)
        })
        .collect();
    let mistakes = include_str!("../config/mistakes.txt").split("\n== ");
    let mistakes = mistakes.map(|case| {
        let lines = case.lines().skip(1).filter(|line| !line.starts_with("> "));
        lines.collect::<Vec<_>>().join("\n")
    });
    let files = [
        complete.to_owned(),
        include_str!("../../config/minimal.toml").to_owned(),
        uncommented.join("\n"),
    ];
    files
        .into_iter()
        .chain(mistakes)
        .map(String::into_bytes)
        .collect()
}

#[test]
fn a_mutated_configuration_is_valid_or_explained() {
    drive_from("configuration", corpus(), WORDS, 500, |input| {
        let text = String::from_utf8_lossy(input);
        let file = Path::new("firedoor.toml");
        match Config::parse(&text, file, &Small) {
            Ok(config) => {
                // Whatever is valid has warnings that can be made, and equals itself.
                let _warnings = config.warnings();
                assert_eq!(Config::parse(&text, file, &Small).ok(), Some(config));
            }
            Err(error) => {
                assert!(!error.problems.is_empty());
                let lines = text.lines().count() + 1;
                for problem in &error.problems {
                    assert!(!problem.message.is_empty());
                    let line = problem.line(&text);
                    // Only what is missing altogether has no place.
                    let missing = problem.span.is_none() && line == 0;
                    assert!(
                        missing || (1..=lines).contains(&line),
                        "line {line} of {lines}: {problem}"
                    );
                }
                // For people, each problem is shown with its line: hundreds of them in one line of many kilobytes take their time.
                let rendered = match error.problems.len() {
                    ..50 => error.render(false),
                    _ => String::new(),
                };
                let shown = format!("{error}{rendered}{}", error.to_json());
                assert!(!shown.contains(SECRET), "{shown}");
            }
        }
    });
}
