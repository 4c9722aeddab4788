//! `/v1/traffic`: what flows, second by second.

use serde_json::Value;

use crate::support::behaviour::answer;
use crate::support::load::Plan;
use crate::support::pair::{EAGER, Pair, until_active};
use crate::support::wait::{PATIENCE, within};
use crate::support::{Origin, Proxy};

#[track_caller]
fn until(proxy: &Proxy, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    if within(PATIENCE, || {
        last = proxy.admin_get("/v1/traffic").json();
        condition(&last)
    }) {
        return last;
    }
    panic!("not within {PATIENCE:?}: {what}; the traffic is {last:#}");
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn a_steady_load_is_told_as_what_it_is_and_moves_with_the_active_zone() {
    let pair = Pair::start();
    let proxy = pair.proxy(EAGER);
    let quiet = proxy.admin_get("/v1/traffic").json();
    assert_eq!(quiet["zones"][0]["p50_ms"], Value::Null);
    assert_eq!(number(&quiet["requests_per_second"]), 0.0);
    let load = Plan {
        rate: 200,
        ..Plan::to(proxy.address)
    }
    .start();
    let flowing = |zone: usize| {
        move |traffic: &Value| {
            let rate = number(&traffic["zones"][zone]["requests_per_second"]);
            (150.0..=250.0).contains(&rate)
        }
    };
    let traffic = until(&proxy, "fz-1 has it", flowing(0));
    let zone = &traffic["zones"][0];
    assert_eq!(
        (&zone["name"], &zone["pools"][0]["name"]),
        (&"fz-1".into(), &"default".into())
    );
    assert_eq!(
        zone["pools"][0]["requests_per_second"],
        zone["requests_per_second"]
    );
    let (p50, p99) = (number(&zone["p50_ms"]), number(&zone["p99_ms"]));
    assert!(p50 > 0.0 && p99 >= p50 && p99 < 60_000.0, "{p50} {p99}");
    assert_eq!(number(&traffic["errors_per_second"]), 0.0);
    let seconds = number(&traffic["seconds"]);
    assert!((0.5..5.0).contains(&seconds), "{seconds}");
    assert!(number(&traffic["connections"]["downstream"]) >= 1.0);
    assert!(number(&traffic["connections"]["upstream"]) >= 1.0);
    let everywhere = number(&traffic["requests_per_second"]);
    assert!((everywhere - number(&zone["requests_per_second"])).abs() < 0.01);

    proxy.admin_post("/v1/zones/fz-2/activate", "");
    until_active(&proxy, "fz-2");
    until(&proxy, "fz-2 has it", flowing(1));
    until(&proxy, "fz-1 has none", |traffic| {
        number(&traffic["zones"][0]["requests_per_second"]) == 0.0
    });
    drop(load);
    until(
        &proxy,
        "nothing flows, and nothing was answered lately",
        |traffic| {
            number(&traffic["requests_per_second"]) == 0.0
                && traffic["zones"][1]["p99_ms"] == Value::Null
        },
    );
}

#[test]
fn errors_of_backends_and_of_firedoor_are_told_apart() {
    let origin = Origin::start(answer(500, &[], "broken"));
    let proxy = Proxy::builder()
        .toml("[[route]]\npath = \"/app\"\npool = \"default\"\n")
        .zone("fz-1", &[&origin])
        .start();
    proxy.until_all_up();
    let load = Plan {
        rate: 100,
        paths: ("/app", "/nowhere"),
        ..Plan::to(proxy.address)
    }
    .start();
    let traffic = until(&proxy, "both are told", |traffic| {
        let of_proxy = &traffic["by_proxy_per_second"]["no_route"];
        of_proxy
            .as_f64()
            .is_some_and(|rate| (25.0..75.0).contains(&rate))
            && (25.0..75.0).contains(&number(&traffic["errors_per_second"]))
            && (75.0..125.0).contains(&number(&traffic["requests_per_second"]))
    });
    let zone = &traffic["zones"][0];
    assert_eq!(zone["errors_per_second"], zone["requests_per_second"]);
    assert_eq!(traffic["errors_per_second"], zone["errors_per_second"]);
    drop(load);
}
