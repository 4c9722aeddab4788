//! Real servers: nginx, hypercorn with an ASGI app, gRPC's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::authority::Authority;
use crate::nginx;
use crate::support::Proxy;
use crate::support::proxy::Builder;
use crate::support::server::Server;

fn certified() -> TempDir {
    let directory = TempDir::new().unwrap();
    let authority = Authority::new("the tests' authority");
    authority.write(directory.path());
    authority.sign(directory.path(), "server", "127.0.0.1", 100);
    directory
}

/// Its `ca.pem` outlives the server's start.
fn terms(directory: &Path) -> String {
    format!(
        "[[pool]]\nname = \"default\"\ntls = {{ ca = \"{}/ca.pem\", alpn = [\"h2\"] }}",
        directory.display()
    )
}

fn python(script: &str, directory: TempDir, options: &'static [&'static str]) -> Server {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Server::start(directory, |address, _| {
        // tests/run makes this environment.
        let mut command = Command::new(root.join("target/venv/bin/python"));
        command
            .arg(root.join("tests").join(script))
            .arg(address.to_string())
            .args(options);
        command
    })
}

fn to(server: &Server, scheme: &str) -> Builder {
    let address = format!("{scheme}://{}", server.address);
    let builder = Proxy::builder().zone_at("fz-1", &[]);
    builder.backend_at("app-1", &address, "")
}

#[test]
fn nginx_over_tls() {
    let directory = certified();
    let server = nginx::start(directory, "server", "");
    let proxy = to(&server, "https").toml(&terms(server.path())).start();
    let mut client = proxy.client();
    for _ in 0..5 {
        let answer = client.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!((answer.status, answer.text()), (200, "all well".to_owned()));
    }
}

#[test]
fn hypercorn_in_cleartext_and_over_tls_with_a_websocket() {
    for (scheme, options) in [("h2c", &[][..]), ("https", &["--tls"])] {
        let options: &'static [&'static str] = options;
        let server = python("upstream_h2/asgi.py", certified(), options);
        let mut builder = to(&server, scheme);
        if scheme == "https" {
            builder = builder.toml(&terms(server.path()));
        }
        let proxy = builder.start();
        let mut client = proxy.client();
        let answer =
            client.exchange("POST /shout HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(answer.text(), "HTTP/2 HELLO");
        client.send(
            "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        );
        let head = client.head();
        assert_eq!(head.line, "HTTP/1.1 101 Switching Protocols");
        // A masked text frame, and its echo.
        client.send([0x81, 0x82, 0, 0, 0, 0, b'h', b'i']);
        assert_eq!(client.exact(4).unwrap(), [0x81, 0x02, b'H', b'I']);
    }
}

/// A unary call by hand, since a client of HTTP/1.1 has no library for it: the frame passes, and so do the trailers.
#[test]
fn grpc_is_checked_and_called() {
    let server = python("net_checks/health.py", TempDir::new().unwrap(), &[]);
    let proxy = to(&server, "h2c").check("kind = \"grpc\"").start();
    proxy.until_all_up();
    let mut client = proxy.client();
    for (service, status) in [("shop.Up", 1), ("shop.Down", 2)] {
        let message = [&[0x0a, service.len() as u8], service.as_bytes()].concat();
        let frame = [&[0, 0, 0, 0, message.len() as u8], &message[..]].concat();
        client.send(format!(
            "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\
             Content-Type: application/grpc\r\nContent-Length: {}\r\n\r\n",
            frame.len()
        ));
        client.send(&frame);
        let answer = client.response();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body, [0, 0, 0, 0, 2, 8, status]);
    }
}

/// Over HTTP/2 on both sides, with the client that people have: unary calls and streams in each direction, metadata, status, deadlines.
#[test]
fn grpc_calls_of_every_kind_pass_unchanged() {
    let server = python("upstream_h2/grpc_server.py", TempDir::new().unwrap(), &[]);
    let proxy = to(&server, "h2c")
        .listener("h2c = true")
        .check("kind = \"tcp\"")
        .start();
    proxy.until_all_up();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(root.join("target/venv/bin/python"))
        .arg(root.join("tests/upstream_h2/grpc_client.py"))
        .arg(proxy.address.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
