//! One order, from the request to the certificate (RFC 8555 7.4).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeHandle, ChallengeType, Error,
    Identifier, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tracing::info;

use super::trouble::{Trouble, printable};
use crate::config::{Challenge, provider};
use crate::proxy::client::challenge::{ALPN, Answer, Challenges, Posed};

/// For the whole of it: an authority that goes silent must not keep the names behind this one waiting.
const PATIENCE: Duration = Duration::from_secs(180);

/// How long the authority may take to ask its question, and to sign.
const POLLING: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .timeout(Duration::from_secs(90));

/// What an order has brought, in PEM form.
#[derive(Clone)]
pub(super) struct Obtained {
    pub(super) chain: String,
    pub(super) key: String,
}

/// Orders a certificate for `name`, in the place of the one that `replaces` says. The questions about it are answered by `challenges`
/// meanwhile.
pub(super) async fn obtain(
    account: &Account,
    name: &str,
    replaces: Option<CertificateIdentifier<'static>>,
    challenge: Challenge,
    challenges: &Challenges,
) -> Result<Obtained, Trouble> {
    let order = complete(account, name, replaces, challenge, challenges);
    match tokio::time::timeout(PATIENCE, order).await {
        Ok(done) => done,
        Err(_) => Err(Trouble::refused(format!(
            "the authority didn't come to an end within {PATIENCE:?}"
        ))),
    }
}

async fn complete(
    account: &Account,
    name: &str,
    replaces: Option<CertificateIdentifier<'static>>,
    challenge: Challenge,
    challenges: &Challenges,
) -> Result<Obtained, Trouble> {
    let mut order = open(account, name, replaces).await?;
    // Answered until the authority has made up its mind.
    let posed = answer(&mut order, name, challenge, challenges).await?;
    let status = order.poll_ready(&POLLING).await;
    if !matches!(status, Ok(OrderStatus::Ready)) {
        return Err(match (why(&mut order).await, status) {
            (Some(reason), _) => Trouble::refused(reason),
            (None, Err(Error::Timeout(_))) => {
                Trouble::refused("the authority didn't make up its mind in time")
            }
            (None, Err(error)) => Trouble::from(error),
            (None, Ok(_)) => Trouble::refused("the authority has refused, and doesn't say why"),
        });
    }
    drop(posed);

    let failed = |error: rcgen::Error| Trouble::refused(error.to_string());
    let key = KeyPair::generate().map_err(failed)?;
    let request = request(name).map_err(failed)?;
    let request = request.serialize_request(&key).map_err(failed)?;
    order.finalize_csr(request.der()).await?;
    let chain = order.poll_certificate(&POLLING).await?;
    Ok(Obtained {
        chain,
        key: key.serialize_pem(),
    })
}

/// Says which certificate is replaced (RFC 9773 5) where the authority offers renewal information. One that refuses that, or doesn't
/// say it back, gets an order without it.
async fn open(
    account: &Account,
    name: &str,
    replaces: Option<CertificateIdentifier<'static>>,
) -> Result<Order, Error> {
    let identifiers = [Identifier::Dns(name.to_owned())];
    if let Some(replaces) = replaces {
        let order = NewOrder::new(&identifiers).replaces(replaces);
        match account.new_order(&order).await {
            Ok(order) => return Ok(order),
            Err(Error::Unsupported(_)) => {}
            Err(error) => info!(
                "certificate for {name}: ordering without saying which one it replaces: {}",
                Trouble::from(error)
            ),
        }
    }
    account.new_order(&NewOrder::new(&identifiers)).await
}

/// Answers what the authority wants to know, and tells it that it may ask.
async fn answer(
    order: &mut Order,
    name: &str,
    challenge: Challenge,
    challenges: &Challenges,
) -> Result<Vec<Posed>, Trouble> {
    let kind = match challenge {
        Challenge::Http01 => ChallengeType::Http01,
        Challenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
    };
    let mut posed = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Pending => {}
            // It still believes us from the last time.
            AuthorizationStatus::Valid => continue,
            status => {
                let text = format!("the authorization is {status:?} from the start");
                return Err(Trouble::refused(text));
            }
        }
        let Some(mut asked) = authorization.challenge(kind.clone()) else {
            let text = format!("the authority offers no {}", word(challenge));
            return Err(Trouble::refused(text));
        };
        posed.push(challenges.pose(prepared(&asked, name, challenge)?));
        asked.set_ready().await?;
    }
    Ok(posed)
}

fn prepared(
    asked: &ChallengeHandle<'_>,
    name: &str,
    challenge: Challenge,
) -> Result<Answer, Trouble> {
    let proof = asked.key_authorization();
    match challenge {
        Challenge::Http01 => {
            let text = Bytes::copy_from_slice(proof.as_str().as_bytes());
            Ok(Answer::File(asked.token.clone(), text))
        }
        Challenge::TlsAlpn01 => {
            let config = stand_in(name, proof.digest().as_ref()).map_err(Trouble::refused)?;
            Ok(Answer::Handshake(name.to_owned(), Arc::new(config)))
        }
    }
}

/// A handshake with a certificate for `name` that holds the proof and that we sign ourselves (RFC 8737 3). Of nobody else is a
/// certificate asked in it, whatever the listener asks of its clients.
fn stand_in(name: &str, digest: &[u8]) -> Result<ServerConfig, String> {
    let mut request = request(name).map_err(|error| error.to_string())?;
    request.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate().map_err(|error| error.to_string())?;
    let certificate = request
        .self_signed(&key)
        .map_err(|error| error.to_string())?;

    let words = |error: rustls::Error| error.to_string();
    let provider = Arc::new(provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = provider.key_provider.load_private_key(key).map_err(words)?;
    // Not by rustls' own check of the two: that one refuses an extension that is critical and unknown to it.
    let certified = CertifiedKey::new(vec![certificate.der().clone()], key);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(words)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

fn request(name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut request = CertificateParams::new([name.to_owned()])?;
    request.distinguished_name = DistinguishedName::new();
    Ok(request)
}

/// What the authority has found wrong with our answers.
async fn why(order: &mut Order) -> Option<String> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.ok()?;
        let state = authorization.refresh().await.ok()?;
        let problem = state
            .challenges
            .iter()
            .find_map(|asked| asked.error.as_ref());
        if let Some(problem) = problem {
            let text = problem.to_string();
            let text = text.strip_prefix("API error: ").unwrap_or(&text);
            return Some(printable(text));
        }
    }
    None
}

fn word(challenge: Challenge) -> &'static str {
    match challenge {
        Challenge::Http01 => "http-01",
        Challenge::TlsAlpn01 => "tls-alpn-01",
    }
}
