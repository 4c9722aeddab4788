//! The answers of components to their checks: every probe comes to an outcome, in words that a terminal can take.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use firedoor::config::parse::Environment;
use firedoor::config::{Check, Config};
use firedoor::health::probe::{Prober, Subject};
use firedoor::outcome::Outcome;
use firedoor::zone::ComponentKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

use crate::mutator::drive;

/// The check has 4 s of the machine's time. How busy that is with other work must not matter, and a probe that goes by no clock takes
/// for ever.
const SOON_ENOUGH: Duration = Duration::from_secs(60);

struct Nothing;

impl Environment for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Err("no such file".to_owned())
    }
}

/// Probes somebody who says all that is in an input, once `asks` says that what it has heard is a question, and closes its half.
fn probe(name: &str, keys: &str, words: &[&str], asks: fn(&[u8]) -> bool) {
    let text = format!(
        "[[listener]]\nbind = \"127.0.0.1:8080\"\n[[zone]]\nname = \"fz-1\"\nbackend = [{{ address = \"127.0.0.1:1\" }}]\n\
         [[zone.dependency]]\nname = \"thing\"\ncheck = {{ address = \"127.0.0.1:1\", timeout = \"4s\", {keys} }}\n"
    );
    let config = Config::parse(&text, Path::new("firedoor.toml"), &Nothing);
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    let check = config.zones[0].dependencies[0].check.clone();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let (mut passed, mut failed) = (0, 0);
    drive(name, words, 400, |input| {
        let outcome = runtime.block_on(asked(&listener, address, &check, input, asks));
        let detail = &outcome.detail;
        if std::env::var("SHOW").is_ok() {
            println!("{outcome}");
        }
        assert!(
            !detail.is_empty() && detail.len() < 2000,
            "{} bytes: {detail}",
            detail.len()
        );
        assert!(!detail.contains(char::is_control), "{detail:?}");
        assert!(outcome.took < SOON_ENOUGH, "{outcome}");
        *(if outcome.passed() {
            &mut passed
        } else {
            &mut failed
        }) += 1;
    });
    assert!(
        passed > 0 && failed > 20,
        "{passed} passed, {failed} failed"
    );
}

async fn asked(
    listener: &TcpListener,
    address: SocketAddr,
    check: &Check,
    input: &[u8],
    asks: fn(&[u8]) -> bool,
) -> Outcome {
    let component = ComponentKey {
        zone: "fz-1".into(),
        name: "thing".into(),
    };
    let subject = Subject {
        component: &component,
        address,
        authority: "127.0.0.1:1",
    };
    // A new one each time: it remembers who has refused it.
    let prober = Prober::default();
    let asking = prober.probe(subject, check);
    let answering = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut heard, mut sink) = (Vec::new(), [0; 4096]);
        while !asks(&heard) {
            match stream.read(&mut sink).await {
                Ok(count @ 1..) => heard.extend_from_slice(&sink[..count]),
                _ => break,
            }
        }
        let _gone = stream.write_all(input).await;
        let _gone = stream.shutdown().await;
        while stream.read(&mut sink).await.is_ok_and(|count| count > 0) {}
    };
    let mut asking = std::pin::pin!(asking);
    tokio::select! {
        outcome = &mut asking => outcome,
        () = answering => asking.await,
    }
}

#[test]
fn a_mutated_answer_over_http_comes_to_an_outcome() {
    let words = [
        "\r\n",
        "\r\n\r\n",
        "HTTP/1.1 ",
        "HTTP/1.0 ",
        "200",
        "100 Continue",
        "Transfer-Encoding: chunked\r\n",
        "0\r\n\r\n",
        "Content-Length: 5\r\n",
        "ready",
    ];
    probe(
        "http",
        "kind = \"http\", body = \"ready\"",
        &words,
        |heard| heard.ends_with(b"\r\n\r\n"),
    );
}

#[test]
fn a_mutated_answer_of_redis_comes_to_an_outcome() {
    let words = [
        "\r\n",
        "+PONG\r\n",
        "-LOADING ",
        "-NOAUTH ",
        "$-1\r\n",
        "$99999999\r\n",
        "*3\r\n",
        ":1\r\n",
        "role:slave\r\n",
        "master_link_status:up\r\n",
    ];
    probe(
        "redis",
        "kind = \"redis\", expect = \"writable\"",
        &words,
        |heard| !heard.is_empty(),
    );
}

#[test]
fn a_mutated_answer_of_postgres_comes_to_an_outcome() {
    let words = [
        "R\0\0\0\u{8}\0\0\0\0",
        "E",
        "SFATAL\0",
        "C57P03\0",
        "Z\0\0\0\u{5}I",
        "T",
        "D",
        "S",
        "N",
        "\0\0\0\u{4}",
        "\0\0\0\0",
    ];
    probe(
        "postgres",
        "kind = \"postgres\", user = \"health\", expect = \"writable\"",
        &words,
        |heard| !heard.is_empty(),
    );
}

#[test]
fn a_mutated_answer_of_mysql_comes_to_an_outcome() {
    let words = [
        "mysql_native_password\0",
        "caching_sha2_password\0",
        "client_ed25519\0",
        "\u{1}\0\0\u{1}",
        "\0\0\0\u{2}",
        "#08004",
        "#28000",
        "\0",
    ];
    probe(
        "mysql",
        "kind = \"mysql\", user = \"health\", expect = \"writable\"",
        &words,
        |_| true,
    );
}

#[test]
fn a_mutated_answer_over_grpc_comes_to_an_outcome() {
    let words = [
        "\0\0\0\u{4}\0\0\0\0\0",
        "\0\0\0\u{4}\u{1}\0\0\0\0",
        "\0\0\u{4}\u{8}\0\0\0\0\0",
        "\0\0\0\0\u{2}\u{8}\u{1}",
        "\u{8}\u{2}",
        "grpc-status",
        "0",
    ];
    probe("grpc", "kind = \"grpc\"", &words, has_called);
}

/// Whether the frames after the preface have come to the end of a request's body.
fn has_called(heard: &[u8]) -> bool {
    let mut rest = heard.get(24..).unwrap_or_default();
    while let [a, b, c, kind, flags, _, _, _, _, body @ ..] = rest {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        if (*kind, *flags & 1) == (0, 1) {
            return body.len() >= length;
        }
        rest = body.get(length..).unwrap_or_default();
    }
    false
}
