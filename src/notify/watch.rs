//! What doesn't tell by itself: certificates that end, a journal that can't be written. Each is told once.

use std::collections::HashSet;

use jiff::Timestamp;

use super::notice::Notice;
use crate::config::{Certificate, Config, Occasion, Validity};
use crate::health::monitor::OUTCOMES_FAIL;
use crate::moment::Moment;

/// A certificate that ends so soon is told of, unless it has not been made for longer than four times that.
const SOON: i64 = 14 * 24 * 60 * 60;

/// What was told already.
#[derive(Debug, Default)]
pub(super) struct Watch {
    journal: bool,
    /// Names and end of each certificate, and whether it had ended by then.
    certificates: HashSet<(String, i64, bool)>,
}

impl Watch {
    /// `troubles`: what the disk refuses now, in words.
    pub(super) fn look(
        &mut self,
        config: &Config,
        troubles: &[String],
        now: Moment,
    ) -> Vec<Notice> {
        let mut notices = Vec::new();
        let grave = troubles
            .iter()
            .filter(|trouble| !trouble.starts_with(OUTCOMES_FAIL));
        let grave: Vec<&str> = grave.map(String::as_str).collect();
        if !grave.is_empty() && !self.journal {
            let message = grave.join("; ");
            notices.push(Notice::beside(Occasion::JournalFailing, now.wall, message));
        }
        self.journal = !grave.is_empty();
        self.look_at_certificates(config, now.wall, &mut notices);
        notices
    }

    fn look_at_certificates(&mut self, config: &Config, now: Timestamp, notices: &mut Vec<Notice>) {
        let mut told = HashSet::new();
        for listener in &config.listeners {
            let Some(server) = &listener.tls else {
                continue;
            };
            let (files, acquired) = (server.certificates(), server.all_acquired());
            for certificate in files.iter().chain(acquired.iter()) {
                let Some((until, ended)) = ending(certificate.validity(), now.as_second()) else {
                    continue;
                };
                let certificate = (names(certificate), until, ended);
                if !self.certificates.contains(&certificate) && !told.contains(&certificate) {
                    let message = sentence(&certificate.0, until, ended);
                    let occasion = Occasion::CertificateExpiring;
                    notices.push(Notice::beside(occasion, now, message));
                }
                told.insert(certificate);
            }
        }
        // Those that have been replaced are forgotten.
        self.certificates = told;
    }
}

/// When it ends, and whether it has ended; `None`: not soon.
fn ending(validity: Validity, now: i64) -> Option<(i64, bool)> {
    let until = validity.until?;
    let lifetime = validity.from.map_or(i64::MAX, |from| until - from);
    let soon = SOON.min(lifetime / 4);
    (until - now < soon).then_some((until, until < now))
}

fn names(certificate: &Certificate) -> String {
    match certificate.known_as() {
        [] => "a certificate without a name".to_owned(),
        names => format!("the certificate for {}", names.join(", ")),
    }
}

fn sentence(certificate: &str, until: i64, ended: bool) -> String {
    let at =
        Timestamp::from_second(until).map_or_else(|_| "unknown".to_owned(), |at| at.to_string());
    if ended {
        format!("{certificate} has ended at {at}: clients refuse it")
    } else {
        format!("{certificate} ends at {at}, and has not been replaced")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * 60;

    #[test]
    fn a_certificate_ends_soon_by_its_own_measure() {
        let year = |from: i64| Validity {
            from: Some(from),
            until: Some(from + 365 * DAY),
        };
        assert_eq!(ending(year(0), 300 * DAY), None);
        assert_eq!(ending(year(0), 352 * DAY), Some((365 * DAY, false)));
        assert_eq!(ending(year(0), 366 * DAY), Some((365 * DAY, true)));
        // One of six days would always be about to end.
        let brief = Validity {
            from: Some(0),
            until: Some(6 * DAY),
        };
        assert_eq!(ending(brief, 3 * DAY), None);
        assert_eq!(ending(brief, 5 * DAY), Some((6 * DAY, false)));
        assert_eq!(ending(Validity::default(), 5 * DAY), None);
    }
}
