//! What stands in a line of the access log.

use std::io::{self, Write};
use std::net::IpAddr;

use http::HeaderName;
use http::header::REFERER;
use jiff::Timestamp;

use crate::config::{self, ClientIp, LogFormat};
use crate::telemetry::mask::{shown, shown_in};

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
    pub duration_ms: f64,
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
    pub connect_ms: f64,
    /// To the response head.
    pub ttfb_ms: f64,
    /// Attempts after the first.
    pub retries: u32,
    /// Time spent waiting for a zone.
    pub held_ms: f64,
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
    pub fn write(&self, style: Style, out: &mut Vec<u8>) {
        let client = shown(self.client, style.client_ip);
        // Writing to a Vec can't fail.
        let _infallible = match style.format {
            LogFormat::Json => self.json(&client, style, out),
            LogFormat::Common => self.common(&client, style, out),
            LogFormat::Combined => self.combined(&client, style, out),
        };
        out.push(b'\n');
    }

    fn json(&self, client: &str, style: Style, out: &mut Vec<u8>) -> io::Result<()> {
        write!(out, "{{\"time\":\"{:.3}\"", self.time)?;
        let texts = [
            ("method", self.method),
            ("scheme", self.scheme),
            ("host", self.host),
            ("path", self.path),
            ("client", client),
            ("user_agent", self.user_agent),
            ("protocol", self.protocol),
            ("request_id", self.request_id),
            ("trace_id", self.trace_id),
            ("zone", self.zone),
            ("pool", self.pool),
            ("backend", self.backend),
            ("termination", self.termination),
        ];
        for (name, text) in texts {
            write!(out, ",\"{name}\":")?;
            // serde_json knows how to escape, control characters included.
            serde_json::to_writer(&mut *out, text)?;
        }
        if let Some(query) = self.query.filter(|_| style.query) {
            out.extend_from_slice(b",\"query\":");
            serde_json::to_writer(&mut *out, query)?;
        }
        if !self.headers.is_empty() {
            self.fields(style.client_ip, out)?;
        }
        write!(
            out,
            ",\"status\":{},\"bytes_in\":{},\"bytes_out\":{},\"duration_ms\":{:.3},\"connect_ms\":{:.3},\"ttfb_ms\":{:.3},\
             \"retries\":{},\"held_ms\":{:.3},\"epoch\":{}}}",
            self.status,
            self.bytes_in,
            self.bytes_out,
            self.duration_ms,
            self.connect_ms,
            self.ttfb_ms,
            self.retries,
            self.held_ms,
            self.epoch
        )
    }

    /// `"headers":{"referer":"…"}`
    fn fields(&self, how: ClientIp, out: &mut Vec<u8>) -> io::Result<()> {
        let mut lead = ",\"headers\":{";
        for (name, value) in self.headers {
            write!(out, "{lead}\"{name}\":")?;
            serde_json::to_writer(&mut *out, &shown_in(value, how))?;
            lead = ",";
        }
        out.push(b'}');
        Ok(())
    }

    /// Apache's combined log format. Pages that led here are told by their whole address, with all that stands in it: they are in
    /// the line only where `Referer` is asked for.
    fn combined(&self, client: &str, style: Style, out: &mut Vec<u8>) -> io::Result<()> {
        self.common(client, style, out)?;
        let referer = self.headers.iter().find(|(name, _)| *name == REFERER);
        let referer = referer.map_or_else(
            || "-".to_owned(),
            |(_, value)| shown_in(value, style.client_ip),
        );
        write!(
            out,
            " \"{}\" \"{}\"",
            escaped(&referer),
            escaped(self.user_agent)
        )
    }

    /// Apache's common log format.
    fn common(&self, client: &str, style: Style, out: &mut Vec<u8>) -> io::Result<()> {
        let query = self.query.filter(|_| style.query);
        write!(
            out,
            "{client} - - [{}] \"{} {}{}{} {}\" {} {}",
            self.time.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            escaped(self.method),
            escaped(self.path),
            if query.is_some() { "?" } else { "" },
            escaped(query.unwrap_or_default()),
            self.protocol,
            self.status,
            self.bytes_out
        )
    }
}

/// Quotes and control characters would let a client write log lines of its own.
fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|c| match c {
            '"' | '\\' => vec!['\\', c],
            c if c.is_control() => c.escape_default().collect(),
            c => vec![c],
        })
        .collect()
}
