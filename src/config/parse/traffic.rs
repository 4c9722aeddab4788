//! `[limits]`, `[upstream]`, `[access_log]`: what happens to each request.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use crate::config::raw::Section;
use crate::config::{
    AccessLog, Balance, ClientIp, Forwarding, Limits, LogFormat, LogTarget, Upstream,
};

use super::rate;
use super::values::{DURATION, FIELD, PERCENT, PERIOD, SIZE};

const KIB: u64 = 1 << 10;
const GIB: u64 = 1 << 30;

/// How many attempts after the first are possible.
pub(super) const RETRIES: RangeInclusive<i64> = 0..=10;

/// `[limits]`; `rated` is whether routes have rates of their own.
pub(super) fn limits(section: &Section<'_>, rated: bool) -> Limits {
    let period = |key, default| {
        section
            .read(key, &PERIOD)
            .unwrap_or(Duration::from_secs(default))
    };
    let max_body_size = section
        .read("max_body_size", &SIZE)
        .filter(|size| *size > 0);
    Limits {
        header_timeout: period("header_timeout", 10),
        body_timeout: period("body_timeout", 30),
        write_timeout: period("write_timeout", 30),
        idle_timeout: period("idle_timeout", 75),
        max_header_size: memory(section, "max_header_size", KIB, "1KiB to 1GiB")
            .unwrap_or(32 << 10),
        max_headers: section.number("max_headers", 1..=10_000).unwrap_or(100),
        max_body_size,
        per_client: rate::per_client(section, rated),
    }
}

/// `[upstream]`
pub(super) fn upstream(section: &Section<'_>) -> Upstream {
    let period = |key, default| {
        section
            .read(key, &PERIOD)
            .unwrap_or(Duration::from_secs(default))
    };
    Upstream {
        connect_timeout: period("connect_timeout", 1),
        response_timeout: period("response_timeout", 60),
        idle_timeout: period("idle_timeout", 4),
        ping_interval: section
            .read("ping_interval", &DURATION)
            .unwrap_or(Duration::from_secs(10)),
        max_idle_per_worker: section
            .number("max_idle_per_worker", 0..=1_000_000)
            .unwrap_or(256),
        prewarm: section.number("prewarm", 0..=64).unwrap_or(2),
        retries: section.number("retries", RETRIES).unwrap_or(2),
        retry_budget: section.read("retry_budget", &PERCENT).unwrap_or(20.0) / 100.0,
        retry_on_status: statuses(section).unwrap_or_default(),
        replay_buffer: memory(section, "replay_buffer", 0, "0 to 1GiB").unwrap_or(64 << 10),
        balance: section
            .choice(
                "balance",
                &[
                    ("least-loaded", Balance::LeastLoaded),
                    ("round-robin", Balance::RoundRobin),
                ],
                &[],
            )
            .unwrap_or_default(),
        client_ip: section
            .choice(
                "client_ip",
                &[("full", ClientIp::Full), ("masked", ClientIp::Masked)],
                &[],
            )
            .unwrap_or(ClientIp::Full),
        forwarded: section
            .choice(
                "forwarded",
                &[
                    ("x-forwarded", Forwarding::XForwarded),
                    ("forwarded", Forwarding::Forwarded),
                    ("both", Forwarding::Both),
                ],
                &[],
            )
            .unwrap_or_default(),
    }
}

/// `retry_on_status`, here and in `[[route]]`.
pub(super) fn statuses(section: &Section<'_>) -> Option<Vec<u16>> {
    let item = section.item("retry_on_status")?;
    let members = item.list("a list of statuses", "write it like [503]")?;
    let statuses = members.iter().filter_map(|item| item.number(400..=599));
    Some(statuses.collect())
}

/// `[access_log]`
pub(super) fn access_log(section: &Section<'_>) -> AccessLog {
    let target = section.item("path").and_then(|item| {
        let text = item.text()?;
        Some(match text.value.as_str() {
            "-" => LogTarget::Stdout,
            "off" => LogTarget::Off,
            "" => {
                item.refuse(
                    "no file",
                    "name one, or write \"-\" for standard output, \"off\" for no log",
                );
                return None;
            }
            file => LogTarget::File(section.folder().join(Path::new(file))),
        })
    });
    let names = section
        .item("headers")
        .and_then(|item| item.list("a list of header names", "write it like [\"Referer\"]"))
        .unwrap_or_default();
    AccessLog {
        query: section.boolean("query").unwrap_or(false),
        headers: names.iter().filter_map(|item| item.read(&FIELD)).collect(),
        target: target.unwrap_or(LogTarget::Stdout),
        format: section
            .choice(
                "format",
                &[
                    ("json", LogFormat::Json),
                    ("combined", LogFormat::Combined),
                    ("common", LogFormat::Common),
                ],
                &[],
            )
            .unwrap_or_default(),
        client_ip: section
            .choice(
                "client_ip",
                &[
                    ("masked", ClientIp::Masked),
                    ("full", ClientIp::Full),
                    ("none", ClientIp::None),
                ],
                &[],
            )
            .unwrap_or_default(),
    }
}

/// A size that is held in memory, so a gibibyte is more than enough.
fn memory(section: &Section<'_>, key: &'static str, least: u64, bounds: &str) -> Option<usize> {
    let size = section.read_within(key, &SIZE, least..=GIB, bounds)?;
    usize::try_from(size).ok()
}
