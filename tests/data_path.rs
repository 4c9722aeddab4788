//! The data path where several things happen at once: what only shows when a reload, a flip, a slow client or a drain meets a
//! request at an awkward moment.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::behaviour::{self, Next};
use support::proxy::Builder;
use support::wait::{PATIENCE, eventually, within};
use support::wire::Trouble;
use support::{Broken, Origin, Proxy, RawClient};

const GET: &str = "GET / HTTP/1.1\r\nHost: app.example\r\n\r\n";

/// Checks so rare that only live requests can find out what a backend does.
fn rarely_checked() -> Builder {
    Proxy::builder().check("kind = \"tcp\"\ninterval = \"1h\"\ntimeout = \"5s\"\nconfirm_interval = \"1h\"\nfall = 1000")
}

/// Checks that notice at once.
fn often_checked() -> Builder {
    Proxy::builder()
        .check("kind = \"tcp\"\ninterval = \"50ms\"\ntimeout = \"2s\"\nfall = 1\nrise = 1")
}

/// Waits until the proxy has had time for everything that is due after `header_timeout`: a stranger with half a head is cut.
fn until_half_heads_are_cut(proxy: &Proxy) {
    let mut canary = proxy.client();
    canary.send("GET / HTTP/1.1\r\nHo");
    assert_eq!(canary.response().status, 408);
}

#[test]
fn a_request_held_across_a_reload_stays_with_its_pool() {
    let (mut orders, billing) = (Origin::named("orders"), Origin::named("billing"));
    let route = |host: &str, pool: &str| format!("[[route]]\nhost = \"{host}\"\npool = \"{pool}\"");
    let pool = |name: &str| format!("[[pool]]\nname = \"{name}\"");
    let hold = "[failover]\nhold_time = \"20s\"";
    let zone = |builder: Builder| builder.zone_at("fz-1", &[]);
    let builder = often_checked().toml(hold);
    let mut proxy = zone(
        builder
            .clone()
            .toml(&pool("orders"))
            .toml(&route("orders.example", "orders")),
    )
    .backend("orders-1", orders.address(), "pool = \"orders\"")
    .start();
    proxy.until_all_up();
    orders.refuse();
    proxy.until_status("the backend is down", |s| {
        s.to_string().contains("\"down\"")
    });
    let mut client = proxy.client();
    client.send("GET /held HTTP/1.1\r\nHost: orders.example\r\n\r\n");
    proxy.until_status("the request waits", |status| status["holds"] == 1);

    proxy.rewrite_config(
        zone(
            builder
                .toml(&pool("billing"))
                .toml(&pool("orders"))
                .toml(&route("billing.example", "billing"))
                .toml(&route("orders.example", "orders")),
        )
        .backend("billing-1", billing.address(), "pool = \"billing\"")
        .backend("orders-1", orders.address(), "pool = \"orders\""),
    );
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    // Longer than the new backend needs to come up: a request for the wrong pool would go there.
    let strayed = within(Duration::from_secs(1), || billing.count() > 0);
    assert!(!strayed, "a request for one application went to another");
    orders.restart();
    assert_eq!(client.response().text(), "orders");
}

#[test]
fn a_request_held_across_a_reload_that_removes_its_pool_is_answered() {
    let (mut orders, billing) = (Origin::named("orders"), Origin::named("billing"));
    let text = |pools: &[&str]| {
        pools.iter().fold(
            often_checked().toml("[failover]\nhold_time = \"20s\""),
            |builder, pool| {
                builder.toml(&format!(
                    "[[pool]]\nname = \"{pool}\"\n[[route]]\nhost = \"{pool}.example\"\npool = \"{pool}\""
                ))
            },
        )
    };
    let mut proxy = text(&["billing", "orders"])
        .zone_at("fz-1", &[])
        .backend("billing-1", billing.address(), "pool = \"billing\"")
        .backend("orders-1", orders.address(), "pool = \"orders\"")
        .start();
    proxy.until_all_up();
    orders.refuse();
    proxy.until_status("the backend is down", |s| {
        s.to_string().contains("\"down\"")
    });
    let mut client = proxy.client();
    client.send("GET /held HTTP/1.1\r\nHost: orders.example\r\n\r\n");
    proxy.until_status("the request waits", |status| status["holds"] == 1);
    proxy.rewrite_config(text(&["billing"]).zone_at("fz-1", &[]).backend(
        "billing-1",
        billing.address(),
        "pool = \"billing\"",
    ));
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    assert_eq!(client.response().status, 421);
    assert!(!proxy.log().contains("panicked"), "{}", proxy.log());
    assert_eq!(billing.count(), 0);
}

#[test]
fn a_tunnel_whose_client_has_gone_before_it_opens_leaves_nothing_behind() {
    let switching = behaviour::custom(|exchange| {
        exchange.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        );
        exchange.wait_for_end();
        Next::Close
    });
    // Long enough for the client to be gone.
    let origin = Origin::start(behaviour::after(Duration::from_millis(100), switching));
    let proxy = Proxy::in_front_of(&[&origin]);
    for at in 0..10 {
        let mut client = proxy.client();
        // What follows the request keeps the proxy from seeing the end before it writes.
        client.send("GET /chat HTTP/1.1\r\nHost: app.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly");
        eventually(PATIENCE, "the request arrives", || origin.count() == at + 1);
        client.reset();
    }
    eventually(PATIENCE, "the backend's connections end", || {
        origin.open_connections() == 0
    });
}

/// A client with small buffers, so that what it doesn't read stays in the proxy's.
fn narrow_client(address: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Lets responses of many sizes wait in the proxy's buffers until all of `limits` but `write_timeout` have passed, with `more`
/// sent behind each request, and says of which sizes not everything came.
fn cut_short(limits: &str, more: &str) -> Vec<(usize, String)> {
    use std::io::{Read, Write};
    let origin = Origin::start(behaviour::custom(|exchange| {
        exchange.read_body();
        let size = exchange.head.line.split(['/', ' ']).nth(2).unwrap();
        let size = size.parse().unwrap_or(0);
        exchange.send(&behaviour::response(200, &[], &vec![b'x'; size]))
    }));
    let proxy = rarely_checked()
        .toml(limits)
        .zone("fz-1", &[&origin])
        .start();
    let mut clients: Vec<(usize, TcpStream)> = (1..40)
        .map(|at| {
            let size = at * 100_000;
            let mut stream = narrow_client(proxy.address);
            write!(stream, "GET /{size} HTTP/1.1\r\nHost: app.example\r\n\r\n").unwrap();
            (size, stream)
        })
        .collect();
    eventually(PATIENCE, "all requests arrive", || {
        origin.count() == clients.len()
    });
    until_half_heads_are_cut(&proxy);
    for (_, stream) in &mut clients {
        stream.write_all(more.as_bytes()).unwrap();
    }
    until_half_heads_are_cut(&proxy);
    until_half_heads_are_cut(&proxy);
    let mut short = Vec::new();
    std::thread::scope(|scope| {
        let readers: Vec<_> = clients
            .into_iter()
            .map(|(size, mut stream)| {
                scope.spawn(move || {
                    let mut bytes = Vec::new();
                    let mut block = vec![0; 65_536];
                    let begins = |bytes: &[u8]| bytes.windows(4).position(|w| w == b"\r\n\r\n");
                    loop {
                        let end = begins(&bytes[..bytes.len().min(1000)]).map(|at| at + 4 + size);
                        if end.is_some_and(|end| bytes.len() >= end) {
                            let body = &bytes[end.unwrap() - size..end.unwrap()];
                            let pure = body.iter().all(|&byte| byte == b'x');
                            return (!pure)
                                .then(|| (size, "something else in the body".to_owned()));
                        }
                        match stream.read(&mut block) {
                            Ok(0) => return Some((size, format!("ended after {}", bytes.len()))),
                            Ok(read) => bytes.extend_from_slice(&block[..read]),
                            // A stop of the process ends a read that has a limit.
                            Err(error) if error.kind() == ErrorKind::Interrupted => {}
                            Err(error) => return Some((size, error.to_string())),
                        }
                    }
                })
            })
            .collect();
        short.extend(
            readers
                .into_iter()
                .filter_map(|reader| reader.join().unwrap()),
        );
    });
    short
}

#[test]
fn a_response_that_is_still_read_is_not_cut_as_idle() {
    let short = cut_short(
        "[limits]\nheader_timeout = \"2s\"\nidle_timeout = \"1500ms\"",
        "",
    );
    assert_eq!(short, []);
}

#[test]
fn a_response_that_is_still_read_is_not_cut_for_the_request_behind_it() {
    let short = cut_short("[limits]\nheader_timeout = \"2s\"", GET);
    assert_eq!(short, []);
}

#[test]
fn no_more_connections_are_served_than_allowed() {
    let origin = Origin::named("hello");
    let proxy = rarely_checked()
        .listener("max_connections = 4")
        .zone("fz-1", &[&origin])
        .start();
    let mut clients: Vec<RawClient> = (0..12).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.send(GET);
    }
    eventually(PATIENCE, "four are served", || origin.count() >= 4);
    let more = within(Duration::from_secs(1), || origin.count() > 4);
    assert!(!more, "{} were served at once", origin.count());
    // And everybody has a turn, once another one has left.
    eventually(PATIENCE, "all are served", || {
        clients.retain_mut(|client| {
            match client.response_within("GET", Duration::from_millis(20)) {
                Ok(answer) => answer.text() != "hello",
                Err(Broken::NoResponse(Trouble::Deadline)) => true,
                Err(broken) => panic!("{broken:?}"),
            }
        });
        clients.is_empty()
    });
}

#[test]
fn requests_that_waited_once_do_not_take_the_turn_of_those_that_wait() {
    let mut origin = Origin::start(behaviour::custom(|exchange| {
        exchange.read_body();
        if exchange.head.line.starts_with("GET /stream ") {
            exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
            exchange.wait_for_end();
            return Next::Close;
        }
        exchange.send(&behaviour::response(200, &[], b"served"))
    }));
    let proxy = often_checked()
        .server("workers = 1")
        .toml("[failover]\nhold_time = \"20s\"")
        .zone_at("fz-1", &[])
        .backend("app-1", origin.address(), "max_in_flight = 301")
        .start();
    proxy.until_all_up();
    origin.refuse();
    proxy.until_status("the backend is down", |s| {
        s.to_string().contains("\"down\"")
    });
    let mut streams: Vec<RawClient> = (0..300).map(|_| proxy.client()).collect();
    for stream in &mut streams {
        stream.send("GET /stream HTTP/1.1\r\nHost: app.example\r\n\r\n");
    }
    proxy.until_status("all wait", |status| status["holds"] == 300);
    origin.restart();
    eventually(PATIENCE, "all are streaming", || origin.count() == 300);
    // One place is left, for which two compete.
    let short = Duration::from_millis(50);
    origin.behave(behaviour::after(short, behaviour::ok("served")));
    let begun = Instant::now();
    let mut clients: Vec<RawClient> = (0..10).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.send(GET);
    }
    for client in &mut clients {
        assert_eq!(client.response().text(), "served");
    }
    // Half a second of work; who loses its turn loses it until `hold_time` is over.
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn those_that_wait_for_one_pool_do_not_hold_up_another() {
    let (stuck, busy) = (
        Origin::start(behaviour::hang()),
        Origin::start(behaviour::after(
            Duration::from_millis(50),
            behaviour::ok("served"),
        )),
    );
    let pool = |name: &str| {
        format!(
            "[[pool]]\nname = \"{name}\"\n[[route]]\nhost = \"{name}.example\"\npool = \"{name}\""
        )
    };
    let proxy = rarely_checked()
        .server("workers = 1")
        .toml("[failover]\nhold_time = \"60s\"")
        .toml(&pool("stuck"))
        .toml(&pool("busy"))
        .zone_at("fz-1", &[])
        .backend(
            "stuck-1",
            stuck.address(),
            "pool = \"stuck\"\nmax_in_flight = 1",
        )
        .backend(
            "busy-1",
            busy.address(),
            "pool = \"busy\"\nmax_in_flight = 1",
        )
        .start();
    let ask = |host: &str| {
        let mut client = proxy.client();
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}.example\r\n\r\n"));
        client
    };
    let _waiting: Vec<RawClient> = (0..301).map(|_| ask("stuck")).collect();
    proxy.until_status("they wait", |status| status["holds"] == 300);
    let begun = Instant::now();
    let mut others: Vec<RawClient> = (0..20).map(|_| ask("busy")).collect();
    for other in &mut others {
        assert_eq!(
            other
                .response_within("GET", Duration::from_secs(60))
                .unwrap()
                .text(),
            "served"
        );
    }
    // A second of work, one after the other; the others wait for a minute.
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_status_worth_a_retry_is_passed_on_at_once_when_nobody_else_can_be_asked() {
    let origins: Vec<Origin> = (0..2)
        .map(|_| Origin::start(behaviour::answer(503, &["X-From: app"], "busy")))
        .collect();
    let proxy = rarely_checked()
        .toml("[upstream]\nretry_on_status = [503]\nretries = 5")
        .toml("[failover]\nhold_time = \"60s\"")
        .zone("fz-1", &origins.iter().collect::<Vec<_>>())
        .start();
    let begun = Instant::now();
    let answer = proxy.get("/");
    assert_eq!((answer.status, answer.text().as_str()), (503, "busy"));
    assert_eq!(origins.iter().map(Origin::count).sum::<usize>(), 2);
    assert_eq!(answer.field("x-from"), Some("app"));
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "it was held for {:?}",
        begun.elapsed()
    );
}

#[test]
fn failures_that_a_retry_has_hidden_count_against_their_backend() {
    let (bad, good) = (Origin::start(behaviour::reset()), Origin::named("good"));
    let proxy = rarely_checked()
        .toml("[upstream]\nbalance = \"round-robin\"\nretry_budget = \"100%\"")
        .zone("fz-1", &[&bad, &good])
        .start();
    eventually(PATIENCE, "the bad one is gray", || {
        for _ in 0..10 {
            assert_eq!(proxy.get("/").text(), "good");
        }
        proxy.status()["zones"][0]["components"][0]["gray"] == true
    });
    assert!(bad.count() > 0);
}

#[test]
fn what_clients_do_wrong_does_not_count_against_a_backend() {
    let (mut one, mut two) = (Origin::named("one"), Origin::named("two"));
    let proxy = often_checked()
        .toml("[failover]\nhold_time = \"20s\"")
        .zone("fz-1", &[&one, &two])
        .start();
    proxy.until_all_up();
    let one_down = |status: &serde_json::Value, at: usize| {
        status["zones"][0]["components"][at]["status"] == "down"
    };
    one.refuse();
    proxy.until_status("only the second is up", |status| one_down(status, 0));
    // For longer than the monitor leaves between two looks at the counts.
    within(Duration::from_millis(1500), || {
        assert_eq!(proxy.get("/").text(), "two");
        false
    });
    one.restart();
    two.refuse();
    proxy.until_status("only the first is up", |status| {
        !one_down(status, 0) && one_down(status, 1)
    });
    for _ in 0..30 {
        let answer = proxy.client().exchange(
            "POST / HTTP/1.1\r\nHost: app.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\n",
        );
        assert_eq!(answer.status, 400);
    }
    assert!(one.count() > 0, "they never reached it");
    // The last one of a pool is never left out.
    two.restart();
    proxy.until_all_up();
    let gray = within(Duration::from_secs(2), || {
        proxy.status()["zones"][0]["components"][0]["gray"] == true
    });
    assert!(!gray, "clients have made a sound backend gray");
}

#[test]
fn a_request_whose_head_has_begun_is_answered_though_the_drain_begins() {
    let origin = Origin::named("hello");
    let proxy = rarely_checked().zone("fz-1", &[&origin]).start();
    let (mut kept, mut fresh) = (proxy.client(), proxy.client());
    assert_eq!(kept.exchange(GET).status, 200);
    let (first, rest) = GET.split_at(20);
    kept.send(first);
    fresh.send(first);
    assert_eq!(proxy.get("/").status, 200);
    proxy.signal(Signal::TERM);
    eventually(PATIENCE, "the drain has begun", || {
        proxy.log().contains("draining")
    });
    assert!(
        !kept.ends_within(Duration::from_millis(300)),
        "cut in mid-head"
    );
    for client in [&mut kept, &mut fresh] {
        client.send(rest);
        assert_eq!(client.response().text(), "hello");
        assert!(client.ends_within(PATIENCE));
    }
}

#[test]
fn a_connection_just_made_may_still_ask_though_the_drain_begins() {
    let origin = Origin::named("hello");
    let mut proxy = rarely_checked().zone("fz-1", &[&origin]).start();
    let (mut asking, mut slow, mut silent) = (proxy.client(), proxy.client(), proxy.client());
    assert_eq!(proxy.get("/").status, 200);
    let told = Instant::now();
    proxy.signal(Signal::TERM);
    eventually(PATIENCE, "the drain has begun", || {
        proxy.log().contains("draining")
    });
    let (first, rest) = GET.split_at(1);
    slow.send(first);
    asking.send(GET);
    // Who stood still for the second that a connection has for its first byte has asked too late, and nothing was promised to it.
    let in_time = told.elapsed() < A_SECOND;
    let answered = |client: &mut RawClient| match client.response_within("GET", PATIENCE) {
        Ok(answer) => assert_eq!(answer.text(), "hello"),
        Err(broken) => assert!(!in_time, "{broken:?}"),
    };
    answered(&mut asking);
    assert!(
        silent.ends_within(PATIENCE),
        "and who says nothing is not waited for"
    );
    assert!(told.elapsed() > A_SECOND, "it was not waited for at all");
    // The second was for the first byte only.
    slow.send(rest);
    answered(&mut slow);
    assert!(proxy.wait_for_exit(PATIENCE).success());
}

/// What a fresh connection has for its first byte once the drain has begun, but for the ticks of firedoor's clock.
const A_SECOND: Duration = Duration::from_millis(900);

#[test]
fn whoever_the_kernel_has_let_in_is_answered_though_nobody_has_accepted_yet() {
    let origin = Origin::named("hello");
    for _ in 0..5 {
        // More workers than cores: some have not had their turn yet when the order to drain is there.
        let workers = rarely_checked().server("workers = 8");
        let mut proxy = workers.zone("fz-1", &[&origin]).start();
        assert_eq!(proxy.get("/").status, 200);
        let mut clients: Vec<_> = (0..16).map(|_| proxy.client()).collect();
        // Who has said nothing has a second once the drain has begun, however long that takes to be seen here.
        let (first, rest) = GET.split_at(1);
        for client in &mut clients {
            client.send(first);
        }
        proxy.signal(Signal::TERM);
        for client in &mut clients {
            client.send(rest);
            assert_eq!(client.response().text(), "hello");
        }
        drop(clients);
        assert!(proxy.wait_for_exit(PATIENCE).success());
    }
}

#[test]
fn a_tunnel_to_a_removed_backend_ends_after_the_drain() {
    let (origin, other) = (Origin::start(behaviour::upgrade()), Origin::named("other"));
    let builder = || often_checked().server("drain_timeout = \"500ms\"");
    let mut proxy = builder().zone("fz-1", &[&origin]).start();
    proxy.until_all_up();
    let mut client = proxy.client();
    client.send("GET /chat HTTP/1.1\r\nHost: app.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert!(client.head().line.starts_with("HTTP/1.1 101"));
    proxy.rewrite_config(
        builder()
            .zone_at("fz-1", &[])
            .backend("app-9", other.address(), ""),
    );
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    assert!(client.ends_within(PATIENCE), "it goes on for ever");
}

#[test]
fn what_is_cut_when_the_drain_is_over_is_logged_as_cut_by_firedoor() {
    let origin = Origin::start(behaviour::custom(|exchange| {
        match &*exchange.head.line {
        "GET /hang HTTP/1.1" => {
            exchange.wait_for_stop();
            Next::Close
        }
        "GET /part HTTP/1.1" => {
            exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart");
            exchange.wait_for_stop();
            Next::Close
        }
        _ => exchange.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x82\x05x"),
    }
    }));
    let mut proxy = rarely_checked()
        .server("drain_timeout = \"500ms\"")
        .zone("fz-1", &[&origin])
        .start();
    let mut clients = Vec::new();
    for (path, fields) in [
        ("/hang", ""),
        ("/part", ""),
        // In the middle of a frame, where no close frame can be sent.
        ("/chat", "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
    ] {
        let mut client = proxy.client();
        client.send(format!(
            "GET {path} HTTP/1.1\r\nHost: app.example\r\n{fields}\r\n"
        ));
        eventually(PATIENCE, "it has come", || {
            !origin.seen_for(path).is_empty()
        });
        clients.push(client);
    }
    clients[1].head();
    clients[2].head();
    proxy.signal(Signal::TERM);
    assert!(proxy.wait_for_exit(PATIENCE).success());
    for (path, termination) in [("/hang", "PH"), ("/part", "PD"), ("/chat", "PD")] {
        assert_eq!(
            proxy.access_line(path)["termination"],
            termination,
            "{path}"
        );
    }
}

#[test]
fn an_upload_that_is_refused_while_it_comes_gets_its_answer() {
    let origin = Origin::named("hello");
    let proxy = rarely_checked()
        .toml("[limits]\nmax_body_size = \"1MiB\"")
        .zone("fz-1", &[&origin])
        .start();
    for _ in 0..5 {
        let mut client = proxy.client();
        client.send("POST / HTTP/1.1\r\nHost: app.example\r\nContent-Length: 50000000\r\n\r\n");
        let block = vec![b'x'; 65_536];
        // A plain client sends all of it before it reads.
        let mut sent = 0;
        while sent < 8_000_000 && client.try_send(&block).is_ok() {
            sent += block.len();
        }
        assert!(sent >= 8_000_000, "cut after {sent}");
        assert_eq!(client.response_to("POST").status, 413);
    }
}

#[test]
fn a_client_cannot_claim_in_trailers_what_it_cannot_claim_in_fields() {
    let origin = Origin::start(behaviour::echo());
    let proxy = rarely_checked().zone("fz-1", &[&origin]).start();
    let answer = proxy.client().exchange(
        "POST /t HTTP/1.1\r\nHost: app.example\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Firedoor-Epoch, X-Forwarded-For\r\n\r\n\
         5\r\nhello\r\n0\r\nX-Sum: 1\r\nFiredoor-Epoch: 99\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n",
    );
    assert_eq!(answer.status, 200);
    let trailers = origin.saw("/t").trailers;
    let names: Vec<String> = trailers
        .iter()
        .map(|(name, _)| name.to_lowercase())
        .collect();
    assert_eq!(names, ["x-sum"]);
}
