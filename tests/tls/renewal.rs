//! Certificates that change while the proxy serves.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use rustix::process::Signal;
use rustls::HandshakeKind::{Full, Resumed};

use crate::client::Client;
use crate::site::{Site, certificates};
use crate::support::load::Plan;
use crate::support::pair::{
    EAGER, Pair, active, assert_none_failed, until_active, until_both_serve,
};
use crate::support::wait::{PATIENCE, within};
use crate::support::{Origin, Proxy, eventually};

/// Several of the two seconds between two looks at the files.
const LOOKS: Duration = Duration::from_secs(7);

fn site() -> (Origin, Site, Proxy) {
    let origin = Origin::named("a");
    let site = Site::new();
    let proxy = site.proxy(&origin);
    (origin, site, proxy)
}

/// Whether a new client is shown the certificate in this file.
fn shows(proxy: &Proxy, site: &Site, file: &str) -> bool {
    let expected = certificates(&site.file(file)).remove(0);
    Client::connect(proxy.address, &site.trust()).server() == expected
}

#[track_caller]
fn until_shown(proxy: &Proxy, site: &Site, file: &str) {
    eventually(PATIENCE, "the new certificate is in force", || {
        shows(proxy, site, file)
    });
}

#[test]
fn new_files_come_into_force_under_load_and_no_request_fails() {
    let (_origin, site, proxy) = site();
    let plan = Plan {
        tls: Some(site.trust()),
        rate: 150,
        ..Plan::to(proxy.address)
    };
    let kept = plan.clone().start();
    let fresh = Plan {
        fresh: true,
        rate: 40,
        ..plan
    }
    .start();
    let mut old = Client::connect(proxy.address, &site.trust());
    assert_eq!(old.get("/").status, 200);
    let generation = proxy.status()["config_generation"].clone();
    for _ in 0..2 {
        kept.wait_for_more(60);
        site.sign("app", &["app.example"]);
        until_shown(&proxy, &site, "app.pem");
    }
    kept.wait_for_more(60);
    assert_eq!(old.get("/").status, 200, "and the old connection lives on");
    assert_none_failed(&kept.finish());
    assert_none_failed(&fresh.finish());
    let log = proxy.log();
    assert_eq!(
        log.matches("in force from now on: app.example, valid until 20")
            .count(),
        2,
        "{log}"
    );
    assert_eq!(proxy.status()["config_generation"], generation);
}

/// As Kubernetes mounts a secret: the files are links into a folder that is a link itself, and only that one moves.
#[test]
fn a_link_that_moves_is_a_new_file() {
    let site = Site::new();
    site.sign("new", &["app.example"]);
    for (folder, name) in [("..1", "app"), ("..2", "new")] {
        fs::create_dir(site.file(folder)).unwrap();
        for end in ["pem", "key"] {
            fs::copy(
                site.file(&format!("{name}.{end}")),
                site.file(&format!("{folder}/tls.{end}")),
            )
            .unwrap();
        }
    }
    symlink("..1", site.file("..data")).unwrap();
    for end in ["pem", "key"] {
        symlink(
            format!("..data/tls.{end}"),
            site.file(&format!("tls.{end}")),
        )
        .unwrap();
    }
    let origin = Origin::named("a");
    let listener = site.several(&["tls"]);
    let proxy = Proxy::builder()
        .listener(&listener)
        .zone("fz-1", &[&origin])
        .start();
    assert!(shows(&proxy, &site, "app.pem"));
    symlink("..2", site.file("..data_tmp")).unwrap();
    fs::rename(site.file("..data_tmp"), site.file("..data")).unwrap();
    until_shown(&proxy, &site, "new.pem");
}

#[test]
fn broken_files_leave_the_old_certificate_and_are_told_once_each() {
    let (_origin, site, proxy) = site();
    let old = fs::read(site.file("app.pem")).unwrap();
    fs::write(site.file("old.pem"), &old).unwrap();
    site.sign("other", &["app.example"]);
    let complaints = [
        (
            "app.key: the key belongs to another certificate",
            fs::read(site.file("other.pem")).ok(),
        ),
        (
            "app.pem: the certificate is of an old version of X.509",
            Some(of_version_1(&site)),
        ),
        (
            "app.pem: no certificate in PEM form",
            Some(b"nonsense".to_vec()),
        ),
        ("app.pem: can't be read: ", None),
    ];
    for (complaint, content) in complaints {
        match content {
            Some(content) => fs::write(site.file("app.pem"), content).unwrap(),
            None => fs::remove_file(site.file("app.pem")).unwrap(),
        }
        eventually(PATIENCE, complaint, || proxy.log().contains(complaint));
        assert!(shows(&proxy, &site, "old.pem"));
    }
    assert!(!within(LOOKS, || proxy
        .log()
        .matches("can't be read")
        .count()
        > 1));
    fs::write(site.file("app.pem"), &old).unwrap();
    eventually(PATIENCE, "it says that all is well", || {
        proxy.log().contains("in order again")
    });
    site.sign("app", &["app.example"]);
    until_shown(&proxy, &site, "app.pem");
}

/// A certificate for the key of `app`, as openssl makes it when it isn't told of any extension.
fn of_version_1(site: &Site) -> Vec<u8> {
    let openssl = |arguments: &str| {
        let mut command = std::process::Command::new("openssl");
        command.current_dir(site.path()).args(arguments.split(' '));
        let done = command.output().unwrap();
        assert!(done.status.success(), "{done:?}");
        done.stdout
    };
    openssl("req -new -key app.key -subj /CN=app.example -out app.csr");
    openssl("x509 -req -in app.csr -signkey app.key -days 2")
}

/// Between the two writes the key belongs to another certificate; nobody hears of it.
#[test]
fn an_operator_may_take_a_moment_between_the_two_files() {
    let (_origin, site, proxy) = site();
    for _ in 0..3 {
        site.sign("next", &["app.example"]);
        fs::rename(site.file("next.pem"), site.file("app.pem")).unwrap();
        fs::rename(site.file("next.key"), site.file("app.key")).unwrap();
        until_shown(&proxy, &site, "app.pem");
    }
    assert_eq!(proxy.errors(), [""; 0]);
}

#[test]
fn another_authority_for_clients_comes_into_force_and_old_sessions_end() {
    let origin = Origin::named("a");
    let site = Site::new();
    site.sign("alice", &["alice.example"]);
    fs::copy(site.file("ca.pem"), site.file("clients.pem")).unwrap();
    let extra = format!("client_ca = \"{}\"", site.file("clients.pem").display());
    let builder = Proxy::builder().listener(&site.terms(&extra));
    let proxy = builder.zone("fz-1", &[&origin]).start();
    let config = site.trust_in(rustls::ALL_VERSIONS, Some("alice"));
    let mut kept = Client::connect(proxy.address, &config);
    assert_eq!(kept.get("/").status, 200);
    crate::authority::Authority::new("another").write(site.path());
    fs::rename(site.file("ca.pem"), site.file("clients.pem")).unwrap();
    let refused = || {
        let mut client = Client::try_connect(proxy.address, &config, "app.example").ok()?;
        client
            .try_send("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n")
            .ok()?;
        client.try_response().ok()
    };
    eventually(PATIENCE, "alice is refused", || refused().is_none());
    assert_eq!(kept.get("/").status, 200, "what is open stays open");
}

#[test]
fn a_reload_takes_new_files_at_once_and_refuses_broken_ones() {
    let (_origin, site, proxy) = site();
    site.sign("app", &["app.example"]);
    let answer = proxy.admin_post("/v1/reload", "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(shows(&proxy, &site, "app.pem"));
    fs::copy(site.file("app.pem"), site.file("good.pem")).unwrap();
    fs::write(site.file("app.pem"), "nonsense").unwrap();
    let answer = proxy.admin_post("/v1/reload", "");
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(
        answer.text().contains("listener[0].tls.cert"),
        "{}",
        answer.text()
    );
    assert!(shows(&proxy, &site, "good.pem"));
}

#[test]
fn sessions_survive_a_reload_and_a_renewal() {
    let (_origin, site, proxy) = site();
    let config = site.trust();
    let visit = || {
        let mut client = Client::connect(proxy.address, &config);
        // The tickets come with the first answer.
        assert_eq!(client.get("/").status, 200);
        client.tls().handshake_kind()
    };
    assert_eq!(visit(), Some(Full));
    assert_eq!(visit(), Some(Resumed));
    proxy.signal(Signal::HUP);
    eventually(PATIENCE, "it has reloaded", || {
        proxy.log().contains("reloaded: ")
    });
    assert_eq!(visit(), Some(Resumed));
    site.sign("app", &["app.example"]);
    until_shown(&proxy, &site, "app.pem");
    assert_eq!(visit(), Some(Resumed));
}

#[test]
fn a_listener_may_turn_to_tls_and_back_by_a_reload() {
    let origin = Origin::named("a");
    let site = Site::new();
    let mut proxy = Proxy::builder().zone("fz-1", &[&origin]).start();
    let mut kept = proxy.client();
    let ask = "GET / HTTP/1.1\r\nHost: app.example\r\n\r\n";
    assert_eq!(kept.exchange(ask).status, 200);
    proxy.rewrite_config(site.builder().zone("fz-1", &[&origin]));
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    assert_eq!(
        Client::connect(proxy.address, &site.trust())
            .get("/")
            .status,
        200
    );
    assert_eq!(proxy.get("/").status, 400);
    assert_eq!(kept.exchange(ask).status, 200);
    proxy.rewrite_config(Proxy::builder().zone("fz-1", &[&origin]));
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    assert_eq!(proxy.get("/").status, 200);
}

#[test]
fn flips_under_load_over_tls_lose_nothing() {
    let mut pair = Pair::start();
    let site = Site::new();
    let proxy = pair.builder(EAGER).listener(&site.terms("")).start();
    until_both_serve(&proxy);
    let plan = Plan {
        tls: Some(site.trust()),
        rate: 150,
        ..Plan::to(proxy.address)
    };
    let kept = plan.clone().start();
    let fresh = Plan {
        fresh: true,
        rate: 40,
        ..plan
    }
    .start();
    for zone in ["fz-2", "fz-1", "fz-2"] {
        kept.wait_for_more(60);
        let answer = proxy.admin_post(&format!("/v1/zones/{zone}/activate"), "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(active(&proxy), zone);
    }
    kept.wait_for_more(60);
    // And one that nobody has planned.
    pair.standby.database.refuse();
    until_active(&proxy, "fz-1");
    kept.wait_for_more(60);
    assert_none_failed(&kept.finish());
    assert_none_failed(&fresh.finish());
    assert!(pair.posts_twice().is_empty());
}
