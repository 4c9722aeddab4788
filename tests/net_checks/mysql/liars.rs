//! Peers that don't keep to MySQL's protocol.

use std::net::SocketAddr;
use std::time::Duration;

use firedoor::health::probe::{Prober, Subject};
use firedoor::outcome::{CheckCode, Outcome};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::{HEALTH, probe_at};
use crate::asking::{SHORT, dependency};
use crate::liar;

async fn probe_liar(address: SocketAddr, keys: &str) -> Outcome {
    let directory = TempDir::new().unwrap();
    probe_at(directory.path(), address, keys).await
}

/// A greeting as of MySQL 8, with TLS, and these packets behind it, all of it at once.
fn greeting(rest: &[&[u8]]) -> &'static [u8] {
    let mut greeting = b"\x0a8.4.3\0\x09\0\0\0eight by\0\xff\xff\x2d\x02\0\x08\0\x15".to_vec();
    greeting.extend([0; 10]);
    greeting.extend(b"tes of luck!\0mysql_native_password\0");
    let mut said = framed(0, &greeting);
    for (at, packet) in rest.iter().enumerate() {
        said.extend(framed(at as u8 + 2, packet));
    }
    said.leak()
}

fn framed(number: u8, packet: &[u8]) -> Vec<u8> {
    let [a, b, c, _] = (packet.len() as u32).to_le_bytes();
    [&[a, b, c, number], packet].concat()
}

const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];
const DENIED: &[u8] = b"\xff\x15\x04#28000Access denied";

#[tokio::test]
async fn the_liars_greeting_is_a_good_one() {
    let outcome = probe_liar(liar::saying(greeting(&[DENIED])).await, "").await;
    assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
    let outcome = probe_liar(liar::saying(greeting(&[OK])).await, HEALTH).await;
    assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
}

#[tokio::test]
async fn what_speaks_first_in_another_protocol_is_l7rsp_and_quoted() {
    for (words, said) in [
        (
            &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
            "the answer is not MySQL's: it is too long (\"SSH-2.0-OpenSSH_9.2\")",
        ),
        (
            b"220 mail.example ESMTP\r\n",
            "(\"220 mail.example ESMTP\")",
        ),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            "(\"HTTP/1.1 400 Bad Request\")",
        ),
        (b"\xff\xff\xff\x00\x1b[31m\r\n", "it is too long"),
        (
            b"\x00\x00\x00\x00",
            "its greeting is none of MySQL 4.1 or later",
        ),
        (b"\x01\x00\x00\x00\x0a", "its greeting is none"),
        (b"\x05\x00\x00\x00\x093.23", "its greeting is none"),
    ] {
        for keys in ["", HEALTH] {
            let outcome = probe_liar(liar::saying(words).await, keys).await;
            assert_eq!(outcome.code, CheckCode::L7Response, "{words:?}: {outcome}");
            assert!(outcome.detail.contains(said), "{words:?}: {outcome}");
            assert!(!outcome.detail.contains(char::is_control), "{outcome:?}");
        }
    }
}

#[tokio::test]
async fn errors_instead_of_a_greeting_are_told_apart() {
    for (code, said) in [
        (1040, "it is full (\"so\")"),
        (
            1129,
            "it blocks this host, after too many broken connections from here (max_connect_errors): FLUSH HOSTS unblocks it (\"so\")",
        ),
        (
            1130,
            "it takes no connections from this host: no account is for it (\"so\")",
        ),
        (1053, "it is shutting down (\"so\")"),
        (3032, "it is in offline mode (\"so\")"),
        (9999, "it refused (\"so\")"),
    ] {
        let [low, high] = u16::to_le_bytes(code);
        let packet = framed(0, &[0xff, low, high, b's', b'o']);
        let liar = liar::saying(packet.leak()).await;
        for keys in ["", HEALTH] {
            let outcome = probe_liar(liar, keys).await;
            assert_eq!(outcome.code, CheckCode::L7Status, "{outcome}");
            assert_eq!(outcome.status, Some(code), "{outcome}");
            assert_eq!(outcome.detail, said);
        }
    }
}

#[tokio::test]
async fn errors_instead_of_a_login_are_told_apart() {
    for (packet, said) in [
        (
            &b"\xff\x57\x0c#HY000Connections using insecure transport are prohibited"[..],
            "it demands TLS: give the check tls = true (\"Connections",
        ),
        (
            b"\xff\x1d\x04#08S01Server shutdown in progress",
            "it is shutting down",
        ),
        (
            b"\xff\x46\x07#HY000Your password has expired",
            "its user's password has expired",
        ),
        (
            b"\xff\xca\x04#42000User health has exceeded",
            "its user has too many connections",
        ),
        (
            b"\xff\x17\x04#08S01WSREP has not yet prepared node for application use",
            "a Galera node outside its cluster's primary component",
        ),
        (
            b"\xff\x17\x04#08S01Unknown command",
            "it refused (\"Unknown command\")",
        ),
    ] {
        let outcome = probe_liar(liar::saying(greeting(&[packet])).await, HEALTH).await;
        assert_eq!(outcome.code, CheckCode::L7Status, "{outcome}");
        assert!(outcome.detail.starts_with(said), "{outcome}");
    }
    // A server that demands TLS is there, and that is all that was asked.
    let packet: &[u8] = b"\xff\x57\x0c#HY000Connections using insecure transport are prohibited";
    let outcome = probe_liar(liar::saying(greeting(&[packet])).await, "").await;
    assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
}

#[tokio::test]
async fn half_an_answer_is_l7rsp_when_the_connection_ends_and_l7tout_when_it_does_not() {
    let whole = greeting(&[]);
    for half in [&b""[..], &whole[..2], &whole[..4], &whole[..40], whole] {
        for keys in ["", HEALTH] {
            let outcome = probe_liar(liar::saying_goodbye_at_once(half).await, keys).await;
            assert_eq!(outcome.code, CheckCode::L7Response, "{outcome}");
            let outcome = probe_liar(liar::saying(half).await, &format!("{keys}, {SHORT}")).await;
            assert_eq!(outcome.code, CheckCode::L7Timeout, "{outcome}");
        }
    }
}

#[tokio::test]
async fn a_tls_handshake_that_is_never_answered_is_l6tout_and_one_in_the_clear_l6rsp() {
    let tls = ", tls = { verify = false }";
    // Time enough for the greeting.
    let outcome = probe_liar(
        liar::saying(greeting(&[])).await,
        &format!("{tls}, timeout = \"2s\""),
    )
    .await;
    assert_eq!(outcome.code, CheckCode::L6Timeout, "{outcome}");
    // What is in the clear and comes before TLS must not pass for what was said over it.
    let outcome = probe_liar(
        liar::saying(greeting(&[OK])).await,
        &format!("{HEALTH}{tls}"),
    )
    .await;
    assert!(!outcome.passed(), "{outcome}");
    let said = [CheckCode::L7Response, CheckCode::L6Response];
    assert!(said.contains(&outcome.code), "{outcome}");
}

#[tokio::test]
async fn answers_that_make_no_sense_are_l7rsp() {
    let writable = format!("{HEALTH}, expect = \"writable\"");
    let column = b"\x03def\0\0\0\x01x\0\x0c\x3f\0\x01\0\0\0\x08\0\0\0\0\0";
    let end = b"\xfe\0\0\x02\0";
    for packets in [
        &[&b""[..]][..],
        &[&b"\xfeno end of a name"[..]],
        &[&b"\xff\x15"[..]],
        &[OK, OK],
        &[OK, b""],
        &[OK, b"\xfb/etc/passwd"],
        &[
            OK,
            b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff",
            column,
            column,
            end,
            end,
        ],
        &[OK, b"\x01", b"\x03def", end, end],
        &[OK, b"\x01", column, b"no end"],
        &[OK, b"\x01", column, end, b"\x09short"],
        &[OK, b"\x01", column, end, b"\x010", end],
        &[
            OK,
            b"\x02",
            column,
            column,
            end,
            b"\x010\x010",
            b"\x010\x010",
            end,
        ],
        &[OK, b"\x02", column, column, end, b"\xfb\xfb", end],
        &[OK, b"\x02", column, column, end, end],
    ] {
        let outcome = probe_liar(liar::saying(greeting(packets)).await, &writable).await;
        assert_eq!(
            outcome.code,
            CheckCode::L7Response,
            "{packets:?}: {outcome}"
        );
        assert!(!outcome.detail.contains(char::is_control), "{outcome:?}");
    }
}

#[tokio::test]
async fn one_that_never_comes_to_an_end_is_l7rsp_and_not_swallowed() {
    // One proof after another.
    let wishes = [&b"\xfemysql_native_password\0twenty bytes of luck\0"[..]; 20];
    let outcome = probe_liar(liar::saying(greeting(&wishes)).await, HEALTH).await;
    assert_eq!(outcome.code, CheckCode::L7Response, "{outcome}");
    // One column, row or packet after another: "xxxx" is a packet of almost 8 MiB.
    for lead in [&[][..], &[OK], &[OK, b"\xfc\xff\xff"]] {
        let liar = liar::endless(greeting(lead)).await;
        let keys = format!("{HEALTH}, expect = \"replica\"");
        let outcome = probe_liar(liar, &keys).await;
        assert_eq!(outcome.code, CheckCode::L7Response, "{outcome}");
        assert!(outcome.detail.len() < 300, "{outcome}");
    }
}

#[tokio::test]
async fn a_server_that_quotes_the_password_back_gets_no_place_for_it_in_a_log() {
    for packets in [
        &[&b"\xff\x15\x04#28000no s3cret"[..]][..],
        &[OK, b"\xff\x15\x04#28000SELECT s3cret"],
        &[b"\xfewhat is\x1b s3cret\0"],
    ] {
        let liar = liar::saying(greeting(packets)).await;
        let keys = format!("{HEALTH}, expect = \"writable\", {SHORT}");
        let outcome = probe_liar(liar, &keys).await;
        assert!(!outcome.passed());
        assert!(!outcome.detail.contains("s3cret"), "{outcome}");
        assert!(!outcome.detail.contains(char::is_control), "{outcome:?}");
    }
}

/// What a hung server finds when it wakes up: not a broken handshake, but a login that it can refuse.
#[tokio::test]
async fn whoever_keeps_silent_is_left_a_login_and_never_the_password() {
    for words in [b"", &greeting(&[])[..20]] {
        for keys in ["", HEALTH] {
            let (address, heard) = liar::listening(words).await;
            let outcome = probe_liar(address, &format!("{keys}, {SHORT}")).await;
            assert_eq!(outcome.code, CheckCode::L7Timeout, "{outcome}");
            assert_is_a_visitors(&heard.await.unwrap());
        }
    }
}

/// As when firedoor stops, or gets another configuration.
#[tokio::test]
async fn a_probe_that_is_dropped_leaves_a_login_too() {
    for patience in 1..100 {
        let (address, heard) = liar::listening(b"").await;
        let limit = Duration::from_millis(patience);
        assert!(timeout(limit, probe_liar(address, HEALTH)).await.is_err());
        let heard = heard.await.unwrap();
        // It may not have come any further than to the connection.
        if !heard.is_empty() {
            return assert_is_a_visitors(&heard);
        }
    }
    panic!("it never left one");
}

/// One that hangs must not find a hundred of us when it wakes up, and those in between must not be hidden.
#[tokio::test]
async fn one_that_does_not_greet_is_waited_on_by_one_connection_until_that_breaks() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let directory = TempDir::new().unwrap();
    let keys = format!("kind = \"mysql\", {SHORT}");
    let dependency = dependency(directory.path(), address, &keys);
    let authority = address.to_string();
    let subject = Subject {
        component: &dependency.key,
        address,
        authority: &authority,
    };
    let prober = Prober::default();
    for said in [None, Some(greeting(&[DENIED]))] {
        for _ in 0..5 {
            let outcome = prober.probe(subject, &dependency.check).await;
            assert_eq!(outcome.code, CheckCode::L7Timeout, "{outcome}");
        }
        let (mut stream, _) = listener.accept().await.unwrap();
        let another = timeout(Duration::from_millis(1), listener.accept()).await;
        assert!(another.is_err(), "more than one connection");
        let Some(said) = said else {
            // Broken off: the next one is waited on instead.
            drop(stream);
            continue;
        };
        stream.write_all(said).await.unwrap();
        let outcome = prober.probe(subject, &dependency.check).await;
        assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
    }
}

/// A login, and what a server may want to hear next.
#[track_caller]
fn assert_is_a_visitors(heard: &[u8]) {
    let (login, rest) = heard.split_at(usize::from(heard[0]) + 4);
    assert_eq!(login[1..4], [0, 0, 1], "{login:?}");
    assert_eq!(&login[36..46], b"firedoor\0\0", "{login:?}");
    assert_eq!(rest[..4], [64, 0, 0, 3], "{rest:?}");
    assert_eq!(rest[4..], [0xff; 64], "{rest:?}");
}
