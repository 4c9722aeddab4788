//! One line per request. Workers format into a buffer of their own and hand it over in batches; one thread writes. A full disk
//! or a slow pipe drops lines and counts them; it never holds up a request.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use jiff::Timestamp;

use crate::config::{ClientIp, LogFormat, LogTarget};

/// Everything that is known of a finished request. Query strings, cookies and credentials are not in it.
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
}

impl Line<'_> {
    /// Appends the line, with its line break, to `out`.
    pub fn write(&self, style: Style, out: &mut Vec<u8>) {
        let client = shown(self.client, style.client_ip);
        // Writing to a Vec can't fail.
        let _infallible = match style.format {
            LogFormat::Json => self.json(&client, out),
            LogFormat::Common => self.common(&client, out),
            LogFormat::Combined => self
                .common(&client, out)
                .and_then(|()| write!(out, " \"-\" \"{}\"", escaped(self.user_agent))),
        };
        out.push(b'\n');
    }

    fn json(&self, client: &str, out: &mut Vec<u8>) -> io::Result<()> {
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

    /// Apache's common log format.
    fn common(&self, client: &str, out: &mut Vec<u8>) -> io::Result<()> {
        write!(
            out,
            "{client} - - [{}] \"{} {} {}\" {} {}",
            self.time.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            escaped(self.method),
            escaped(self.path),
            self.protocol,
            self.status,
            self.bytes_out
        )
    }
}

/// The client's address as far as it may be shown: /24 for IPv4, /48 for IPv6.
pub fn shown(address: IpAddr, how: ClientIp) -> String {
    match (how, address.to_canonical()) {
        (ClientIp::None, _) => "-".to_owned(),
        (ClientIp::Full, address) => address.to_string(),
        (ClientIp::Masked, IpAddr::V4(address)) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0")
        }
        (ClientIp::Masked, IpAddr::V6(address)) => {
            let [a, b, c, ..] = address.segments();
            std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).to_string()
        }
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

enum Order {
    Write(Vec<u8>),
    Reopen,
    Retarget(LogTarget),
    End,
}

/// The writer's end that workers and signals hold. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AccessLog {
    orders: SyncSender<Order>,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Write(_) => "Write",
            Self::Reopen => "Reopen",
            Self::Retarget(_) => "Retarget",
            Self::End => "End",
        })
    }
}

/// Batches under way before lines are dropped.
const BATCHES: usize = 256;

impl AccessLog {
    /// Opens `target` and starts the writing thread, which [`Self::end`] ends.
    ///
    /// # Errors
    /// The target can't be opened.
    pub fn open(target: &LogTarget) -> io::Result<(Self, JoinHandle<()>)> {
        let sink = Sink::open(target)?;
        let (orders, inbox) = sync_channel(BATCHES);
        let writer = std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write_all(sink, &inbox))?;
        Ok((Self { orders }, writer))
    }

    /// Hands a batch over. Gives it back if the writer can't keep up.
    pub(crate) fn write(&self, batch: Vec<u8>) -> Result<(), Vec<u8>> {
        match self.orders.try_send(Order::Write(batch)) {
            Ok(()) => Ok(()),
            Err(
                TrySendError::Full(Order::Write(batch))
                | TrySendError::Disconnected(Order::Write(batch)),
            ) => Err(batch),
            Err(_) => Ok(()),
        }
    }

    /// Opens the file anew (SIGUSR1, after it was renamed).
    pub fn reopen(&self) {
        let _ended = self.orders.send(Order::Reopen);
    }

    /// Writes to `target` from now on.
    pub fn retarget(&self, target: LogTarget) {
        let _ended = self.orders.send(Order::Retarget(target));
    }

    /// Writes what is still under way and ends the thread.
    pub fn end(&self) {
        let _ended = self.orders.send(Order::End);
    }
}

struct Sink {
    target: LogTarget,
    file: Option<File>,
}

impl Sink {
    fn open(target: &LogTarget) -> io::Result<Self> {
        let file = match target {
            LogTarget::Off | LogTarget::Stdout => None,
            LogTarget::File(path) => Some(OpenOptions::new().create(true).append(true).open(path)?),
        };
        Ok(Self {
            target: target.clone(),
            file,
        })
    }

    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        match (&self.target, &mut self.file) {
            (LogTarget::File(_), Some(file)) => file.write_all(batch),
            (LogTarget::Stdout, _) => {
                let mut out = io::stdout().lock();
                out.write_all(batch)?;
                out.flush()
            }
            _ => Ok(()),
        }
    }
}

fn write_all(mut sink: Sink, inbox: &Receiver<Order>) {
    let mut failing = false;
    for order in inbox {
        match order {
            Order::Write(batch) => {
                let result = sink.write(&batch);
                if let (Err(error), false) = (&result, failing) {
                    tracing::error!(%error, "the access log can't be written; lines are lost until it can");
                }
                failing = result.is_err();
            }
            Order::Reopen => {
                let target = sink.target.clone();
                replace(&mut sink, &target);
            }
            Order::Retarget(target) => replace(&mut sink, &target),
            Order::End => break,
        }
    }
}

fn replace(sink: &mut Sink, target: &LogTarget) {
    match Sink::open(target) {
        Ok(new) => *sink = new,
        Err(error) => {
            tracing::error!(%error, ?target, "the access log can't be opened; the old one stays open");
        }
    }
}

#[cfg(test)]
mod tests;
