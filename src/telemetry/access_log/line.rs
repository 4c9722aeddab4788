//! What stands in a line of the access log.

use std::net::IpAddr;
use std::time::Duration;

use http::HeaderName;
use http::header::REFERER;
use jiff::Timestamp;

use crate::config::{self, ClientIp, LogFormat};
use crate::telemetry::mask::{push_shown, shown_in};

use super::stamps::Stamps;

/// Everything that is known of a finished request. Query strings, cookies and credentials are in it only where that is asked for.
#[derive(Debug)]
pub struct Line<'a> {
    /// When the request head had come.
    pub time: Timestamp,
    /// `-` if the request could not be read.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// As the client named it.
    pub host: &'a str,
    /// Without the query.
    pub path: &'a str,
    /// What follows the path; shown only where that is asked for.
    pub query: Option<&'a str>,
    /// 0 if none was sent.
    pub status: u16,
    /// Body bytes from the client.
    pub bytes_in: u64,
    /// Body bytes to the client.
    pub bytes_out: u64,
    /// From the head to the end of the response.
    pub duration: Duration,
    /// Not masked yet.
    pub client: IpAddr,
    /// May be empty.
    pub user_agent: &'a str,
    /// The fields of its head that are asked for, as far as it has them; several of one name are joined.
    pub headers: &'a [(HeaderName, String)],
    /// `HTTP/1.1`
    pub protocol: &'a str,
    /// `X-Request-Id`.
    pub request_id: &'a str,
    /// Of the W3C trace context.
    pub trace_id: &'a str,
    /// Where the answer came from; empty if it was our own.
    pub zone: &'a str,
    /// The pool's name, likewise.
    pub pool: &'a str,
    /// The backend's name, likewise.
    pub backend: &'a str,
    /// 0 on a kept connection.
    pub connect: Duration,
    /// To the response head.
    pub ttfb: Duration,
    /// Attempts after the first.
    pub retries: u32,
    /// Time spent waiting for a zone.
    pub held: Duration,
    /// The epoch of the last attempt.
    pub epoch: u64,
    /// Who ended it, in which phase; `--` for a normal end.
    pub termination: &'a str,
}

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Which format.
    pub format: LogFormat,
    /// How much of the client's address.
    pub client_ip: ClientIp,
    /// Whether the query is shown.
    pub query: bool,
}

impl Style {
    /// As `[access_log]` has it.
    pub fn of(settings: &config::AccessLog) -> Self {
        Self {
            format: settings.format,
            client_ip: settings.client_ip,
            query: settings.query,
        }
    }
}

impl Line<'_> {
    /// Appends the line, with its line break, to `out`.
    pub(super) fn write(&self, style: Style, stamps: &mut Stamps, out: &mut Vec<u8>) {
        match style.format {
            LogFormat::Json => self.json(style, stamps, out),
            LogFormat::Common => self.common(style, stamps, out),
            LogFormat::Combined => self.combined(style, stamps, out),
        }
        out.push(b'\n');
    }

    /// Field by field and without `format!`, which took 9,000 instructions for a line.
    fn json(&self, style: Style, stamps: &mut Stamps, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"time\":\"");
        stamps.rfc3339(self.time, out);
        out.push(b'"');
        let texts: [(&[u8], &str); 4] = [
            (b",\"method\":", self.method),
            (b",\"scheme\":", self.scheme),
            (b",\"host\":", self.host),
            (b",\"path\":", self.path),
        ];
        push_texts(out, &texts);
        out.extend_from_slice(b",\"client\":\"");
        push_shown(out, self.client, style.client_ip);
        out.push(b'"');
        let texts: [(&[u8], &str); 8] = [
            (b",\"user_agent\":", self.user_agent),
            (b",\"protocol\":", self.protocol),
            (b",\"request_id\":", self.request_id),
            (b",\"trace_id\":", self.trace_id),
            (b",\"zone\":", self.zone),
            (b",\"pool\":", self.pool),
            (b",\"backend\":", self.backend),
            (b",\"termination\":", self.termination),
        ];
        push_texts(out, &texts);
        if let Some(query) = self.query.filter(|_| style.query) {
            push_texts(out, &[(b",\"query\":", query)]);
        }
        if !self.headers.is_empty() {
            self.fields(style.client_ip, out);
        }
        push_number(out, b",\"status\":", self.status);
        push_number(out, b",\"bytes_in\":", self.bytes_in);
        push_number(out, b",\"bytes_out\":", self.bytes_out);
        push_milliseconds(out, b",\"duration_ms\":", self.duration);
        push_milliseconds(out, b",\"connect_ms\":", self.connect);
        push_milliseconds(out, b",\"ttfb_ms\":", self.ttfb);
        push_number(out, b",\"retries\":", self.retries);
        push_milliseconds(out, b",\"held_ms\":", self.held);
        push_number(out, b",\"epoch\":", self.epoch);
        out.push(b'}');
    }

    /// `"headers":{"referer":"…"}`
    fn fields(&self, how: ClientIp, out: &mut Vec<u8>) {
        let mut lead = ",\"headers\":{";
        for (name, value) in self.headers {
            out.extend_from_slice(lead.as_bytes());
            push_text(out, name.as_str());
            out.push(b':');
            push_text(out, &shown_in(value, how));
            lead = ",";
        }
        out.push(b'}');
    }

    /// Apache's combined log format. Pages that led here are told by their whole address, with all that stands in it: they are in
    /// the line only where `Referer` is asked for.
    fn combined(&self, style: Style, stamps: &mut Stamps, out: &mut Vec<u8>) {
        self.common(style, stamps, out);
        let referer = self.headers.iter().find(|(name, _)| *name == REFERER);
        let referer = referer.map(|(_, value)| shown_in(value, style.client_ip));
        out.extend_from_slice(b" \"");
        push_escaped(out, referer.as_deref().unwrap_or("-"));
        out.extend_from_slice(b"\" \"");
        push_escaped(out, self.user_agent);
        out.push(b'"');
    }

    /// Apache's common log format.
    fn common(&self, style: Style, stamps: &mut Stamps, out: &mut Vec<u8>) {
        push_shown(out, self.client, style.client_ip);
        out.extend_from_slice(b" - - [");
        stamps.apache(self.time, out);
        out.extend_from_slice(b"] \"");
        push_escaped(out, self.method);
        out.push(b' ');
        push_escaped(out, self.path);
        if let Some(query) = self.query.filter(|_| style.query) {
            out.push(b'?');
            push_escaped(out, query);
        }
        out.push(b' ');
        push_escaped(out, self.protocol);
        push_number(out, b"\" ", self.status);
        push_number(out, b" ", self.bytes_out);
    }
}

fn push_texts(out: &mut Vec<u8>, texts: &[(&[u8], &str)]) {
    for (label, text) in texts {
        out.extend_from_slice(label);
        push_text(out, text);
    }
}

/// A string of JSON.
fn push_text(out: &mut Vec<u8>, text: &str) {
    if is_plain(text) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // serde_json knows how to escape, control characters included; writing to a Vec can't fail.
        let _infallible = serde_json::to_writer(out, text);
    }
}

/// Quotes and control characters would let a client write log lines of its own.
fn push_escaped(out: &mut Vec<u8>, text: &str) {
    if is_plain(text) && !text.contains('\u{7f}') && text.is_ascii() {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    for c in text.chars() {
        let mut bytes = [0; 4];
        match c {
            '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
            c if c.is_control() => out.extend(c.escape_default().map(|c| c as u8)),
            c => out.extend_from_slice(c.encode_utf8(&mut bytes).as_bytes()),
        }
    }
}

/// Nothing in it has to be escaped in JSON. All of it is looked at, rather than up to the first that has: so it is done in wide steps.
fn is_plain(text: &str) -> bool {
    let odd = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    !text.bytes().fold(false, |found, byte| found | odd(byte))
}

fn push_number(out: &mut Vec<u8>, label: &[u8], number: impl itoa::Integer) {
    out.extend_from_slice(label);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// With three decimals.
fn push_milliseconds(out: &mut Vec<u8>, label: &[u8], duration: Duration) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    push_number(out, label, micros / 1000);
    out.push(b'.');
    push_three_digits(out, (micros % 1000) as u32);
}

pub(super) fn push_three_digits(out: &mut Vec<u8>, number: u32) {
    let digit = |number: u32| b'0' + (number % 10) as u8;
    out.extend_from_slice(&[digit(number / 100), digit(number / 10), digit(number)]);
}
