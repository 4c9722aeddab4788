//! Which certificates are wanted, when the next order for each is due, and what came of the last one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::{error, warn};

use super::book::{Entry, Stage};
use super::order::Obtained;
use super::suggestion::Suggestion;
use super::trouble::Trouble;
use super::unstored::Unstored;
use crate::config::{Acme, Certificate, Config, TlsServer, Validity};
use crate::moment::Moment;

/// The authority's directory, and the name.
pub(super) type Key = (String, String);

/// A certificate that is wanted, by one listener or several.
pub(super) struct Job {
    name: String,
    acme: Acme,
    servers: Vec<TlsServer>,
    latest: Option<Certificate>,
    /// Between 0 and 1, for the time of the next renewal.
    dice: f64,
    /// About the latest.
    pub(super) suggestion: Suggestion,
    failures: u32,
    /// Of the last attempt, if it failed.
    trouble: Option<(Timestamp, String)>,
    /// Not to be tried before.
    earliest: Option<Instant>,
    pub(super) unstored: Option<Unstored<Obtained>>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Agenda(BTreeMap<Key, Job>);

impl Agenda {
    /// Takes over what `config` wants: what is known of a certificate stays known, a new one is due at once, and so is one whose
    /// order has failed by settings that have changed since. Gives each listener what there is for it.
    pub(super) fn follow(&mut self, config: &Config) {
        let mut old = std::mem::take(&mut self.0);
        let servers = config
            .listeners
            .iter()
            .filter_map(|listener| listener.tls.as_ref());
        for server in servers {
            let Some(acme) = server.acme() else { continue };
            for name in &acme.names {
                let key = (acme.directory.clone(), name.clone());
                let job = self
                    .0
                    .entry(key.clone())
                    .or_insert_with(|| match old.remove(&key) {
                        Some(job) => job.under(acme),
                        None => Job::new(name, acme),
                    });
                job.servers.push(server.clone());
            }
        }
        self.0.values_mut().for_each(Job::spread);
    }

    /// The first one that is due.
    pub(super) fn due(&self, now: Moment) -> Option<Key> {
        let due = self.0.iter().find(|(_, job)| job.is_due(now));
        due.map(|(key, _)| key.clone())
    }

    /// Those about whose renewal their authority is to be asked.
    pub(super) fn curious(&mut self, now: Instant) -> impl Iterator<Item = &mut Job> {
        let jobs = self.0.values_mut();
        jobs.filter(move |job| job.latest.is_some() && job.suggestion.is_due(now))
    }

    /// All that are due at one authority.
    pub(super) fn all_due(
        &mut self,
        directory: &str,
        now: Moment,
    ) -> impl Iterator<Item = &mut Job> {
        let jobs = self.0.values_mut();
        jobs.filter(move |job| job.acme.directory == directory && job.is_due(now))
    }

    pub(super) fn job(&mut self, key: &Key) -> Option<&mut Job> {
        self.0.get_mut(key)
    }

    /// The settings for an authority; where several listeners have some, they agree on what concerns the account.
    pub(super) fn acme(&self, directory: &str) -> Option<&Acme> {
        let jobs = self.0.values();
        jobs.map(|job| &job.acme)
            .find(|acme| acme.directory == directory)
    }

    /// Those that couldn't be stored, and are to be tried again.
    pub(super) fn unstored(&mut self, now: Instant) -> impl Iterator<Item = &mut Job> {
        let jobs = self.0.values_mut();
        jobs.filter(move |job| job.unstored.as_ref().is_some_and(|it| it.is_due(now)))
    }

    /// For `/v1/status`.
    pub(super) fn entries(&self, now: Moment, under_way: Option<&Key>) -> Vec<Entry> {
        let jobs = self.0.iter();
        jobs.map(|(key, job)| job.entry(now, under_way == Some(key)))
            .collect()
    }
}

impl Job {
    fn new(name: &str, acme: &Acme) -> Self {
        Self {
            name: name.to_owned(),
            acme: acme.clone(),
            servers: Vec::new(),
            latest: None,
            dice: fastrand::f64(),
            suggestion: Suggestion::default(),
            failures: 0,
            trouble: None,
            earliest: None,
            unstored: None,
        }
    }

    /// The same, by what the configuration says now.
    fn under(mut self, acme: &Acme) -> Self {
        let terms = |acme: &Acme| Acme {
            names: Vec::new(),
            ..acme.clone()
        };
        if terms(&self.acme) != terms(acme) && self.failures > 0 {
            self.failures = 0;
            self.earliest = None;
        }
        self.acme = acme.clone();
        self.servers.clear();
        self
    }

    /// Puts the latest certificate in force everywhere. A new job learns from the listeners what is stored.
    fn spread(&mut self) {
        if self.latest.is_none() {
            let mut found = self
                .servers
                .iter()
                .filter_map(|server| server.acquired(&self.name));
            self.latest = found.next();
            let validity = self.latest.as_ref().map(Certificate::validity);
            if let Some(flaw) = validity.and_then(|validity| validity.flaw(Timestamp::now())) {
                warn!(
                    "certificate for {}: the one that is stored {flaw}",
                    self.name
                );
            }
        }
        let Some(latest) = &self.latest else { return };
        for server in &self.servers {
            if server.acquired(&self.name).as_ref() != Some(latest)
                && let Err(error) = server.acquire(&self.name, latest.clone())
            {
                error!("certificate for {}: {error}", self.name);
            }
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn acme(&self) -> &Acme {
        &self.acme
    }

    pub(super) fn latest(&self) -> Option<&Certificate> {
        self.latest.as_ref()
    }

    /// When it is to be renewed, in seconds since 1970: by the rule, or sooner if the authority suggests that.
    fn renewal(&self) -> Option<i64> {
        let by_rule = renewal(self.latest.as_ref()?.validity(), self.dice);
        by_rule.into_iter().chain(self.suggestion.at()).min()
    }

    fn is_due(&self, now: Moment) -> bool {
        let wanted = match &self.latest {
            None => true,
            Some(_) => self.renewal().is_some_and(|at| at <= now.wall.as_second()),
        };
        wanted && self.earliest.is_none_or(|earliest| earliest <= now.instant)
    }

    /// Puts it off. Returns for how long.
    pub(super) fn fail(
        &mut self,
        trouble: &Trouble,
        told_to_wait: Option<Duration>,
        now: Moment,
        dice: f64,
    ) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let pause = trouble.pause(self.failures, dice);
        let pause = pause.max(told_to_wait.unwrap_or_default());
        self.earliest = Some(now.instant + pause);
        self.trouble = Some((now.wall, trouble.to_string()));
        pause
    }

    /// Takes the new certificate over; [`Agenda::follow`] puts it in force.
    pub(super) fn succeed(&mut self, certificate: Certificate, now: Moment, dice: f64) {
        // However short its time, and however wrong our clock: an authority isn't asked all the time.
        let left = certificate.validity().until.unwrap_or_default() - now.wall.as_second();
        let third = Duration::from_secs(u64::try_from(left).unwrap_or_default() / 3);
        self.earliest = Some(now.instant + third.clamp(Duration::from_secs(1), HOUR));
        self.latest = Some(certificate);
        self.dice = dice;
        self.suggestion = Suggestion::default();
        self.failures = 0;
        self.trouble = None;
        self.spread();
    }

    /// What clients get until there is a new one, in words.
    pub(super) fn in_force(&self, now: Timestamp) -> String {
        match &self.latest {
            None => "there is none from there yet".to_owned(),
            Some(latest) => match latest.validity().flaw(now) {
                Some(flaw) => format!("the one in force {flaw}"),
                None => format!("in force: {latest}"),
            },
        }
    }

    fn entry(&self, now: Moment, under_way: bool) -> Entry {
        let renewal = self
            .renewal()
            .and_then(|at| Timestamp::from_second(at).ok());
        let allowed = self
            .earliest
            .and_then(|at| at.checked_duration_since(now.instant));
        let allowed = now.after(allowed.unwrap_or_default()).wall;
        Entry {
            name: self.name.clone(),
            directory: self.acme.directory.clone(),
            stage: match () {
                () if under_way => Stage::Ordering,
                () if self.failures > 0 => Stage::Failing,
                () if self.latest.is_some() => Stage::Valid,
                () => Stage::Ordering,
            },
            until: self
                .latest
                .as_ref()
                .and_then(|latest| latest.validity().until),
            next: if self.latest.is_some() && renewal.is_none() {
                None
            } else {
                Some(renewal.map_or(allowed, |at| at.max(allowed)))
            },
            failures: self.failures,
            trouble: self.trouble.clone(),
            stored: self.unstored.is_none(),
        }
    }
}

const HOUR: Duration = Duration::from_secs(60 * 60);

/// When a certificate is to be renewed at the latest: after two thirds of its time, less up to a thirtieth of it. In seconds since 1970; `None`:
/// it never ends.
fn renewal(validity: Validity, dice: f64) -> Option<i64> {
    let until = validity.until?;
    let lifetime = until.saturating_sub(validity.from.unwrap_or(0));
    let early = (lifetime as f64 / 30.0 * dice) as i64;
    Some(until - lifetime / 3 - early)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * 60;

    #[test]
    fn two_thirds_of_any_lifetime_and_never_all_at_once() {
        for (days, first, last) in [(90, 57, 60), (6, 3, 4), (30, 19, 20)] {
            let validity = Validity {
                from: Some(1000 * DAY),
                until: Some((1000 + days) * DAY),
            };
            let at = |dice| renewal(validity, dice).unwrap();
            assert_eq!(at(0.0), (1000 + last) * DAY);
            assert!(at(1.0) >= (1000 + first) * DAY && at(1.0) < at(0.0));
        }
        assert_eq!(renewal(Validity::default(), 0.5), None);
    }
}
