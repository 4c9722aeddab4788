//! What stands in a line of the access log.

use std::net::IpAddr;
use std::time::Duration;

use http::HeaderName;
use http::header::REFERER;
use jiff::Timestamp;

use crate::config::{self, ClientIp, LogFormat};
use crate::telemetry::mask::{push_shown, shown_in};

use super::plain;
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
    pub host: &'a [u8],
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
    pub user_agent: &'a [u8],
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
    /// How a call of gRPC has ended.
    pub grpc_status: Option<u32>,
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

    /// Field by field and without `format!`, which took 9,000 instructions for a line. Each label is a piece of its own, of a length that
    /// the compiler knows: in a table, it would be copied by a call.
    fn json(&self, style: Style, stamps: &mut Stamps, out: &mut Vec<u8>) {
        out.reserve(USUAL);
        out.extend_from_slice(b"{\"time\":\"");
        stamps.rfc3339(self.time, out);
        // Methods are tokens (RFC 9110 5.6.2): nothing to escape.
        out.extend_from_slice(b"\",\"method\":\"");
        out.extend_from_slice(self.method.as_bytes());
        out.extend_from_slice(b"\",\"scheme\":\"");
        out.extend_from_slice(self.scheme.as_bytes());
        out.extend_from_slice(b"\",\"host\":");
        push_text(out, self.host);
        out.extend_from_slice(b",\"path\":");
        push_text(out, self.path.as_bytes());
        out.extend_from_slice(b",\"client\":\"");
        push_shown(out, self.client, style.client_ip);
        out.extend_from_slice(b"\",\"user_agent\":");
        push_text(out, self.user_agent);
        out.extend_from_slice(b",\"protocol\":\"");
        out.extend_from_slice(self.protocol.as_bytes());
        out.extend_from_slice(b"\",\"request_id\":");
        push_text(out, self.request_id.as_bytes());
        out.extend_from_slice(b",\"trace_id\":\"");
        out.extend_from_slice(self.trace_id.as_bytes());
        out.extend_from_slice(b"\",\"zone\":");
        push_text(out, self.zone.as_bytes());
        out.extend_from_slice(b",\"pool\":");
        push_text(out, self.pool.as_bytes());
        out.extend_from_slice(b",\"backend\":");
        push_text(out, self.backend.as_bytes());
        out.extend_from_slice(b",\"termination\":\"");
        out.extend_from_slice(self.termination.as_bytes());
        out.push(b'"');
        if let Some(status) = self.grpc_status {
            out.extend_from_slice(b",\"grpc_status\":");
            push_number(out, status.into());
        }
        if let Some(query) = self.query.filter(|_| style.query) {
            out.extend_from_slice(b",\"query\":");
            push_text(out, query.as_bytes());
        }
        if !self.headers.is_empty() {
            self.fields(style.client_ip, out);
        }
        out.extend_from_slice(b",\"status\":");
        push_number(out, self.status.into());
        out.extend_from_slice(b",\"bytes_in\":");
        push_number(out, self.bytes_in);
        out.extend_from_slice(b",\"bytes_out\":");
        push_number(out, self.bytes_out);
        out.extend_from_slice(b",\"duration_ms\":");
        push_milliseconds(out, self.duration);
        out.extend_from_slice(b",\"connect_ms\":");
        push_milliseconds(out, self.connect);
        out.extend_from_slice(b",\"ttfb_ms\":");
        push_milliseconds(out, self.ttfb);
        out.extend_from_slice(b",\"retries\":");
        push_number(out, self.retries.into());
        out.extend_from_slice(b",\"held_ms\":");
        push_milliseconds(out, self.held);
        out.extend_from_slice(b",\"epoch\":");
        push_number(out, self.epoch);
        out.push(b'}');
    }

    /// `"headers":{"referer":"…"}`
    fn fields(&self, how: ClientIp, out: &mut Vec<u8>) {
        let mut lead = ",\"headers\":{";
        for (name, value) in self.headers {
            out.extend_from_slice(lead.as_bytes());
            push_text(out, name.as_str().as_bytes());
            out.push(b':');
            push_text(out, shown_in(value, how).as_bytes());
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
        push_or_dash(out, referer.as_deref().unwrap_or(""));
        out.extend_from_slice(b"\" \"");
        push_or_dash(out, &String::from_utf8_lossy(self.user_agent));
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
        out.extend_from_slice(b"\" ");
        push_number(out, self.status.into());
        out.push(b' ');
        push_number(out, self.bytes_out);
    }
}

/// A string of JSON.
fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    if plain::is_plain(text) {
        out.push(b'"');
        out.extend_from_slice(text);
        out.push(b'"');
    } else {
        // serde_json knows how to escape, control characters included; writing to a Vec can't fail.
        let _infallible = serde_json::to_writer(out, &String::from_utf8_lossy(text));
    }
}

/// What isn't there is a dash, as Apache and nginx have it.
fn push_or_dash(out: &mut Vec<u8>, text: &str) {
    push_escaped(out, if text.is_empty() { "-" } else { text });
}

/// Quotes and control characters would let a client write log lines of its own.
fn push_escaped(out: &mut Vec<u8>, text: &str) {
    if plain::is_plain(text.as_bytes()) {
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

fn push_number(out: &mut Vec<u8>, number: u64) {
    match number {
        0..10 => out.push(b'0' + number as u8),
        _ => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
    }
}

/// With three decimals.
fn push_milliseconds(out: &mut Vec<u8>, duration: Duration) {
    if duration.is_zero() {
        out.extend_from_slice(b"0.000");
        return;
    }
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    push_number(out, micros / 1000);
    out.push(b'.');
    push_three_digits(out, (micros % 1000) as u32);
}

pub(super) fn push_three_digits(out: &mut Vec<u8>, number: u32) {
    let digit = |number: u32| b'0' + (number % 10) as u8;
    out.extend_from_slice(&[digit(number / 100), digit(number / 10), digit(number)]);
}

/// Bytes that a line of JSON hasn't got usually.
const USUAL: usize = 1024;
