//! Which certificate whom: by the name that a client asks for.

use rustls::pki_types::CertificateDer;

use crate::client::Client;
use crate::site::{Site, certificates};
use crate::support::{Origin, Proxy};

fn first(site: &Site, name: &str) -> CertificateDer<'static> {
    certificates(&site.file(&format!("{name}.pem"))).remove(0)
}

fn three() -> (Origin, Site, Proxy) {
    let site = Site::new();
    site.sign("shops", &["*.shop.example", "SHOP.example"]);
    site.sign("one", &["one.shop.example"]);
    let origin = Origin::named("a");
    let listener = site.several(&["app", "shops", "one"]);
    let proxy = Proxy::builder()
        .listener(&listener)
        .zone("fz-1", &[&origin])
        .start();
    (origin, site, proxy)
}

/// What the server shows to somebody who asks for `name`, or for nobody.
fn shown(proxy: &Proxy, site: &Site, name: Option<&str>) -> CertificateDer<'static> {
    let mut config = (*site.trust()).clone();
    config.enable_sni = name.is_some();
    // Which one comes is the question, so none is refused.
    config
        .dangerous()
        .set_certificate_verifier(std::sync::Arc::new(Anybody));
    let name = name.unwrap_or("app.example");
    let client = Client::try_connect(proxy.address, &std::sync::Arc::new(config), name);
    client.expect("a handshake").server()
}

#[test]
fn an_exact_name_comes_before_a_wildcard_and_nobody_gets_the_first() {
    let (_origin, site, proxy) = three();
    let expected = [
        (Some("app.example"), "app"),
        (Some("one.shop.example"), "one"),
        (Some("ONE.shop.Example"), "one"),
        (Some("two.shop.example"), "shops"),
        (Some("shop.example"), "shops"),
        // A wildcard stands for one label.
        (Some("a.two.shop.example"), "app"),
        (Some("unknown.example"), "app"),
        (None, "app"),
    ];
    for (name, certificate) in expected {
        let got = shown(&proxy, &site, name);
        assert_eq!(
            got,
            first(&site, certificate),
            "{name:?} gets another than {certificate}"
        );
    }
}

#[test]
fn the_names_in_the_certificates_are_what_clients_verify() {
    let (_origin, site, proxy) = three();
    for name in [
        "app.example",
        "one.shop.example",
        "two.shop.example",
        "shop.example",
    ] {
        let mut client = Client::try_connect(proxy.address, &site.trust(), name).unwrap();
        assert_eq!(client.get_from(name, "/").status, 200, "{name}");
    }
    let refused = Client::try_connect(proxy.address, &site.trust(), "unknown.example");
    assert!(refused.is_err());
    assert_eq!(
        Client::connect(proxy.address, &site.trust()).get("/").body,
        "a"
    );
}

#[test]
fn what_check_says_about_the_files_names_them_and_the_remedy() {
    let site = Site::new();
    site.sign("other", &["other.example"]);
    site.authority.sign(site.path(), "old", "app.example", -3);
    std::fs::write(site.file("bad.toml"), format!(
        "[[listener]]\nbind = \"127.0.0.1:8443\"\n[listener.tls]\ncert = \"app.pem\"\nkey = \"other.key\"\n{ZONE}"
    )).unwrap();
    std::fs::write(site.file("old.toml"), format!(
        "[[listener]]\nbind = \"127.0.0.1:8443\"\n[listener.tls]\ncert = \"old.pem\"\nkey = \"old.key\"\n{ZONE}"
    )).unwrap();
    let (code, said) = check(&site, "bad.toml");
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("the key belongs to another certificate"),
        "{said}"
    );
    assert!(said.contains("listener[0].tls.key"), "{said}");
    let (code, said) = check(&site, "old.toml");
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("warning: listener[0].tls: certificate 1 (app.example, valid until"),
        "{said}"
    );
    assert!(said.contains("expired on 20"), "{said}");
}

#[test]
fn files_as_openssl_makes_them_that_are_of_no_use_get_their_remedy() {
    let site = Site::new();
    let openssl = |line: &str| {
        let mut command = std::process::Command::new("openssl");
        let output = command.args(line.split(' ')).current_dir(site.path());
        let output = output.output().unwrap();
        assert!(output.status.success(), "{line}");
    };
    openssl("req -x509 -newkey rsa:1024 -nodes -subj /CN=a -keyout short.key -out short.pem");
    openssl("req -x509 -newkey ed448 -nodes -subj /CN=a -keyout kind.key -out kind.pem");
    openssl("x509 -in app.pem -outform der -out binary.pem");
    let unsupported = "possible: RSA of 2048 to 8192 bits, ECDSA";
    for (cert, key, place, remedy) in [
        ("short", "short", "listener[0].tls.key", unsupported),
        ("kind", "kind", "listener[0].tls.key", unsupported),
        (
            "binary",
            "app",
            "listener[0].tls.cert",
            "openssl x509 -inform der",
        ),
    ] {
        std::fs::write(site.file("bad.toml"), format!(
            "[[listener]]\nbind = \"127.0.0.1:8443\"\n[listener.tls]\ncert = \"{cert}.pem\"\nkey = \"{key}.key\"\n{ZONE}"
        )).unwrap();
        let (code, said) = check(&site, "bad.toml");
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains(place) && said.contains(remedy), "{said}");
    }
}

fn check(site: &Site, file: &str) -> (Option<i32>, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_firedoor"))
        .arg("check")
        .arg(site.file(file))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), said)
}

const ZONE: &str = "[[zone]]\nname = \"fz-1\"\nbackend = [{ address = \"127.0.0.1:9001\" }]\n";

#[derive(Debug)]
struct Anybody;

mod anybody {
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::aws_lc_rs::default_provider;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    impl ServerCertVerifier for super::Anybody {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            default_provider()
                .signature_verification_algorithms
                .supported_schemes()
        }
    }
}
