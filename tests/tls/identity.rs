//! Clients' own certificates: who has to show one, and what the app learns of it.

use std::io;
use std::path::Path;
use std::process::Command;

use rustls::HandshakeKind;

use crate::authority::Authority;
use crate::client::{Client, Response};
use crate::site::Site;
use crate::support::behaviour;
use crate::support::{Origin, Proxy, RawClient};

/// Clients `alice` (signed by who is trusted) and `mallory` (by somebody else).
fn site(auth: &str) -> (Origin, Site, Proxy) {
    let origin = Origin::start(behaviour::echo());
    let site = Site::new();
    site.sign("alice", &["alice.example"]);
    Authority::new("somebody else").sign(site.path(), "mallory", "alice.example", 100);
    let ca = site.file("ca.pem");
    let extra = format!("client_ca = \"{}\"\n{auth}", ca.display());
    let builder = Proxy::builder().listener(&site.terms(&extra));
    let proxy = builder.zone("fz-1", &[&origin]).start();
    (origin, site, proxy)
}

/// In TLS 1.3 a client learns only after its handshake that it is refused.
pub fn ask(
    proxy: &Proxy,
    site: &Site,
    identity: Option<&str>,
    fields: &str,
) -> io::Result<Response> {
    let config = site.trust_in(rustls::ALL_VERSIONS, identity);
    let mut client = Client::try_connect(proxy.address, &config, "app.example")?;
    let request = format!("GET / HTTP/1.1\r\nHost: app.example\r\n{fields}\r\n");
    client.try_send(request)?;
    client.try_response()
}

pub fn fields<'b>(body: &'b str, name: &str) -> Vec<&'b str> {
    let lines = body.lines().filter_map(|line| line.split_once(": "));
    let same = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
    same.map(|(_, value)| value).collect()
}

/// As openssl tells it.
fn openssl(certificate: &Path, options: &[&str]) -> Vec<u8> {
    let mut command = Command::new("openssl");
    command
        .arg("x509")
        .arg("-in")
        .arg(certificate)
        .args(options);
    let output = command.output().unwrap();
    assert!(output.status.success());
    output.stdout
}

pub fn fingerprint(certificate: &Path) -> String {
    let said = openssl(certificate, &["-noout", "-fingerprint", "-sha256"]);
    let said = String::from_utf8(said).unwrap();
    let (_, hex) = said.trim().split_once('=').unwrap();
    hex.replace(':', "").to_ascii_lowercase()
}

const FORGED: &str = "Client-Cert: :Zm9yZ2Vk:\r\nClient-Cert-Chain: :Zm9yZ2Vk:\r\nX-Client-Cert-SHA256: 00\r\n\
    X-Client-Cert-Subject: CN=forged\r\nX-Client-Cert-Anything: 1\r\nX_Client_Cert_Subject: CN=forged\r\nClient_Cert: :Zm9yZ2Vk:\r\nX_Client_Cert_SHA256: 00\r\n\
    X.Client-Cert-Subject: CN=forged\r\nClient.Cert: :Zm9yZ2Vk:\r\nClient!Cert-Chain: :Zm9yZ2Vk:\r\nX-Client~Cert^SHA256: 00\r\n";

fn forgeries(body: &str) -> usize {
    let lower = body.to_ascii_lowercase();
    let lower = lower.replace(['_', '.', '!', '~', '^'], "-");
    lower.matches("client-cert").count()
}

#[test]
fn where_it_is_required_only_who_shows_a_trusted_one_gets_through() {
    let (origin, site, proxy) = site("");
    for (identity, why) in [(None, "none"), (Some("mallory"), "another signer")] {
        let refused = ask(&proxy, &site, identity, "");
        assert!(refused.is_err(), "{why}: {refused:?}");
    }
    assert_eq!(origin.count(), 0);
    assert_eq!(ask(&proxy, &site, Some("alice"), "").unwrap().status, 200);
}

#[test]
fn the_app_learns_which_certificate_it_was_and_forgeries_are_gone() {
    let (_origin, site, proxy) = site("client_auth = \"required\"");
    let body = ask(&proxy, &site, Some("alice"), FORGED).unwrap().body;
    assert_eq!(forgeries(&body), 3, "{body}");
    let certificate = site.file("alice.pem");
    assert_eq!(
        fields(&body, "X-Client-Cert-SHA256"),
        [fingerprint(&certificate)]
    );
    // RFC 9440 2.2: the certificate's DER, in base64 between colons.
    let [field] = fields(&body, "Client-Cert")[..] else {
        panic!("{body}");
    };
    let mut decode = Command::new("openssl")
        .args(["base64", "-d", "-A"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let inside = field
        .strip_prefix(':')
        .and_then(|field| field.strip_suffix(':'));
    io::Write::write_all(
        &mut decode.stdin.take().unwrap(),
        inside.unwrap().as_bytes(),
    )
    .unwrap();
    let der = decode.wait_with_output().unwrap().stdout;
    assert_eq!(der, openssl(&certificate, &["-outform", "DER"]));
}

/// An authority of openssl's own, `clients.pem`, whose certificates have any subject.
struct Clients<'s>(&'s Site);

impl<'s> Clients<'s> {
    fn of(site: &'s Site) -> Self {
        let clients = Self(site);
        std::fs::write(site.file("v3.cnf"), "basicConstraints = CA:FALSE\n").unwrap();
        let subject = ["-x509", "-subj", "/CN=clients"];
        clients.openssl(&[
            &NEW_KEY[..],
            &subject,
            &["-keyout", "clients.key", "-out", "clients.pem"],
        ]);
        clients
    }

    /// `NAME.pem` and `NAME.key`. Returns the subject as openssl's own rule of the RFC before ours (2253) has it.
    fn sign(&self, name: &str, subject: &str) -> String {
        let [key, request, signed] = ["key", "csr", "pem"].map(|kind| format!("{name}.{kind}"));
        let files = ["-keyout", &key, "-out", &request];
        self.openssl(&[&NEW_KEY[..], &["-utf8", "-subj", subject], &files]);
        let signer = [
            "-CA",
            "clients.pem",
            "-CAkey",
            "clients.key",
            "-CAcreateserial",
        ];
        let files = ["-in", &request, "-out", &signed];
        self.openssl(&[&["x509", "-req", "-extfile", "v3.cnf"], &signer, &files]);
        let options = ["-noout", "-subject", "-nameopt", "RFC2253"];
        let said = String::from_utf8(openssl(&self.0.file(&signed), &options)).unwrap();
        said.trim_end().strip_prefix("subject=").unwrap().to_owned()
    }

    fn openssl(&self, line: &[&[&str]]) {
        let mut command = Command::new("openssl");
        let output = command
            .args(line.concat())
            .current_dir(self.0.path())
            .output();
        let output = output.unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

const NEW_KEY: [&str; 7] = [
    "req",
    "-new",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
];

#[test]
fn the_app_learns_the_subject_in_characters_that_a_field_may_have() {
    let origin = Origin::start(behaviour::echo());
    let site = Site::new();
    let clients = Clients::of(&site);
    let trusted = format!("client_ca = \"{}\"", site.file("clients.pem").display());
    let builder = Proxy::builder().listener(&site.terms(&trusted));
    let proxy = builder.zone("fz-1", &[&origin]).start();
    for (name, subject, expected) in [
        (
            "bob",
            "/C=DE/O=Clinic, Ltd./CN=bob",
            "CN=bob,O=Clinic\\, Ltd.,C=DE",
        ),
        (
            "sly",
            "/O=a\nX-Admin: 1/CN=Jürgen \\+ \"co\"/emailAddress=j@a.example",
            "emailAddress=j@a.example,CN=J\\C3\\BCrgen \\+ \\\"co\\\",O=a\\0AX-Admin: 1",
        ),
    ] {
        assert_eq!(
            clients.sign(name, subject),
            expected,
            "openssl says the same"
        );
        let body = ask(&proxy, &site, Some(name), FORGED).unwrap().body;
        assert_eq!(fields(&body, "X-Client-Cert-Subject"), [expected]);
        assert_eq!(fields(&body, "X-Admin"), [""; 0]);
        assert_eq!(forgeries(&body), 3, "{body}");
    }
    // Without one, there is no field, whatever the client says.
    clients.sign("nobody", "/");
    let body = ask(&proxy, &site, Some("nobody"), FORGED).unwrap().body;
    assert_eq!(fields(&body, "X-Client-Cert-Subject"), [""; 0]);
    assert_eq!(forgeries(&body), 2, "{body}");
}

#[test]
fn a_resumed_session_is_still_that_client() {
    let (_origin, site, proxy) = site("");
    let expected = [fingerprint(&site.file("alice.pem"))];
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = site.trust_in(&[version], Some("alice"));
        for handshake in [
            HandshakeKind::Full,
            HandshakeKind::Resumed,
            HandshakeKind::Resumed,
        ] {
            let mut client = Client::connect(proxy.address, &config);
            let body = client.get("/").body;
            assert_eq!(client.tls().handshake_kind(), Some(handshake));
            assert_eq!(fields(&body, "X-Client-Cert-SHA256"), expected);
        }
    }
}

#[test]
fn where_it_is_optional_the_app_sees_the_difference() {
    let (_origin, site, proxy) = site("client_auth = \"optional\"");
    let body = ask(&proxy, &site, None, FORGED).unwrap().body;
    assert_eq!(forgeries(&body), 0, "{body}");
    let body = ask(&proxy, &site, Some("alice"), "").unwrap().body;
    assert_eq!(forgeries(&body), 3, "{body}");
    assert!(ask(&proxy, &site, Some("mallory"), "").is_err());
}

#[test]
fn forgeries_are_gone_where_nobody_is_asked_for_a_certificate() {
    let origin = Origin::start(behaviour::echo());
    let site = Site::new();
    // Even a trusted proxy says nothing of certificates where we end the TLS.
    let listener = format!("trusted_proxies = [\"127.0.0.0/8\"]\n{}", site.terms(""));
    let proxy = Proxy::builder()
        .listener(&listener)
        .zone("fz-1", &[&origin])
        .start();
    let body = ask(&proxy, &site, None, FORGED).unwrap().body;
    assert_eq!(forgeries(&body), 0, "{body}");
    let mut client = Client::connect(proxy.address, &site.trust());
    client.send(
        "POST / HTTP/1.1\r\nHost: app.example\r\nTransfer-Encoding: chunked\r\nTrailer: Client-Cert, Client.Cert\r\n\r\n\
         2\r\nab\r\n0\r\nClient-Cert: :Zm9yZ2Vk:\r\nClient.Cert: :Zm9yZ2Vk:\r\n\r\n",
    );
    assert_eq!(client.response().status, 200);
    assert!(
        !origin
            .tapes()
            .concat()
            .windows(8)
            .any(|eight| eight == b"Zm9yZ2Vk")
    );

    // In cleartext, only a proxy that is trusted may have ended it.
    let cleartext = |listener: &str| {
        let builder = Proxy::builder().listener(listener);
        let proxy = builder.zone("fz-1", &[&origin]).start();
        let request = format!("GET / HTTP/1.1\r\nHost: app.example\r\n{FORGED}\r\n");
        RawClient::connect(proxy.address).exchange(request).text()
    };
    assert_eq!(forgeries(&cleartext("")), 0);
    assert!(forgeries(&cleartext("trusted_proxies = [\"127.0.0.0/8\"]")) > 0);
}
