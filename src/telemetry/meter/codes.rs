//! Requests by status code, in a number of cells that no client and no backend can enlarge.

use std::sync::OnceLock;

use crate::telemetry::counters::Counter;

/// 100 to 599, in hundreds: a code beyond these is counted with all others that are.
const CLASSES: usize = 5;

/// One worker's counts. Those of a hundred codes come with the first of them: most pools never see a 4xx.
#[derive(Debug, Default)]
pub(super) struct Codes {
    classes: [OnceLock<Box<[Counter]>>; CLASSES],
    other: Counter,
    none: Counter,
}

/// How requests ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Those that occurred, in order.
    by_code: Vec<(u16, u64)>,
    other: u64,
    none: u64,
}

/// The label of a status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// 100 to 599.
    Known(u16),
    /// A status that HTTP doesn't know.
    Other,
    /// The client left before there was a response.
    None,
}

impl Codes {
    /// One more with `status`; 0: without one. By the one worker whose counts these are.
    pub(super) fn count(&self, status: u16) {
        let class = usize::from(status / 100).wrapping_sub(1);
        let counter = match self.classes.get(class) {
            Some(class) => &class.get_or_init(hundred)[usize::from(status % 100)],
            None if status == 0 => &self.none,
            None => &self.other,
        };
        counter.add(1);
    }

    pub(super) fn add_to(&self, sum: &mut Answers) {
        let classes = self.classes.iter().enumerate();
        for (class, counters) in classes.filter_map(|(class, cell)| Some((class, cell.get()?))) {
            for (code, counter) in counters.iter().enumerate() {
                let counted = counter.read();
                if counted > 0 {
                    let code = u16::try_from(class * 100 + 100 + code).unwrap_or(u16::MAX);
                    sum.add(code, counted);
                }
            }
        }
        sum.other += self.other.read();
        sum.none += self.none.read();
    }
}

fn hundred() -> Box<[Counter]> {
    (0..100).map(|_| Counter::default()).collect()
}

impl Answers {
    fn add(&mut self, code: u16, count: u64) {
        match self.by_code.binary_search_by_key(&code, |(code, _)| *code) {
            Ok(at) => self.by_code[at].1 += count,
            Err(at) => self.by_code.insert(at, (code, count)),
        }
    }

    /// Each code that occurred, and how often.
    pub fn by_code(&self) -> impl Iterator<Item = (Code, u64)> {
        let known = self.by_code.iter();
        let known = known.map(|(code, count)| (Code::Known(*code), *count));
        let rest = [(Code::Other, self.other), (Code::None, self.none)];
        known.chain(rest.into_iter().filter(|(_, count)| *count > 0))
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.by_code().map(|(_, count)| count).sum()
    }

    /// Those with a status from 500 to 599.
    pub fn server_errors(&self) -> u64 {
        let errors = self.by_code.iter().filter(|(code, _)| *code >= 500);
        errors.map(|(_, count)| count).sum()
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Known(code) => code.fmt(f),
            Self::Other => f.write_str("other"),
            Self::None => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_one_place_and_all_beyond_what_http_knows_share_one() {
        let codes = Codes::default();
        for status in 0..=u16::MAX {
            codes.count(status);
        }
        let mut sum = Answers::default();
        codes.add_to(&mut sum);
        assert_eq!(sum.total(), 65_536);
        let by_code: Vec<_> = sum.by_code().collect();
        assert_eq!(by_code.len(), 502);
        assert_eq!(by_code[0], (Code::Known(100), 1));
        assert_eq!(by_code[499], (Code::Known(599), 1));
        assert_eq!(by_code[500], (Code::Other, 65_536 - 501));
        assert_eq!(by_code[501], (Code::None, 1));
        assert_eq!(sum.server_errors(), 100);
    }
}
