//! Logging in: the packets, and which answer each login plugin of the server's gets. Pure.
//!
//! A server that has sent its greeting wants a login in return. It counts every connection that ends without one, or in the middle
//! of one, and after `max_connect_errors` of them (100) it blocks the host that they came from. So a login that has begun is
//! always carried through to the server's own verdict: where there is no good answer, there is one of which the server says no.

use super::greeting::{Greeting, LONG_PASSWORD, PLUGIN_AUTH, PROTOCOL_41, SECURE_CONNECTION, TLS};
use super::proof;
use crate::health::probe;

/// By this name goes who has no account. Without a name it would be an anonymous user's login, which some servers still have.
const VISITOR: &str = "firedoor";

const NATIVE: &str = "mysql_native_password";
/// Of before 2004.
pub(super) const OLD: &str = "mysql_old_password";
const CACHING_SHA2: &str = "caching_sha2_password";
const SHA256: &str = "sha256_password";
const CLEARTEXT: &str = "mysql_clear_password";
const ED25519: &str = "client_ed25519";

/// utf8mb4_general_ci
const CHARACTER_SET: u8 = 45;
/// The largest packet that we would take, as we tell the server.
const LARGEST: u32 = 1 << 24;

/// Of `caching_sha2_password`: the proof was right.
const DONE: u8 = 3;
/// Of `caching_sha2_password`: the server has forgotten what the proof is compared with, and needs the password itself.
const PASSWORD: u8 = 4;

/// Who logs in.
#[derive(Clone, Copy)]
pub(super) struct Account<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a str,
}

/// One login, answer by answer.
pub(super) struct Login<'a> {
    /// `None`: a visitor, who will be refused.
    account: Option<Account<'a>>,
    /// Whether nobody else can read the connection.
    secure: bool,
    plugin: String,
    challenge: Vec<u8>,
    /// Why the first wish of the server's that was not granted wasn't.
    declined: Option<String>,
    /// Whether the server has been given the password itself, so that its words may hold it.
    disclosed: bool,
}

impl<'a> Login<'a> {
    pub(super) fn new(account: Option<Account<'a>>, greeting: &Greeting, secure: bool) -> Self {
        let plugin = match &*greeting.plugin {
            CACHING_SHA2 => CACHING_SHA2,
            // It will say so if it wants another one for this user.
            _ => NATIVE,
        };
        Self {
            account,
            secure,
            plugin: plugin.to_owned(),
            challenge: greeting.challenge.clone(),
            declined: None,
            disclosed: false,
        }
    }

    /// The packet that a login begins with.
    pub(super) fn open(&mut self, greeting: &Greeting) -> Vec<u8> {
        let proof = self.prove();
        let user = self.account.map_or(VISITOR, |account| account.user);
        let plugin = greeting.has(PLUGIN_AUTH).then_some(&*self.plugin);
        packet(self.secure, user, &proof, plugin)
    }

    /// The server wants the proof of another plugin.
    pub(super) fn switch(&mut self, plugin: &[u8], challenge: &[u8]) -> Vec<u8> {
        self.plugin = String::from_utf8_lossy(plugin).into_owned();
        self.challenge = challenge.to_vec();
        self.prove()
    }

    /// The server has something to say that only its plugin understands. `None`: nothing is to be said in return.
    pub(super) fn hear(&mut self, words: &[u8]) -> Option<Vec<u8>> {
        let Some(account) = self.account else {
            return Some(denial(&self.plugin));
        };
        match (&*self.plugin, words) {
            (CACHING_SHA2, [DONE]) => None,
            (CACHING_SHA2, [PASSWORD]) if self.secure => Some(self.disclose(account)),
            // Whoever asks for the key in the clear can't know whose it is: README says what that means.
            (CACHING_SHA2, [PASSWORD]) => Some(vec![2]),
            (CACHING_SHA2 | SHA256, key) if !self.secure => {
                let challenge = self.challenge.get(..20);
                let sealed =
                    challenge.and_then(|challenge| proof::sealed(account.password, challenge, key));
                self.disclosed |= sealed.is_some();
                Some(sealed.unwrap_or_else(|| {
                    self.decline("the key that it gave for the password is not usable".to_owned())
                }))
            }
            _ => Some(self.decline(format!("{} asked what nobody does", self.plugin))),
        }
    }

    /// Why a server that refused us had no chance to do otherwise.
    pub(super) fn declined(&mut self) -> Option<String> {
        self.declined.take()
    }

    /// What has to be left behind if we must leave now.
    pub(super) fn rest(&self) -> Vec<u8> {
        rest(&self.plugin)
    }

    /// Whether the server's words may be shown.
    pub(super) fn is_quotable(&self) -> bool {
        !self.disclosed
    }

    fn prove(&mut self) -> Vec<u8> {
        let Some(account) = self.account else {
            return denial(&self.plugin);
        };
        let challenge = |size| self.challenge.get(..size);
        let proof = match &*self.plugin {
            NATIVE => challenge(20).map(|challenge| proof::native(account.password, challenge)),
            CACHING_SHA2 => {
                challenge(20).map(|challenge| proof::caching_sha2(account.password, challenge))
            }
            ED25519 => challenge(32).map(|challenge| proof::ed25519(account.password, challenge)),
            SHA256 if account.password.is_empty() => Some(vec![0]),
            SHA256 if !self.secure => Some(vec![1]),
            SHA256 | CLEARTEXT if self.secure => Some(self.disclose(account)),
            CLEARTEXT => {
                return self.decline(
                    "it wants the password in the clear, which goes over TLS only: give the check tls = true"
                        .to_owned(),
                );
            }
            other => {
                let other = probe::plain(other, 40);
                return self.decline(format!(
                    "it wants the login plugin {other}, but firedoor knows {NATIVE}, {CACHING_SHA2} and ed25519: give it a user with one of these"
                ));
            }
        };
        proof.unwrap_or_else(|| {
            self.decline(format!("its challenge for {} is too short", self.plugin))
        })
    }

    fn disclose(&mut self, account: Account<'_>) -> Vec<u8> {
        self.disclosed = true;
        proof::cleartext(account.password)
    }

    fn decline(&mut self, reason: String) -> Vec<u8> {
        self.declined.get_or_insert(reason);
        denial(&self.plugin)
    }
}

/// The login of a visitor, for those who leave without having heard the server: what they would say first, and what next.
pub(super) fn card(secure: bool) -> [Vec<u8>; 2] {
    let login = packet(secure, VISITOR, &denial(NATIVE), Some(NATIVE));
    [login, rest(NATIVE)]
}

/// What may still be missing after a login that said `plugin`, for those who leave before they know. It is nonsense, but of such a
/// length that no plugin takes it for a broken handshake: ed25519 wants 64 bytes, and native 20, but never after a login that
/// said so itself. Who has more than needed just doesn't read it.
fn rest(plugin: &str) -> Vec<u8> {
    match plugin {
        NATIVE => denial(ED25519),
        _ => vec![0xff; 20],
    }
}

/// What a client says that wants to go on in TLS: a login that ends before it says who.
pub(super) fn tls_request() -> Vec<u8> {
    head(PLUGIN_AUTH | TLS)
}

fn packet(secure: bool, user: &str, proof: &[u8], plugin: Option<&str>) -> Vec<u8> {
    let mut capabilities = 0;
    if secure {
        capabilities |= TLS;
    }
    if plugin.is_some() {
        capabilities |= PLUGIN_AUTH;
    }
    let mut packet = head(capabilities);
    packet.extend(user.as_bytes());
    packet.push(0);
    // No proof that goes into this packet has more than 64 bytes: those of a greeting's plugins.
    packet.push(proof.len() as u8);
    packet.extend(proof);
    if let Some(plugin) = plugin {
        packet.extend(plugin.as_bytes());
        packet.push(0);
    }
    packet
}

fn head(capabilities: u32) -> Vec<u8> {
    let capabilities = capabilities | LONG_PASSWORD | PROTOCOL_41 | SECURE_CONNECTION;
    let mut head = capabilities.to_le_bytes().to_vec();
    head.extend(LARGEST.to_le_bytes());
    head.push(CHARACTER_SET);
    head.extend([0; 23]);
    head
}

/// An answer that every server refuses, but as a wrong password. Many plugins take one of another length for a broken handshake,
/// and count it as such; all of them take none at all for one.
fn denial(plugin: &str) -> Vec<u8> {
    match plugin {
        NATIVE | OLD => Vec::new(),
        ED25519 => vec![0xff; 64],
        // An empty password where passwords end with a NUL; nonsense, but not a broken handshake, to all others.
        _ => vec![0],
    }
}
