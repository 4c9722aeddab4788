//! Two messages are never made from one: hostile and odd HTTP/1.1 messages, as raw bytes, judged by what the origin saw.
//!
//! A message must be refused, or reach the origin in a form that no two parsers can read differently.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "the rooms of a test binary; a test fails by panicking"
)]

mod framing {
    pub mod case;
    pub mod chunks;
    pub mod codings;
    pub mod fields;
    pub mod hosts;
    pub mod lengths;
    pub mod lines;
    pub mod options;
    pub mod sequences;
    pub mod targets;
}
mod support;

use std::time::Duration;

use framing::case::{Case, Class};
use support::message::latin1;
use support::wait::PATIENCE;
use support::{Broken, Front, Origin, Proxy, RawClient, Response, Seen, behaviour, eventually};

/// How long a proxy may take before its silence counts as a refusal; the configured timeouts below are shorter.
const SILENCE: Duration = Duration::from_secs(5);
/// How long nothing may come on a connection that stays open until we believe that nothing will.
const QUIET: Duration = Duration::from_millis(40);
/// Messages that run at the same time, each against an origin and a proxy of its own.
const LANES: usize = 4;

#[test]
fn no_message_is_forwarded_that_could_be_read_as_another() {
    let cases = battery();
    let total = cases.len();
    let lanes: Vec<Vec<Case>> = (0..LANES)
        .map(|lane| cases.iter().skip(lane).step_by(LANES).cloned().collect())
        .collect();
    let results: Vec<(String, Vec<Verdict>)> = std::thread::scope(|scope| {
        let lanes: Vec<_> = lanes
            .into_iter()
            .map(|cases| scope.spawn(move || run(cases)))
            .collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).collect()
    });
    let name = results[0].0.clone();
    let verdicts: Vec<Verdict> = results
        .into_iter()
        .flat_map(|(_, verdicts)| verdicts)
        .collect();
    let count =
        |pick: fn(&Verdict) -> bool| verdicts.iter().filter(|verdict| pick(verdict)).count();
    let (hazards, wrong, refused) = (
        count(|verdict| verdict.hazard.is_some()),
        count(|verdict| verdict.wrong.is_some()),
        count(|verdict| verdict.refused.is_some()),
    );
    for verdict in &verdicts {
        for (kind, detail) in [
            ("unsafe", &verdict.hazard),
            ("wrong", &verdict.wrong),
            ("refused", &verdict.refused),
        ] {
            if let Some(detail) = detail {
                println!(
                    "{kind:8} {} (RFC 9112 {}): {detail}",
                    verdict.name, verdict.section
                );
            }
        }
    }
    println!(
        "framing: {name}: {total} messages, {hazards} unsafe, {wrong} wrong, {refused} valid refused"
    );
    assert_eq!(verdicts.len(), total);
    assert!(total >= 220, "{total}");
    if name == "firedoor" {
        assert_eq!((hazards, wrong, refused), (0, 0, 0));
    }
}

fn battery() -> Vec<Case> {
    let mut cases = framing::lengths::cases();
    cases.extend(framing::codings::cases());
    cases.extend(framing::chunks::cases());
    cases.extend(framing::lines::cases());
    cases.extend(framing::targets::cases());
    cases.extend(framing::fields::cases());
    cases.extend(framing::hosts::cases());
    cases.extend(framing::options::cases());
    cases.extend(framing::sequences::cases());
    cases
}

/// What became of one message.
struct Verdict {
    name: String,
    section: &'static str,
    /// The origin saw something that could be read as another message.
    hazard: Option<String>,
    /// It had to be refused, and was not.
    wrong: Option<String>,
    /// It was valid, and was not answered as such.
    refused: Option<String>,
}

fn run(cases: Vec<Case>) -> (String, Vec<Verdict>) {
    let origin = Origin::start(behaviour::custom(|exchange| {
        let body = exchange.read_body();
        let next = exchange.send(&behaviour::response(200, &[], b""));
        let sound = exchange.head.flaws.is_empty() && body.flaws.is_empty();
        // What follows a flawed message could be anything.
        if sound { next } else { behaviour::Next::Close }
    }));
    let builder = Proxy::builder().server("workers = 1").toml(
        "[limits]\nheader_timeout = \"2s\"\nbody_timeout = \"2s\"\n\n[upstream]\nretries = 0",
    );
    let front = Front::start(builder, &[&origin]);
    let mut runs = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let before = origin.count();
        let answers = converse(&front, case, number);
        settle(&front, &origin);
        runs.push((before..origin.count(), answers));
    }
    // Only now, since what a proxy sends after its case is over counts too.
    let all = origin.seen();
    let verdicts =
        cases
            .iter()
            .zip(&runs)
            .enumerate()
            .map(|(number, (case, (during, answers)))| {
                let seen: Vec<Seen> = all
                    .iter()
                    .enumerate()
                    .filter(|(at, seen)| match owner(&seen.target) {
                        Some(owner) => owner == number,
                        None => during.contains(at) && seen.target != "/settle",
                    })
                    .map(|(_, seen)| seen.clone())
                    .collect();
                judge(case, number, answers, &seen)
            });
    (front.name().to_owned(), verdicts.collect())
}

/// The number of the case that a target was made for, if it still tells.
fn owner(target: &str) -> Option<usize> {
    let digits = target
        .strip_prefix("/c")
        .or_else(|| target.strip_prefix("/s"))?
        .get(..3)?;
    digits.parse().ok()
}

/// A request of our own after each case, so that a proxy that sends what it has left over does so before we look.
fn settle(front: &Front, origin: &Origin) {
    let before = origin.seen_for("/settle").len();
    let answer = support::client::get(front.address(), "/settle");
    assert_eq!(answer.status, 200, "an ordinary request after a case");
    eventually(PATIENCE, "the settling request", || {
        origin.seen_for("/settle").len() > before
    });
}

/// Makes the targets of a case unique without changing any length.
fn unique(text: &str, number: usize) -> String {
    text.replace("/case", &format!("/c{number:03}"))
        .replace("/smug", &format!("/s{number:03}"))
}

/// Sends the message and collects the responses.
fn converse(front: &Front, case: &Case, number: usize) -> Vec<Result<Response, Broken>> {
    let bytes: Vec<u8> = unique(&case.message, number)
        .chars()
        .map(|octet| octet as u8)
        .collect();
    let mut client: RawClient = front.client();
    client.send(&bytes);
    if case.half_close {
        client.finish_writing();
    }
    let expected = if let Class::Valid(count) = case.class {
        count
    } else {
        1
    };
    let method = if case.method == "HEAD" { "HEAD" } else { "GET" };
    let mut answers = Vec::new();
    loop {
        let limit = if answers.len() < expected {
            SILENCE
        } else {
            QUIET
        };
        match client.response_within(method, limit) {
            Err(Broken::NoResponse(trouble)) => {
                if answers.is_empty() {
                    answers.push(Err(Broken::NoResponse(trouble)));
                }
                return answers;
            }
            answer => {
                let broken = answer.is_err();
                answers.push(answer);
                if broken {
                    return answers;
                }
            }
        }
    }
}

fn judge(
    case: &Case,
    number: usize,
    answers: &[Result<Response, Broken>],
    seen: &[Seen],
) -> Verdict {
    let good = answers
        .iter()
        .filter(|answer| matches!(answer, Ok(answer) if answer.status == 200))
        .count();
    let complete = seen
        .iter()
        .filter(|seen| seen.complete && seen.flaws.is_empty())
        .count();
    let statuses: Vec<String> = answers
        .iter()
        .map(|answer| match answer {
            Ok(answer) => answer.status.to_string(),
            Err(broken) => format!("{broken:?}"),
        })
        .collect();
    let summary = format!("answers {statuses:?}, the origin saw {}", describe(seen));
    let wrong =
        (case.class == Class::MustReject && (good > 0 || complete > 0)).then(|| summary.clone());
    let refused = match case.class {
        Class::Valid(count) if good != count || complete != count || answers.len() != count => {
            Some(summary.clone())
        }
        _ => None,
    };
    Verdict {
        name: case.name.clone(),
        section: case.section,
        hazard: hazard(case, number, seen).map(|hazard| format!("{hazard}; {summary}")),
        wrong,
        refused,
    }
}

/// Why what the origin saw is not what one careful reading of the case allows.
fn hazard(case: &Case, number: usize, seen: &[Seen]) -> Option<String> {
    let allowed = if let Class::Valid(count) = case.class {
        count
    } else {
        1
    };
    if seen.len() > allowed {
        return Some(format!("{} messages were made of {allowed}", seen.len()));
    }
    let expected = |text: &Option<String>| text.as_deref().map(|text| unique(text, number));
    for seen in seen {
        if let Some(flaw) = seen.flaws.first() {
            return Some(format!("forwarded with {flaw}"));
        }
        if seen.target.starts_with(&format!("/s{number:03}")) {
            return Some("the hidden request reached the origin".to_owned());
        }
        if !case.method.is_empty() && seen.method != case.method {
            return Some(format!("method {:?} became {:?}", case.method, seen.method));
        }
        if let Some(target) = expected(&case.target).filter(|target| *target != seen.target) {
            return Some(format!("target {target:?} became {:?}", seen.target));
        }
        if let Some(body) =
            expected(&case.body).filter(|body| seen.complete && *body != latin1(&seen.body))
        {
            return Some(format!("body {body:?} became {:?}", latin1(&seen.body)));
        }
        if let Some(host) = case
            .host
            .as_deref()
            .filter(|host| seen.field("host") != Some(host))
        {
            return Some(format!("Host {host:?} became {:?}", seen.field("host")));
        }
        for (field, text) in &case.forbidden {
            let found = if *field == "trailer" {
                seen.trailers
                    .iter()
                    .any(|(name, _)| name.eq_ignore_ascii_case(text))
            } else {
                seen.all(field)
                    .iter()
                    .any(|value| value.to_ascii_lowercase().contains(text))
            };
            if found {
                return Some(format!("{field} {text} was forwarded"));
            }
        }
    }
    None
}

fn describe(seen: &[Seen]) -> String {
    let lines: Vec<String> = seen
        .iter()
        .map(|seen| {
            let state = if seen.complete {
                "complete"
            } else {
                "incomplete"
            };
            let mut line: String = seen.head.line.chars().take(120).collect();
            line.push_str(&format!(
                " ({state}, body {:?})",
                latin1(&seen.body).chars().take(80).collect::<String>()
            ));
            line
        })
        .collect();
    format!("{lines:?}")
}
