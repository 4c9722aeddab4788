//! Peers that don't keep to PostgreSQL's protocol, or use it to their advantage.

use std::net::SocketAddr;
use std::sync::mpsc;

use firedoor::outcome::{CheckCode, Outcome};
use proptest::prelude::*;
use tempfile::TempDir;

use super::{AS_HEALTH, assert_begins, assert_is};
use crate::asking::{SHORT, ask};
use crate::authority::Authority;
use crate::liar;
use crate::support::wait::PATIENCE;

async fn probe_liar(address: SocketAddr, keys: &str) -> Outcome {
    let directory = TempDir::new().unwrap();
    Authority::new("the tests' authority").write(directory.path());
    let keys = format!("kind = \"postgres\"{keys}");
    let outcome = ask(directory.path(), address, &keys).await;
    assert!(!outcome.detail.contains(char::is_control), "{outcome:?}");
    assert!(outcome.detail.len() < 600, "{outcome}");
    outcome
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag], &length.to_be_bytes()[..], body].concat()
}

/// A request for a login, or its acceptance.
fn authentication(kind: u32, rest: &[u8]) -> Vec<u8> {
    message(b'R', &[&kind.to_be_bytes()[..], rest].concat())
}

fn error(code: &str, text: &str) -> Vec<u8> {
    let body = format!("SFATAL\0VFATAL\0C{code}\0M{text}\0\0");
    message(b'E', body.as_bytes())
}

/// The end of a login, and readiness for questions.
fn welcome() -> Vec<u8> {
    [authentication(0, b""), message(b'Z', b"I")].concat()
}

/// One row, and what follows.
fn row(values: &[Option<&str>]) -> Vec<u8> {
    let mut body = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
    for value in values {
        let length = value.map_or(-1, |value| i32::try_from(value.len()).unwrap());
        body.extend(length.to_be_bytes());
        body.extend(value.unwrap_or_default().as_bytes());
    }
    [
        message(b'D', &body),
        message(b'C', b"SELECT 1\0"),
        message(b'Z', b"I"),
    ]
    .concat()
}

fn leak(words: &[u8]) -> &'static [u8] {
    words.to_vec().leak()
}

#[tokio::test]
async fn what_is_not_postgres_is_l7rsp_and_quoted() {
    let mysql = b"J\0\0\0\n8.0.33\0".as_slice();
    for (words, said) in [
        (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], "(\"SSH-2.0-OpenSSH_9.2\")"),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            "(\"HTTP/1.1 400 Bad Request\")",
        ),
        (b"-ERR unknown command\r\n", "(\"-ERR unknown command\")"),
        (mysql, "(\"J 8.0.33\")"),
        (b"R\0\0\0\x03", ""),
        (b"R\xff\xff\xff\xff", ""),
        (b"R\x7f\xff\xff\xff", ""),
        (b"E\xff\xfe\x00\x1b[31mred", ""),
        (b"N\0\0\0\0\0", ""),
        (&authentication(99, b""), ""),
        (&message(b'v', b"\0\0\0\0"), ""),
    ] {
        for keys in ["", AS_HEALTH] {
            let outcome = probe_liar(liar::saying(leak(words)).await, keys).await;
            let said = format!("the answer is not PostgreSQL's {said}");
            assert_begins(&outcome, CheckCode::L7Response, &said);
        }
    }
}

#[tokio::test]
async fn what_is_out_of_turn_is_l7rsp() {
    for words in [
        message(b'Z', b"I"),
        message(b'1', b""),
        authentication(11, b"r=abc,s=abcd,i=4096"),
        authentication(12, b"v=abcd"),
        [authentication(0, b""), authentication(0, b"")].concat(),
        message(b'E', b"C57P03"),
        message(b'E', b""),
    ] {
        for keys in ["", AS_HEALTH] {
            let outcome = probe_liar(liar::saying(leak(&words)).await, keys).await;
            let said = "its answer to the start-up message is out of turn";
            assert_is(&outcome, CheckCode::L7Response, said);
        }
    }
    for words in [
        authentication(10, b""),
        authentication(10, b"SCRAM-SHA-256"),
    ] {
        let outcome = probe_liar(liar::saying(leak(&words)).await, AS_HEALTH).await;
        assert_begins(
            &outcome,
            CheckCode::L7Response,
            "its answer to the start-up message",
        );
    }
}

#[tokio::test]
async fn half_an_answer_is_l7rsp_when_the_connection_ends_and_l7tout_when_it_does_not() {
    let full = [authentication(0, b""), message(b'S', b"a\0b\0")].concat();
    for half in [&b""[..], b"R", b"R\0\0\0\x08\0\0", &full] {
        let half = leak(half);
        for keys in ["", AS_HEALTH] {
            let outcome = probe_liar(liar::saying_goodbye(half).await, keys).await;
            let said = "the connection closed before the answer was complete";
            assert_is(&outcome, CheckCode::L7Response, said);
            let outcome = probe_liar(liar::saying(half).await, &format!("{keys}, {SHORT}")).await;
            let said = "connected, but no answer to the start-up message within 150 ms";
            assert_is(&outcome, CheckCode::L7Timeout, said);
        }
    }
}

#[tokio::test]
async fn words_without_end_are_l7rsp_and_not_swallowed() {
    for lead in [&b"R"[..], b"E", b"N\0\0\xff\xff", b"S\0\0\x7f\xff"] {
        let outcome = probe_liar(liar::endless(lead).await, "").await;
        assert_eq!(outcome.code, CheckCode::L7Response, "{outcome}");
    }
    for words in [
        message(b'N', b"C00000\0Mhello\0\0"),
        message(b'S', b"a\0b\0"),
        message(b'K', b"12345678"),
    ] {
        for lead in [&b""[..], &authentication(0, b"")] {
            let words = [lead, &words.repeat(1000)].concat();
            let outcome = probe_liar(liar::repeating(words).await, "").await;
            assert_eq!(outcome.code, CheckCode::L7Response, "{outcome}");
        }
    }
    let notices = liar::repeating(message(b'N', b"C00000\0Mhello\0\0")).await;
    let outcome = probe_liar(notices, "").await;
    assert_is(
        &outcome,
        CheckCode::L7Response,
        "it says more than a login can take",
    );
}

#[tokio::test]
async fn one_that_has_no_process_left_to_answer_says_so_without_any_form() {
    let words = b"Ecould not fork new process for connection: Resource temporarily unavailable\n\0";
    let outcome = probe_liar(liar::saying_goodbye(words).await, "").await;
    let said = "it can't start another process (\"could not fork new process for connection: Resource temporarily unavailable\")";
    assert_is(&outcome, CheckCode::L7Status, said);
}

#[tokio::test]
async fn a_server_in_another_language_is_understood_by_its_codes() {
    let german = error("57P03", "das Datenbanksystem startet");
    let outcome = probe_liar(liar::saying(leak(&german)).await, "").await;
    let said = "it takes no connections at the moment (\"57P03 das Datenbanksystem startet\")";
    assert_is(&outcome, CheckCode::L7Status, said);
    for (code, said) in [
        (
            "57P01",
            "it is shutting down, or an administrator has ended the connection",
        ),
        ("53200", "it is out of memory or disk space"),
        ("XX000", "it refused (\"XX000 "),
        ("", "it refused"),
    ] {
        let words = error(code, "leider nicht");
        let outcome = probe_liar(liar::saying(leak(&words)).await, "").await;
        assert_begins(&outcome, CheckCode::L7Status, said);
    }
}

/// Plays the server's part in SCRAM: `challenge` comes after our nonce, and then `proof`.
async fn scram(challenge: &'static str, proof: Vec<u8>) -> SocketAddr {
    liar::replying(move |turn, heard| match turn {
        0 => authentication(10, b"SCRAM-SHA-256\0\0"),
        1 => {
            let heard = String::from_utf8_lossy(heard);
            let nonce = heard.split("r=").nth(1).unwrap();
            authentication(11, challenge.replace("NONCE", nonce).as_bytes())
        }
        2 => proof.clone(),
        _ => row(&[Some("f"), Some("off")]),
    })
    .await
}

#[tokio::test]
async fn who_does_not_know_the_password_is_somebody_else() {
    const FAIR: &str = "r=NONCE123,s=c2FsdA==,i=4096";
    let wrong = authentication(12, b"v=c2lnbmF0dXJl");
    let unproved = "it does not know the password itself, so it is somebody else";
    let senseless = "its challenge makes no sense, or too much work";
    let early = "its answer to the password is out of turn";
    for (challenge, proof, said) in [
        (FAIR, [wrong, welcome()].concat(), unproved),
        (FAIR, authentication(12, b"e=other-error"), unproved),
        (FAIR, authentication(12, b""), unproved),
        // Without any proof.
        (FAIR, welcome(), early),
        ("r=123,s=c2FsdA==,i=4096", welcome(), senseless),
        ("r=NONCE,s=c2FsdA==,i=4294967295", welcome(), senseless),
        ("r=NONCE,s=c2FsdA==,i=100001", welcome(), senseless),
        ("r=NONCE,s=?,i=1", welcome(), senseless),
        ("", welcome(), senseless),
    ] {
        let outcome = probe_liar(scram(challenge, proof).await, AS_HEALTH).await;
        assert_is(&outcome, CheckCode::L7Response, said);
    }
    let skipping = liar::replying(|turn, _| match turn {
        0 => authentication(10, b"SCRAM-SHA-256\0\0"),
        _ => welcome(),
    });
    let outcome = probe_liar(skipping.await, AS_HEALTH).await;
    assert_is(
        &outcome,
        CheckCode::L7Response,
        "its answer to the login is out of turn",
    );
}

#[tokio::test]
async fn logins_that_nobody_knows_are_l7sts() {
    for request in [
        authentication(10, b"SCRAM-SHA-256-PLUS\0\0"),
        authentication(10, b"OAUTHBEARER\0\0"),
        authentication(7, b""),
        authentication(9, b""),
        authentication(2, b""),
    ] {
        let outcome = probe_liar(liar::saying(leak(&request)).await, AS_HEALTH).await;
        let said = "it wants a login other than by password, which the check does not have";
        assert_is(&outcome, CheckCode::L7Status, said);
        let outcome = probe_liar(liar::saying(leak(&request)).await, "").await;
        assert_is(&outcome, CheckCode::L7Ok, "it asks for a login");
    }
}

#[tokio::test]
async fn answers_that_make_no_sense_are_l7rsp() {
    let answering = |answer: Vec<u8>| {
        liar::replying(move |turn, _| if turn == 0 { welcome() } else { answer.clone() })
    };
    let role = [Some("f"), Some("off")];
    for answer in [
        row(&[]),
        row(&[Some("f")]),
        row(&[None, None]),
        row(&[Some("f"), Some("off"), None]),
        row(&[Some("yes"), Some("no")]),
        message(b'Z', b"I"),
        message(b'D', b"\0\x02\0\0\0\x7fshort"),
        message(b'D', b"\0\0more"),
        [&row(&role)[..19], &row(&role)].concat(),
        message(b'G', b"\0\0\0"),
        welcome(),
    ] {
        let outcome = probe_liar(answering(answer).await, ", user = \"health\"").await;
        let said = "its answer to a query is out of turn";
        assert_is(&outcome, CheckCode::L7Response, said);
    }
    let replica = ", user = \"health\", expect = \"replica\", max_lag = \"1s\"";
    for lag in [
        [Some("1"), Some("x"), Some("1"), Some("1")],
        [Some("1"), Some("5"), None, Some("NaN")],
        [Some("1"), Some("5"), Some("1"), Some("1e999")],
    ] {
        let lying = liar::replying(move |turn, _| match turn {
            0 => welcome(),
            1 => row(&[Some("t"), Some("on")]),
            _ => row(&lag),
        });
        let outcome = probe_liar(lying.await, replica).await;
        assert_is(
            &outcome,
            CheckCode::L7Response,
            "its answer to a query is out of turn",
        );
    }
}

#[tokio::test]
async fn a_replica_is_given_a_moment_for_what_has_just_come_and_no_more() {
    for (replayed_then, passes) in [("5", true), ("9", true), ("4", false)] {
        let replica = liar::replying(move |turn, _| match turn {
            0 => welcome(),
            1 => row(&[Some("t"), Some("on")]),
            2 => row(&[Some("17"), Some("5"), Some("4"), Some("3600")]),
            _ => row(&[Some("17"), Some("9"), Some(replayed_then), Some("3600")]),
        });
        let keys = ", user = \"health\", expect = \"replica\", max_lag = \"10s\"";
        let outcome = probe_liar(replica.await, keys).await;
        assert_eq!(outcome.passed(), passes, "{outcome}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_was_let_in_says_goodbye() {
    let (tell, heard) = mpsc::channel();
    let server = liar::replying(move |turn, words| {
        let _ = tell.send(words.to_vec());
        match turn {
            0 => welcome(),
            _ => row(&[Some("f"), Some("off")]),
        }
    });
    let outcome = probe_liar(server.await, ", user = \"health\"").await;
    assert_is(&outcome, CheckCode::L7Ok, "a primary");
    let words = [(); 3].map(|()| heard.recv_timeout(PATIENCE).unwrap());
    assert_eq!(words[2], b"X\0\0\0\x04");
}

#[tokio::test]
async fn a_server_that_quotes_the_password_back_gets_no_place_for_it_in_a_log() {
    let clear = || authentication(3, b"");
    let quoting = [
        error("28P01", "no user with password s3cret"),
        error("28P01", "no user with password S3CRET or s-3-c-r-e-t"),
        [welcome(), error("XX000", "password s3CRET")].concat(),
        [authentication(0, b""), message(b'!', b"S3CRET")].concat(),
        b"S3CRET is no password here".to_vec(),
    ];
    for answer in quoting {
        let liar = liar::replying(move |turn, _| if turn == 0 { clear() } else { answer.clone() });
        let outcome = probe_liar(liar.await, AS_HEALTH).await;
        assert!(!outcome.passed());
        assert!(
            !outcome.detail.to_lowercase().contains("s3cret"),
            "{outcome}"
        );
        assert!(!outcome.detail.contains("s-3-c"), "{outcome}");
    }
    // Even from one that can't know it.
    for words in [error("XX000", "is it s3cret?"), b"s3cret".to_vec()] {
        let outcome = probe_liar(liar::saying(leak(&words)).await, AS_HEALTH).await;
        assert!(
            outcome.detail.contains('…') && !outcome.detail.contains("s3cret"),
            "{outcome}"
        );
    }
}

#[tokio::test]
async fn words_before_tls_are_never_taken_for_secured_ones() {
    let tls = ", tls = { ca = \"ca.pem\" }";
    let stuffed = [b"S", &welcome()[..]].concat();
    for (words, said) in [
        (
            &stuffed[..],
            "there were words before TLS began, perhaps of an attacker",
        ),
        (
            b"Sx",
            "there were words before TLS began, perhaps of an attacker",
        ),
        (b"N", "the server has no TLS"),
        (b"Nx", "the server has no TLS"),
        (
            &error("53300", "s3cret"),
            "the server answered the request for TLS with an error",
        ),
        (b"HTTP/1.1", "the answer is not PostgreSQL's"),
        (
            b"\x15\x03\x01\0\x02\x02\x46",
            "the answer is not PostgreSQL's",
        ),
    ] {
        let outcome = probe_liar(liar::saying(leak(words)).await, tls).await;
        assert_is(&outcome, CheckCode::L6Response, said);
    }
    let outcome = probe_liar(liar::saying_goodbye(b"").await, tls).await;
    let said = "the connection closed before the answer to the request for TLS";
    assert_is(&outcome, CheckCode::L6Response, said);
    let outcome = probe_liar(liar::saying_goodbye(b"S").await, tls).await;
    assert_eq!(outcome.code, CheckCode::L6Response, "{outcome}");
    // They come later, so they are part of the handshake.
    let later = liar::replying(|turn, _| if turn == 0 { b"S".to_vec() } else { welcome() });
    let outcome = probe_liar(later.await, tls).await;
    assert_is(&outcome, CheckCode::L6Response, "the answer is not TLS");
    let outcome = probe_liar(liar::saying(b"S").await, &format!("{tls}, {SHORT}")).await;
    assert_eq!(outcome.code, CheckCode::L6Timeout, "{outcome}");
}

/// One message: a proper one, one with an odd inside, or none at all.
fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let role = [Some("t"), Some("on")];
    let lag = [None, Some("5"), Some("4"), Some("1.5")];
    let proper = [
        authentication(0, b""),
        authentication(3, b""),
        authentication(5, b"salt"),
        authentication(10, b"SCRAM-SHA-256\0\0"),
        message(b'S', b"a\0b\0"),
        message(b'K', b"12345678"),
        error("57P03", "later"),
        welcome(),
        row(&role),
        row(&lag),
    ];
    let tags = prop::sample::select(b"RSKTDCZENA1Gv".to_vec());
    prop_oneof![
        6 => prop::sample::select(proper.to_vec()),
        2 => (tags, prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(tag, body)| message(tag, &body)),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_is_said_the_probe_comes_to_an_end(
        messages in prop::collection::vec(any_message(), 0..8),
        lost in 0..20_usize,
        logs_in in any::<bool>(),
    ) {
        let mut words = messages.concat();
        words.truncate(words.len().saturating_sub(lost / 4));
        let keys = if logs_in { ", user = \"health\", password = \"s3cret\", expect = \"replica\", max_lag = \"1s\"" } else { "" };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome = runtime.block_on(async {
            let directory = TempDir::new().unwrap();
            let address = liar::saying_goodbye(leak(&words)).await;
            ask(directory.path(), address, &format!("kind = \"postgres\"{keys}")).await
        });
        let codes = [CheckCode::L7Ok, CheckCode::L7Status, CheckCode::L7Response];
        prop_assert!(codes.contains(&outcome.code), "{}", outcome);
        prop_assert!(!outcome.detail.contains(char::is_control) && !outcome.detail.contains("s3cret"));
    }
}
