//! What the log says of how long requests took.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::site::Site;
use crate::support::Origin;
use crate::support::behaviour;
use crate::support::wait::{PATIENCE, eventually};

/// What the backend thinks about each request.
const THOUGHT: Duration = Duration::from_millis(5);

#[test]
fn requests_beside_large_responses_take_no_less_than_their_backend() {
    let origin = Origin::start({
        let large = behaviour::huge(1 << 40);
        let small = behaviour::after(THOUGHT, behaviour::ok("small"));
        behaviour::custom(move |exchange| {
            if exchange.head.line.contains("/large") {
                large(exchange)
            } else {
                small(exchange)
            }
        })
    });
    let site = Site::new();
    // One worker, which always has a task to run.
    let proxy = site
        .builder()
        .server("workers = 1\n")
        .zone("fz-1", &[&origin])
        .start();
    let to = format!("app.example:{}:127.0.0.1", proxy.address.port());
    let downloads: Vec<Child> = (0..4)
        .map(|_| {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--http1.1", "--resolve", &to, "--cacert"])
                .arg(site.file("ca.pem"))
                .arg(format!(
                    "https://app.example:{}/large",
                    proxy.address.port()
                ))
                .stdout(Stdio::null());
            curl.spawn().unwrap()
        })
        .collect();
    eventually(PATIENCE, "the downloads are under way", || {
        origin.sent() > 50_000_000
    });
    let mut client = crate::client::Client::connect(proxy.address, &site.trust());
    for number in 0..40 {
        let path = format!("/small/{number}");
        client.send(format!("GET {path} HTTP/1.1\r\nHost: app.example\r\n\r\n"));
        let _answer = client.response();
        let took = proxy.access_line(&path)["duration_ms"].as_f64().unwrap();
        let least = THOUGHT.as_secs_f64() * 1000.0 - 1.0;
        assert!(took >= least, "{path}: {took} ms");
    }
    // They end with it, also where this is not reached.
    drop(proxy);
    for mut download in downloads {
        download.wait().unwrap();
    }
}
