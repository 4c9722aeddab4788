//! Who is turned away: pages of other origins, and whoever has no token.

use super::door::{Door, get, post};

#[tokio::test]
async fn pages_of_other_origins_are_refused() {
    let door = Door::open(None).await;
    let port = door.address.port();
    let ask = async |fields: &str| {
        let request = format!("GET /v1/status HTTP/1.1\r\n{fields}\r\n\r\n");
        door.ask(&request).await.status
    };
    for fields in [
        "Host: localhost",
        &format!("Host: 127.0.0.1:{port}"),
        &format!("Host: [::1]:{port}"),
        &format!("Host: localhost:{port}\r\nOrigin: http://localhost:{port}"),
    ] {
        assert_eq!(ask(fields).await, 200, "{fields}");
    }
    for fields in [
        &format!("Host: rebound.example:{port}"),
        "Host: 192.0.2.1",
        &format!("Host: localhost:{port}\r\nOrigin: https://other.example"),
        &format!("Host: localhost:{port}\r\nOrigin: http://localhost:1"),
        &format!("Host: localhost:{port}\r\nOrigin: null"),
    ] {
        assert_eq!(ask(fields).await, 403, "{fields}");
    }
    for (fields, status) in [
        ("Sec-Fetch-Site: same-origin", 200),
        ("Sec-Fetch-Site: none", 200),
        ("Sec-Fetch-Site: cross-site", 403),
        // Another port of this host.
        ("Sec-Fetch-Site: same-site", 403),
        ("Sec-Fetch-Site: anything", 403),
        // A link, which may stand anywhere; but not within a frame.
        (
            "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document",
            200,
        ),
        (
            "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe",
            403,
        ),
    ] {
        assert_eq!(
            ask(&format!("Host: localhost\r\n{fields}")).await,
            status,
            "{fields}"
        );
        // Whatever would change something comes from our own page, or from no page.
        let order =
            post("/v1/zones/fz-1/pin", "").replacen("Host:", &format!("{fields}\r\nHost:"), 1);
        let expected = if fields.contains("navigate") {
            403
        } else {
            status
        };
        assert_eq!(door.ask(&order).await.status, expected, "{fields}");
    }
    assert_eq!(ask("Accept: */*").await, 400, "no Host");
    assert_eq!(ask("Host: localhost\r\nHost: localhost").await, 400);
    let absolute = "GET http://rebound.example/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(door.ask(absolute).await.status, 403);
    let old = "GET /health HTTP/1.0\r\n\r\n";
    assert_eq!(
        door.ask(old).await.status,
        200,
        "old load balancers send no Host"
    );
}

/// Monitoring finds firedoor by a name that it can't know.
#[tokio::test]
async fn reading_by_any_name_needs_the_token_unless_it_is_for_health() {
    let open = Door::open(None).await;
    let guarded = Door::open(Some("s3cret")).await;
    let ask = async |door: &Door, request: &str, field: &str| {
        let request = format!("{request} HTTP/1.1\r\nHost: fw.internal:9900\r\n{field}\r\n\r\n");
        door.ask(&request).await.status
    };
    let (nothing, wrong, right) = (
        "Accept: */*",
        "Authorization: Bearer s3cre",
        "Authorization: Bearer s3cret",
    );
    for path in ["/livez", "/readyz", "/health"] {
        for method in ["GET", "HEAD"] {
            let request = format!("{method} {path}");
            assert_eq!(ask(&open, &request, nothing).await, 200, "{request}");
            assert_eq!(ask(&guarded, &request, right).await, 200, "{request}");
        }
    }
    assert_eq!(ask(&guarded, "GET /livez", nothing).await, 200);
    for path in ["/health", "/metrics", "/v1/status", "/v1/journal"] {
        let request = format!("GET {path}");
        assert_eq!(ask(&guarded, &request, right).await, 200, "{path}");
        assert_eq!(ask(&guarded, &request, wrong).await, 401, "{path}");
        assert_eq!(ask(&guarded, &request, nothing).await, 401, "{path}");
    }
    // Where there is no token, or none is asked for, only the name keeps out who has rebound one.
    for path in ["/", "/assets/main.js"] {
        let request = format!("GET {path}");
        assert_eq!(ask(&guarded, &request, right).await, 200, "{path}");
        assert_eq!(ask(&guarded, &request, wrong).await, 403, "{path}");
        assert_eq!(ask(&guarded, &request, nothing).await, 403, "{path}");
    }
    for path in ["/", "/metrics", "/v1/status", "/v1/events", "/nothing"] {
        assert_eq!(ask(&open, &format!("GET {path}"), right).await, 403);
    }
    let order = "POST /v1/zones/fz-1/pin";
    for door in [&open, &guarded] {
        assert_eq!(ask(door, order, right).await, 403);
    }
    let elsewhere = format!("{right}\r\nSec-Fetch-Site: cross-site");
    for path in ["/livez", "/health", "/v1/status"] {
        let request = format!("GET {path}");
        assert_eq!(ask(&guarded, &request, &elsewhere).await, 403, "{path}");
    }
}

/// The types that a page may send without asking first (CORS): as a form, and by script.
#[tokio::test]
async fn no_page_of_another_site_gives_an_order() {
    let door = Door::open(None).await;
    let port = door.address.port();
    let ask = async |fields: &str| {
        let order = post("/v1/zones/fz-2/activate", r#"{"hold": false}"#);
        let host = format!("Host: 127.0.0.1:{port}");
        let order = order.replacen("Host: localhost", &format!("{host}\r\n{fields}"), 1);
        door.ask(&order).await.status
    };
    let form = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document";
    let script = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: empty";
    let neighbour = script.replace("cross-site", "same-site");
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        for page in [
            &format!("Origin: https://evil.example\r\n{form}"),
            &format!("Origin: https://evil.example\r\n{script}"),
            // A sandboxed frame, or a page that hides where it is.
            &format!("Origin: null\r\n{form}"),
            &format!("Origin: http://127.0.0.1:8080\r\n{neighbour}"),
            // Browsers send no Sec-Fetch-Site to addresses that they don't trust, and old ones don't know it.
            "Origin: https://evil.example",
            "Origin: null",
            form,
        ] {
            let status = ask(&format!("{page}\r\nContent-Type: {kind}")).await;
            assert_eq!(status, 403, "{page}");
        }
    }
    let rebound = post("/v1/zones/fz-2/activate", "").replace("localhost", "rebound.example");
    let own = format!("Origin: http://rebound.example:{port}\r\nSec-Fetch-Site: same-origin");
    let rebound = rebound.replacen("\r\n", &format!("\r\n{own}\r\n"), 1);
    assert_eq!(door.ask(&rebound).await.status, 403);
    let status = door.ask(&get("/v1/status")).await.json();
    assert_eq!(status["epoch"], 1);
    // The same request from no page, or from ours.
    let ours = format!("Origin: http://127.0.0.1:{port}\r\nSec-Fetch-Site: same-origin");
    assert_eq!(ask(&ours).await, 200);
}

#[tokio::test]
async fn with_a_token_only_its_bearer_learns_anything() {
    let door = Door::open(Some("s3cret")).await;
    let ask = async |path: &str, field: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{field}\r\n\r\n");
        door.ask(&request).await
    };
    for path in ["/health", "/v1/status", "/nothing"] {
        let answer = ask(path, "Accept: */*").await;
        answer.is_problem(401);
        assert!(
            answer
                .header("www-authenticate")
                .unwrap()
                .starts_with("Bearer")
        );
    }
    for path in ["/", "/livez", "/readyz"] {
        assert_eq!(ask(path, "Accept: */*").await.status, 200, "{path}");
    }
    for field in ["Authorization: Bearer s3cre", "Authorization: Basic s3cret"] {
        ask("/health", field).await.is_problem(401);
    }
    assert_eq!(
        ask("/health", "Authorization: bearer s3cret").await.status,
        200
    );
    door.ask(&post("/v1/zones/fz-2/activate", ""))
        .await
        .is_problem(401);
}
