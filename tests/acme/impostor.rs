//! Authorities that lie, break off, or are something else.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use jiff::Timestamp;
use rustix::process::Signal;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use crate::authority::Authority;
use crate::door::until_failed;
use crate::pebble::entry;
use crate::support::wait::PATIENCE;
use crate::support::{Origin, Proxy, port};

/// Answers every request over TLS with `answer`, in which `{here}` is its own address.
struct Impostor {
    address: SocketAddr,
    directory: TempDir,
}

impl Impostor {
    fn answering(answer: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let authority = Authority::new("an impostor's authority");
        authority.write(directory.path());
        authority.sign_for(directory.path(), "here", &["127.0.0.1"], 100);
        let chain = CertificateDer::from_pem_file(directory.path().join("here.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(directory.path().join("here.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .unwrap();
        let (listener, config) = (port::listen(), Arc::new(config));
        let address = listener.local_addr().unwrap();
        let answer = answer.replace("{here}", &address.to_string());
        // Ends with the test's process; nobody waits for it.
        std::thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
                let _broken = respond(StreamOwned::new(tls, socket), &answer);
            }
        });
        Self { address, directory }
    }

    fn proxy(&self, origin: &Origin, extra: &str) -> Proxy {
        let listener = format!(
            "[[listener]]\nbind = \"{}\"\n[listener.tls.acme]\nnames = [\"app.example\"]\n\
             directory = \"https://{}/dir\"\n{extra}",
            port::free(),
            self.address
        );
        Proxy::builder()
            .toml(&listener)
            .zone("fz-1", &[origin])
            .start()
    }

    fn trusted(&self) -> String {
        format!(
            "ca = \"{}\"",
            self.directory.path().join("ca.pem").display()
        )
    }
}

fn respond(
    mut stream: StreamOwned<ServerConnection, TcpStream>,
    answer: &str,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    stream.write_all(answer.as_bytes())?;
    if answer.contains("Content-Length: 99999999") {
        while stream.write_all(&[b' '; 16 * 1024]).is_ok() {}
    }
    stream.conn.send_close_notify();
    stream.flush()
}

#[test]
fn whatever_an_authority_answers_is_told_and_nothing_comes_of_it() {
    let origin = Origin::named("a");
    let directory = "{\"newNonce\": \"http://{here}/n\", \"newAccount\": \"https://{here}/a\", \
                     \"newOrder\": \"https://{here}/o\"}";
    for (answer, told) in [
        (
            "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<b/>",
            "it answers 502 Bad Gateway",
        ),
        (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n\
             Content-Length: 2\r\n\r\n{}",
            "it answers 503 Service Unavailable",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
            "its answer can't be read: length limit exceeded",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            "missing field `newNonce`",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{",
            "its answer can't be read: ",
        ),
        ("SSH-2.0-OpenSSH_9\r\n\r\n", "the connection broke: "),
        (
            &format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{directory}"),
            "/n is not https",
        ),
    ] {
        let impostor = Impostor::answering(answer);
        let proxy = impostor.proxy(&origin, &impostor.trusted());
        let text = until_failed(&proxy, "app.example", 1);
        assert!(text.contains(told), "{text}");
        assert_eq!(proxy.get("/").status, 200);
        let said = proxy.command(&["status"]);
        let said = String::from_utf8(said.stdout).unwrap();
        assert!(said.contains("certificate for app.example: "), "{said}");
    }
}

#[test]
fn an_authority_that_nobody_trusts_is_not_asked() {
    let origin = Origin::named("a");
    let impostor = Impostor::answering("HTTP/1.1 200 OK\r\n\r\n");
    // Somebody else's.
    let other = Impostor::answering("");
    let proxy = impostor.proxy(&origin, &other.trusted());
    let text = until_failed(&proxy, "app.example", 1);
    assert!(
        text.contains("no TLS: invalid peer certificate: "),
        "{text}"
    );
}

#[test]
fn an_authority_that_says_when_is_asked_no_sooner() {
    let origin = Origin::named("a");
    let impostor = Impostor::answering(
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n",
    );
    let proxy = impostor.proxy(&origin, &impostor.trusted());
    until_failed(&proxy, "app.example", 1);
    let status = proxy.status();
    let next = entry(&status, "app.example").unwrap()["next_order"].clone();
    let next: Timestamp = next.as_str().unwrap().parse().unwrap();
    let wait = next.duration_since(Timestamp::now()).as_secs();
    assert!((3500..=3600).contains(&wait), "{wait} s");
}

#[test]
fn an_authority_that_keeps_silent_holds_nothing_up() {
    let origin = Origin::named("a");
    let silent = port::listen();
    let listener = format!(
        "[[listener]]\nbind = \"{}\"\n[listener.tls.acme]\nnames = [\"app.example\"]\ndirectory = \"https://{}\"",
        port::free(),
        silent.local_addr().unwrap()
    );
    let builder = Proxy::builder().toml(&listener);
    let mut proxy = builder.zone("fz-1", &[&origin]).start();
    let (_asking, _) = silent.accept().unwrap();
    assert_eq!(proxy.get("/").status, 200);
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    assert_eq!(
        entry(&proxy.status(), "app.example").unwrap()["state"],
        "ordering"
    );
    proxy.signal(Signal::TERM);
    assert!(proxy.wait_for_exit(PATIENCE).success());
}
