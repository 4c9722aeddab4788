//! Backends that speak no TLS, stop in the middle of it, or keep silent.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::support::behaviour;
use crate::support::wait::PATIENCE;
use crate::support::{Origin, Proxy, eventually, port};
use crate::terminator::server_config;

/// One zone whose only backend is at `address`, and passes its check.
fn in_front_of(address: std::net::SocketAddr, connect_timeout: &str) -> Proxy {
    let proxy = Proxy::builder()
        .toml("[failover]\nhold_time = \"200ms\"")
        .toml(&format!(
            "[upstream]\nconnect_timeout = \"{connect_timeout}\""
        ))
        .check("kind = \"command\"\ncommand = [\"true\"]\ninterval = \"1h\"")
        .zone_at("fz-1", &[])
        .backend_at("app-1", &format!("https://{address}"), "")
        .start();
    proxy.until_all_up();
    proxy
}

/// Accepts, does `act`, and goes on.
fn odd(act: impl Fn(&mut std::net::TcpStream) + Send + 'static) -> std::net::SocketAddr {
    let listener: TcpListener = port::listen();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            act(&mut stream);
        }
    });
    address
}

#[test]
fn a_cleartext_server_is_told_by_its_name() {
    let origin = Origin::start(behaviour::ok("clear"));
    let address = odd(|stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let proxy = in_front_of(address, "10s");
    assert_eq!(proxy.get("/").status, 502);
    eventually(PATIENCE, "the log says why", || {
        proxy.log().contains("the answer is not TLS")
    });
    drop(origin);
}

#[test]
fn a_handshake_that_breaks_off_is_no_answer() {
    let address = odd(|stream| {
        let _ = stream.read(&mut [0; 4096]);
    });
    let proxy = in_front_of(address, "10s");
    assert_eq!(proxy.get("/").status, 502);
    eventually(PATIENCE, "the log says why", || {
        proxy.log().contains("during the TLS handshake") || proxy.log().contains("reset")
    });
}

#[test]
fn a_handshake_that_hangs_takes_no_longer_than_connect_timeout() {
    let listener = port::listen();
    let proxy = in_front_of(listener.local_addr().unwrap(), "300ms");
    let began = Instant::now();
    let status = proxy.get("/").status;
    let took = began.elapsed();
    assert!(status == 503 || status == 504, "{status}");
    // One attempt and two retries; an answer would have a minute.
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn a_hung_handshake_is_l6tout_and_a_cleartext_answer_l6rsp() {
    let hung = port::listen();
    let clear = odd(|stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let good = Origin::named("good");
    let proxy = Proxy::builder()
        .check("interval = \"100ms\"\ntimeout = \"200ms\"")
        .zone_at("fz-1", &[])
        .backend_at(
            "hung",
            &format!("https://{}", hung.local_addr().unwrap()),
            "",
        )
        .backend_at("clear", &format!("https://{clear}"), "")
        .zone("fz-2", &[&good])
        .start();
    proxy.until_status("both are told apart", |status| {
        let text = status.to_string();
        text.contains("L6TOUT") && text.contains("L6RSP")
    });
}

/// TCP's end alone could be anybody's: without TLS's own, a body that the end delimits may be half of itself.
#[test]
fn a_body_that_ends_without_a_farewell_is_no_whole_one() {
    let directory = tempfile::tempdir().unwrap();
    let authority = crate::authority::Authority::new("the tests' authority");
    authority.write(directory.path());
    authority.sign(directory.path(), "app", "127.0.0.1", 100);
    let config = std::sync::Arc::new(server_config(directory.path(), "app", None));
    let address = odd(move |stream| {
        let tls = rustls::ServerConnection::new(std::sync::Arc::clone(&config)).unwrap();
        let mut stream = rustls::StreamOwned::new(tls, stream);
        if stream.read(&mut [0; 4096]).is_ok() {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf");
            let _ = stream.flush();
        }
    });
    let terms = format!(
        "[[pool]]\nname = \"default\"\ntls = {{ ca = \"{}/ca.pem\" }}",
        directory.path().display()
    );
    let proxy = Proxy::builder()
        .toml(&terms)
        .check("kind = \"command\"\ncommand = [\"true\"]\ninterval = \"1h\"")
        .zone_at("fz-1", &[])
        .backend_at("app-1", &format!("https://{address}"), "")
        .start();
    proxy.until_all_up();
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.response_within("GET", PATIENCE).is_err());
    assert_eq!(proxy.access_line("/")["termination"], "SD");
}

/// Whoever fails the handshake gets no second request of the same client while another can serve.
#[test]
fn another_backend_of_the_zone_is_asked_instead() {
    let site = crate::site::Site::new(Origin::named("good"));
    let address = odd(|stream| {
        let _ = stream.read(&mut [0; 4096]);
    });
    let proxy = site
        .builder(&site.terms(""))
        .check("kind = \"command\"\ncommand = [\"true\"]")
        .backend_at("bad", &format!("https://{address}"), "")
        .start();
    proxy.until_all_up();
    for _ in 0..20 {
        let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
        assert_eq!(proxy.client().exchange(post).status, 200);
    }
}
