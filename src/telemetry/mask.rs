//! How much of a client's address is shown: in every log, trace and text that leaves the data path for people to read.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::config::ClientIp;

/// The client's address as far as it may be shown: /24 for IPv4, /48 for IPv6.
pub fn shown(address: IpAddr, how: ClientIp) -> String {
    match (how, address.to_canonical()) {
        (ClientIp::None, _) => "-".to_owned(),
        (ClientIp::Full, address) => address.to_string(),
        (ClientIp::Masked, address) => masked(address).to_string(),
    }
}

/// The same, appended to `out`. An IPv4 address without `format!`: there is one in nearly every line.
pub fn push_shown(out: &mut Vec<u8>, address: IpAddr, how: ClientIp) {
    match (how, address) {
        (ClientIp::Full | ClientIp::Masked, IpAddr::V4(address)) => {
            let mut octets = address.octets();
            if how == ClientIp::Masked {
                octets[3] = 0;
            }
            let (mut text, mut length) = ([b'.'; 16], 0);
            for octet in octets {
                for (least, unit) in [(100, 100), (10, 10), (0, 1)] {
                    if octet >= least {
                        text[length] = b'0' + octet / unit % 10;
                        length += 1;
                    }
                }
                length += 1;
            }
            out.extend_from_slice(&text[..length - 1]);
        }
        (how, address) => out.extend_from_slice(shown(address, how).as_bytes()),
    }
}

/// `text` with each address in it as [`shown`] shows it: a chain of `X-Forwarded-For`, an element of `Forwarded`, a message that names a
/// peer. A port goes with its address, since both together name a person's connection.
pub fn shown_in(text: &str, how: ClientIp) -> String {
    if how == ClientIp::Full {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let begin = rest.find(belongs).unwrap_or(rest.len());
        out.push_str(&rest[..begin]);
        rest = &rest[begin..];
        let end = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        push(&mut out, word, how);
        rest = after;
    }
    out
}

/// /24 of IPv4 and /48 of IPv6; an IPv4 address in an IPv6 one is masked as itself.
pub fn masked(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            IpAddr::from([a, b, c, 0])
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into()
        }
    }
}

/// What addresses and their ports are made of.
fn belongs(c: char) -> bool {
    c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '[' | ']')
}

/// Whatever of a word could be an address is taken for one: a version number that loses its last digit does no harm.
fn push(out: &mut String, word: &str, how: ClientIp) {
    let end = word.trim_end_matches(['.', ':']);
    let parsed = |text: &str| {
        let inside = text.strip_prefix('[').and_then(|w| w.strip_suffix(']'));
        let alone = inside.unwrap_or(text).parse::<IpAddr>().ok();
        alone.or_else(|| text.parse::<SocketAddr>().ok().map(|at| at.ip()))
    };
    // With all of it first: `2001:db8::` ends in what else ends a sentence.
    let found = [word, end]
        .into_iter()
        .find_map(|text| Some((text, parsed(text)?)));
    let Some((address, ip)) = found else {
        out.push_str(word);
        return;
    };
    let shown = shown(ip, how);
    if word.contains('[') && how != ClientIp::None {
        out.push('[');
        out.push_str(&shown);
        out.push(']');
    } else {
        out.push_str(&shown);
    }
    out.push_str(&word[address.len()..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_masked_to_24_and_48_bits() {
        let v6: IpAddr = "2001:db8:aaaa:bbbb::1".parse().expect("address");
        assert_eq!(shown(v6, ClientIp::Masked), "2001:db8:aaaa::");
        let mapped: IpAddr = "::ffff:203.0.113.77".parse().expect("address");
        assert_eq!(shown(mapped, ClientIp::Masked), "203.0.113.0");
        assert_eq!(shown(v6, ClientIp::None), "-");
    }

    #[test]
    fn written_into_a_line_it_is_the_same() {
        for address in [
            "203.0.113.77",
            "0.10.200.255",
            "::ffff:203.0.113.77",
            "2001:db8::1",
        ] {
            let address: IpAddr = address.parse().expect("address");
            for how in [ClientIp::Full, ClientIp::Masked, ClientIp::None] {
                let mut out = Vec::new();
                push_shown(&mut out, address, how);
                assert_eq!(out, shown(address, how).as_bytes(), "{address} {how:?}");
            }
        }
    }

    #[test]
    fn no_address_in_a_text_is_shown_whole_with_or_without_its_port() {
        for (text, masked, hidden) in [
            ("203.0.113.77", "203.0.113.0", "-"),
            (
                "203.0.113.77, 198.51.100.9:4711,2001:db8:aaaa:bbbb::1",
                "203.0.113.0, 198.51.100.0,2001:db8:aaaa::",
                "-, -,-",
            ),
            (
                "for=\"[2001:db8:aaaa:bbbb::1]:4711\";proto=https;by=_firedoor, for=203.0.113.77",
                "for=\"[2001:db8:aaaa::]\";proto=https;by=_firedoor, for=203.0.113.0",
                "for=\"-\";proto=https;by=_firedoor, for=-",
            ),
            (
                "refused by 203.0.113.77:8080: reset. Seen from ::ffff:203.0.113.77.",
                "refused by 203.0.113.0: reset. Seen from 203.0.113.0.",
                "refused by -: reset. Seen from -.",
            ),
            ("[::1]", "[::]", "-"),
            (
                "unknown, _secret, cafe 12:30:45 [x] 1.2.3 é",
                "unknown, _secret, cafe 12:30:45 [x] 1.2.3 é",
                "unknown, _secret, cafe 12:30:45 [x] 1.2.3 é",
            ),
            ("", "", ""),
        ] {
            assert_eq!(shown_in(text, ClientIp::Masked), masked);
            assert_eq!(shown_in(text, ClientIp::None), hidden);
            assert_eq!(shown_in(text, ClientIp::Full), text);
        }
    }
}
