//! A zone that is too small for the load: requests of lower priority are turned away, the others never notice.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use support::behaviour::{self, after};
use support::pair::{EAGER, PROMPT, journal_of, until_active, until_both_serve};
use support::wait::PATIENCE;
use support::{Origin, Proxy, eventually};

const ROUTES: &str = "[[route]]\npath = \"/orders\"\npriority = 7\npool = \"default\"\n\
                      [[route]]\npool = \"default\"\n[[route]]\npath = \"/reports\"\npriority = 2\npool = \"default\"\n";

/// An app server that takes its time, so that requests are in flight.
fn slow(name: &str) -> Origin {
    let answer = behaviour::ok(name);
    Origin::start(after(Duration::from_millis(50), answer))
}

fn zone(
    proxy: support::proxy::Builder,
    name: &str,
    origins: &[Origin; 2],
    most: u32,
) -> support::proxy::Builder {
    let most = format!("max_in_flight = {most}");
    let [first, second] = origins.each_ref().map(Origin::address);
    proxy
        .zone_at(name, &[])
        .backend("app-1", first, &most)
        .backend("app-2", second, &most)
}

/// Clients that each have one request under way at a time; whoever is turned away comes back a moment later.
struct Crowd {
    statuses: Arc<Mutex<Vec<u16>>>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Crowd {
    fn of(count: usize, proxy: &Proxy, path: &'static str) -> Self {
        let (statuses, stop) = (
            Arc::<Mutex<Vec<u16>>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let clients = (0..count).map(|_| {
            let (statuses, stop) = (Arc::clone(&statuses), Arc::clone(&stop));
            let mut client = proxy.client();
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let request = format!("GET {path} HTTP/1.1\r\nHost: app.example\r\n\r\n");
                    let status = client.exchange(request).status;
                    statuses.lock().unwrap().push(status);
                    if status == 503 {
                        std::thread::sleep(Duration::from_millis(10));
                    }
                }
            })
        });
        let clients = clients.collect();
        Self {
            statuses,
            stop,
            clients,
        }
    }

    fn statuses(&self) -> Vec<u16> {
        self.statuses.lock().unwrap().clone()
    }

    fn wait_for_more(&self, count: usize) {
        let goal = self.statuses().len() + count;
        eventually(PATIENCE, "more requests are answered", || {
            self.statuses().len() >= goal
        });
    }

    fn finish(self) -> Vec<u16> {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().unwrap();
        }
        self.statuses.lock().unwrap().clone()
    }
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|found| **found == status).count()
}

fn in_flight(proxy: &Proxy, zone: usize) -> u64 {
    let status = proxy.status();
    let components = status["zones"][zone]["components"].as_array().unwrap();
    components
        .iter()
        .filter_map(|c| c["in_flight"].as_u64())
        .sum()
}

#[test]
fn at_twice_the_capacity_orders_are_all_served_and_reports_are_shed() {
    let (mut large, small) = ([slow("fz-1"), slow("fz-1")], [slow("fz-2"), slow("fz-2")]);
    let mut proxy = Proxy::builder().check(PROMPT).toml(EAGER).toml(ROUTES);
    proxy = zone(proxy, "fz-1", &large, 1000);
    proxy = zone(proxy, "fz-2", &small, 4);
    let proxy = proxy.start();
    until_both_serve(&proxy);

    // Sixteen at once: fz-1 takes them, fz-2 only eight.
    let orders = Crowd::of(6, &proxy, "/orders");
    let reports = Crowd::of(10, &proxy, "/reports");
    eventually(PATIENCE, "fz-1 has more to do than fz-2 can", || {
        in_flight(&proxy, 0) > 12
    });
    orders.wait_for_more(60);
    assert_eq!(proxy.status()["shed"], 0);
    large.iter_mut().for_each(Origin::refuse);
    until_active(&proxy, "fz-2");
    orders.wait_for_more(120);
    // Of what the orders leave, reports get their part.
    let before = count(&reports.statuses(), 200);
    eventually(PATIENCE, "reports are served too", || {
        count(&reports.statuses(), 200) > before + 10
    });
    let (orders, reports) = (orders.finish(), reports.finish());
    assert_eq!(count(&orders, 200), orders.len(), "{orders:?}");
    let shed = count(&reports, 503);
    assert!(shed > 0, "everybody found room in half of it");
    assert_eq!(count(&reports, 200) + shed, reports.len(), "{reports:?}");

    let flip = &journal_of(&proxy, "flip", 1)[0];
    let told = flip["shedding"][0].as_str().unwrap();
    assert!(told.starts_with("fz-2 can take 8 of "), "{told}");
    assert!(
        told.ends_with(
            "(pool default): requests of routes with priority < 7 are shed, the lowest first"
        ),
        "{told}"
    );
    assert!(proxy.log().contains("TOO SMALL: fz-2 can take 8 of "));
    assert_eq!(proxy.status()["shed"], shed);
    assert!(proxy.access_text().contains("\"termination\":\"shed\""));
}

#[test]
fn whoever_is_shed_hears_it_at_once_and_when_to_come_back() {
    let origins = [
        Origin::start(behaviour::hang()),
        Origin::start(behaviour::hang()),
    ];
    let proxy = Proxy::builder()
        .toml("[failover]\nhold_time = \"1h\"\n")
        .toml(ROUTES);
    let proxy = zone(proxy, "fz-1", &origins, 2).start();
    proxy.until_all_up();
    let get = |path: &str| {
        let mut client = proxy.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: app.example\r\n\r\n"));
        client
    };
    let mut busy: Vec<_> = (0..3).map(|_| get("/orders")).collect();
    eventually(PATIENCE, "three orders are in flight", || {
        in_flight(&proxy, 0) == 3
    });
    busy.push(get("/"));
    eventually(PATIENCE, "the last place is taken", || {
        in_flight(&proxy, 0) == 4
    });
    for path in ["/", "/reports"] {
        let answer = get(path).response();
        assert_eq!(answer.status, 503, "{path}");
        assert_eq!(answer.field("retry-after"), Some("1"));
    }
    assert_eq!(proxy.status()["shed"], 2);
    // One more order waits for a place.
    busy.push(get("/orders"));
    proxy.until_status("an order waits", |status| status["holds"] == 1);
    drop(busy);
}

#[test]
fn without_priorities_nobody_is_shed_and_all_wait_for_their_place() {
    let (mut large, small) = ([slow("fz-1"), slow("fz-1")], [slow("fz-2"), slow("fz-2")]);
    let mut proxy = Proxy::builder().check(PROMPT).toml(EAGER);
    proxy = zone(proxy, "fz-1", &large, 1000);
    proxy = zone(proxy, "fz-2", &small, 2);
    let proxy = proxy.start();
    until_both_serve(&proxy);
    let crowd = Crowd::of(8, &proxy, "/");
    eventually(PATIENCE, "fz-1 has more to do than fz-2 can", || {
        in_flight(&proxy, 0) > 6
    });
    crowd.wait_for_more(60);
    large.iter_mut().for_each(Origin::refuse);
    until_active(&proxy, "fz-2");
    let flip = &journal_of(&proxy, "flip", 1)[0];
    let told = flip["shedding"][0].as_str().unwrap();
    assert!(told.contains("the others wait for up to 10s"), "{told}");
    crowd.wait_for_more(60);
    let statuses = crowd.finish();
    assert_eq!(count(&statuses, 200), statuses.len(), "{statuses:?}");
    assert_eq!(proxy.status()["shed"], 0);
}
