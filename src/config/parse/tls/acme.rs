//! `[listener.tls.acme]`: certificates that firedoor obtains by itself.

use std::net::IpAddr;
use std::path::PathBuf;

use http::Uri;

use super::anchors;
use crate::config::parse::address::dns_name;
use crate::config::raw::{Form, Item, Refusal, Section};
use crate::config::{
    Acme, Anchors, Challenge, ExternalAccount, Listener, Secret, TlsClient, TlsServer, TlsTerms,
};

/// Let's Encrypt.
const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Each is an order, and authorities count those.
const MOST_NAMES: usize = 100;

const URL: Form<String> = Form {
    noun: "the URL of a directory",
    example: "\"https://acme-v02.api.letsencrypt.org/directory\"",
    parse: |text| {
        let url: Uri = text
            .parse()
            .map_err(|_| Refusal::malformed("it can't be read as a URL"))?;
        match (url.scheme_str(), url.authority()) {
            (Some("https"), Some(authority)) if !authority.as_str().contains('@') => {
                Ok(text.to_owned())
            }
            _ => Err(Refusal::malformed("https:// and a host are needed")),
        }
    },
};

const NAME: Form<String> = Form {
    noun: "a host name",
    example: "\"shop.example\"",
    parse: |text| {
        if text.starts_with("*.") {
            return Err(
                Refusal::unsuitable("a wildcard, which can't be proven here")
                    .hint("list the names themselves, or use certificate files"),
            );
        }
        if text.parse::<IpAddr>().is_ok() {
            return Err(Refusal::unsuitable("an IP address").hint("only names are possible"));
        }
        dns_name(text)?;
        let name = text.strip_suffix('.').unwrap_or(text);
        // Room for what a file of that name is called.
        if name.len() > 240 || name.contains('_') {
            return Err(Refusal::malformed("no authority would certify it"));
        }
        Ok(name.to_ascii_lowercase())
    },
};

const CONTACT: Form<String> = Form {
    noun: "an e-mail address",
    example: "\"ops@shop.example\"",
    parse: |text| {
        let address = text.strip_prefix("mailto:").unwrap_or(text);
        let visible = address.bytes().all(|b| (0x21..=0x7e).contains(&b));
        match address.split_once('@') {
            Some((user, host)) if visible && !user.is_empty() && !host.is_empty() => {
                Ok(format!("mailto:{address}"))
            }
            _ => Err(Refusal::malformed("a user and a host are needed")),
        }
    },
};

/// `[listener.tls.acme]`; `reachable` is whether there are listeners without TLS.
pub(super) fn acme(section: &Section<'_>, reachable: bool) -> Option<Acme> {
    let directory = section.item("directory");
    let directory = match directory {
        Some(item) => item.read(&URL),
        None => Some(DIRECTORY.to_owned()),
    };
    let contact = texts(section.item("contact"), &CONTACT, "[\"ops@shop.example\"]");
    let names = names(section);
    let challenges = [
        ("tls-alpn-01", Challenge::TlsAlpn01),
        ("http-01", Challenge::Http01),
    ];
    let challenge = section
        .choice("challenge", &challenges, &[])
        .unwrap_or_default();
    if let (Challenge::Http01, false, Some(item)) =
        (challenge, reachable, section.lookup("challenge"))
    {
        item.report(
            "http-01 is answered without TLS, and all listeners speak TLS",
            "add a [[listener]] that port 80 leads to, or challenge = \"tls-alpn-01\"",
        );
    }
    let ca = section.item("ca");
    let trusted = match &ca {
        Some(ca) => anchors(ca),
        None => Some(Anchors::system(section.system_roots())),
    };
    let ca = ca.and_then(|ca| ca.path());
    let external = external(section);
    Some(Acme {
        directory: directory?,
        contact: contact?,
        names: names?,
        challenge,
        tls: client(section, trusted?, ca)?,
        external: external?,
    })
}

/// Reports settings of `listener` that contradict those of `others` at the same authority: there is one account with each.
pub(in crate::config::parse) fn agree(
    section: &Section<'_>,
    listener: &Listener,
    others: &[Listener],
) {
    let terms = |listener: &Listener| listener.tls.as_ref().and_then(TlsServer::acme).cloned();
    let Some(ours) = terms(listener) else { return };
    let differs = |theirs: &Acme| {
        theirs.directory == ours.directory
            && (&theirs.contact, &theirs.external, &theirs.tls)
                != (&ours.contact, &ours.external, &ours.tls)
    };
    let contrary = others.iter().filter_map(terms).any(|them| differs(&them));
    if let (true, Some(item)) = (contrary, section.lookup("tls")) {
        item.report(
            "another listener has other settings for the ACME account with the same directory",
            "give both the same contact, ca, eab_kid and eab_hmac_key",
        );
    }
}

fn names(section: &Section<'_>) -> Option<Vec<String>> {
    let example = "[\"shop.example\", \"www.shop.example\"]";
    let list = section.required("names", &format!("add names = {example}"))?;
    let names = texts(Some(list.clone()), &NAME, example)?;
    let mut seen = names.clone();
    seen.sort_unstable();
    seen.dedup();
    if names.is_empty() {
        list.report("there is no name", format!("write it like {example}"));
    } else if seen.len() < names.len() {
        list.report(
            "a name is there twice",
            "one certificate is obtained for each",
        );
    } else if names.len() > MOST_NAMES {
        let message = format!("{} names are too many", names.len());
        list.report(message, format!("{MOST_NAMES} are possible for a listener"));
    } else {
        return Some(names);
    }
    None
}

/// `None`: one of them is wrong. Nothing is an empty list.
fn texts(item: Option<Item<'_>>, form: &Form<String>, example: &str) -> Option<Vec<String>> {
    let Some(item) = item else {
        return Some(Vec::new());
    };
    let members = item.list("a list", &format!("write it like {example}"))?;
    let read: Vec<_> = members.iter().map(|member| member.read(form)).collect();
    read.into_iter().collect()
}

/// `eab_kid` and `eab_hmac_key`, which come together. `None`: there is a problem.
fn external(section: &Section<'_>) -> Option<Option<ExternalAccount>> {
    let (id, key) = (section.item("eab_kid"), section.item("eab_hmac_key"));
    for (name, there, other) in [("eab_hmac_key", &key, &id), ("eab_kid", &id, &key)] {
        if there.is_none() && other.is_some() {
            let hint = "the authority gives both: eab_kid and eab_hmac_key";
            section.miss(name, &format!("{name} is missing"), hint);
        }
    }
    let (id, key) = match (id, key) {
        (None, None) => return Some(None),
        (id, key) => (id?, key?),
    };
    let account = ExternalAccount {
        id: id.text()?.value,
        key: Secret::new(key.text()?.value.trim().trim_end_matches('=')),
    };
    if account.mac_key().is_none_or(|mac| mac.is_empty()) {
        key.report(
            "it is no key in URL-safe base64",
            "write it as the authority gave it, best as \"${file:eab.key}\"",
        );
        return None;
    }
    Some(Some(account))
}

fn client(section: &Section<'_>, anchors: Anchors, ca: Option<PathBuf>) -> Option<TlsClient> {
    if anchors.is_empty() {
        section.report(
            "this system trusts no certificates at all, so no directory can be verified",
            "install its ca-certificates, or name the signer's certificate: ca = \"ca.pem\"",
        );
        return None;
    }
    let terms = TlsTerms {
        server_name: None,
        anchors,
        ca,
        verify: true,
        identity: None,
        alpn: &["http/1.1"],
    };
    let client = TlsClient::new(terms);
    client
        .map_err(|error| section.report(&error.to_string(), "ca must hold certificates"))
        .ok()
}
