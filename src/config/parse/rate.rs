//! How often something may happen: `rate = "100/s"` and `burst = 200`.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::config::raw::{Form, Refusal, Section};
use crate::config::{PerClient, Rate, RateKey};

use super::values::NETWORK;

/// A number and what it is counted over.
const RATE: Form<(NonZeroU32, Duration)> = Form {
    noun: "a rate",
    example: "\"100/s\", \"30/m\" or \"500/h\"",
    parse: rate,
};

/// `[limits]`, as far as it is about each client by itself; `rated` is whether routes have rates of their own.
pub(super) fn per_client(section: &Section<'_>, rated: bool) -> PerClient {
    let exempt = section
        .item("rate_exempt")
        .and_then(|item| item.list("a list of networks", "write it like [\"10.0.0.0/8\"]"))
        .unwrap_or_default();
    let max_connections = section.number::<u32>("max_connections_per_client", 0..=10_000_000);
    let counted = section.has("max_connections_per_client") && max_connections != Some(0);
    if !(rated || counted || section.has("rate") || section.has("connection_rate")) {
        for key in ["rate_exempt", "rate_key"] {
            if let Some(item) = section.lookup(key) {
                item.report(
                    format!("{key} does nothing without a limit for each client"),
                    "add rate = \"100/s\", connection_rate or max_connections_per_client, or give a [[route]] a rate",
                );
            }
        }
    }
    PerClient {
        requests: read(section, "rate", "burst"),
        connections: read(section, "connection_rate", "connection_burst"),
        max_connections: max_connections.and_then(NonZeroU32::new),
        key: section
            .choice(
                "rate_key",
                &[("full", RateKey::Full), ("masked", RateKey::Masked)],
                &[],
            )
            .unwrap_or_default(),
        exempt: exempt
            .iter()
            .filter_map(|item| item.read(&NETWORK))
            .collect(),
    }
}

/// The rate of key `rate`, with the burst of key `burst`; without one, as many as the rate's number.
pub(super) fn read(section: &Section<'_>, rate: &'static str, burst: &'static str) -> Option<Rate> {
    let rate_item = section.item(rate);
    let burst_item = section.item(burst);
    let number = burst_item.as_ref().map(|item| item.number(1..=1_000_000));
    if let (Some(item), None) = (&burst_item, &rate_item) {
        let message = format!("{burst} does nothing without {rate}");
        item.report(message, format!("add {rate} = \"100/s\""));
    }
    let rate_item = rate_item?;
    let (count, period) = rate_item.read(&RATE)?;
    let burst = match number {
        Some(number) => NonZeroU32::new(number?)?,
        None => count,
    };
    let rate = Rate {
        interval: period / count.get(),
        burst,
    };
    if rate.refill() > Rate::LONGEST {
        burst_item.as_ref().unwrap_or(&rate_item).report(
            "a whole burst would take more than a day to come back",
            "a smaller burst is possible, or a higher rate",
        );
        return None;
    }
    Some(rate)
}

fn rate(text: &str) -> Result<(NonZeroU32, Duration), Refusal> {
    let (count, unit) = text
        .split_once('/')
        .ok_or_else(|| Refusal::malformed("a number, a slash and a unit are needed"))?;
    let period = match unit.trim() {
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(60 * 60),
        _ => return Err(Refusal::malformed("units are s, m and h")),
    };
    let digits = count.trim();
    let needed = || Refusal::malformed("a whole number from 1 is needed");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(needed());
    }
    // More digits than a number has room for are only too many.
    let count = digits.parse::<u32>().unwrap_or(u32::MAX);
    let count = NonZeroU32::new(count).ok_or_else(needed)?;
    if period / count.get() < Rate::SHORTEST {
        return Err(Refusal::unsuitable("too high").hint("10000 a second is the most possible"));
    }
    Ok((count, period))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_numbers_over_a_unit() {
        let read = |text| {
            rate(text)
                .ok()
                .map(|(count, period)| (count.get(), period.as_secs()))
        };
        assert_eq!(read("100/s"), Some((100, 1)));
        assert_eq!(read("30 / m"), Some((30, 60)));
        assert_eq!(read("500/h"), Some((500, 3600)));
        assert_eq!(read("10000/s"), Some((10_000, 1)));
        assert_eq!(read("600000/m"), Some((600_000, 60)));
        for wrong in [
            "",
            "100",
            "/s",
            "0/s",
            "-1/s",
            "+1/s",
            "1.5/s",
            "10/d",
            "10/",
            "10001/s",
            "99999999999/h",
            "1/s/s",
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
