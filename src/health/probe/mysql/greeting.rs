//! What a server says first: who it is, what it can do, and the challenge for a login. Pure.
//!
//! Source: MySQL's internals manual, "Protocol::HandshakeV10". MariaDB's differs in bytes that nothing is read from here.

use super::bytes::Fields;

/// A greeting, taken apart.
pub(super) struct Greeting {
    /// As the server gives it: `8.4.3`, `10.11.6-MariaDB-log`.
    pub(super) version: String,
    pub(super) capabilities: u32,
    /// What the proof of a password is made of: 20 bytes.
    pub(super) challenge: Vec<u8>,
    /// The login plugin that it expects most users to have; empty if it knows only one.
    pub(super) plugin: String,
}

/// `CLIENT_LONG_PASSWORD`, which MariaDB calls `CLIENT_MYSQL`: we speak the protocol as MySQL does.
pub(super) const LONG_PASSWORD: u32 = 1;
/// `CLIENT_PROTOCOL_41`: the protocol of 2004.
pub(super) const PROTOCOL_41: u32 = 1 << 9;
/// `CLIENT_SSL`
pub(super) const TLS: u32 = 1 << 11;
/// `CLIENT_SECURE_CONNECTION`: passwords of that time, too.
pub(super) const SECURE_CONNECTION: u32 = 1 << 15;
/// `CLIENT_PLUGIN_AUTH`: the server may want another proof than the one it got.
pub(super) const PLUGIN_AUTH: u32 = 1 << 19;

impl Greeting {
    /// `None`: it is none, or one of before 2004.
    pub(super) fn read(packet: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(packet);
        if fields.byte()? != 10 {
            return None;
        }
        let version = String::from_utf8_lossy(fields.until_nul()?).into_owned();
        fields.take(4)?; // the connection's number
        let mut challenge = fields.take(8)?.to_vec();
        fields.take(1)?;
        let low = fields.short()?;
        fields.take(3)?; // character set, status
        let capabilities = u32::from(fields.short()?) << 16 | u32::from(low);
        if capabilities & (PROTOCOL_41 | SECURE_CONNECTION) != PROTOCOL_41 | SECURE_CONNECTION {
            return None;
        }
        fields.take(11)?; // the challenge's length, which is always the same, and what is reserved
        challenge.extend(fields.take(12)?);
        let plugin = match capabilities & PLUGIN_AUTH {
            0 => String::new(),
            _ => {
                fields.take(1)?;
                // Some servers forget the NUL at its end.
                let name = fields.until_nul().unwrap_or_else(|| fields.rest());
                String::from_utf8_lossy(name).into_owned()
            }
        };
        Some(Self {
            // What MariaDB put in front of its version until 11.0, for replicas that knew no two digits.
            version: version.trim_start_matches("5.5.5-").to_owned(),
            capabilities,
            challenge,
            plugin,
        })
    }

    pub(super) fn has(&self, capability: u32) -> bool {
        self.capabilities & capability != 0
    }

    pub(super) fn is_mariadb(&self) -> bool {
        self.version.contains("MariaDB")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MariaDB 10.11's, as it was sent.
    const MARIADB: &[u8] = b"\x0a5.5.5-10.11.19-MariaDB-0+deb12u1\0\x6f\0\0\0u{+`#-UD\0\xfe\xf7\x2d\x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\08+jWV*k]p=|}\0mysql_native_password\0";

    #[test]
    fn a_greeting_tells_version_challenge_and_plugin() {
        let greeting = Greeting::read(MARIADB).unwrap();
        assert_eq!(greeting.version, "10.11.19-MariaDB-0+deb12u1");
        assert_eq!(greeting.challenge, b"u{+`#-UD8+jWV*k]p=|}");
        assert_eq!(greeting.plugin, "mysql_native_password");
        assert!(greeting.is_mariadb());
        assert!(greeting.has(PLUGIN_AUTH) && !greeting.has(TLS));
    }

    #[test]
    fn half_a_greeting_is_none() {
        let end = MARIADB.len() - "mysql_native_password\0".len() - 1;
        for cut in 0..end {
            assert!(Greeting::read(&MARIADB[..cut]).is_none(), "{cut} bytes");
        }
        let mut older = MARIADB.to_vec();
        older[0] = 9;
        assert!(Greeting::read(&older).is_none());
    }
}
