//! Who we are: a password as the server wants to have it.

use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;
use tokio::time::timeout_at;

use super::failed;
use super::talk::Talk;
use crate::config::{Login, Secret};
use crate::health::probe::Finding;
use crate::outcome::CheckCode;

/// Whether the server wants to know who we are.
pub(super) fn is_request(message: &Message) -> bool {
    matches!(
        message,
        Message::AuthenticationCleartextPassword
            | Message::AuthenticationMd5Password(_)
            | Message::AuthenticationSasl(_)
            | Message::AuthenticationGss
            | Message::AuthenticationSspi
            | Message::AuthenticationKerberosV5
            | Message::AuthenticationScmCredential
    )
}

/// Answers until the server lets us in. `sealed`: nobody can listen.
pub(super) async fn log_in(
    talk: &mut Talk<'_>,
    login: &Login,
    sealed: bool,
) -> Result<(), Finding> {
    let password = || {
        let password = login.password.as_ref().map(Secret::expose);
        password.ok_or_else(|| failed("it wants a password: give the check one"))
    };
    match talk.next().await? {
        Message::AuthenticationOk => return Ok(()),
        // Only what this machine says to itself is as safe as TLS. Anybody on the way could ask for this, too.
        Message::AuthenticationCleartextPassword if !sealed => {
            return Err(failed(
                "it wants the password in cleartext, which only goes through TLS: give the check tls",
            ));
        }
        Message::AuthenticationCleartextPassword => {
            let password = password()?;
            talk.hush();
            talk.say("the password", |message| {
                frontend::password_message(password.as_bytes(), message)
            })
            .await;
        }
        Message::AuthenticationMd5Password(request) => {
            let (user, password) = (login.user.as_bytes(), password()?.as_bytes());
            let hash = md5_hash(user, password, request.salt());
            talk.say("the password", |message| {
                frontend::password_message(hash.as_bytes(), message)
            })
            .await;
        }
        Message::AuthenticationSasl(request) => {
            let known = request.mechanisms().any(|name| Ok(name == SCRAM_SHA_256));
            if !known.map_err(|_| talk.out_of_turn())? {
                return Err(unknown());
            }
            scram(talk, password()?).await?;
        }
        message if is_request(&message) => return Err(unknown()),
        _ => return Err(talk.out_of_turn()),
    }
    match talk.next().await? {
        Message::AuthenticationOk => Ok(()),
        _ => Err(talk.out_of_turn()),
    }
}

/// SCRAM-SHA-256 (RFC 7677), at the end of which the server has proved that it knows the password, too.
///
/// Without channel binding: that needs the hash by which the server's certificate was signed, so somebody to read X.509. TLS
/// has verified the certificate already, unless the check says `verify = false`.
async fn scram(talk: &mut Talk<'_>, password: &str) -> Result<(), Finding> {
    let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
    talk.say("the login", |message| {
        frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), message)
    })
    .await;
    let Message::AuthenticationSaslContinue(challenge) = talk.next().await? else {
        return Err(talk.out_of_turn());
    };
    // The server says how often to hash. The library goes along up to 100,000 times, and this thread has other probes.
    let challenge = challenge.data().to_vec();
    let hashing = tokio::task::spawn_blocking(move || scram.update(&challenge).map(|()| scram));
    let hashed = timeout_at(talk.deadline(), hashing).await;
    let hashed = hashed.map_err(|_| {
        let slow = "connected, but the password's hash was not ready";
        Finding::new(CheckCode::L7Timeout, slow)
    })?;
    let Ok(Ok(mut scram)) = hashed else {
        return Err(broken("its challenge makes no sense, or too much work"));
    };
    talk.say("the password", |message| {
        frontend::sasl_response(scram.message(), message)
    })
    .await;
    let Message::AuthenticationSaslFinal(proof) = talk.next().await? else {
        return Err(talk.out_of_turn());
    };
    scram
        .finish(proof.data())
        .map_err(|_| broken("it does not know the password itself, so it is somebody else"))
}

fn unknown() -> Finding {
    failed("it wants a login other than by password, which the check does not have")
}

fn broken(detail: &str) -> Finding {
    Finding::new(CheckCode::L7Response, detail)
}
