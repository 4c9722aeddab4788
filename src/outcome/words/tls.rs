//! What is wrong with a TLS peer, as an operator says it.

use std::io;

use jiff::Timestamp;
use rustls::{AlertDescription, CertificateError, Error};

use super::plain;

/// Why there was no handshake.
pub(crate) fn of(error: &io::Error) -> String {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => "the connection closed during the TLS handshake".into(),
            _ => super::of(error),
        };
    };
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::InvalidMessage(_) => "the answer is not TLS".into(),
        Error::AlertReceived(alert) => refusal(*alert),
        Error::NoApplicationProtocol => "the server has TLS, but not for this protocol".into(),
        Error::PeerIncompatible(what) => format!("no common ground in TLS ({what:?})"),
        // Names of rustls's own; whatever the peer put into them has to stay short.
        other => format!("TLS failed: {}", plain(&other.to_string(), 120)),
    }
}

/// Why a connection broke that had been secured. `None`: TLS had no part in it. In TLS 1.3 a server refuses our certificate, or that
/// there is none, only after we have taken the handshake for done, so that the next read is what hears of it.
pub(crate) fn afterwards(error: &io::Error) -> Option<String> {
    error.get_ref()?.is::<Error>().then(|| of(error))
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the certificate expired on {}", day(not_after.as_secs()))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!(
                "the certificate is not valid before {}",
                day(not_before.as_secs())
            )
        }
        CertificateError::UnknownIssuer => {
            "the certificate is not signed by anybody who is trusted".into()
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let expected = expected.to_str();
            match presented.as_slice() {
                [] => format!("the certificate is for no name at all, expected {expected}"),
                names => format!(
                    "the certificate is for {}, not for {expected}",
                    plain(
                        &names
                            .iter()
                            .map(|name| bare(name))
                            .collect::<Vec<_>>()
                            .join(", "),
                        120
                    )
                ),
            }
        }
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "the certificate is one for signing others, and isn't itself among those of the ca file"
                .into()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the certificate is for other purposes than a server's (its extended key usage)".into()
        }
        other => format!("the certificate is not in order ({other:?})"),
    }
}

/// The other side's word for why it refuses.
fn refusal(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => {
            "the server wants a certificate: give tls a cert and a key".into()
        }
        AlertDescription::UnrecognisedName => "the server has no certificate for this name".into(),
        AlertDescription::NoApplicationProtocol => {
            "the server has TLS, but not for this protocol".into()
        }
        other => format!("the server refused the TLS handshake ({other:?})"),
    }
}

/// rustls presents names as `DnsName("app.example")` and `IpAddress(10.1.0.21)`.
fn bare(presented: &str) -> &str {
    let inner = presented.split(['(', ')', '"']);
    inner
        .filter(|part| !part.is_empty())
        .nth(1)
        .unwrap_or(presented)
}

/// `2027-02-01 12:00 UTC`, from seconds since 1970.
pub(crate) fn day(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map_or_else(
            || "a day beyond all calendars".to_owned(),
            |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        )
}

/// `in 3 days`
pub(crate) fn ahead(seconds: u64) -> String {
    let (count, unit) = match seconds {
        172_800.. => (seconds / 86_400, "days"),
        7_200.. => (seconds / 3_600, "hours"),
        _ => (seconds / 60, "minutes"),
    };
    format!("in {count} {unit}")
}
