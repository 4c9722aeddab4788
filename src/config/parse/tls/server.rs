//! `[listener.tls]`: the certificates that clients are shown, and whether they have to show one.

use crate::config::raw::{Item, Section};
use crate::config::{Anchors, Certificate, CertificateFiles, ClientAuth, ClientTrust, TlsServer};

use super::{OF_CERTIFICATE, acme, certificates, private_key, report};

/// `[listener.tls]`; `reachable` is whether there are listeners without TLS. All of it is read before anything is given up, so
/// that every problem is found.
pub(in crate::config::parse) fn server(
    section: &Section<'_>,
    reachable: bool,
) -> Option<TlsServer> {
    let automatic = section.has("acme");
    let table = section.item("acme").and_then(Item::into_section);
    let acme = table.and_then(|table| acme::acme(&table, reachable));
    let list = section.lookup("certificate");
    let alone = section.has("cert") || section.has("key");
    let own = pair(section);
    let several = section.sections("certificate");
    if let (Some(list), true) = (&list, alone) {
        list.report(
            "there are certificates beside cert and key",
            "move cert and key into a [[listener.tls.certificate]] of their own",
        );
    }
    if several.as_ref().is_some_and(Vec::is_empty) && !alone && !automatic {
        section.miss(
            "cert",
            "cert is missing",
            "add cert = \"fullchain.pem\" and key = \"key.pem\", or [listener.tls.acme]",
        );
    }
    let several = several.map(|list| list.iter().enumerate().map(member).collect::<Vec<_>>());
    let clients = clients(section);
    let certificates: Vec<_> = if alone {
        vec![own?]
    } else {
        several?.into_iter().collect::<Option<_>>()?
    };
    if certificates.is_empty() && !automatic {
        return None;
    }
    let acme = if automatic { Some(acme?) } else { None };
    match TlsServer::new(certificates, clients?, acme) {
        Ok(server) => Some(server),
        Err(error) => {
            section.report(&error, "this listener can't speak TLS without it");
            None
        }
    }
}

/// One `[[listener.tls.certificate]]`.
fn member((at, section): (usize, &Section<'_>)) -> Option<(CertificateFiles, Certificate)> {
    if !section.has("cert") && !section.has("key") {
        for key in ["cert", "key"] {
            section.miss(key, &format!("{key} is missing"), add(key));
        }
    }
    let found = pair(section)?;
    if let (true, Some(cert)) = (at > 0 && found.1.names().is_empty(), section.lookup("cert")) {
        cert.refuse(
            "a certificate for no host name, so no client would ever get it",
            "put it first: there it is for clients that name no host",
        );
    }
    Some(found)
}

/// `cert` and `key`, which come together. Nothing is missing if both are.
fn pair(section: &Section<'_>) -> Option<(CertificateFiles, Certificate)> {
    let (cert, key) = (section.item("cert"), section.item("key"));
    for (name, there, other) in [("key", &key, &cert), ("cert", &cert, &key)] {
        if there.is_none() && other.is_some() {
            section.miss(name, &format!("{name} is missing"), add(name));
        }
    }
    let chain = cert.as_ref().and_then(certificates);
    let private = key.as_ref().and_then(private_key);
    let files = CertificateFiles {
        cert: cert.as_ref()?.path()?,
        key: key.as_ref()?.path()?,
    };
    match Certificate::new(chain?, private?) {
        Ok(certificate) => Some((files, certificate)),
        Err(unfit) => {
            report(&unfit, &cert?, &key?);
            None
        }
    }
}

fn add(key: &str) -> &'static str {
    match key {
        "cert" => "add the key's certificate: cert = \"fullchain.pem\"",
        _ => "add the certificate's private key: key = \"key.pem\"",
    }
}

/// `client_ca` and `client_auth`. `None`: there is a problem.
fn clients(section: &Section<'_>) -> Option<Option<ClientTrust>> {
    let choices = [
        ("required", ClientAuth::Required),
        ("optional", ClientAuth::Optional),
    ];
    let auth = section.choice("client_auth", &choices, &[]);
    let Some(ca) = section.item("client_ca") else {
        if let Some(auth) = section.lookup("client_auth") {
            auth.report(
                "client_auth does nothing without client_ca",
                "say who signs the clients' certificates: client_ca = \"ca.pem\"",
            );
        }
        return Some(None);
    };
    Some(Some(ClientTrust {
        anchors: trusted(&ca)?,
        file: ca.path()?,
        auth: auth.unwrap_or_default(),
    }))
}

fn trusted(ca: &Item<'_>) -> Option<Anchors> {
    let anchors = Anchors::from_pem(&ca.file_in(OF_CERTIFICATE)?);
    if anchors.is_none() {
        ca.refuse(
            "a file without certificates in PEM form, or with one that can't be read",
            "it must hold the certificates of those who sign the clients'",
        );
    }
    anchors
}
