//! What a string value may be: durations, sizes, percentages, statuses, networks, times of day.

use std::net::IpAddr;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;
use jiff::civil::Time;
use jiff::fmt::friendly::SpanParser;
use jiff::tz::TimeZoneDatabase;

use crate::config::FailbackWindow;
use crate::config::raw::{Form, Refusal};

/// Any duration, zero included.
pub(super) const DURATION: Form<Duration> = Form {
    noun: "a duration",
    example: "\"250ms\", \"5s\", \"1m30s\" or \"1h\"",
    parse: duration,
};

/// A duration that must not be zero.
pub(super) const PERIOD: Form<Duration> = Form {
    noun: "a duration",
    example: "\"250ms\", \"5s\", \"1m30s\" or \"1h\"",
    parse: |text| {
        let period = duration(text)?;
        if period < Duration::from_millis(1) {
            return Err(
                Refusal::unsuitable("too short").hint("\"1ms\" is the shortest possible here")
            );
        }
        Ok(period)
    },
};

/// Certificates, and promises to have one, live for days, which the durations of everything else don't know.
pub(super) const LIFETIME: Form<Duration> = Form {
    noun: "a duration",
    example: "\"14d\" or \"36h\"",
    parse: |text| match text.strip_suffix('d').map(str::parse::<u16>) {
        Some(Ok(days)) => Ok(Duration::from_secs(u64::from(days) * 24 * 60 * 60)),
        _ => (PERIOD.parse)(text),
    },
};

/// Where clients find what is served over TLS: its port.
pub(super) const REDIRECT: Form<u16> = Form {
    noun: "a redirect",
    example: "\"https\" or \"https:8443\"",
    parse: |text| {
        let port = match text.strip_prefix("https") {
            Some("") => Some(443),
            Some(rest) => rest.strip_prefix(':').and_then(|port| port.parse().ok()),
            None => None,
        };
        let port = port.filter(|port| *port != 0);
        port.ok_or_else(|| Refusal::malformed("only https, with or without a port, is possible"))
    },
};

/// The name of a header field.
pub(super) const FIELD: Form<HeaderName> = Form {
    noun: "the name of a header field",
    example: "\"Referer\"",
    parse: |text| {
        let name = HeaderName::from_bytes(text.as_bytes());
        name.map_err(|_| Refusal::malformed("letters, digits and !#$%&'*+-.^_`|~ are possible"))
    },
};

/// A number of bytes.
pub(super) const SIZE: Form<u64> = Form {
    noun: "a size",
    example: "\"64KiB\", \"10MiB\" or \"0\"",
    parse: size,
};

/// 0 to 100 percent, as a number from 0 to 100.
pub(super) const PERCENT: Form<f64> = Form {
    noun: "a percentage",
    example: "\"20%\"",
    parse: percent,
};

/// Inclusive ranges of HTTP statuses.
pub(super) const STATUSES: Form<Vec<(u16, u16)>> = Form {
    noun: "a set of statuses",
    example: "\"200-399\" or \"200,204,300-399\"",
    parse: statuses,
};

/// A network, or one address.
pub(super) const NETWORK: Form<IpNet> = Form {
    noun: "a network",
    example: "\"10.0.0.0/8\" or \"2001:db8::/32\"",
    parse: |text| {
        text.parse::<IpNet>()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
            .map_err(|_| Refusal::malformed("neither an address nor address/length"))
    },
};

/// A daily window in a time zone.
pub(super) const WINDOW: Form<FailbackWindow> = Form {
    noun: "a daily window",
    example: "\"03:00-04:00 Europe/Berlin\"",
    parse: window,
};

/// What a zone or pool may be called: it becomes part of URLs, header fields and metric labels.
pub(super) const NAME: Form<String> = Form {
    noun: "a name",
    example: "\"fz-1\"",
    parse: |text| named(text, b"-_."),
};

/// What a component may be called: as [`NAME`], and its address is allowed too.
pub(super) const COMPONENT_NAME: Form<String> = Form {
    noun: "a name",
    example: "\"app-1\"",
    parse: |text| named(text, b"-_.:[]"),
};

/// Longer ones are slips, and would overflow clocks.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

fn duration(text: &str) -> Result<Duration, Refusal> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        let hint = format!("add the unit: \"{text}s\" for seconds, \"{text}ms\" for milliseconds");
        return Err(Refusal::malformed("it has no unit").hint(hint));
    }
    let duration = SpanParser::new()
        .parse_unsigned_duration(text)
        .map_err(|_| Refusal::malformed("units are ms, s, m and h"))?;
    if duration > LONGEST {
        return Err(Refusal::unsuitable("too long").hint("a year is the longest possible"));
    }
    Ok(duration)
}

fn size(text: &str) -> Result<u64, Refusal> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text[digits.len()..].trim_start() {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "B" => 1,
        "" if digits == "0" => 1,
        "" => return Err(Refusal::malformed("it has no unit")),
        _ => return Err(Refusal::malformed("units are B, KiB, MiB and GiB")),
    };
    digits
        .parse::<u64>()
        .map_err(|_| Refusal::malformed("a whole number and a unit are needed"))?
        .checked_mul(unit)
        .ok_or_else(|| Refusal::unsuitable("too large"))
}

fn percent(text: &str) -> Result<f64, Refusal> {
    let Some(number) = text.strip_suffix('%') else {
        return Err(Refusal::malformed("it has no %"));
    };
    number
        .trim_end()
        .parse::<f64>()
        .ok()
        .filter(|percent| (0.0..=100.0).contains(percent))
        .ok_or_else(|| Refusal::malformed("a number from 0 to 100 is needed"))
}

fn statuses(text: &str) -> Result<Vec<(u16, u16)>, Refusal> {
    text.split(',')
        .map(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            match (status(from)?, status(to)?) {
                (from, to) if from <= to => Ok((from, to)),
                _ => Err(Refusal::unsuitable("backwards")),
            }
        })
        .collect()
}

fn status(text: &str) -> Result<u16, Refusal> {
    text.trim()
        .parse()
        .ok()
        .filter(|status| (100..=599).contains(status))
        .ok_or_else(|| Refusal::malformed("statuses are numbers from 100 to 599"))
}

fn window(text: &str) -> Result<FailbackWindow, Refusal> {
    let (times, zone) = text.split_once(' ').unwrap_or((text, "UTC"));
    let (from, to) = times
        .split_once('-')
        .ok_or_else(|| Refusal::malformed("it needs a start and an end"))?;
    let time = |text: &str| {
        Time::strptime("%H:%M", text).map_err(|_| Refusal::malformed("times are 00:00 to 23:59"))
    };
    let (from, to) = (time(from)?, time(to)?);
    if from == to {
        return Err(Refusal::unsuitable("empty").hint("failback = \"auto\" is for any time of day"));
    }
    // The bundled database: the system's would have to be read from files.
    let zone = TimeZoneDatabase::bundled()
        .get(zone.trim())
        .map_err(|_| Refusal::malformed("there is no such time zone"))?;
    Ok(FailbackWindow { from, to, zone })
}

fn named(text: &str, allowed: &[u8]) -> Result<String, Refusal> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || allowed.contains(&b);
    if text.is_empty() || text.len() > 64 {
        return Err(Refusal::malformed("1 to 64 characters are needed"));
    }
    if !text.bytes().all(fine) {
        return Err(Refusal::malformed(
            "only letters, digits, '-', '_' and '.' are possible",
        ));
    }
    // In a URL of the admin API they would be folders, which clients resolve.
    if matches!(text, "." | "..") {
        return Err(Refusal::malformed("dots alone are not enough"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(form: &Form<T>, text: &str) -> Option<T> {
        (form.parse)(text).ok()
    }

    #[test]
    fn durations_need_a_unit_and_an_end() {
        let millis = |text| read(&DURATION, text).map(|duration| duration.as_millis());
        assert_eq!(millis("250ms"), Some(250));
        assert_eq!(millis("5s"), Some(5_000));
        assert_eq!(millis("1m30s"), Some(90_000));
        assert_eq!(millis("1h"), Some(3_600_000));
        assert_eq!(millis("0s"), Some(0));
        for wrong in [
            "",
            "5",
            "1.5",
            "s",
            "-5s",
            "5s ago",
            "5x",
            "9000h",
            "99999999999999999999s",
        ] {
            assert_eq!(millis(wrong), None, "{wrong:?}");
        }
        assert_eq!(read(&PERIOD, "0s"), None);
        assert_eq!(read(&PERIOD, "1ms"), Some(Duration::from_millis(1)));
    }

    #[test]
    fn sizes_count_in_powers_of_1024() {
        assert_eq!(read(&SIZE, "64KiB"), Some(65_536));
        assert_eq!(read(&SIZE, "10 MiB"), Some(10 << 20));
        assert_eq!(read(&SIZE, "3GiB"), Some(3 << 30));
        assert_eq!(read(&SIZE, "17B"), Some(17));
        assert_eq!(read(&SIZE, "0"), Some(0));
        for wrong in [
            "",
            "64",
            "64KB",
            "64k",
            "KiB",
            "1.5MiB",
            "-1B",
            "99999999999GiB",
        ] {
            assert_eq!(read(&SIZE, wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn percentages_stay_within_a_hundred() {
        assert_eq!(read(&PERCENT, "0%"), Some(0.0));
        assert_eq!(read(&PERCENT, "12.5%"), Some(12.5));
        assert_eq!(read(&PERCENT, "100%"), Some(100.0));
        for wrong in ["", "%", "20", "-1%", "100.1%", "NaN%", "inf%"] {
            assert_eq!(read(&PERCENT, wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn statuses_are_ranges_and_single_ones() {
        assert_eq!(
            read(&STATUSES, "200, 204,300-399"),
            Some(vec![(200, 200), (204, 204), (300, 399)])
        );
        for wrong in ["", "2xx", "399-200", "200-", "99", "600", "200,,204"] {
            assert_eq!(read(&STATUSES, wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_window_without_a_time_zone_is_in_utc() {
        let window = read(&WINDOW, "23:00-01:00").unwrap();
        assert_eq!(window.zone.iana_name(), Some("UTC"));
        for wrong in [
            "03:00",
            "24:00-01:00",
            "03:00-03:00",
            "03:00-04:00 Mars/Base",
            "3-4 UTC",
        ] {
            assert_eq!(read(&WINDOW, wrong), None, "{wrong:?}");
        }
    }
}
