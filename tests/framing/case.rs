//! One message of the battery, and what may become of it.

/// What a proxy must do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The section demands it: it must not be forwarded as a complete message, nor answered as if it were one.
    MustReject,
    /// It must be answered with 200, and reach the origin as exactly so many messages.
    Valid(usize),
    /// Refused, or forwarded as one message that no two parsers could read differently.
    RejectOrNormalise,
}

/// One message. Texts are octets as characters (Latin-1); `/case` and `/smug` stand for targets that the runner makes
/// unique without changing their length.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    /// Of RFC 9112, unless it says otherwise.
    pub section: &'static str,
    pub class: Class,
    pub message: String,
    /// The method that the origin must see, if it sees anything.
    pub method: String,
    /// The target that the origin must see, if it sees anything; `None`: any but `/smug`.
    pub target: Option<String>,
    /// The body that the origin must see, if it sees a complete message; `None`: any.
    pub body: Option<String>,
    /// The Host that the origin must see, if it sees anything; `None`: any.
    pub host: Option<String>,
    /// Fields (in lower case) and texts in their values that must not reach the origin.
    pub forbidden: Vec<(&'static str, &'static str)>,
    /// Whether the client ends its half after the message.
    pub half_close: bool,
}

impl Case {
    pub fn new(
        name: impl Into<String>,
        section: &'static str,
        class: Class,
        message: impl Into<String>,
    ) -> Self {
        let message = message.into();
        let line = message.trim_start_matches(['\r', '\n']);
        Self {
            name: name.into(),
            section,
            class,
            method: line
                .split([' ', '\t'])
                .next()
                .unwrap_or_default()
                .to_owned(),
            target: None,
            body: None,
            host: None,
            forbidden: Vec::new(),
            half_close: false,
            message,
        }
    }

    pub fn target(mut self, target: &str) -> Self {
        self.target = Some(target.to_owned());
        self
    }

    pub fn body(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self
    }

    pub fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    pub fn forbid(mut self, field: &'static str, text: &'static str) -> Self {
        self.forbidden.push((field, text));
        self
    }

    pub fn half_closed(mut self) -> Self {
        self.half_close = true;
        self
    }
}

/// A GET with these further lines (each with its end).
pub fn get(lines: &str) -> String {
    format!("GET /case HTTP/1.1\r\nHost: app.example\r\n{lines}\r\n")
}

/// A POST with these further lines (each with its end) and this after its head.
pub fn post(lines: &str, rest: &str) -> String {
    format!("POST /case HTTP/1.1\r\nHost: app.example\r\n{lines}\r\n{rest}")
}

/// A second request that must never be seen where it is hidden within the first.
pub const SMUGGLED: &str = "GET /smug HTTP/1.1\r\nHost: app.example\r\n\r\n";
