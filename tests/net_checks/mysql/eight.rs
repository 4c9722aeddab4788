//! What of MySQL 8 can't be tested against MariaDB: its logins. Debian has no MySQL, so they are played here, by the rules of the
//! server (`sql/auth/sha2_password.cc`); that a client of others believes it is one of the tests.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::support::wait::PATIENCE;

const NONCE: &[u8; 20] = b"twenty bytes of luck";
const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];
/// It quotes what it was told.
const DENIED: &[u8] = b"\xff\x15\x04#28000Access denied for user by ";
const TLS: u8 = 0x08;

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// One who has a single user, `health`.
#[derive(Clone)]
pub struct Eight {
    /// The login plugin of that user's.
    pub plugin: &'static str,
    /// The one that it announces in its greeting.
    pub default_plugin: &'static str,
    /// Whether the password was seen before, so that a proof of it is enough.
    pub remembers: bool,
    /// What it answers to whoever asks something.
    pub tables: Vec<(&'static str, &'static [(&'static str, &'static str)])>,
    tls: Option<TlsAcceptor>,
    key: Arc<KeyPair>,
    /// How connections went: what was done by whoever came.
    diary: Arc<Mutex<Vec<String>>>,
}

impl Eight {
    pub fn new() -> Self {
        Self {
            plugin: "caching_sha2_password",
            default_plugin: "caching_sha2_password",
            remembers: false,
            tables: Vec::new(),
            tls: None,
            key: Arc::new(KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap()),
            diary: Arc::default(),
        }
    }

    /// With `server.pem` and `server.key` of `directory`.
    pub fn with_tls(mut self, directory: &Path) -> Self {
        let chain = CertificateDer::pem_file_iter(directory.join("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(directory.join("server.key")).unwrap();
        let provider = Arc::new(default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.map(Result::unwrap).collect(), key)
            .unwrap();
        self.tls = Some(TlsAcceptor::from(Arc::new(config)));
        self
    }

    /// What has happened since the last time it was asked, to the end of a connection.
    pub async fn diary(&self) -> Vec<String> {
        let ended = |line: &String| ["denied", "goodbye", "left"].contains(&line.as_str());
        let end = async {
            while !self.diary.lock().unwrap().last().is_some_and(ended) {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, end).await.unwrap();
        std::mem::take(&mut self.diary.lock().unwrap())
    }

    pub async fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move {
                    let end = server.serve(Box::new(stream)).await;
                    server.note(end.unwrap_or("left"));
                });
            }
        });
        address
    }

    fn note(&self, what: &str) {
        self.diary.lock().unwrap().push(what.to_owned());
    }

    /// `None`: the client has gone without a word.
    async fn serve(&self, stream: Box<dyn Duplex>) -> Option<&'static str> {
        let mut line = Line::new(stream, 0);
        line.say(&self.greeting()).await;
        let mut login = line.hear().await?;
        let mut is_secure = false;
        if let (Some(tls), true) = (&self.tls, login[1] & TLS != 0) {
            assert_eq!(login.len(), 32, "nothing more in the clear");
            let stream = tls.accept(line.stream).await.ok()?;
            line = Line::new(Box::new(stream), line.number);
            is_secure = true;
            self.note("TLS");
            login = line.hear().await?;
        }
        let mut fields = login[32..].split(|byte| *byte == 0);
        let user = String::from_utf8(fields.next()?.to_vec()).unwrap();
        self.note(&user);
        let rest = &login[32 + user.len() + 1..];
        let (length, rest) = rest.split_first()?;
        let (proof, rest) = rest.split_at(usize::from(*length));
        let plugin = rest.split(|byte| *byte == 0).next()?;
        let mut proof = proof.to_vec();
        if plugin != self.plugin.as_bytes() {
            let wish = [b"\xfe", self.plugin.as_bytes(), b"\0", NONCE, b"\0"].concat();
            line.say(&wish).await;
            proof = line.hear().await?;
        }
        let granted = user == "health" && self.decide(&mut line, proof, is_secure).await?;
        if !granted {
            let said = std::mem::take(&mut line.heard);
            line.say(&[DENIED, &said].concat()).await;
            return Some("denied");
        }
        line.say(OK).await;
        loop {
            line.number = 0;
            let question = line.hear().await?;
            let question = match question.as_slice() {
                [1] => return Some("goodbye"),
                [3, question @ ..] => String::from_utf8(question.to_vec()).unwrap(),
                other => panic!("{other:?}"),
            };
            self.answer(&mut line, &question).await;
        }
    }

    async fn decide(&self, line: &mut Line, proof: Vec<u8>, is_secure: bool) -> Option<bool> {
        if let [] | [0] = proof.as_slice() {
            self.note("no password");
            return Some(false);
        }
        let password = match self.plugin {
            "caching_sha2_password" => {
                if self.remembers && proof_is_right(&proof) {
                    self.note("proof");
                    line.say(&[1, 3]).await;
                    return Some(true);
                }
                line.say(&[1, 4]).await;
                let said = line.hear().await?;
                self.password(line, said, &[2], is_secure).await?
            }
            "sha256_password" => self.password(line, proof, &[1], is_secure).await?,
            "mysql_clear_password" => {
                self.note(if is_secure {
                    "cleartext over TLS"
                } else {
                    "cleartext"
                });
                proof
            }
            _ => return Some(false),
        };
        let is_right = password == b"s3cret\0";
        line.heard = password;
        Some(is_right)
    }

    /// The password itself, which came over TLS, or else sealed with the key that is asked for by the words `request`.
    async fn password(
        &self,
        line: &mut Line,
        said: Vec<u8>,
        request: &[u8],
        is_secure: bool,
    ) -> Option<Vec<u8>> {
        if is_secure {
            self.note("password over TLS");
            return Some(said);
        }
        let mut said = said;
        if said == request {
            line.say(&[b"\x01", self.key.public_key_pem().as_bytes()].concat())
                .await;
            said = line.hear().await?;
        }
        let key = PrivateDecryptingKey::from_pkcs8(&self.key.serialize_der()).unwrap();
        let key = OaepPrivateDecryptingKey::new(key).unwrap();
        let mut opened = vec![0; key.min_output_size()];
        let opened = key.decrypt(&OAEP_SHA1_MGF1SHA1, &said, &mut opened, None);
        let Ok(opened) = opened else {
            self.note("nonsense");
            return Some(Vec::new());
        };
        self.note("sealed password");
        let mask = NONCE.iter().cycle();
        Some(
            opened
                .iter()
                .zip(mask)
                .map(|(byte, mask)| byte ^ mask)
                .collect(),
        )
    }

    async fn answer(&self, line: &mut Line, question: &str) {
        let known = self
            .tables
            .iter()
            .find(|(start, _)| question.starts_with(start));
        let Some((_, cells)) = known else {
            line.say(b"\xff\x28\x04#42000You have an error in your SQL syntax")
                .await;
            return;
        };
        line.say(&[cells.len() as u8]).await;
        for (name, _) in *cells {
            let mut column = b"\x03def\0\0\0".to_vec();
            column.push(name.len() as u8);
            column.extend(name.as_bytes());
            column.extend([0; 14]);
            line.say(&column).await;
        }
        line.say(b"\xfe\0\0\x02\0").await;
        let mut row = Vec::new();
        for (_, value) in *cells {
            match *value {
                "NULL" => row.push(0xfb),
                value => {
                    row.push(value.len() as u8);
                    row.extend(value.as_bytes());
                }
            }
        }
        line.say(&row).await;
        line.say(b"\xfe\0\0\x02\0").await;
    }

    fn greeting(&self) -> Vec<u8> {
        let tls = if self.tls.is_some() { TLS } else { 0 };
        let mut greeting = b"\x0a8.4.3\0\x09\0\0\0".to_vec();
        greeting.extend(&NONCE[..8]);
        greeting.extend([0, 0xff, 0xf7 & !TLS | tls, 45, 2, 0, 0x0b, 0x00, 21]);
        greeting.extend([0; 10]);
        greeting.extend(&NONCE[8..]);
        greeting.push(0);
        greeting.extend(self.default_plugin.as_bytes());
        greeting.push(0);
        greeting
    }
}

/// As the server does it, which knows the hash of the password's hash only.
fn proof_is_right(proof: &[u8]) -> bool {
    let known = digest(&SHA256, digest(&SHA256, b"s3cret").as_ref());
    let mask = digest(&SHA256, &[known.as_ref(), NONCE].concat());
    let once: Vec<u8> = proof
        .iter()
        .zip(mask.as_ref())
        .map(|(a, b)| a ^ b)
        .collect();
    digest(&SHA256, &once).as_ref() == known.as_ref()
}

struct Line {
    stream: Box<dyn Duplex>,
    number: u8,
    /// The password that somebody gave.
    heard: Vec<u8>,
}

impl Line {
    fn new(stream: Box<dyn Duplex>, number: u8) -> Self {
        Self {
            stream,
            number,
            heard: Vec::new(),
        }
    }

    async fn say(&mut self, packet: &[u8]) {
        let [a, b, c, _] = (packet.len() as u32).to_le_bytes();
        let framed = [&[a, b, c, self.number], packet].concat();
        self.number += 1;
        let _ = self.stream.write_all(&framed).await;
        let _ = self.stream.flush().await;
    }

    /// The next packet; its number must be the next, too.
    async fn hear(&mut self) -> Option<Vec<u8>> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head).await.ok()?;
        let [a, b, c, number] = head;
        assert_eq!(number, self.number, "packets out of order");
        self.number += 1;
        let mut packet = vec![0; u32::from_le_bytes([a, b, c, 0]) as usize];
        self.stream.read_exact(&mut packet).await.ok()?;
        Some(packet)
    }
}
