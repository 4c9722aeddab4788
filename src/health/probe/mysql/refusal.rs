//! The errors of MySQL and MariaDB, as an operator says them. Pure.
//!
//! Source: MySQL's "Server Error Message Reference", MariaDB's "MariaDB Error Codes".

use super::bytes::Fields;

/// An error packet.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: u16,
    pub(super) message: String,
}

/// Access denied, to whoever asked.
const ACCESS_DENIED: [u16; 2] = [1045, 1698];
/// The account is locked, in MySQL and in MariaDB.
const LOCKED: [u16; 2] = [3118, 4151];
/// There were too many wrong passwords, in MySQL and in MariaDB.
const LOCKED_OUT: [u16; 2] = [3955, 4150];
/// Nobody of that kind can be let in: the plugin isn't loaded, or the password is of before 2004.
const NO_WAY_IN: [u16; 3] = [1251, 1275, 1524];
/// What was asked isn't in the server's language.
const SYNTAX: u16 = 1064;

impl Refusal {
    /// `None`: the packet is no error.
    pub(super) fn read(packet: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(packet);
        if fields.byte()? != 0xff {
            return None;
        }
        let code = fields.short()?;
        // SQLSTATE is left out before the login.
        let message = match fields.rest() {
            [b'#', _, _, _, _, _, message @ ..] => message,
            message => message,
        };
        Some(Self {
            code,
            message: String::from_utf8_lossy(message).into_owned(),
        })
    }

    /// Whether a visitor hears this from a server that is well: it is about an account, be it that of whoever else the server
    /// looks at so as not to tell who has one.
    pub(super) fn is_for_strangers(&self) -> bool {
        let about_accounts = [&ACCESS_DENIED[..], &LOCKED, &LOCKED_OUT, &NO_WAY_IN];
        about_accounts
            .iter()
            .any(|codes| codes.contains(&self.code))
            || self.wants_tls()
    }

    /// Whether the account or its password is at fault.
    pub(super) fn is_access_denied(&self) -> bool {
        ACCESS_DENIED.contains(&self.code)
    }

    /// Whether another wording may be understood.
    pub(super) fn is_of_grammar(&self) -> bool {
        self.code == SYNTAX
    }

    /// What has to be done about it, if it is one of those that an operator has to tell apart.
    pub(super) fn meaning(&self) -> &'static str {
        match self.code {
            1040 => "it is full",
            1203 | 1226 => "its user has too many connections",
            1129 => {
                "it blocks this host, after too many broken connections from here (max_connect_errors): FLUSH HOSTS unblocks it"
            }
            1130 => "it takes no connections from this host: no account is for it",
            _ if self.is_access_denied() => "it refused user and password",
            code if LOCKED.contains(&code) => "its user is locked",
            code if LOCKED_OUT.contains(&code) => {
                "its user is locked, after too many wrong passwords"
            }
            code if NO_WAY_IN.contains(&code) => "it can't let its user in by any login plugin",
            1820 | 1862 => "its user's password has expired",
            1053 => "it is shutting down",
            3032 => "it is in offline mode",
            1047 if self.message.contains("WSREP") => {
                "a Galera node outside its cluster's primary component"
            }
            1227 => "its user may not ask this",
            _ if self.wants_tls() => "it demands TLS: give the check tls = true",
            _ => "it refused",
        }
    }

    /// `require_secure_transport`: MySQL says so by a number of its own, others in words at most.
    fn wants_tls(&self) -> bool {
        self.code == 3159 || self.message.contains("require_secure_transport")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_read_with_and_without_sqlstate() {
        let refusal = Refusal::read(b"\xff\x15\x04#28000Access denied").unwrap();
        assert_eq!((refusal.code, &*refusal.message), (1045, "Access denied"));
        let refusal = Refusal::read(b"\xff\x10\x04Too many connections").unwrap();
        assert_eq!(refusal.code, 1040);
        assert_eq!(refusal.message, "Too many connections");
        for odd in [&b""[..], b"\xff", b"\xff\x15", b"\x00\x15\x04"] {
            assert!(Refusal::read(odd).is_none(), "{odd:?}");
        }
    }
}
