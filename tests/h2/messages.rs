//! What passes, and in which form.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::client::Client;
use crate::frames::{self, DATA, END_STREAM, HEADERS, RST_STREAM, WINDOW_UPDATE, Wire, frame};
use crate::support::behaviour;
use crate::support::wait::{PATIENCE, eventually};
use crate::{lab, lab_with};

#[test]
fn a_request_reaches_the_app_as_http_1_1_has_it() {
    let (origin, proxy) = lab(behaviour::ok("hello"));
    let mut client = Client::connect(proxy.address);
    let request = client
        .request("GET", "/a/b?c=%20d")
        .header("accept", "text/plain")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("te", "trailers")
        .header("x-forwarded-for", "6.6.6.6")
        .header("x.forwarded-for", "6.6.6.6")
        .header("client.cert", ":AAAA:")
        .header("x-own", "mine");
    let response = client.exchange(request.body(()).unwrap(), "");
    assert_eq!(
        (response.status, response.text()),
        (StatusCode::OK, "hello".into())
    );
    assert_eq!(response.field("content-length"), Some("5"));
    assert_eq!(response.field("via"), Some("1.1 firedoor"));
    assert!(response.field("date").is_some());

    let seen = origin.saw("/a/b?c=%20d");
    assert_eq!((&*seen.method, &*seen.version), ("GET", "HTTP/1.1"));
    let authority = proxy.address.to_string();
    for (name, value) in [
        ("host", &*authority),
        ("cookie", "a=1; b=2"),
        ("te", "trailers"),
        ("connection", "te"),
        ("x-own", "mine"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", &authority),
        ("via", "2.0 firedoor"),
        ("firedoor-zone", "fz-1"),
    ] {
        assert_eq!(seen.field(name), Some(value), "{name}");
    }
    for name in ["transfer-encoding", "x.forwarded-for", "client.cert"] {
        assert_eq!(seen.field(name), None, "{name}");
    }
    assert!(seen.flaws.is_empty(), "{:?}", seen.flaws);
}

#[test]
fn the_log_says_http_2_and_shows_no_more_of_the_client_than_ever() {
    let (_origin, proxy) = lab(behaviour::ok("hello"));
    let mut client = Client::connect(proxy.address);
    client.get("/log?secret=1");
    let line = proxy.access_line("/log");
    assert_eq!(line["protocol"], "HTTP/2.0");
    assert_eq!(line["client"], "127.0.0.0");
    assert_eq!(line["host"], proxy.address.to_string());
    assert_eq!(
        (&line["status"], &line["bytes_out"]),
        (&200.into(), &5.into())
    );
    assert_eq!(line["termination"], "--");
}

#[test]
fn http_1_1_goes_on_on_the_same_port() {
    let (_origin, proxy) = lab(behaviour::ok("hello"));
    assert_eq!(proxy.get("/").text(), "hello");
    // Methods that begin like the preface, letter by letter.
    for method in ["PRINT", "P", "PR", "PROPFIND"] {
        let mut client = proxy.client();
        let request = format!("{method} /x HTTP/1.1\r\nHost: a\r\n\r\n");
        for byte in request.as_bytes() {
            client.send([*byte]);
        }
        assert_eq!(client.response().status, 200, "{method}");
    }
}

#[test]
fn bodies_pass_both_ways_with_and_without_a_length() {
    let (origin, proxy) = lab(behaviour::echo());
    let mut client = Client::connect(proxy.address);
    let body = Bytes::from("0123456789abcdef".repeat(200_000));
    for length in [None, Some(body.len())] {
        let mut request = client.request("POST", "/up");
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        let response = client.exchange(request.body(()).unwrap(), body.clone());
        assert_eq!(response.status, 200);
        assert!(response.body.ends_with(&body));
        let seen = origin.seen_for("/up").pop().unwrap();
        assert_eq!(seen.body.len(), body.len());
        assert!(seen.complete && seen.flaws.is_empty(), "{:?}", seen.flaws);
        let coding = length.is_none().then_some("chunked");
        assert_eq!(seen.field("transfer-encoding"), coding);
    }
    // A GET may have one as well.
    let request = client.request("GET", "/get").body(()).unwrap();
    assert!(client.exchange(request, "body").text().ends_with("body"));
}

#[test]
fn streams_do_not_wait_for_each_other() {
    let (_origin, proxy) = lab(behaviour::custom(|exchange| {
        if exchange.head.line.contains("/slow") {
            exchange.wait_for_stop();
        }
        exchange.read_body();
        exchange.send(&behaviour::response(200, &[], b"quick"))
    }));
    let mut client = Client::connect(proxy.address);
    let slow: Vec<_> = (0..20)
        .map(|_| {
            let request = client.request("GET", "/slow").body(()).unwrap();
            client.begin(request, true)
        })
        .collect();
    for _ in 0..50 {
        assert_eq!(client.get("/quick").text(), "quick");
    }
    drop(slow);
    assert!(!client.has_ended());
}

#[test]
fn trailers_pass_both_ways() {
    let (origin, proxy) = lab(behaviour::custom(|exchange| {
        exchange.read_body();
        exchange.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n\
              2\r\nhi\r\n0\r\nx-sum: 42\r\nConnection: x\r\n\r\n",
        )
    }));
    let mut client = Client::connect(proxy.address);
    let request = client
        .request("POST", "/trailers")
        .header("te", "trailers")
        .header("trailer", "x-check");
    let mut stream = client.begin(request.body(()).unwrap(), false);
    stream.send("body", false);
    let mut trailers = HeaderMap::new();
    trailers.insert("x-check", "7".parse().unwrap());
    for forged in ["x-forwarded-for", "x.forwarded-for", "x-request-id"] {
        trailers.insert(forged, "6.6.6.6".parse().unwrap());
    }
    stream.outgoing.send_trailers(trailers).unwrap();
    let response = stream.response().unwrap();
    assert_eq!(response.text(), "hi");
    let trailers = response.trailers.unwrap();
    assert_eq!(trailers["x-sum"], "42");
    assert_eq!(trailers.len(), 1, "{trailers:?}");
    let seen = origin.saw("/trailers");
    assert_eq!(seen.trailers, [("x-check".to_owned(), "7".to_owned())]);
}

/// RFC 9113 8.1.1: a length that isn't the content's makes a client throw the response away, and `transfer-encoding` can't be sent at all.
#[test]
fn trailers_that_a_client_would_fall_over_stay_behind() {
    let (origin, proxy) = lab(behaviour::custom(|exchange| {
        exchange.read_body();
        let target = exchange.head.line.split(' ').nth(1).unwrap().to_owned();
        let trailer = target.trim_start_matches('/').replace('=', ": ");
        exchange.send(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n{trailer}\r\n\r\n"
        ).as_bytes())
    }));
    let mut client = Client::connect(proxy.address);
    for trailer in [
        "Content-Length=5",
        "Transfer-Encoding=chunked",
        "Content-Encoding=gzip",
        "Content-Type=image/png",
        "Host=evil.example",
        "Set-Cookie=a",
        "X-Sum=1",
    ] {
        let request = client.request("POST", &format!("/{trailer}"));
        let request = request.header("te", "trailers").body(()).unwrap();
        let mut stream = client.begin(request, false);
        stream.send("body", false);
        let mut trailers = HeaderMap::new();
        let (name, value) = trailer.split_once('=').unwrap();
        if name != "Transfer-Encoding" {
            let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            trailers.insert(name, value.parse().unwrap());
        }
        stream.outgoing.send_trailers(trailers).unwrap();
        let response = stream.response().unwrap();
        assert_eq!(response.text(), "hi", "{trailer}");
        let names = response.trailers.iter().flat_map(HeaderMap::keys);
        let names: Vec<&str> = names.map(http::HeaderName::as_str).collect();
        let expected = if name == "X-Sum" {
            vec!["x-sum"]
        } else {
            vec![]
        };
        assert_eq!(names, expected);
        assert_eq!(origin.saw(&format!("/{trailer}")).body, b"body");
    }
}

#[test]
fn a_checksum_that_nobody_has_announced_is_not_that_of_compressed_content() {
    let (_origin, proxy) = lab_with(
        behaviour::raw(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n\
              2\r\nhi\r\n0\r\nContent-Digest: sha-256=:AAAA:\r\nX-Sum: 42\r\n\r\n",
            behaviour::Next::Keep,
        ),
        "[[route]]\npath = \"/gzip\"\npool = \"default\"\ncompress = [\"gzip\"]\n[[route]]\npool = \"default\"",
    );
    let mut client = Client::connect(proxy.address);
    for (path, sums) in [("/gzip", 0), ("/", 1)] {
        let request = client
            .request("GET", path)
            .header("accept-encoding", "gzip");
        let response = client.exchange(request.body(()).unwrap(), "");
        assert_eq!(response.text() == "hi", sums == 1);
        let trailers = response.trailers.unwrap();
        assert_eq!(trailers.get_all("content-digest").iter().count(), sums);
        assert_eq!(trailers["x-sum"], "42");
    }
}

#[test]
fn a_response_without_a_body_ends_with_its_head() {
    let (_origin, proxy) = lab(behaviour::custom(|exchange| {
        exchange.read_body();
        let status = if exchange.head.line.contains("/204") {
            204
        } else if exchange.head.line.contains("/304") {
            304
        } else {
            200
        };
        let head = match status {
            204 => "HTTP/1.1 204 No\r\n\r\n".to_owned(),
            304 => "HTTP/1.1 304 No\r\nContent-Length: 100\r\n\r\n".to_owned(),
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n".to_owned(),
        };
        exchange.send(head.as_bytes())
    }));
    let mut client = Client::connect(proxy.address);
    for (method, path, status, length) in [
        ("HEAD", "/head", 200, Some("100")),
        ("GET", "/204", 204, None),
        ("GET", "/304", 304, Some("100")),
    ] {
        let request = client.request(method, path).body(()).unwrap();
        let response = client.exchange(request, "");
        assert_eq!(response.status, status);
        assert_eq!(response.field("content-length"), length, "{path}");
        assert!(response.body.is_empty());
    }
}

#[test]
fn what_concerns_one_connection_of_http_1_1_stays_there() {
    let (_origin, proxy) = lab(behaviour::answer(
        426,
        &[
            "Connection: keep-alive, x-hop, upgrade",
            "Keep-Alive: timeout=5",
            "Upgrade: h2c",
            "Proxy-Connection: close",
            "X-Hop: 1",
            "X-Other: 2",
        ],
        "x",
    ));
    let response = Client::connect(proxy.address).get("/");
    for name in [
        "connection",
        "keep-alive",
        "upgrade",
        "proxy-connection",
        "x-hop",
    ] {
        assert_eq!(response.field(name), None, "{name}");
    }
    assert_eq!(response.field("x-other"), Some("2"));
}

#[test]
fn interim_responses_come_before_the_final_one() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x\r\nX: 1\r\n\r\n";
    let last = behaviour::response(200, &[], b"done");
    let (_origin, proxy) = lab(behaviour::interim(&[hints, hints], last));
    let mut client = Client::connect(proxy.address);
    let request = client.request("GET", "/").body(()).unwrap();
    let mut stream = client.begin(request, true);
    for _ in 0..2 {
        let interim = stream.informational();
        assert_eq!(interim.status(), 103);
        assert_eq!(interim.headers()["link"], "</a.css>");
        assert!(!interim.headers().contains_key("x"));
    }
    assert_eq!(stream.response().unwrap().text(), "done");
}

#[test]
fn a_client_that_waits_for_100_gets_it_when_the_backend_wants_the_body() {
    let (origin, proxy) = lab(behaviour::asking_for_the_body(behaviour::echo()));
    let mut client = Client::connect(proxy.address);
    let request = client
        .request("POST", "/expect")
        .header("expect", "100-continue")
        .header("content-length", 4);
    let mut stream = client.begin(request.body(()).unwrap(), false);
    assert_eq!(stream.informational().status(), 100);
    stream.send("body", true);
    assert!(stream.response().unwrap().text().ends_with("body"));
    assert_eq!(origin.saw("/expect").body, b"body");

    // A backend that says no by its final response saves the upload.
    origin.behave(behaviour::early(behaviour::response(417, &[], b"no")));
    let request = client
        .request("POST", "/no")
        .header("expect", "100-continue")
        .header("content-length", 4);
    let mut stream = client.begin(request.body(()).unwrap(), false);
    assert_eq!(stream.head().status(), 417);
}

#[test]
fn a_backend_that_never_asks_gets_the_body_all_the_same() {
    let (_origin, proxy) = lab(behaviour::echo());
    let mut client = Client::connect(proxy.address);
    let request = client
        .request("POST", "/")
        .header("expect", "100-continue")
        .header("content-length", 4);
    let mut stream = client.begin(request.body(()).unwrap(), false);
    assert_eq!(stream.informational().status(), 100);
    stream.send("body", true);
    assert!(stream.response().unwrap().text().ends_with("body"));
}

#[test]
fn a_response_may_come_before_its_request_has_ended() {
    let (_origin, proxy) = lab(behaviour::early(behaviour::response(403, &[], b"no need")));
    let mut client = Client::connect(proxy.address);
    let request = client.request("POST", "/").body(()).unwrap();
    let mut stream = client.begin(request, false);
    stream.send("some", false);
    let response = stream.response().unwrap();
    assert_eq!(
        (response.status.as_u16(), response.text()),
        (403, "no need".into())
    );
    assert_eq!(client.get("/again").status, 403, "the connection goes on");
}

#[test]
fn what_still_comes_after_the_response_is_taken_in_for_a_moment() {
    let (_origin, proxy) = lab(behaviour::early_and_close(behaviour::response(
        403,
        &["Connection: close"],
        b"no need",
    )));
    let mut wire = Wire::connect(proxy.address);
    // What there is leave for at first, whatever becomes of it. Returns how much more there is leave for once the response is complete.
    let fill = |wire: &mut Wire, stream| {
        wire.send(frames::post(stream, "/"));
        for _ in 0..4 {
            wire.send(frame(DATA, 0, stream, [0; 16_383]));
        }
        let mut leave = 0;
        loop {
            let next = wire.until(|frame| frame.stream == stream);
            if next.kind == WINDOW_UPDATE {
                leave += next.code();
            } else if next.flags & END_STREAM != 0 {
                assert_eq!(next.payload, b"no need");
                return leave;
            }
        }
    };
    // There is leave to send the rest, and no reset.
    let mut leave = fill(&mut wire, 1);
    while leave < 28_672 {
        let more = wire.until(|frame| frame.stream == 1);
        assert_eq!(more.kind, WINDOW_UPDATE);
        leave += more.code();
    }
    for _ in 0..7 {
        wire.send(frame(DATA, 0, 1, [0; 4096]));
    }
    wire.send(frame(DATA, END_STREAM, 1, []));
    wire.send(frames::get(3, "/"));
    let other = wire.until(|frame| {
        frame.kind == RST_STREAM || frame.stream == 3 && frame.flags & END_STREAM != 0
    });
    assert_eq!((other.stream, other.kind), (3, DATA));
    // Who falls silent is told that it isn't wanted (RFC 9113 8.1).
    fill(&mut wire, 5);
    let reset = wire.until(|frame| frame.kind == RST_STREAM);
    assert_eq!((reset.stream, reset.code()), (5, 0));
}

#[test]
fn what_still_comes_is_taken_in_also_after_a_response_without_a_body() {
    let answers = [
        (403, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
        (204, "HTTP/1.1 204 No Content\r\n\r\n"),
        (
            302,
            "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
        ),
    ];
    for (status, answer) in answers {
        let (_origin, proxy) = lab(behaviour::early(answer));
        let mut wire = Wire::connect(proxy.address);
        wire.send(frames::post(1, "/"));
        wire.send(frame(DATA, 0, 1, [0; 16_383]));
        let head = wire.until(|frame| frame.stream == 1 && frame.kind != WINDOW_UPDATE);
        assert_eq!((head.kind, head.ends_stream()), (HEADERS, true), "{status}");
        wire.send(frame(DATA, 0, 1, [0; 16_383]));
        wire.send(frame(DATA, END_STREAM, 1, [0; 1000]));
        wire.send(frames::get(3, "/"));
        let next = wire
            .until(|frame| frame.kind == RST_STREAM || frame.stream == 3 && frame.ends_stream());
        assert_eq!((next.stream, next.kind), (3, HEADERS), "{status}");

        let mut client = Client::connect(proxy.address);
        let request = client.request("POST", "/").body(()).unwrap();
        let answer = client.exchange(request, Bytes::from(vec![0; 3_000_000]));
        assert_eq!(answer.status, status);
        assert_eq!(answer.field("connection"), None);
    }
}

#[test]
fn events_pass_as_they_come_and_both_sides_may_talk_at_once() {
    let (_origin, proxy) = lab(behaviour::custom(|exchange| {
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let body = exchange.read_body();
        exchange.send(&behaviour::chunk(&body.bytes));
        exchange.send(b"0\r\n\r\n")
    }));
    let mut client = Client::connect(proxy.address);
    let request = client.request("POST", "/").body(()).unwrap();
    let mut stream = client.begin(request, false);
    assert_eq!(stream.head().status(), 200, "before the request's end");
    stream.send("talk", true);
    assert_eq!(stream.data(), "talk");
}

#[test]
fn requests_wait_for_a_zone_as_ever() {
    let (mut origin, proxy) = lab_with(behaviour::ok("there"), "[failover]\nhold_time = \"15s\"");
    origin.refuse();
    proxy.until_status("it is down", |status| {
        status["zones"][0]["components"][0]["status"] == "down"
    });
    let mut client = Client::connect(proxy.address);
    let mut held: Vec<_> = (0..10)
        .map(|at| {
            let request = client.request("POST", &format!("/{at}")).body(()).unwrap();
            client.begin(request, true)
        })
        .collect();
    eventually(PATIENCE, "all are held", || proxy.status()["holds"] == 10);
    // One that is called off gives up its place.
    held.pop();
    eventually(Duration::from_secs(5), "one has left", || {
        proxy.status()["holds"] == 9
    });
    origin.restart();
    for mut stream in held {
        assert_eq!(stream.response().unwrap().text(), "there");
    }
}

#[test]
fn a_lost_request_is_repeated_elsewhere_where_it_may_be() {
    let (origin, proxy) = lab(behaviour::ok("x"));
    let mut client = Client::connect(proxy.address);
    client.get("/warm");
    // The kept connection is gone by the time that it is used.
    origin.close_connections();
    assert_eq!(client.get("/again").status, 200);
}

#[test]
fn a_body_that_came_in_thousands_of_frames_before_it_could_be_sent_goes_out_at_once() {
    let (mut origin, proxy) = lab_with(behaviour::echo(), "[failover]\nhold_time = \"30s\"");
    proxy.until_all_up();
    origin.refuse();
    proxy.until_status("it is down", |status| {
        status["zones"][0]["components"][0]["status"] == "down"
    });
    let mut wire = Wire::connect(proxy.address);
    wire.send(frames::post(1, "/grains"));
    for _ in 0..4000 {
        wire.send(frame(DATA, 0, 1, "x"));
    }
    wire.send(frame(DATA, END_STREAM, 1, "y"));
    assert!(wire.lives(), "all of it has come");
    origin.restart();
    // Nothing more comes from this client that could wake the request.
    let head = wire.until(|frame| frame.kind == HEADERS);
    assert_eq!(head.stream, 1);
    let saw = origin.saw("/grains");
    assert!(saw.complete);
    assert_eq!(saw.body.len(), 4001);
}
