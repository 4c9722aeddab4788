//! `tls` of a check: `true`, `false`, or a table that says whom to trust and who firedoor is itself. And the same table for the
//! backends of a pool.

pub(super) mod acme;
pub(super) mod server;

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::config::raw::{Form, Item, Refusal, Section};
use crate::config::{Anchors, CertificateFiles, Identity, TlsClient, TlsTerms, Unfit, certificate};

const SERVER_NAME: Form<ServerName<'static>> = Form {
    noun: "a server name",
    example: "\"db.example\" or \"10.1.0.21\"",
    parse: |text| {
        ServerName::try_from(text.to_owned()).map_err(|_| {
            Refusal::malformed("a DNS name or an IP address is needed, without a port")
        })
    },
};

/// For protocols that may be spoken with or without TLS; `None`: without. `base` is what is inherited, `alpn` what the
/// protocol is called.
pub(super) fn optional(
    section: &Section<'_>,
    base: Option<&TlsClient>,
    alpn: &'static [&'static str],
) -> Option<TlsClient> {
    let Some(item) = section.item("tls") else {
        return base.cloned();
    };
    if item.is_table() {
        let table = item.clone().into_section()?;
        return client(section, Some(&table), base, alpn);
    }
    if item.boolean()? {
        client(section, None, base, alpn)
    } else {
        None
    }
}

/// For backends whose address says that TLS is spoken; `section` is their pool's `tls`.
pub(super) fn backends(section: &Section<'_>) -> Option<TlsClient> {
    let alpn = section.item("alpn").map(|item| protocols(&item));
    let client = client(
        section,
        Some(section),
        None,
        alpn.flatten().unwrap_or(&["http/1.1"]),
    );
    if alpn == Some(None) { None } else { client }
}

/// `alpn`: what is offered, the preferred one first. `None`: there is a problem.
fn protocols(item: &Item<'_>) -> Option<&'static [&'static str]> {
    let possible = [("h2", "h2"), ("http/1.1", "http/1.1")];
    let members = item.list(
        "a list of protocols",
        "write it like [\"h2\", \"http/1.1\"]",
    )?;
    let named: Option<Vec<&str>> = members.iter().map(|m| m.choice(&possible, &[])).collect();
    match named?.as_slice() {
        ["http/1.1"] => Some(&["http/1.1"]),
        ["h2"] => Some(&["h2"]),
        ["h2", "http/1.1"] => Some(&["h2", "http/1.1"]),
        ["http/1.1", "h2"] => Some(&["http/1.1", "h2"]),
        _ => {
            item.report(
                "no protocol, or one twice",
                "possible: [\"http/1.1\"], [\"h2\"] or [\"h2\", \"http/1.1\"]",
            );
            None
        }
    }
}

/// For backends of a pool that says nothing of TLS: one of them is `section`.
pub(super) fn system(section: &Section<'_>) -> Option<TlsClient> {
    client(section, None, None, &["http/1.1"])
}

/// For a URL that firedoor sends something to; the keys stand in `section` itself.
pub(super) fn outside(section: &Section<'_>) -> Option<TlsClient> {
    client(section, Some(section), None, &["http/1.1"])
}

/// For a check that is about TLS itself.
pub(super) fn required(section: &Section<'_>, base: Option<&TlsClient>) -> Option<TlsClient> {
    let client = optional(section, base, &[]);
    let item = section.lookup("tls");
    match (&client, item) {
        (None, None) => self::client(section, None, None, &[]),
        (None, Some(item)) if item.says("false") => {
            item.refuse(
                "of no use in a tls check",
                "remove it, or set kind = \"tcp\"",
            );
            None
        }
        _ => client,
    }
}

/// What `base` says, unless `table` says otherwise.
fn client(
    section: &Section<'_>,
    table: Option<&Section<'_>>,
    base: Option<&TlsClient>,
    alpn: &'static [&'static str],
) -> Option<TlsClient> {
    let item = |key| table.and_then(|table| table.item(key));
    let base = base.map(TlsClient::terms);
    let base = base.as_deref();
    // All of it is read before anything is given up, so that every problem is found.
    let server_name = item("server_name").map(|item| item.read(&SERVER_NAME));
    let verify = item("verify").map(|item| item.boolean());
    let ca = item("ca");
    let trusted = ca.as_ref().map(anchors);
    let identity = table.and_then(identity);

    let verify = verify.unwrap_or_else(|| Some(base.is_none_or(|base| base.verify)))?;
    let anchors = match (trusted, base) {
        (Some(trusted), _) => trusted?,
        (None, Some(base)) => base.anchors.clone(),
        (None, None) => Anchors::system(section.system_roots()),
    };
    if verify && anchors.is_empty() {
        section.report(
            "this system trusts no certificates at all, so no TLS server can be verified",
            "install its ca-certificates, or name the signer's certificate: tls = { ca = \"ca.pem\" }",
        );
        return None;
    }
    if let (Some(ca), false) = (&ca, verify) {
        ca.refuse(
            "not looked at when nothing is verified",
            "remove ca, or verify = false",
        );
    }
    let terms = TlsTerms {
        server_name: match server_name {
            Some(given) => Some(given?),
            None => base.and_then(|base| base.server_name.clone()),
        },
        anchors,
        ca: match &ca {
            Some(ca) => Some(ca.path()?),
            None => base.and_then(|base| base.ca.clone()),
        },
        verify,
        identity: identity.or_else(|| base.and_then(|base| base.identity.clone())),
        alpn,
    };
    match TlsClient::new(terms) {
        Ok(client) => Some(client),
        Err(error) => {
            section.report(&error.to_string(), "without it, TLS can't be spoken here");
            None
        }
    }
}

fn anchors(ca: &Item<'_>) -> Option<Anchors> {
    let anchors = Anchors::named(certificates(ca)?);
    if anchors.is_none() {
        ca.refuse(
            "a file with a certificate that can't be read as X.509",
            "it must hold the certificates of those who sign the servers'",
        );
    }
    anchors
}

/// `cert` and `key`, which come together.
fn identity(table: &Section<'_>) -> Option<Identity> {
    let (cert, key) = (table.item("cert"), table.item("key"));
    let chain = cert.as_ref().and_then(certificates);
    let private = key.as_ref().and_then(private_key);
    match (&cert, &key) {
        (Some(_), None) => table.miss(
            "key",
            "key is missing",
            "add the certificate's private key: key = \"client.key\"",
        ),
        (None, Some(_)) => table.miss(
            "cert",
            "cert is missing",
            "add the key's certificate: cert = \"client.pem\"",
        ),
        _ => {}
    }
    let (cert, key, chain, private) = (cert?, key?, chain?, private?);
    if let Err(unfit) = certificate::certified(chain.clone(), private.clone_key()) {
        report(&unfit, &cert, &key);
        return None;
    }
    Some(Identity {
        chain,
        key: Arc::new(private),
        files: CertificateFiles {
            cert: cert.path()?,
            key: key.path()?,
        },
    })
}

/// At the one that is at fault.
fn report(unfit: &Unfit, cert: &Item<'_>, key: &Item<'_>) {
    let item = if unfit.certificate { cert } else { key };
    item.report(unfit.to_string(), unfit.remedy);
}

/// Remedies for files that are no text.
const OF_CERTIFICATE: &str =
    "PEM is needed; from DER: openssl x509 -inform der -in cert.der -out cert.pem";
const OF_KEY: &str = "PEM is needed; from DER: openssl pkey -inform der -in key.der -out key.pem";

fn certificates(item: &Item<'_>) -> Option<Vec<CertificateDer<'static>>> {
    let found = certificate::chain(&item.file_in(OF_CERTIFICATE)?);
    if found.is_none() {
        item.refuse(
            "a file without a certificate in PEM form",
            "it must have \"-----BEGIN CERTIFICATE-----\" in it",
        );
    }
    found
}

fn private_key(item: &Item<'_>) -> Option<PrivateKeyDer<'static>> {
    let found = certificate::private_key(&item.file_in(OF_KEY)?);
    if found.is_none() {
        item.refuse(
            "a file without a private key in PEM form",
            "it must have \"-----BEGIN PRIVATE KEY-----\" in it, and no passphrase",
        );
    }
    found
}
