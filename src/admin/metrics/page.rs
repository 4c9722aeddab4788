//! Writing one metric after the other, by the names that they are seen by.
//!
//! The library wants a name without what it adds itself, `_total` of a counter and the unit; the code that counts should name metrics as
//! everybody reads them.

use std::collections::HashMap;
use std::fmt;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Unit;

use crate::telemetry::meter::Spread;

/// Names and values of labels.
pub(super) type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

/// What is being written.
pub(super) struct Page<'a>(pub(super) DescriptorEncoder<'a>);

impl Page<'_> {
    /// A number that only grows. `name` ends in `_total`.
    pub(super) fn counter<'l, const N: usize, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'l, N>, V)>,
    ) -> fmt::Result {
        let name = name.strip_suffix("_total").ok_or(fmt::Error)?;
        let (base, unit) = unit(name);
        let unit = unit.as_ref();
        let mut metric = self
            .0
            .encode_descriptor(base, help, unit, MetricType::Counter)?;
        for (labels, value) in samples {
            match N {
                0 => metric.encode_counter::<NoLabelSet, V, f64>(&value, None)?,
                _ => metric
                    .encode_family(&labels)?
                    .encode_counter::<NoLabelSet, V, f64>(&value, None)?,
            }
        }
        Ok(())
    }

    /// A number that comes and goes.
    pub(super) fn gauge<'l, const N: usize, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'l, N>, V)>,
    ) -> fmt::Result {
        let (base, unit) = unit(name);
        let unit = unit.as_ref();
        let mut metric = self
            .0
            .encode_descriptor(base, help, unit, MetricType::Gauge)?;
        for (labels, value) in samples {
            match N {
                0 => metric.encode_gauge(&value)?,
                _ => metric.encode_family(&labels)?.encode_gauge(&value)?,
            }
        }
        Ok(())
    }

    /// How long something took, shown by `ends` (microseconds).
    pub(super) fn durations<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        ends: &[u64],
        samples: impl IntoIterator<Item = (Labels<'l, N>, &'l Spread)>,
    ) -> fmt::Result {
        let (base, unit) = unit(name);
        let unit = unit.as_ref();
        let mut metric = self
            .0
            .encode_descriptor(base, help, unit, MetricType::Histogram)?;
        for (labels, spread) in samples {
            #[expect(clippy::cast_precision_loss, reason = "a minute at most")]
            let seconds = ends.iter().map(|micros| *micros as f64 / 1e6);
            let seconds = seconds.chain([f64::INFINITY]);
            let shown: Vec<_> = seconds.zip(spread.by(ends)).collect();
            let sum = spread.sum().as_secs_f64();
            metric.encode_family(&labels)?.encode_histogram(
                sum,
                spread.count(),
                &shown,
                NO_EXAMPLES,
            )?;
        }
        Ok(())
    }
}

const NO_EXAMPLES: Option<&HashMap<usize, Exemplar<NoLabelSet, f64>>> = None;

/// A name without its unit, and the unit.
fn unit(name: &str) -> (&str, Option<Unit>) {
    for unit in [Unit::Seconds, Unit::Bytes] {
        let base = name.strip_suffix(unit.as_str());
        if let Some(base) = base.and_then(|base| base.strip_suffix('_')) {
            return (base, Some(unit));
        }
    }
    (name, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_a_word_of_its_own_at_the_end() {
        let of = |name| {
            let (base, unit) = unit(name);
            (base, unit.map(|unit| unit.as_str().to_owned()))
        };
        assert_eq!(of("a_seconds"), ("a", Some("seconds".to_owned())));
        assert_eq!(of("a_b_bytes"), ("a_b", Some("bytes".to_owned())));
        assert_eq!(of("milliseconds"), ("milliseconds", None));
        assert_eq!(of("seconds_a"), ("seconds_a", None));
    }
}
