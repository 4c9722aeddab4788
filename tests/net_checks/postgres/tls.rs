//! TLS, which a server is asked for in PostgreSQL's own words.

use std::net::{Ipv4Addr, SocketAddr};

use firedoor::outcome::CheckCode;

use super::{AS_HEALTH, HEALTH, assert_begins, assert_is, postgres, probe, probe_at};
use crate::asking::SHORT;
use crate::authority::Authority;
use crate::support::Postgres;

const TRUSTING: &str = ", tls = { ca = \"ca.pem\", server_name = \"db.example\" }";

/// A server with a certificate for `db.example`, and a user `plain` who is asked for a password in cleartext.
fn secured(doors: &str) -> Postgres {
    let mut server = Postgres::prepare(
        "ssl = on\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\nssl_ca_file = 'ca.pem'",
    );
    server.admit(doors);
    let authority = Authority::new("the tests' authority");
    authority.write(&server.data());
    authority.sign(&server.data(), "server", "db.example", 100);
    for name in ["ca.pem", "server.pem", "server.key"] {
        server.hand_over(&server.data().join(name));
    }
    authority.write(server.path());
    authority.sign(server.path(), "client", "firedoor.example", 100);
    server.resume();
    server.sql(&format!(
        "{HEALTH}; CREATE ROLE plain LOGIN PASSWORD 's3cret'"
    ));
    server
}

#[tokio::test]
async fn where_it_is_configured_it_is_spoken_and_verified() {
    let mut server = secured("hostssl all all 127.0.0.1/32 scram-sha-256");
    let outcome = probe(&server, TRUSTING).await;
    assert_is(&outcome, CheckCode::L7Ok, "it asks for a login");
    let keys = format!("{AS_HEALTH}{TRUSTING}, expect = \"writable\"");
    let outcome = probe(&server, &keys).await;
    assert_is(&outcome, CheckCode::L7Ok, "a primary");
    let keys = format!("{AS_HEALTH}, tls = {{ verify = false }}");
    let outcome = probe(&server, &keys).await;
    assert_is(&outcome, CheckCode::L7Ok, "a primary");

    let outcome = probe(&server, AS_HEALTH).await;
    let said = "its pg_hba.conf does not let this user in from here (\"28000 no pg_hba.conf entry";
    assert_begins(&outcome, CheckCode::L7Status, said);
    let keys = format!("{AS_HEALTH}, tls = {{ ca = \"ca.pem\" }}");
    let outcome = probe(&server, &keys).await;
    let said = "the certificate is for db.example, not for 127.0.0.1";
    assert_is(&outcome, CheckCode::L6Response, said);
    Authority::new("another authority").write(server.path());
    let outcome = probe(&server, TRUSTING).await;
    let said = "the certificate is not signed by anybody who is trusted";
    assert_is(&outcome, CheckCode::L6Response, said);

    server.stop_smartly();
    server.wait();
    for line in server.log().lines() {
        // Who finds a certificate not in order tells the server so.
        let told = line.contains("could not accept SSL connection: ") && line.contains(" alert ");
        let refused = line.contains("no pg_hba.conf entry");
        assert!(
            line.contains(" LOG:  ") && !line.contains("could not") || told || refused,
            "{line}"
        );
    }
}

#[tokio::test]
async fn through_it_a_password_goes_in_cleartext_anywhere_and_who_wants_our_certificate_gets_it() {
    let server = secured(
        "hostssl all plain 127.0.0.1/32 password\nhostssl all picky 127.0.0.1/32 trust clientcert=verify-ca",
    );
    let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, server.address.port()));
    let keys = format!("{AS_HEALTH}{TRUSTING}").replace("health", "plain");
    let outcome = probe_at(&server, anywhere, &keys).await;
    assert_is(&outcome, CheckCode::L7Ok, "a primary");

    server.sql("CREATE ROLE picky LOGIN");
    let keys = format!(", user = \"picky\", database = \"postgres\"{TRUSTING}");
    let outcome = probe(&server, &keys).await;
    let said = "it refused the user (\"28000 connection requires a valid client certificate\")";
    assert_is(&outcome, CheckCode::L7Status, said);
    let keys = keys.replace(" }", ", cert = \"client.pem\", key = \"client.key\" }");
    let outcome = probe(&server, &keys).await;
    assert_is(&outcome, CheckCode::L7Ok, "a primary");
}

#[tokio::test]
async fn a_server_without_it_is_l6rsp_and_a_frozen_one_l6tout() {
    let server = postgres("");
    Authority::new("the tests' authority").write(server.path());
    let outcome = probe(&server, TRUSTING).await;
    assert_is(&outcome, CheckCode::L6Response, "the server has no TLS");
    server.freeze();
    let outcome = probe(&server, &format!("{TRUSTING}, {SHORT}")).await;
    let said = "connected, but no answer to the request for TLS within 150 ms";
    assert_is(&outcome, CheckCode::L6Timeout, said);
}
