//! Backends that are told who their clients are: nginx and HAProxy as they are set up for that.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use crate::haproxy::Haproxy;
use crate::site::Site;
use crate::support::server::{READY, Server};
use crate::support::wait::PATIENCE;
use crate::support::{Origin, Proxy, RawClient, behaviour, eventually, port};
use crate::{fields, introduces};

const REQUEST: &str = "GET /a HTTP/1.1\r\nHost: app.example\r\n\r\n";
const VERSIONS: [&str; 2] = ["v1", "v2"];

/// nginx that serves nobody without an introduction, and answers with the client's address, where that one has connected to, and the
/// number of the connection that it was told on.
fn nginx() -> Server {
    nginx_with(TempDir::new().unwrap(), "", "")
}

/// The same; `listen` and `lines` are more of its `server` block.
fn nginx_with(directory: TempDir, listen: &str, lines: &str) -> Server {
    Server::start(directory, |address, directory| {
        let folder = directory.display();
        let config = format!(
            "daemon off; master_process off; pid {folder}/{READY}; error_log stderr notice;
             events {{}}
             http {{
               access_log off;
               client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
               fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
               server {{
                 listen {address} proxy_protocol {listen};
                 {lines}
                 location / {{
                   return 200 \"$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port $connection\";
                 }}
               }}
             }}"
        );
        std::fs::write(directory.join("nginx.conf"), config).unwrap();
        let mut command = Command::new("nginx");
        command
            .arg("-p")
            .arg(directory)
            .arg("-c")
            .arg(directory.join("nginx.conf"));
        command
    })
}

fn in_front_of(backend: SocketAddr, pool: &str, listener: &str) -> Proxy {
    let builder = Proxy::builder()
        .listener(listener)
        .toml(&format!("[[pool]]\nname = \"default\"\n{pool}"));
    builder.zone_at("fz-1", &[backend]).start()
}

fn sends(version: &str) -> String {
    format!("send_proxy = \"{version}\"")
}

/// What nginx has been told on which connection.
fn ask(client: &mut RawClient) -> (String, String) {
    let answer = client.exchange(REQUEST);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    let (told, connection) = text.rsplit_once(' ').unwrap();
    (told.to_owned(), connection.to_owned())
}

fn of(client: &RawClient, proxy: &Proxy) -> String {
    let (from, to) = (client.local_address(), proxy.address);
    format!("{} {} {} {}", from.ip(), from.port(), to.ip(), to.port())
}

#[test]
fn nginx_learns_who_each_client_is_and_a_connection_is_of_one_client_only() {
    for version in VERSIONS {
        let nginx = nginx();
        let proxy = in_front_of(nginx.address, &sends(version), "");
        proxy.until_all_up();
        let mut clients: Vec<RawClient> = (0..8).map(|_| proxy.client()).collect();
        let first: Vec<(String, String)> = clients.iter_mut().map(ask).collect();
        for _ in 0..5 {
            for (client, (told, connection)) in clients.iter_mut().zip(&first) {
                assert_eq!(*told, of(client, &proxy));
                // And it is kept for its client.
                assert_eq!(ask(client), (told.clone(), connection.clone()));
            }
        }
        let mut connections: Vec<&String> = first.iter().map(|(_, on)| on).collect();
        connections.sort();
        connections.dedup();
        assert_eq!(connections.len(), clients.len());
    }
}

#[test]
fn a_backend_that_may_not_know_its_clients_is_told_their_network() {
    for version in VERSIONS {
        let nginx = nginx();
        let masked = format!("{}\n[upstream]\nclient_ip = \"masked\"", sends(version));
        let proxy = in_front_of(nginx.address, &masked, "");
        proxy.until_all_up();
        let (told, _) = ask(&mut proxy.client());
        let to = proxy.address;
        // nginx shows port 0 as none.
        assert_eq!(told, format!("127.0.0.0  {} {}", to.ip(), to.port()));
    }
}

#[test]
fn the_header_comes_before_the_handshake_with_a_backend() {
    let site = Site::new();
    let lines = "ssl_certificate app.pem; ssl_certificate_key app.key;";
    let nginx = nginx_with(site.directory, "ssl", lines);
    let ca = nginx.path().join("ca.pem");
    let pool = format!(
        "[[pool]]\nname = \"default\"\n{}\ntls = {{ ca = \"{}\", server_name = \"app.example\" }}",
        sends("v2"),
        ca.display()
    );
    let zones = format!(
        "[[zone]]\nname = \"fz-1\"\nbackend = [{{ address = \"https://{}\" }}]",
        nginx.address
    );
    let proxy = Proxy::builder().toml(&pool).toml(&zones).start();
    proxy.until_all_up();
    for _ in 0..3 {
        let mut client = proxy.client();
        let first = ask(&mut client);
        assert_eq!(first.0, of(&client, &proxy));
        assert_eq!(ask(&mut client), first);
    }
}

#[test]
fn clients_that_come_and_go_are_never_taken_for_each_other() {
    let nginx = nginx();
    let proxy = in_front_of(
        nginx.address,
        &sends("v2"),
        "max_connections = 500\n\n[upstream]\nmax_idle_per_worker = 3",
    );
    for _ in 0..40 {
        let mut pair = [proxy.client(), proxy.client()];
        for _ in 0..2 {
            for client in &mut pair {
                assert_eq!(ask(client).0, of(client, &proxy));
            }
        }
    }
    // However many have left, who stays finds its own connection again.
    let mut client = proxy.client();
    assert_eq!(ask(&mut client), ask(&mut client));
}

#[test]
fn haproxy_learns_it_too() {
    for version in VERSIONS {
        let origin = Origin::start(behaviour::echo());
        let haproxy = Haproxy::accepting(origin.address());
        let proxy = in_front_of(haproxy.address, &sends(version), "");
        proxy.until_all_up();
        let mut client = proxy.client();
        let body = client.exchange(REQUEST).text();
        assert_eq!(
            fields(&body, "x-seen"),
            [client.local_address().to_string()]
        );
    }
}

#[test]
fn checks_of_every_kind_say_that_they_are_our_own() {
    for version in VERSIONS {
        for check in ["kind = \"http\"", "kind = \"tcp\""] {
            let nginx = nginx();
            let pool = format!("{}\ncheck = {{ {check} }}", sends(version));
            in_front_of(nginx.address, &pool, "").until_all_up();
        }
    }
    // Without, nginx serves nobody: that the others pass is not for want of its asking.
    let nginx = nginx();
    let proxy = in_front_of(nginx.address, "", "");
    proxy.until_status("nginx is down", |status| {
        status["zones"][0]["components"][0]["status"] == "down"
    });
}

/// It answers 400 to a line that names nobody, and tells its app of nobody (None) where version 2 does.
#[test]
fn gunicorn_takes_our_checks_and_learns_who_each_client_is() {
    let app = "def app(environ, start):\n    start('200 OK', [])\n    return [str(environ['REMOTE_ADDR']).encode()]\n";
    for version in VERSIONS {
        let directory = TempDir::new().unwrap();
        std::fs::write(directory.path().join("app.py"), app).unwrap();
        let gunicorn = Server::start(directory, |address, directory| {
            let target = concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv/bin/gunicorn");
            let mut command = Command::new(target);
            command
                .args(["--proxy-protocol", "--proxy-allow-from", "*", "--pid"])
                .arg(directory.join(READY))
                .args(["--bind", &address.to_string(), "app:app"]);
            command
        });
        let proxy = in_front_of(
            gunicorn.address,
            &sends(version),
            "proxy_protocol = true\ntrusted_proxies = [\"127.0.0.0/8\"]",
        );
        proxy.until_all_up();
        let mut client = proxy.client();
        client.send(introduces("192.0.2.7:40000".parse().unwrap()));
        assert_eq!(client.exchange(REQUEST).text(), "192.0.2.7", "{version}");
    }
}

#[test]
fn an_introduced_client_is_introduced_onwards_with_where_it_has_connected_to() {
    let nginx = nginx();
    let listener = "proxy_protocol = true\ntrusted_proxies = [\"127.0.0.0/8\"]";
    for version in VERSIONS {
        let proxy = in_front_of(nginx.address, &sends(version), listener);
        let mut client = proxy.client();
        client.send(introduces("192.0.2.7:40000".parse().unwrap()));
        assert_eq!(ask(&mut client).0, "192.0.2.7 40000 198.51.100.1 443");

        let mut client = proxy.client();
        client.send("PROXY TCP6 2001:db8::7 2001:db8::1 40000 443\r\n");
        assert_eq!(ask(&mut client).0, "2001:db8::7 40000 2001:db8::1 443");

        // The balancer's own connection, which is all that is known of it.
        let mut client = proxy.client();
        client.send("PROXY UNKNOWN\r\n");
        assert_eq!(ask(&mut client).0, of(&client, &proxy));
    }
}

#[test]
fn a_reload_may_begin_and_end_to_announce_clients() {
    let nginx = nginx();
    let mut proxy = in_front_of(nginx.address, &sends("v1"), "");
    let mut client = proxy.client();
    ask(&mut client);
    let origin = Origin::start(behaviour::echo());
    proxy.rewrite_config(Proxy::builder().zone("fz-1", &[&origin]));
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    assert_eq!(client.exchange(REQUEST).status, 200);
    let pool = format!("[[pool]]\nname = \"default\"\n{}", sends("v2"));
    proxy.rewrite_config(
        Proxy::builder()
            .toml(&pool)
            .zone_at("fz-1", &[nginx.address]),
    );
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    proxy.until_all_up();
    // A connection from before doesn't know what it has come to, unless another pool wanted to know.
    assert_eq!(ask(&mut client).0, of(&client, &proxy));
}

/// What has come first on each connection, and from where.
type Heads = Arc<Mutex<Vec<(SocketAddr, String)>>>;

/// An app server that takes anything, header or not.
fn recorder() -> (SocketAddr, Heads) {
    let listener = port::listen();
    let address = listener.local_addr().unwrap();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, seen) = (stream.unwrap(), Arc::clone(&seen));
            let from = stream.peer_addr().unwrap();
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut part = [0; 1024];
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut part) {
                        Ok(0) | Err(_) => return,
                        Ok(count) => head.extend_from_slice(&part[..count]),
                    }
                }
                let head = String::from_utf8(head).unwrap();
                seen.lock().unwrap().push((from, head));
                let _sent = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                // Kept until the other side closes.
                let _closed = stream.read(&mut part);
            });
        }
    });
    (address, heads)
}

/// Elsewhere one goes to each zone that begins to serve, and more when a flip is in sight.
#[test]
fn no_connection_is_opened_ahead_in_nobody_s_name() {
    let ((first, _), (second, heads)) = (recorder(), recorder());
    let pool = format!("[[pool]]\nname = \"default\"\n{}", sends("v1"));
    let proxy = Proxy::builder()
        .toml(&pool)
        .zone_at("fz-1", &[first])
        .zone_at("fz-2", &[second])
        .start();
    proxy.until_all_up();
    let answer = proxy.admin_post("/v1/zones/fz-2/activate", "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut client = proxy.client();
    assert_eq!(client.exchange(REQUEST).status, 200);
    eventually(PATIENCE, "some checks have come", || {
        heads.lock().unwrap().len() > 10
    });
    let mut checks = 0;
    for (from, head) in heads.lock().unwrap().iter() {
        // A check names its own two ends, as HAProxy's do.
        let (source, to) = if head.contains("GET /a ") {
            (client.local_address(), proxy.address)
        } else {
            checks += 1;
            (*from, second)
        };
        let (ip, port) = (source.ip(), source.port());
        let line = format!("PROXY TCP4 {ip} {} {port} {}\r\n", to.ip(), to.port());
        assert!(head.starts_with(&line), "{head}, not {line}");
        assert!(!head.contains("(warm-up)"), "{head}");
    }
    assert!(checks > 8, "{checks}");
}
