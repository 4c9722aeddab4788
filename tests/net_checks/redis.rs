//! `kind = "redis"` against Redis itself, and against those who only pretend.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use firedoor::outcome::{CheckCode, Outcome};
use tempfile::TempDir;

use crate::asking::{SHORT, ask};
use crate::authority::Authority;
use crate::liar;
use crate::support::server::{READY, Server};
use crate::support::wait::PATIENCE;
use crate::support::{Origin, Proxy, eventually, port};

/// Redis with these further lines of configuration.
fn redis(lines: &str) -> Server {
    redis_in(TempDir::new().unwrap(), lines)
}

fn redis_in(directory: TempDir, lines: &str) -> Server {
    Server::start(directory, |address, directory| {
        let config = format!(
            "bind {}\nport {}\npidfile {READY}\nsave \"\"\n{lines}\n",
            address.ip(),
            address.port()
        );
        fs::write(directory.join("redis.conf"), config).unwrap();
        let mut command = Command::new("redis-server");
        command.arg("redis.conf");
        command
    })
}

async fn probe(server: &Server, keys: &str) -> Outcome {
    ask(
        server.path(),
        server.address,
        &format!("kind = \"redis\"{keys}"),
    )
    .await
}

async fn probe_liar(address: SocketAddr, keys: &str) -> Outcome {
    let directory = TempDir::new().unwrap();
    ask(
        directory.path(),
        address,
        &format!("kind = \"redis\"{keys}"),
    )
    .await
}

/// Tells `server` something, and returns the first line of its answer.
fn tell(server: &Server, words: &str) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(format!("{words}\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n") {
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap().trim_end().to_owned()
}

#[tokio::test]
async fn one_that_is_up_passes_and_a_master_is_writable() {
    let server = redis("");
    let outcome = probe(&server, "").await;
    assert_eq!((outcome.code, &*outcome.detail), (CheckCode::L7Ok, "PONG"));
    let outcome = probe(&server, ", expect = \"writable\"").await;
    assert_eq!(
        (outcome.code, &*outcome.detail),
        (CheckCode::L7Ok, "a master")
    );
    let outcome = probe(&server, ", expect = \"replica\"").await;
    assert_eq!(outcome.code, CheckCode::L7Status);
    assert_eq!(outcome.detail, "a master, expected a connected replica");
}

#[tokio::test]
async fn a_replica_is_one_and_not_writable_and_without_its_master_neither() {
    let mut master = redis("repl-diskless-sync-delay 0");
    let port = master.address.port();
    let replica = redis(&format!(
        "replicaof 127.0.0.1 {port}\nreplica-serve-stale-data no"
    ));
    eventually(PATIENCE, "the replica has synchronised", || {
        tell(&replica, "PING") == "+PONG"
    });
    let outcome = probe(&replica, ", expect = \"replica\"").await;
    assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
    let outcome = probe(&replica, ", expect = \"writable\"").await;
    assert_eq!(outcome.code, CheckCode::L7Status);
    assert_eq!(
        outcome.detail,
        format!("a replica of 127.0.0.1:{port}, its link is up, expected a writable one")
    );

    master.kill();
    eventually(PATIENCE, "the replica has noticed", || {
        tell(&replica, "PING").starts_with("-MASTERDOWN")
    });
    let outcome = probe(&replica, "").await;
    assert_eq!(outcome.code, CheckCode::L7Status);
    assert!(
        outcome
            .detail
            .starts_with("a replica that has lost its master (\"MASTERDOWN"),
        "{outcome}"
    );
}

#[tokio::test]
async fn a_replica_whose_link_is_down_is_no_replica() {
    let replica = redis(&format!("replicaof 127.0.0.1 {}", port::free().port()));
    let outcome = probe(&replica, ", expect = \"replica\"").await;
    assert_eq!(outcome.code, CheckCode::L7Status, "{outcome}");
    assert!(outcome.detail.contains("its link is down"), "{outcome}");
    assert!(probe(&replica, "").await.passed(), "reachable it is");
}

#[tokio::test]
async fn passwords_are_sent_and_each_way_to_be_refused_is_told_apart() {
    let server = redis(
        "requirepass s3cret\nuser health on >pw ~* +ping +info\nuser dull on >pw ~* -@all +auth",
    );
    fs::write(server.path().join("pw"), "s3cret\n").unwrap();
    let outcome = probe(&server, ", password = \"${file:pw}\"").await;
    assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
    let outcome = probe(
        &server,
        ", user = \"health\", password = \"pw\", expect = \"writable\"",
    )
    .await;
    assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");

    for (keys, said) in [
        ("", "it wants a password: give the check one (\"NOAUTH"),
        (", password = \"other\"", "it refused the password"),
        (
            ", user = \"nobody\", password = \"pw\"",
            "it refused the password",
        ),
        (
            ", user = \"dull\", password = \"pw\"",
            "its user may not ask this (\"NOPERM",
        ),
    ] {
        let outcome = probe(&server, keys).await;
        assert_eq!(outcome.code, CheckCode::L7Status, "{keys}: {outcome}");
        assert!(outcome.detail.starts_with(said), "{keys}: {outcome}");
    }
    let open = redis("");
    let outcome = probe(&open, ", password = \"s3cret\"").await;
    assert_eq!(
        outcome.detail,
        "it has no password, but the check gives one"
    );
}

#[tokio::test]
async fn one_that_is_still_loading_is_told_apart_from_one_that_is_broken() {
    let mut first = redis("enable-debug-command yes");
    assert_eq!(tell(&first, "DEBUG POPULATE 2000 key 4096"), "+OK");
    assert_eq!(tell(&first, "SAVE"), "+OK");
    let directory = TempDir::new().unwrap();
    fs::copy(
        first.path().join("dump.rdb"),
        directory.path().join("dump.rdb"),
    )
    .unwrap();
    first.kill();
    // A tenth of a second for each of 2,000 keys: it loads as long as this test can want.
    let server = redis_in(
        directory,
        "key-load-delay 100000\nloading-process-events-interval-bytes 1024",
    );
    let outcome = probe(&server, ", expect = \"writable\"").await;
    assert_eq!(outcome.code, CheckCode::L7Status, "{outcome}");
    assert!(
        outcome
            .detail
            .starts_with("it is still loading its data (\"LOADING"),
        "{outcome}"
    );
}

#[tokio::test]
async fn one_that_is_full_is_told_apart() {
    let server = redis("maxclients 1");
    let mut guest = TcpStream::connect(server.address).unwrap();
    guest.write_all(b"PING\r\n").unwrap();
    guest.read_exact(&mut [0; 7]).unwrap();
    for password in ["", ", password = \"x\""] {
        let outcome = probe(&server, password).await;
        assert_eq!(outcome.code, CheckCode::L7Status, "{outcome}");
        assert!(outcome.detail.starts_with("it is full"), "{outcome}");
    }
}

#[tokio::test]
async fn a_frozen_one_is_l7tout_and_one_that_is_gone_l4con() {
    let mut server = redis("");
    server.freeze();
    let outcome = probe(&server, &format!(", {SHORT}")).await;
    assert_eq!(outcome.code, CheckCode::L7Timeout);
    assert_eq!(
        outcome.detail,
        "connected, but no answer to PING within 150 ms"
    );
    server.thaw();
    assert!(probe(&server, "").await.passed());
    server.kill();
    let outcome = probe(&server, "").await;
    assert_eq!(outcome.code, CheckCode::L4Con, "{outcome}");
}

#[tokio::test]
async fn tls_is_spoken_where_it_is_configured() {
    let directory = TempDir::new().unwrap();
    let authority = Authority::new("the tests' authority");
    authority.write(directory.path());
    authority.sign(directory.path(), "server", "127.0.0.1", 100);
    let server = Server::start(directory, |address, directory: &Path| {
        let config = format!(
            "bind 127.0.0.1\nport 0\ntls-port {}\npidfile {READY}\nsave \"\"\ntls-auth-clients no\n\
             tls-cert-file server.pem\ntls-key-file server.key\ntls-ca-cert-file ca.pem\n",
            address.port()
        );
        fs::write(directory.join("redis.conf"), config).unwrap();
        let mut command = Command::new("redis-server");
        command.arg("redis.conf");
        command
    });
    let outcome = probe(
        &server,
        ", expect = \"writable\", tls = { ca = \"ca.pem\" }",
    )
    .await;
    assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
    let outcome = probe(&server, "").await;
    assert_eq!(outcome.code, CheckCode::L7Response, "{outcome}");
}

#[tokio::test]
async fn what_is_not_redis_is_l7rsp() {
    for (words, said) in [
        (
            &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
            "not Redis's (\"SSH-2.0-OpenSSH_9.2\")",
        ),
        (b"+OK\r\n", "not Redis's (\"OK\")"),
        (b":1\r\n", "not Redis's"),
        (b"\r\n", "not Redis's"),
        (b"$99999999999999999999\r\n", "not Redis's"),
        (b"$1000000\r\n", "not Redis's"),
        (b"$-1\r\n", "not Redis's"),
        (b"\xff\xfe\x00\x1b[31m\r\n", "not Redis's"),
    ] {
        let outcome = probe_liar(liar::saying(words).await, "").await;
        assert_eq!(outcome.code, CheckCode::L7Response, "{outcome}");
        assert!(outcome.detail.contains(said), "{outcome}");
        assert!(!outcome.detail.contains(char::is_control), "{outcome:?}");
    }
    let nonsense = liar::saying(b"+PONG\r\n$9\r\nrole:king\r\n").await;
    let outcome = probe_liar(nonsense, ", expect = \"writable\"").await;
    assert_eq!(outcome.code, CheckCode::L7Response, "{outcome}");
}

#[tokio::test]
async fn half_an_answer_is_l7rsp_when_the_connection_ends_and_l7tout_when_it_does_not() {
    for half in [&b""[..], b"+PO", b"$100\r\nrole:mas"] {
        let outcome = probe_liar(liar::saying_goodbye(half).await, "").await;
        assert_eq!(outcome.code, CheckCode::L7Response, "{outcome}");
        assert!(outcome.detail.contains("closed"), "{outcome}");
        let outcome = probe_liar(liar::saying(half).await, &format!(", {SHORT}")).await;
        assert_eq!(outcome.code, CheckCode::L7Timeout, "{outcome}");
    }
}

#[tokio::test]
async fn a_line_without_end_is_l7rsp_and_not_swallowed() {
    for lead in [&b"+"[..], b"-ERR ", b""] {
        let outcome = probe_liar(liar::endless(lead).await, "").await;
        assert!(matches!(outcome.code, CheckCode::L7Response), "{outcome}");
        assert!(outcome.detail.len() < 600, "{outcome}");
    }
}

#[tokio::test]
async fn a_server_that_quotes_the_password_back_gets_no_place_for_it_in_a_log() {
    for lead in ["-ERR unknown command ", "+", "gibberish ", "-WRONGPASS "] {
        let liar = liar::echoing(lead, "\r\n").await;
        let outcome = probe_liar(liar, ", password = \"s3cret\"").await;
        assert!(!outcome.passed());
        assert!(!outcome.detail.contains("s3cret"), "{outcome}");
    }
}

#[test]
fn a_zone_whose_redis_takes_no_more_writes_is_left() {
    let (first, second) = (redis(""), redis(""));
    let (app_1, app_2) = (Origin::named("app-1"), Origin::named("app-2"));
    let check = |server: &Server| {
        format!(
            "check = {{ kind = \"redis\", address = \"{}\", expect = \"writable\" }}",
            server.address
        )
    };
    let proxy = Proxy::builder()
        .zone("fz-1", &[&app_1])
        .dependency("cache", first.address, &check(&first))
        .zone("fz-2", &[&app_2])
        .dependency("cache", second.address, &check(&second))
        .start();
    proxy.until_all_up();
    let port = second.address.port();
    assert_eq!(tell(&first, &format!("REPLICAOF 127.0.0.1 {port}")), "+OK");
    proxy.until_status("fz-2 is active", |status| {
        status["zones"][1]["active"] == true
    });
    let reason = format!("a replica of 127.0.0.1:{port}, its link is");
    eventually(PATIENCE, "the journal says why", || {
        let journal = proxy.admin_get("/v1/journal").json().to_string();
        journal.contains(&reason)
    });
}
