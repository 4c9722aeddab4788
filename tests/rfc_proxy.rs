//! What RFC 9110 and RFC 9112 demand of an intermediary, each demand tried with raw bytes on both sides.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "the rooms of a test binary; a test fails by panicking"
)]

mod rfc_proxy {
    pub mod bodies;
    pub mod broken;
    pub mod connections;
    pub mod hops;
    pub mod lab;
    pub mod requests;
    pub mod responses;
    pub mod wishes;
}
mod support;

use rfc_proxy::lab::{Lab, Level, Rule};

/// A rule, and why it doesn't hold.
type Result = (Rule, Option<String>);

/// Rules that are tried at the same time, each against an origin and a proxy of its own.
const LANES: usize = 4;

#[test]
fn an_intermediary_does_what_the_rfcs_demand() {
    let rules = || {
        let mut rules = rfc_proxy::requests::rules();
        rules.extend(rfc_proxy::hops::rules());
        rules.extend(rfc_proxy::bodies::rules());
        rules.extend(rfc_proxy::broken::rules());
        rules.extend(rfc_proxy::responses::rules());
        rules.extend(rfc_proxy::connections::rules());
        rules.extend(rfc_proxy::wishes::rules());
        rules
    };
    // A rule that doesn't hold is a line of the table, not a stack trace.
    std::panic::set_hook(Box::new(|_| {}));
    let results: Vec<(String, Vec<Result>)> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES)
            .map(|lane| {
                let rules: Vec<Rule> = rules().into_iter().skip(lane).step_by(LANES).collect();
                scope.spawn(move || {
                    let lab = Lab::start();
                    let results = rules.into_iter().map(|rule| {
                        let failure = rule.fails(&lab);
                        (rule, failure)
                    });
                    (lab.front.name().to_owned(), results.collect())
                })
            })
            .collect();
        lanes
            .into_iter()
            .map(|lane| {
                lane.join()
                    .unwrap_or_else(|cause| std::panic::resume_unwind(cause))
            })
            .collect()
    });
    let _ = std::panic::take_hook();
    let name = results[0].0.clone();
    let results: Vec<Result> = results
        .into_iter()
        .flat_map(|(_, results)| results)
        .collect();
    for (rule, failure) in &results {
        if let Some(failure) = failure {
            println!(
                "{:?} {} ({}): {failure}",
                rule.level, rule.section, rule.claim
            );
        }
    }
    let count = |level: Level| {
        let rules = results.iter().filter(|(rule, _)| rule.level == level);
        let kept = rules
            .clone()
            .filter(|(_, failure)| failure.is_none())
            .count();
        (kept, rules.count())
    };
    let ((must, musts), (should, shoulds)) = (count(Level::Must), count(Level::Should));
    println!("rfc_proxy: {name}: {must} of {musts} MUST, {should} of {shoulds} SHOULD");
    assert!(musts >= 73 && shoulds >= 18, "{musts} and {shoulds}");
    if name == "firedoor" {
        assert_eq!(must, musts);
        assert!(should + 1 >= shoulds, "{should} of {shoulds}");
    }
}
