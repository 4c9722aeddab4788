//! A certificate authority, and certificates of all kinds of wrong.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// A certificate authority of its own.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// `ca.pem`
    pub fn write(&self, directory: &Path) {
        fs::write(directory.join("ca.pem"), &self.certificate).unwrap();
    }

    /// `NAME.pem` and `NAME.key`: valid from a year ago until `days` from now (or ago), for `host`.
    pub fn sign(&self, directory: &Path, name: &str, host: &str, days: i64) {
        self.sign_for(directory, name, &[host], days);
    }

    /// As `sign`, for several hosts.
    pub fn sign_for(&self, directory: &Path, name: &str, hosts: &[&str], days: i64) {
        let params = lasting(hosts, days);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        write(directory, name, &certificate.pem(), &key);
    }
}

/// `NAME.pem` and `NAME.key`, signed by itself and allowed to sign others, until `days` from now (or ago), for `host` and
/// `purposes`, or any.
pub fn self_signed(
    directory: &Path,
    name: &str,
    host: &str,
    days: i64,
    purposes: &[ExtendedKeyUsagePurpose],
) {
    let mut params = lasting(&[host], days);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.extended_key_usages = purposes.to_vec();
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    write(directory, name, &certificate.pem(), &key);
}

/// As people make them. A key that is there already is kept.
pub fn self_signed_by_openssl(directory: &Path, name: &str, host: &str) {
    let names = format!("subjectAltName={}:{host}", kind(host));
    let (subject, files) = (format!("/CN={host}"), ["pem", "key"]);
    let [certificate, key] = files.map(|end| format!("{name}.{end}"));
    let key = match directory.join(&key).exists() {
        true => vec!["-key", &key],
        false => [&NEW_KEY[..], &["-keyout", &key]].concat(),
    };
    let output = Command::new("openssl")
        .current_dir(directory)
        .args(["req", "-x509", "-days", "100", "-nodes"])
        .args(key)
        .args(["-subj", &subject, "-addext", &names, "-out", &certificate])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

const NEW_KEY: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

fn kind(host: &str) -> &'static str {
    match host.parse::<IpAddr>() {
        Ok(_) => "IP",
        Err(_) => "DNS",
    }
}

/// From a year ago until `days` from now.
fn lasting(hosts: &[&str], days: i64) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    let ((from, month_from, day_from), (to, month_to, day_to)) = (day(-400), day(days));
    params.not_before = date_time_ymd(from, month_from, day_from);
    params.not_after = date_time_ymd(to, month_to, day_to);
    params
}

fn write(directory: &Path, name: &str, certificate: &str, key: &KeyPair) {
    fs::write(directory.join(format!("{name}.pem")), certificate).unwrap();
    fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

/// Year, month and day that many days from now.
fn day(days: i64) -> (i32, u8, u8) {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let date = today.checked_add(days.days()).unwrap();
    let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
    (date.year().into(), month, day)
}
