//! The admin listener at a Unix socket: who may connect, whom an order came from, and what is left behind.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::super::Listener;
use super::door::{self, Door, get, post};
use crate::config::AdminBind;

#[tokio::test]
async fn a_unix_socket_is_for_owner_and_group_and_leaves_with_its_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.sock");
    let bind = AdminBind::Unix(path.clone());
    // A process that died without tidying up.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let listener = Listener::bind(&bind).unwrap();
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let taken = Listener::bind(&bind).unwrap_err();
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);

    let door = Door::open_at(listener, None).await;
    // No browser can come this way, so any Host will do.
    let request = "GET /health HTTP/1.1\r\nHost: firedoor\r\n\r\n";
    let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    assert_eq!(door::exchange(stream, request).await.status, 200);
    // Who orders over it is known to the kernel.
    let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    assert_eq!(
        door::exchange(stream, &post("/v1/zones/fz-1/pin", ""))
            .await
            .status,
        200
    );
    let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let journal = door::exchange(stream, &get("/v1/journal?kind=order")).await;
    let by = &journal.json()["entries"][0]["by"];
    let user = rustix::process::geteuid().as_raw();
    assert_eq!(
        *by,
        json!({"name": null, "way": "unix", "from": user, "token": false})
    );
    door.close().await;
    assert!(!path.exists());
}

#[test]
fn a_file_that_is_no_socket_is_never_removed() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let bind = AdminBind::Unix(file.path().to_owned());
    assert!(Listener::bind(&bind).is_err());
    assert!(file.path().exists());
}
