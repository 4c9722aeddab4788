//! What Debian's pebble lacks: renewal information (RFC 9773). Stands before pebble and lets all else pass.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};
use serde_json::{Value, json};

use crate::pebble::Pebble;
use crate::support::proxy::Builder;
use crate::support::{Origin, Proxy, port};

/// What becomes of an order that says what it replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacing {
    Accepted,
    Refused,
    /// Nothing is said back.
    Ignored,
}

/// It can be told what to answer, and tells what it was asked.
pub struct Herald {
    pub address: SocketAddr,
    /// The whole answer to a question about a certificate.
    pub answer: Mutex<String>,
    pub replacing: Mutex<Replacing>,
    /// The certificates that were asked about.
    pub asked: Mutex<Vec<String>>,
    /// Of each order, what it is to replace, or null.
    pub replaced: Mutex<Vec<Value>>,
    pebble: SocketAddr,
    trust: Arc<ClientConfig>,
}

const PATH: &str = "/renewal-info";

impl Herald {
    pub fn before(pebble: &Pebble) -> Arc<Self> {
        let chain = CertificateDer::from_pem_file(pebble.file("pebble.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(pebble.file("pebble.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_file(pebble.file("ca.pem")).unwrap();
        roots.add(root).unwrap();
        let trust = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (listener, config) = (port::listen(), Arc::new(config));
        let herald = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            answer: Mutex::new(answer("404 Not Found", "", "")),
            replacing: Mutex::new(Replacing::Accepted),
            asked: Mutex::default(),
            replaced: Mutex::default(),
            pebble: pebble.address,
            trust: Arc::new(trust),
        });
        let ours = Arc::clone(&herald);
        // Ends with the test's process; nobody waits for it.
        std::thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
                let _broken = ours.serve(StreamOwned::new(tls, socket));
            }
        });
        herald
    }

    /// In front of an app, as `door::builder`, with certificates from here.
    pub fn builder(&self, pebble: &Pebble, origin: &Origin) -> Builder {
        let listener = pebble.listener(&["app.example"], "");
        let directory = |address: SocketAddr| format!("https://{address}/");
        Proxy::builder()
            .toml(&listener.replace(&directory(pebble.address), &directory(self.address)))
            .zone("fz-1", &[origin])
    }

    /// From now on, a window that begins and ends so many seconds from now is suggested.
    pub fn suggest(&self, start: i64, end: i64, retry_after: &str) {
        let now = jiff::Timestamp::now().as_second();
        let words = |second| jiff::Timestamp::from_second(now + second).unwrap();
        let window = json!({"start": words(start).to_string(), "end": words(end).to_string()});
        let body = json!({"suggestedWindow": window, "explanationURL": "https://ca.example/why"});
        let header = format!("Retry-After: {retry_after}\r\n");
        *self.answer.lock().unwrap() = answer("200 OK", &header, &body.to_string());
    }

    fn serve(&self, mut client: StreamOwned<ServerConnection, TcpStream>) -> std::io::Result<()> {
        let (head, body) = message(&mut client)?;
        let target = head.split(' ').nth(1).unwrap_or_default();
        let response = match target.strip_prefix(PATH) {
            Some(identifier) => {
                let identifier = identifier.trim_start_matches('/').to_owned();
                self.asked.lock().unwrap().push(identifier);
                self.answer.lock().unwrap().clone()
            }
            None => self.pass(target, &head, &body)?,
        };
        client.write_all(response.as_bytes())?;
        client.conn.send_close_notify();
        client.flush()
    }

    fn pass(&self, target: &str, head: &str, body: &str) -> std::io::Result<String> {
        let order = order(body);
        let replaces = order.as_ref().map(|order| order["replaces"].clone());
        self.replaced.lock().unwrap().extend(replaces.clone());
        let replaces = replaces.filter(|replaces| !replaces.is_null());
        let replacing = *self.replacing.lock().unwrap();
        if replaces.is_some() && replacing == Replacing::Refused {
            let problem = json!({
                "type": "urn:ietf:params:acme:error:alreadyReplaced",
                "detail": "another order replaces it",
            });
            let kind = "Content-Type: application/problem+json\r\n";
            return Ok(answer("409 Conflict", kind, &problem.to_string()));
        }
        let socket = TcpStream::connect(self.pebble)?;
        let name = "127.0.0.1".try_into().unwrap();
        let tls = ClientConnection::new(Arc::clone(&self.trust), name).unwrap();
        let mut pebble = StreamOwned::new(tls, socket);
        let head = head.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
        pebble.write_all(format!("{head}{body}").as_bytes())?;
        let mut response = String::new();
        pebble.read_to_string(&mut response)?;
        Ok(match (target, replaces) {
            ("/dir", _) => {
                let url = format!("https://{}{PATH}", self.address);
                with(&response, "renewalInfo", url.into())
            }
            (_, Some(replaces)) if replacing == Replacing::Accepted => {
                with(&response, "replaces", replaces)
            }
            _ => response,
        })
    }
}

pub fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn message(stream: &mut impl Read) -> std::io::Result<(String, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let lower = head.to_ascii_lowercase();
    let length = lower
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body)?;
    Ok((head, String::from_utf8(body).unwrap()))
}

/// What a signed request orders, if it does.
fn order(body: &str) -> Option<Value> {
    let signed: Value = serde_json::from_str(body).ok()?;
    let payload = URL_SAFE_NO_PAD.decode(signed["payload"].as_str()?).ok()?;
    let payload: Value = serde_json::from_slice(&payload).ok()?;
    payload.get("identifiers").is_some().then_some(payload)
}

/// The same response with another field in its JSON.
fn with(response: &str, field: &str, value: Value) -> String {
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let mut json: Value = serde_json::from_str(body).expect("JSON of a known length");
    json[field] = value;
    let mut lines = head.lines();
    let status = lines.next().unwrap().strip_prefix("HTTP/1.1 ").unwrap();
    let kept = lines.filter(|line| !line.to_ascii_lowercase().starts_with("content-length:"));
    let headers: String = kept.map(|line| format!("{line}\r\n")).collect();
    answer(status, &headers, &json.to_string())
}
