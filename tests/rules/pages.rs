//! What people see of errors that are firedoor's own.

use std::path::PathBuf;

use crate::support::behaviour::{self, Next};
use crate::support::proxy::Builder;
use crate::support::{Origin, Proxy, Response};

struct Pages(tempfile::TempDir);

impl Pages {
    fn new(files: &[(&str, &str)]) -> Self {
        let pages = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            std::fs::write(pages.file(name), text).unwrap();
        }
        pages
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn builder(&self, origin: &Origin) -> Builder {
        Proxy::builder()
            .toml(&format!(
                "[[pool]]\nname = \"default\"\nerror_page = {{ \"502\" = \"{}\", \"408, 500-504\" = \"{}\" }}\n[upstream]\nretries = 0",
                self.file("gateway.html").display(),
                self.file("sorry.txt").display(),
            ))
            .zone("fz-1", &[origin])
    }
}

fn post(proxy: &Proxy, method: &str, fields: &str) -> Response {
    proxy.client().exchange(format!(
        "{method} /form HTTP/1.1\r\nHost: app.example\r\nContent-Length: 0\r\n{fields}\r\n"
    ))
}

#[test]
fn a_pools_page_is_shown_instead_of_our_words() {
    let html = "<p class=\"{x}\">Sorry. Say {request_id} when you call us.</p>{request_id}";
    let pages = Pages::new(&[("gateway.html", html), ("sorry.txt", "later\n")]);
    let origin = Origin::start(behaviour::raw("nonsense\r\n\r\n", Next::Close));
    let mut proxy = pages.builder(&origin).start();

    let answer = post(&proxy, "POST", "Accept: text/html\r\n");
    assert_eq!(answer.status, 502);
    assert_eq!(
        answer.field("content-type"),
        Some("text/html; charset=utf-8")
    );
    let id = answer.field("x-request-id").unwrap().to_owned();
    assert_eq!(answer.text(), html.replace("{request_id}", &id));
    assert_eq!(
        answer.field("content-length"),
        Some(&*answer.body.len().to_string())
    );

    let head = post(&proxy, "HEAD", "");
    assert_eq!((head.status, head.body.len()), (502, 0));
    assert_eq!(
        head.field("content-length"),
        Some(&*answer.body.len().to_string())
    );

    let answer = post(&proxy, "POST", "Accept: application/json\r\n");
    assert_eq!(answer.json()["status"], 502);

    // The app's own errors are its own.
    origin.behave(behaviour::answer(502, &[], "the app's words"));
    assert_eq!(post(&proxy, "POST", "").text(), "the app's words");

    // A page that has changed is another one after a reload, and a page that is gone stays until then.
    origin.behave(behaviour::close());
    std::fs::write(pages.file("gateway.html"), "new").unwrap();
    assert_eq!(
        post(&proxy, "POST", "").text().len(),
        html.len() + 2 * (id.len() - "{request_id}".len())
    );
    let answer = proxy.admin_post("/v1/reload", "");
    assert_eq!(answer.json()["changes"][0], "[[pool]] changed");
    assert_eq!(post(&proxy, "POST", "").text(), "new");
    std::fs::remove_file(pages.file("sorry.txt")).unwrap();
    let answer = proxy.admin_post("/v1/reload", "");
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert_eq!(post(&proxy, "POST", "").text(), "new");

    proxy.rewrite_config(Proxy::builder().zone("fz-1", &[&origin]));
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    assert!(
        post(&proxy, "POST", "")
            .text()
            .starts_with("The server's answer broke off")
    );
}

#[test]
fn statuses_without_a_page_and_requests_without_a_pool_get_our_words() {
    let pages = Pages::new(&[("gateway.html", "html"), ("sorry.txt", "later\n")]);
    let origin = Origin::start(behaviour::hang());
    let proxy = pages
        .builder(&origin)
        .toml("[limits]\nmax_body_size = \"1B\"\n[[route]]\nhost = \"app.example\"\npool = \"default\"\nresponse_timeout = \"100ms\"")
        .start();
    let answer = proxy.get("/");
    assert_eq!((answer.status, answer.text().as_str()), (504, "later"));
    assert_eq!(
        answer.field("content-type"),
        Some("text/plain; charset=utf-8")
    );
    let answer = proxy
        .client()
        .exchange("POST / HTTP/1.1\r\nHost: app.example\r\nContent-Length: 2\r\n\r\nab");
    assert_eq!(answer.status, 413);
    assert!(answer.text().contains("too large"));
    let answer = proxy.client().exchange("GET / HTTP/1.1\r\nHost: b\r\n\r\n");
    assert_eq!(answer.status, 421);
}

/// An outage means the page for everybody, also for those who don't read it.
#[test]
fn a_large_page_is_not_copied_for_each_who_gets_it() {
    let large = format!("{}{{request_id}}", "x".repeat(1_000_000));
    let pages = Pages::new(&[("gateway.html", &large), ("sorry.txt", "later\n")]);
    let origin = Origin::start(behaviour::close());
    let proxy = pages.builder(&origin).start();
    assert_eq!(post(&proxy, "POST", "").body.len(), 1_000_032);
    let before = proxy.resident_kib();
    let unread: Vec<_> = (0..100)
        .map(|_| {
            let mut client = proxy.client();
            client.send("POST / HTTP/1.1\r\nHost: app.example\r\nContent-Length: 0\r\n\r\n");
            assert!(client.head().line.contains("502"));
            client
        })
        .collect();
    let grown = proxy.resident_kib().saturating_sub(before);
    assert!(grown < 50 * 1024, "{grown} KiB for {}", unread.len());
}
