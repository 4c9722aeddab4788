//! How many bodies are compressed at once: no client connection has the places of all others.

use crate::builder;
use crate::client::{Client, Stream};
use crate::support::Origin;
use crate::support::behaviour::{self, Next, chunk};
use crate::support::wait::{PATIENCE, eventually};

/// Of one connection, and of all.
const PLACES: (usize, usize) = (16, 256);

/// Begins a request whose response never ends; whether that is compressed.
fn begin(client: &mut Client) -> (Stream, bool) {
    let request = client.request("GET", "/").header("accept-encoding", "gzip");
    let mut stream = client.begin(request.body(()).unwrap(), true);
    let head = stream.head();
    assert_eq!(head.status(), 200);
    (stream, head.headers().contains_key("content-encoding"))
}

#[test]
fn one_connection_has_some_of_the_places_and_all_workers_share_them() {
    let origin = Origin::start(behaviour::custom(|exchange| {
        exchange.read_body();
        exchange.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n",
        );
        exchange.send(&chunk(b"<p>"));
        exchange.wait_for_end();
        Next::Close
    }));
    let proxy = builder()
        .server("workers = 2")
        .toml("[[route]]\npool = \"default\"\ncompress = true")
        .zone("fz-1", &[&origin])
        .start();
    let mut greedy = Client::connect(proxy.address);
    let mut streams: Vec<_> = (0..PLACES.0 + 4).map(|_| begin(&mut greedy)).collect();
    let compressed = streams.iter().filter(|(_, compressed)| *compressed).count();
    assert_eq!(compressed, PLACES.0);
    // A place that is given back can be had again.
    streams.remove(0);
    eventually(PATIENCE, "there is a place again", || begin(&mut greedy).1);

    let mut others: Vec<_> = (1..PLACES.1 / PLACES.0)
        .map(|_| Client::connect(proxy.address))
        .collect();
    for client in &mut others {
        for _ in 0..PLACES.0 {
            let (stream, compressed) = begin(client);
            assert!(compressed, "the {}th", streams.len());
            streams.push((stream, compressed));
        }
    }
    let mut last = Client::connect(proxy.address);
    eventually(PATIENCE, "all places are taken", || {
        let (stream, compressed) = begin(&mut greedy);
        streams.push((stream, compressed));
        compressed
    });
    assert!(!begin(&mut last).1);
    drop(streams);
    eventually(PATIENCE, "all places are free", || begin(&mut last).1);
}
