//! A rule of RFC 9110 or 9112 for an intermediary, and the place where it is tried.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::support::behaviour::{self, Behaviour, Next};
use crate::support::message::latin1;
use crate::support::wait::eventually_some;
use crate::support::{Broken, Front, Origin, Proxy, RawClient, Response, Seen};

/// How strongly the RFC says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Must,
    Should,
}

/// One requirement, tried by bytes on both sides.
pub struct Rule {
    pub level: Level,
    pub section: &'static str,
    pub claim: &'static str,
    /// Panics when the claim doesn't hold.
    pub attempt: fn(&Lab),
}

pub fn must(section: &'static str, claim: &'static str, attempt: fn(&Lab)) -> Rule {
    Rule {
        level: Level::Must,
        section,
        claim,
        attempt,
    }
}

pub fn should(section: &'static str, claim: &'static str, attempt: fn(&Lab)) -> Rule {
    Rule {
        level: Level::Should,
        section,
        claim,
        attempt,
    }
}

impl Rule {
    /// Why it does not hold, if so.
    pub fn fails(&self, lab: &Lab) -> Option<String> {
        lab.origin.behave(behaviour::ok("hello"));
        let failure = catch_unwind(AssertUnwindSafe(|| (self.attempt)(lab))).err()?;
        let text = failure
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| failure.downcast_ref::<&str>().map(ToString::to_string));
        Some(text.unwrap_or_default().replace('\n', " "))
    }
}

/// One origin behind one proxy.
pub struct Lab {
    pub origin: Origin,
    pub front: Front,
}

impl Lab {
    pub fn start() -> Self {
        let origin = Origin::named("hello");
        let builder = Proxy::builder()
            .server("workers = 1")
            .toml("[limits]\nbody_timeout = \"2s\"\n\n[upstream]\nresponse_timeout = \"2s\"");
        let front = Front::start(builder, &[&origin]);
        Self { origin, front }
    }

    pub fn client(&self) -> RawClient {
        self.front.client()
    }

    /// Sends a request on a connection of its own; the response, and the request that the origin saw.
    #[track_caller]
    pub fn ask(&self, request: &str) -> (Response, Seen) {
        let before = self.origin.count();
        let response = self.client().exchange(octets(request));
        (response, self.seen_after(before))
    }

    /// As `ask`, a GET with these further lines.
    #[track_caller]
    pub fn get(&self, lines: &str) -> (Response, Seen) {
        self.ask(&format!(
            "GET /it HTTP/1.1\r\nHost: app.example\r\n{lines}\r\n"
        ))
    }

    /// As `ask`, a POST with these further lines and this after its head.
    #[track_caller]
    pub fn post(&self, lines: &str, rest: &str) -> (Response, Seen) {
        self.ask(&format!(
            "POST /it HTTP/1.1\r\nHost: app.example\r\n{lines}\r\n{rest}"
        ))
    }

    /// What the origin saw as its next request after so many.
    #[track_caller]
    pub fn seen_after(&self, before: usize) -> Seen {
        eventually_some(Duration::from_secs(6), "a request at the origin", || {
            self.origin
                .seen()
                .into_iter()
                .nth(before)
                .filter(|seen| seen.complete)
        })
    }

    /// What a client gets for a GET when the origin answers with these bytes.
    pub fn answered(&self, raw: &str, next: Next) -> Result<Response, Broken> {
        self.answered_to("GET", raw, next)
    }

    /// As `answered`, for another method.
    pub fn answered_to(&self, method: &str, raw: &str, next: Next) -> Result<Response, Broken> {
        self.origin.behave(behaviour::raw(octets(raw), next));
        let mut client = self.client();
        client.send(format!(
            "{method} /it HTTP/1.1\r\nHost: app.example\r\n\r\n"
        ));
        client.response_within(method, Duration::from_secs(6))
    }

    /// What a client gets for a GET with the origin's behaviour.
    pub fn behaved(&self, behaviour: Behaviour) -> Result<Response, Broken> {
        self.origin.behave(behaviour);
        let mut client = self.client();
        client.send("GET /it HTTP/1.1\r\nHost: app.example\r\n\r\n");
        client.response_within("GET", Duration::from_secs(6))
    }

    /// The request must be refused with one of these statuses and reach no origin.
    #[track_caller]
    pub fn refuses(&self, request: &str, statuses: &[u16]) {
        let before = self.origin.count();
        let mut client = self.client();
        client.send(octets(request));
        let response = client
            .response_within("GET", Duration::from_secs(6))
            .expect("an answer");
        assert!(statuses.contains(&response.status), "{}", response.status);
        let complete = self
            .origin
            .seen()
            .into_iter()
            .skip(before)
            .any(|seen| seen.complete);
        assert!(!complete, "it reached the origin");
    }

    /// The request must be refused, or reach the origin without a flaw and with this at least: `holds`.
    #[track_caller]
    pub fn refuses_or(&self, request: &str, holds: impl Fn(&Seen)) {
        let before = self.origin.count();
        let mut client = self.client();
        client.send(octets(request));
        let response = client
            .response_within("GET", Duration::from_secs(6))
            .expect("an answer");
        if response.status == 200 {
            let seen = self.seen_after(before);
            assert_eq!(seen.flaws, Vec::<String>::new());
            holds(&seen);
        } else {
            assert!((400..600).contains(&response.status), "{}", response.status);
            let complete = self
                .origin
                .seen()
                .into_iter()
                .skip(before)
                .any(|seen| seen.complete);
            assert!(!complete, "it was refused and yet reached the origin");
        }
    }
}

/// A broken response of the origin must become a 502.
#[track_caller]
pub fn is_bad_gateway(answer: Result<Response, Broken>) {
    let answer = answer.expect("an answer");
    assert_eq!(answer.status, 502, "{:?}", answer.head);
}

/// A broken response of the origin must become a 502, or come without a flaw and with this: `holds`.
#[track_caller]
pub fn is_bad_gateway_or(answer: Result<Response, Broken>, holds: impl Fn(&Response)) {
    let answer = answer.expect("an answer");
    if answer.status != 502 {
        assert_eq!(answer.head.flaws, Vec::<String>::new());
        holds(&answer);
    }
}

/// A response of the origin that was cut must not look complete to the client.
#[track_caller]
pub fn is_not_complete(answer: &Result<Response, Broken>) {
    if let Ok(answer) = answer {
        assert_eq!(answer.status, 502, "{:?}", answer.head);
    }
}

/// Texts are octets as characters.
pub fn octets(text: &str) -> Vec<u8> {
    text.chars().map(|octet| octet as u8).collect()
}

/// Bytes as such a text.
pub fn text(bytes: &[u8]) -> String {
    latin1(bytes)
}
