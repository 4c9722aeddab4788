//! All ways of proving a password, in the clear and over TLS.

use std::process::Command;

use firedoor::outcome::CheckCode;
use tempfile::TempDir;

use super::eight::Eight;
use super::{HEALTH, probe, probe_at};
use crate::authority::{Authority, self_signed};
use crate::mariadb::MariaDb;

const TLS: &str = ", tls = { ca = \"ca.pem\" }";

/// `ca.pem`, and `server.pem` for 127.0.0.1.
fn certified() -> TempDir {
    let directory = TempDir::new().unwrap();
    let authority = Authority::new("the tests' authority");
    authority.write(directory.path());
    authority.sign(directory.path(), "server", "127.0.0.1", 100);
    directory
}

#[tokio::test]
async fn each_way_to_be_refused_is_told_apart() {
    let mariadb = MariaDb::start(&[
        "--plugin-load-add=auth_ed25519",
        "--plugin-load-add=auth_pam_v1",
    ]);
    mariadb.sql(
        "CREATE USER curve IDENTIFIED VIA ed25519 USING PASSWORD('s3cret'); CREATE USER pam IDENTIFIED VIA pam;
         CREATE USER jailed ACCOUNT LOCK; CREATE USER elsewhere@'192.0.2.1'",
    );
    std::fs::write(mariadb.server.path().join("pw"), "s3cret\n").unwrap();
    for user in ["health", "curve"] {
        let keys = format!(", user = \"{user}\", password = \"${{file:pw}}\"");
        let outcome = probe(&mariadb, &keys).await;
        assert_eq!(outcome.code, CheckCode::L7Ok, "{keys}: {outcome}");
    }
    for (keys, code, said) in [
        (
            ", user = \"health\"",
            1045,
            "it refused user and password (\"Access denied for user 'health'@",
        ),
        (
            ", user = \"health\", password = \"other\"",
            1045,
            "it refused user and password (\"",
        ),
        (
            ", user = \"curve\", password = \"other\"",
            1045,
            "it refused user and password (\"",
        ),
        (
            ", user = \"curve\"",
            1045,
            "it refused user and password (\"",
        ),
        (
            ", user = \"nobody\", password = \"s3cret\"",
            1045,
            "it refused user and password (\"",
        ),
        (
            ", user = \"elsewhere\"",
            1045,
            "it refused user and password (\"",
        ),
        (", user = \"jailed\"", 4151, "its user is locked (\""),
        (
            ", user = \"pam\", password = \"s3cret\"",
            1045,
            "it wants the login plugin dialog, but firedoor knows mysql_native_password,",
        ),
    ] {
        let outcome = probe(&mariadb, keys).await;
        assert_eq!(outcome.code, CheckCode::L7Status, "{keys}: {outcome}");
        assert_eq!(outcome.status, Some(code), "{keys}: {outcome}");
        assert!(outcome.detail.starts_with(said), "{keys}: {outcome}");
    }
}

#[tokio::test]
async fn tls_is_spoken_where_it_is_configured_and_only_with_whom_is_trusted() {
    let directory = certified();
    let option =
        |name: &str, file: &str| format!("--ssl-{name}={}", directory.path().join(file).display());
    let (cert, key) = (option("cert", "server.pem"), option("key", "server.key"));
    let mariadb = MariaDb::start(&[&cert, &key]);
    std::fs::copy(
        directory.path().join("ca.pem"),
        mariadb.server.path().join("ca.pem"),
    )
    .unwrap();
    mariadb.sql("ALTER USER health REQUIRE SSL");
    for keys in [
        TLS.to_owned(),
        format!("{HEALTH}{TLS}"),
        format!("{HEALTH}{TLS}, expect = \"writable\""),
        format!("{HEALTH}, tls = {{ verify = false }}"),
    ] {
        let outcome = probe(&mariadb, &keys).await;
        assert_eq!(outcome.code, CheckCode::L7Ok, "{keys}: {outcome}");
    }
    let other = ", tls = { ca = \"ca.pem\", server_name = \"db.example\" }";
    Authority::new("another authority").write(directory.path());
    let path = directory.path();
    for (directory, keys, said) in [
        (
            mariadb.server.path(),
            other,
            "the certificate is for 127.0.0.1, not for db.example",
        ),
        (
            path,
            TLS,
            "the certificate is not signed by anybody who is trusted",
        ),
    ] {
        for keys in [keys.to_owned(), format!("{HEALTH}{keys}")] {
            let outcome = probe_at(directory, mariadb.server.address, &keys).await;
            assert_eq!(outcome.code, CheckCode::L6Response, "{keys}: {outcome}");
            assert_eq!(outcome.detail, said);
        }
    }
    let log = mariadb.log();
    assert!(!log.contains("'health'"), "never told: {log}");
    assert!(!log.contains("Aborted"), "left in order: {log}");

    let outcome = probe(&mariadb, HEALTH).await;
    assert_eq!(outcome.status, Some(1045), "{outcome}");
    assert!(outcome.detail.ends_with("\"), without TLS"), "{outcome}");
}

#[tokio::test]
async fn one_without_tls_is_l6rsp_and_gets_no_password() {
    let mariadb = MariaDb::start(&[]);
    for keys in ["", HEALTH] {
        let keys = format!("{keys}, tls = {{ verify = false }}");
        let outcome = probe(&mariadb, &keys).await;
        assert_eq!(outcome.code, CheckCode::L6Response, "{outcome}");
        assert_eq!(outcome.detail, "the server has no TLS");
    }
    let log = mariadb.log();
    assert!(!log.contains("'health'"), "{log}");
    assert!(!log.contains("Aborted"), "left in order: {log}");
}

#[tokio::test]
async fn mysql_8_gets_a_proof_and_where_that_is_not_enough_the_password_itself_but_sealed() {
    let directory = certified();
    let mut eight = Eight::new();
    for (plugin, default_plugin) in [
        ("caching_sha2_password", "caching_sha2_password"),
        ("caching_sha2_password", "mysql_native_password"),
        ("sha256_password", "caching_sha2_password"),
        ("sha256_password", "sha256_password"),
    ] {
        eight.plugin = plugin;
        eight.default_plugin = default_plugin;
        let address = eight.start().await;
        let outcome = probe_at(directory.path(), address, HEALTH).await;
        assert_eq!(outcome.code, CheckCode::L7Ok, "{plugin}: {outcome}");
        assert_eq!(outcome.detail, "8.4.3, logged in");
        assert_eq!(
            eight.diary().await,
            ["health", "sealed password", "goodbye"]
        );

        let wrong = ", user = \"health\", password = \"other\"";
        let outcome = probe_at(directory.path(), address, wrong).await;
        assert_eq!(outcome.status, Some(1045), "{plugin}: {outcome}");
        // The server has seen the password, so nothing that it says is repeated.
        assert_eq!(outcome.detail, "it refused user and password");
        assert_eq!(eight.diary().await, ["health", "sealed password", "denied"]);
    }

    eight.plugin = "caching_sha2_password";
    eight.remembers = true;
    let address = eight.start().await;
    let outcome = probe_at(directory.path(), address, HEALTH).await;
    assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
    assert_eq!(eight.diary().await, ["health", "proof", "goodbye"]);
}

#[tokio::test]
async fn mysql_8_gets_the_password_over_tls_and_nobody_gets_it_in_the_clear() {
    let directory = certified();
    let mut eight = Eight::new().with_tls(directory.path());
    for plugin in ["caching_sha2_password", "sha256_password"] {
        eight.plugin = plugin;
        let address = eight.start().await;
        let keys = format!("{HEALTH}{TLS}");
        let outcome = probe_at(directory.path(), address, &keys).await;
        assert_eq!(outcome.code, CheckCode::L7Ok, "{plugin}: {outcome}");
        let went = ["TLS", "health", "password over TLS", "goodbye"];
        assert_eq!(eight.diary().await, went, "{plugin}");
    }

    eight.plugin = "mysql_clear_password";
    let address = eight.start().await;
    for (password, end) in [("s3cret", "goodbye"), ("oth3r", "denied")] {
        let keys = format!(", user = \"health\", password = \"{password}\"{TLS}");
        let outcome = probe_at(directory.path(), address, &keys).await;
        assert_eq!(outcome.passed(), password == "s3cret", "{outcome}");
        assert!(!outcome.detail.contains(password), "{outcome}");
        let went = ["TLS", "health", "cleartext over TLS", end];
        assert_eq!(eight.diary().await, went);
    }
    let outcome = probe_at(directory.path(), address, HEALTH).await;
    assert_eq!(outcome.code, CheckCode::L7Status, "{outcome}");
    let said =
        "it wants the password in the clear, which goes over TLS only: give the check tls = true";
    assert_eq!(outcome.detail, said);
    assert_eq!(eight.diary().await, ["health", "no password", "denied"]);
}

/// Whose certificate it is is asked after the handshake there.
#[tokio::test]
async fn one_that_signed_itself_gets_the_password_only_where_it_is_trusted_itself() {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    self_signed(path, "server", "127.0.0.1", 100, &[]);
    std::fs::copy(path.join("server.pem"), path.join("ca.pem")).unwrap();
    let eight = Eight::new().with_tls(path);
    let address = eight.start().await;
    let keys = format!("{HEALTH}{TLS}");
    let outcome = probe_at(path, address, &keys).await;
    assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
    assert!(
        eight
            .diary()
            .await
            .contains(&"password over TLS".to_owned())
    );
    self_signed(path, "ca", "127.0.0.1", 100, &[]);
    let outcome = probe_at(path, address, &keys).await;
    assert_eq!(outcome.code, CheckCode::L6Response, "{outcome}");
    assert!(
        outcome.detail.contains("isn't itself among those"),
        "{outcome}"
    );
    let went = eight.diary().await;
    assert!(
        !went.iter().any(|line| line.contains("password")),
        "{went:?}"
    );
}

#[tokio::test]
async fn a_visitor_is_refused_by_mysql_8_whatever_plugin_it_asks_for() {
    let directory = TempDir::new().unwrap();
    let mut eight = Eight::new();
    for plugin in [
        "caching_sha2_password",
        "sha256_password",
        "mysql_native_password",
        "authentication_ldap_sasl_client",
    ] {
        eight.plugin = plugin;
        let address = eight.start().await;
        let outcome = probe_at(directory.path(), address, "").await;
        assert_eq!(outcome.code, CheckCode::L7Ok, "{plugin}: {outcome}");
        assert_eq!(outcome.detail, "8.4.3 greets");
        assert_eq!(eight.diary().await, ["firedoor", "denied"], "{plugin}");
    }
}

#[tokio::test]
async fn mysql_8_is_asked_in_its_own_words() {
    let directory = TempDir::new().unwrap();
    let mut eight = Eight::new();
    eight.remembers = true;
    eight.tables = vec![
        (
            "SELECT @@global.read_only, @@global.innodb_read_only /*!50708 , @@global.super_read_only */",
            &[("a", "1"), ("b", "0"), ("c", "1")],
        ),
        (
            "SHOW SLAVE STATUS",
            &[
                ("Master_Host", "10.1.0.21"),
                ("Master_Port", "3306"),
                ("Slave_IO_Running", "Yes"),
                ("Slave_SQL_Running", "Yes"),
                ("Seconds_Behind_Master", "NULL"),
            ],
        ),
    ];
    let address = eight.start().await;
    let keys = format!("{HEALTH}, expect = \"writable\"");
    let outcome = probe_at(directory.path(), address, &keys).await;
    assert_eq!(outcome.code, CheckCode::L7Status, "{outcome}");
    let said = "read_only and super_read_only are on, expected a writable one";
    assert_eq!(outcome.detail, said);
    // Of before 8.0.22.
    let keys = format!("{HEALTH}, expect = \"replica\"");
    let outcome = probe_at(directory.path(), address, &keys).await;
    assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
    assert_eq!(outcome.detail, "a replica of 10.1.0.21:3306");

    eight.tables = vec![(
        "SHOW REPLICA STATUS",
        &[
            ("Source_Host", "10.1.0.21"),
            ("Source_Port", "3306"),
            ("Replica_IO_Running", "Yes"),
            ("Replica_SQL_Running", "Yes"),
            ("Seconds_Behind_Source", "7"),
        ],
    )];
    let address = eight.start().await;
    let keys = format!("{HEALTH}, expect = \"replica\", max_lag = \"5s\"");
    let outcome = probe_at(directory.path(), address, &keys).await;
    assert_eq!(outcome.code, CheckCode::L7Status, "{outcome}");
    let said = "a replica of 10.1.0.21:3306, 7 s behind, but at most 5s are allowed";
    assert_eq!(outcome.detail, said);
}

/// Otherwise we would only have proved that we agree with ourselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mysql_8_that_is_played_here_is_believed_by_mariadbs_client() {
    let directory = certified();
    let mut eight = Eight::new().with_tls(directory.path());
    for (plugin, remembers, tls, how) in [
        ("caching_sha2_password", true, false, "proof"),
        ("caching_sha2_password", false, false, "sealed password"),
        ("caching_sha2_password", false, true, "password over TLS"),
        ("sha256_password", false, true, "password over TLS"),
        ("mysql_clear_password", false, true, "cleartext over TLS"),
    ] {
        (eight.plugin, eight.remembers) = (plugin, remembers);
        let address = eight.start().await;
        let mut client = Command::new("mariadb");
        client
            .args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1"])
            .args(["--user=health", "--password=s3cret", "--execute=SELECT 1"])
            .arg(format!("--port={}", address.port()))
            .arg(if tls { "--ssl" } else { "--skip-ssl" });
        let output = tokio::task::spawn_blocking(move || client.output()).await;
        let diary = eight.diary().await;
        assert!(
            diary.iter().any(|line| line == how),
            "{plugin}: {diary:?}, {output:?}"
        );
        assert!(
            !diary.iter().any(|line| line == "denied"),
            "{plugin}: {diary:?}, {output:?}"
        );
    }
}
