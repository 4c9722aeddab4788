//! The clients that people have.

use std::process::{Command, Output, Stdio};

use crate::client::Client;
use crate::site::Site;
use crate::support::behaviour;
use crate::support::wait::PATIENCE;
use crate::support::{Origin, Proxy, eventually};

fn site() -> (Origin, Site, Proxy) {
    let origin = Origin::start(behaviour::echo());
    let site = Site::new();
    let proxy = site.proxy(&origin);
    (origin, site, proxy)
}

fn curl(proxy: &Proxy, site: &Site, arguments: &[&str]) -> Output {
    let to = format!("app.example:{}:127.0.0.1", proxy.address.port());
    Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--resolve",
            &to,
            "--cacert",
        ])
        .arg(site.file("ca.pem"))
        .args(arguments)
        .arg(format!("https://app.example:{}/", proxy.address.port()))
        .output()
        .unwrap()
}

/// Says in its document how its forty requests and its upload came out, and over which protocol.
const PAGE: &str = r#"<!doctype html><title>app</title><body><script>
const get = async (n) => (await (await fetch(`/${n}`)).text()).includes("<title>app</title>");
const upload = async () => (await fetch("/upload", { method: "POST", body: "u".repeat(1_000_000) })).status;
Promise.all([upload(), ...Array.from({ length: 40 }, (_, n) => get(n))]).then(([status, ...well]) => {
  const over = new Set(performance.getEntriesByType("resource").map((entry) => entry.nextHopProtocol));
  document.body.dataset.said = `${status} ${well.filter(Boolean).length} ${[...over]}`;
}, (error) => { document.body.dataset.said = error; });
</script>"#;

#[test]
fn chromium_shows_the_app_and_shares_one_connection_for_all_it_needs() {
    let html = behaviour::answer(200, &["Content-Type: text/html"], PAGE);
    let origin = Origin::start(html);
    let site = Site::new();
    let proxy = site.proxy(&origin);
    let profile = tempfile::TempDir::new().unwrap();
    let output = Command::new("timeout")
        .args(["60", "chromium", "--headless=new", "--no-sandbox"])
        .args(["--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--ignore-certificate-errors", "--virtual-time-budget=20000"])
        .arg("--host-resolver-rules=MAP app.example 127.0.0.1")
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg("--dump-dom")
        .arg(format!("https://app.example:{}/", proxy.address.port()))
        .output()
        .unwrap();
    let (shown, troubles) = (text(&output.stdout), text(&output.stderr));
    assert!(
        shown.contains("data-said=\"200 40 h2\""),
        "{shown}{troubles}"
    );
    let upload = origin.saw("/upload");
    assert_eq!(upload.body.len(), 1_000_000);
    assert_eq!(proxy.access_line("/upload")["protocol"], "HTTP/2.0");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn curl_gets_through_and_the_app_learns_that_it_was_https() {
    let (_origin, site, proxy) = site();
    for version in ["--tlsv1.3", "--tls-max=1.2"] {
        let output = match version.split_once('=') {
            Some((option, value)) => curl(&proxy, &site, &[option, value]),
            None => curl(&proxy, &site, &[version]),
        };
        assert!(output.status.success(), "{}", text(&output.stderr));
        let seen = text(&output.stdout).to_ascii_lowercase();
        assert!(seen.contains("x-forwarded-proto: https"), "{seen}");
    }
    let line = proxy.access_line("/");
    assert_eq!(
        (&line["scheme"], &line["protocol"]),
        (&"https".into(), &"HTTP/2.0".into())
    );
}

#[test]
fn curl_may_speak_any_version_of_http() {
    let (_origin, site, proxy) = site();
    for (option, version) in [("--http2", "2"), ("--http1.1", "1.1"), ("--http1.0", "1")] {
        let output = curl(&proxy, &site, &[option, "--write-out", "%{http_version}"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let said = text(&output.stdout);
        assert!(said.ends_with(version), "{option}: {said}");
    }
}

#[test]
fn curl_uploads_and_asks_again_on_the_same_connection() {
    let (_origin, site, proxy) = site();
    let port = proxy.address.port();
    let second = format!("https://app.example:{port}/again");
    let body = "u".repeat(2_000_000);
    std::fs::write(site.file("body"), &body).unwrap();
    let data = format!("@{}", site.file("body").display());
    let output = curl(
        &proxy,
        &site,
        &[
            "--write-out",
            "%{num_connects}",
            "--data-binary",
            &data,
            &second,
        ],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.ends_with('0'), "a second connection");
    assert!(said.contains(&body));
}

#[test]
fn whoever_does_not_trust_the_signer_refuses() {
    let (_origin, site, proxy) = site();
    let output = curl(
        &proxy,
        &site,
        &["--capath", "/nonexistent", "--cacert", "/dev/null"],
    );
    assert!(!output.status.success());
    // And is no news for the log.
    assert_eq!(proxy.errors(), [""; 0]);
    assert!(curl(&proxy, &site, &[]).status.success());
}

fn s_client(proxy: &Proxy, site: &Site, arguments: &[&str]) -> String {
    let output = Command::new("openssl")
        .args([
            "s_client",
            "-connect",
            &proxy.address.to_string(),
            "-CAfile",
        ])
        .arg(site.file("ca.pem"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    text(&[output.stdout, output.stderr].concat())
}

#[test]
fn openssl_verifies_the_certificate_and_old_versions_are_refused() {
    let (_origin, site, proxy) = site();
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let options = [
            version,
            "-servername",
            "app.example",
            "-verify_hostname",
            "app.example",
        ];
        let said = s_client(&proxy, &site, &options);
        assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
        assert!(said.contains(name), "{said}");
    }
    // At this level, openssl itself would still speak it.
    for version in ["-tls1_1", "-tls1"] {
        let said = s_client(&proxy, &site, &[version, "-cipher", "ALL:@SECLEVEL=0"]);
        assert!(said.contains("SSL alert number"), "{said}");
        assert!(said.contains("New, (NONE), Cipher is (NONE)"), "{said}");
    }
}

#[test]
fn the_cipher_is_chosen_by_us_whatever_the_client_puts_first() {
    let (_origin, site, proxy) = site();
    let suites = |version, option, names: [&str; 2]| {
        let chosen = |order: [&str; 2]| {
            let said = s_client(&proxy, &site, &[version, option, &order.join(":")]);
            let names = names
                .iter()
                .find(|name| said.contains(&format!("Cipher is {name}")));
            (*names.unwrap_or_else(|| panic!("{said}"))).to_owned()
        };
        assert_eq!(chosen(names), chosen([names[1], names[0]]), "{version}");
    };
    suites(
        "-tls1_3",
        "-ciphersuites",
        ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"],
    );
    let kinds = ["AES128-GCM-SHA256", "AES256-GCM-SHA384"];
    let names = kinds.map(|kind| format!("ECDHE-ECDSA-{kind}"));
    suites("-tls1_2", "-cipher", [&names[0], &names[1]]);
}

#[test]
fn openssl_resumes_its_sessions() {
    let (_origin, site, proxy) = site();
    let options = ["-tls1_2", "-servername", "app.example", "-reconnect"];
    let said = s_client(&proxy, &site, &options);
    assert_eq!(said.matches("Reused, TLSv1.2").count(), 5, "{said}");
}

/// A certificate that signed itself, made by openssl; where several are, all are for the same name.
fn make(site: &Site, name: &str, key: &[&str]) {
    let openssl = |arguments: &[&str]| {
        let mut command = Command::new("openssl");
        let output = command
            .args(arguments)
            .current_dir(site.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    let (private, public) = (format!("{name}.key"), format!("{name}.pem"));
    openssl(&[&key[..1], &["-out", &private], &key[1..]].concat());
    let names = "subjectAltName=DNS:app.example";
    openssl(&[
        "req", "-x509", "-new", "-key", &private, "-out", &public, "-subj", "/CN=a", "-addext",
        names,
    ]);
}

#[test]
fn of_two_certificates_for_one_name_each_client_gets_one_that_it_understands() {
    let origin = Origin::named("a");
    let site = Site::new();
    // The forms that openssl writes keys in: with the curve's parameters before it, and PKCS #1.
    make(&site, "ec", &["ecparam", "-name", "prime256v1", "-genkey"]);
    make(&site, "rsa", &["genrsa", "-traditional", "2048"]);
    let builder = Proxy::builder().listener(&site.several(&["ec", "rsa"]));
    let proxy = builder.zone("fz-1", &[&origin]).start();
    for version in ["-tls1_2", "-tls1_3"] {
        for (schemes, kind) in [
            ("ECDSA+SHA256:RSA-PSS+SHA256", "ECDSA"),
            ("RSA-PSS+SHA256:RSA+SHA256", "RSA-PSS"),
        ] {
            let options = [version, "-sigalgs", schemes, "-servername", "app.example"];
            let said = s_client(&proxy, &site, &options);
            assert!(
                said.contains(&format!("Peer signature type: {kind}")),
                "{said}"
            );
        }
    }
}

const PYTHON: &str = r#"
import http.client, socket, ssl, sys
port, ca = int(sys.argv[1]), sys.argv[2]
context = ssl.create_default_context(cafile=ca)
context.set_alpn_protocols(["spdy/3", "http/1.1"])
def connect(session=None):
    tcp = socket.create_connection(("127.0.0.1", port), timeout=20)
    return context.wrap_socket(tcp, server_hostname="app.example", session=session)
def get(tls, path):
    tls.sendall(b"GET %s HTTP/1.1\r\nHost: app.example\r\n\r\n" % path)
    response = http.client.HTTPResponse(tls)
    response.begin()
    return response.status, response.read()
first = connect()
assert first.selected_alpn_protocol() == "http/1.1", first.selected_alpn_protocol()
for path in (b"/1", b"/2", b"/3"):
    status, body = get(first, path)
    assert status == 200 and body.startswith(b"GET " + path), body
assert first.version() == "TLSv1.3" and not first.session_reused
second = connect(first.session)
assert get(second, b"/4")[0] == 200
assert second.session_reused
# unwrap says that nothing follows, and waits for the answer to that.
second.unwrap()
print("well")
"#;

#[test]
fn python_keeps_a_connection_resumes_a_session_and_ends_it_properly() {
    let (_origin, site, proxy) = site();
    let output = Command::new("python3")
        .args(["-c", PYTHON, &proxy.address.port().to_string()])
        .arg(site.file("ca.pem"))
        .output()
        .unwrap();
    assert_eq!(
        text(&output.stdout).trim(),
        "well",
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_sticky_cookie_is_for_https_only() {
    let origin = Origin::named("sticky");
    let site = Site::new();
    let builder = site
        .builder()
        .toml("[[pool]]\nname = \"default\"\nsticky = { cookie = \"FIREDOOR\" }");
    let proxy = builder.zone("fz-1", &[&origin]).start();
    let response = Client::connect(proxy.address, &site.trust()).get("/");
    let cookie = response
        .head
        .lines()
        .find(|line| line.starts_with("set-cookie: "));
    assert!(cookie.unwrap().contains("; Secure"), "{}", response.head);
}

#[test]
fn clients_cannot_say_that_they_came_otherwise() {
    let (_origin, site, proxy) = site();
    let mut client = Client::connect(proxy.address, &site.trust());
    client.send("GET / HTTP/1.1\r\nHost: app.example\r\nX-Forwarded-Proto: http\r\n\r\n");
    let body = client.response().body.to_ascii_lowercase();
    assert_eq!(body.matches("x-forwarded-proto").count(), 1, "{body}");
    assert!(body.contains("x-forwarded-proto: https"), "{body}");
}

/// What is compressed is the same in both versions, and so is what broke off.
#[test]
fn curl_gets_what_the_app_wrote_in_fewer_bytes() {
    let page = "<p>a page of some length</p>\n".repeat(4000);
    let origin = Origin::start(behaviour::answer(200, &["Content-Type: text/html"], &page));
    let site = Site::new();
    let routes = "[[route]]\npool = \"default\"\ncompress = true";
    let proxy = site.builder().toml(routes).zone("fz-1", &[&origin]).start();
    let cut = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{page}",
        page.len() + 1
    );
    for version in ["--http1.1", "--http2"] {
        origin.behave(behaviour::answer(200, &["Content-Type: text/html"], &page));
        for coding in ["gzip", "br", "zstd"] {
            let field = format!("Accept-Encoding: {coding}");
            let output = curl(
                &proxy,
                &site,
                &[version, "--compressed", "--header", &field],
            );
            assert!(output.status.success(), "{}", text(&output.stderr));
            assert_eq!(text(&output.stdout), page, "{version} {coding}");
        }
        origin.behave(behaviour::raw(&cut, behaviour::Next::Close));
        let output = curl(&proxy, &site, &[version, "--compressed"]);
        assert!(!output.status.success(), "{version}: it looks complete");
    }
    eventually(PATIENCE, "fewer bytes were sent", || {
        let lines = proxy.access_text();
        let lines = lines
            .lines()
            .filter(|line| line.contains("\"termination\":\"--\""));
        let sizes: Vec<u64> = lines
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter_map(|line| line["bytes_out"].as_u64())
            .collect();
        sizes.len() == 6 && sizes.iter().all(|&size| size < page.len() as u64 / 10)
    });
}
