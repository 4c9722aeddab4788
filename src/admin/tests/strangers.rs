//! Who is turned away: pages of other origins, and whoever has no token.

use super::door::{Door, post};

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
    let absolute = "GET http://rebound.example/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(door.ask(absolute).await.status, 403);
    let old = "GET /health HTTP/1.0\r\n\r\n";
    assert_eq!(
        door.ask(old).await.status,
        200,
        "old load balancers send no Host"
    );
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
