//! The keys of `[[route]]` that have a namesake in `[upstream]`, `[limits]` or `[failover]`.

use crate::config::Overrides;
use crate::config::raw::Section;

use super::super::traffic::{RETRIES, statuses};
use super::super::values::{DURATION, PERIOD, SIZE};

pub(super) fn overrides(section: &Section<'_>) -> Overrides {
    let max_body_size = section.read("max_body_size", &SIZE);
    Overrides {
        connect_timeout: section.read("connect_timeout", &PERIOD),
        response_timeout: section.read("response_timeout", &PERIOD),
        body_timeout: section.read("body_timeout", &PERIOD),
        max_body_size: max_body_size.map(|size| Some(size).filter(|size| *size > 0)),
        retries: section.number("retries", RETRIES),
        retry_on_status: statuses(section),
        hold_time: section.read("hold_time", &DURATION),
        idempotency_key: section.boolean("idempotency_key").unwrap_or(false),
    }
}
