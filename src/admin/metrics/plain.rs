//! OpenMetrics in the words of the older text format (0.0.4), which counts `_total` as a part of a counter's name and knows no units.

/// Translates what the library has written.
pub(super) fn plain(open: &str) -> String {
    let mut plain = String::with_capacity(open.len());
    let mut lines = open.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        // A metric's help stands right above its type.
        let declared = [Some(line), lines.peek().copied()];
        let counter = declared.into_iter().flatten().find_map(|line| {
            let declared = line.strip_prefix("# TYPE ")?;
            declared.strip_suffix(" counter")
        });
        match (counter, line.split_once(counter.unwrap_or_default())) {
            (Some(name), Some((before, after))) if line.starts_with("# ") => {
                plain.push_str(before);
                plain.push_str(name);
                plain.push_str("_total");
                plain.push_str(after);
            }
            _ => plain.push_str(line),
        }
        plain.push('\n');
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_declared_by_their_whole_name_and_the_rest_stays() {
        let open = "# HELP a_b What a_b is.\n# TYPE a_b counter\na_b_total{c=\"# TYPE x counter\"} 1\n\
                    # HELP d_seconds How long.\n# TYPE d_seconds gauge\n# UNIT d_seconds seconds\nd_seconds 2.0\n# EOF\n";
        let expected = "# HELP a_b_total What a_b is.\n# TYPE a_b_total counter\na_b_total{c=\"# TYPE x counter\"} 1\n\
                        # HELP d_seconds How long.\n# TYPE d_seconds gauge\nd_seconds 2.0\n";
        assert_eq!(plain(open), expected);
    }
}
