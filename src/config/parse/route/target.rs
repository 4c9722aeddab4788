//! Where a redirect leads. Whatever a client sends, it must not be able to choose the host: that would be an open redirect.

use std::num::NonZeroU16;

use crate::config::Piece;
use crate::config::raw::{Form, Refusal};

/// What a redirect leads to.
pub(super) const TARGET: Form<Vec<Piece>> = Form {
    noun: "a redirect's target",
    example: "\"https://new.example{path}{query}\" or \"/new\"",
    parse: target,
};

fn target(text: &str) -> Result<Vec<Piece>, Refusal> {
    let pieces = pieces(text)?;
    let Some(Piece::Text(first)) = pieces.first() else {
        return Err(nowhere());
    };
    // A query that isn't there leaves nothing between what stands before and after it: `/{query}{path}` would be `/{path}`, and
    // `https://a{query}.example` another host.
    let query = pieces.iter().position(|piece| *piece == Piece::Query);
    let after = query.and_then(|at| pieces.get(at + 1));
    let is_end = |piece: &Piece| matches!(piece, Piece::Text(text) if text.starts_with('#'));
    if !after.is_none_or(is_end) {
        return Err(Refusal::malformed(
            "something stands after {query} that is no fragment",
        ));
    }
    let scheme = ["https://", "http://"];
    match scheme.iter().find_map(|scheme| first.strip_prefix(scheme)) {
        Some(rest) => authority(rest, &pieces[1..])?,
        // `/{path}` would make `//evil.example/` of `/evil.example/`: another host, to a browser.
        None if first == "/" && matches!(pieces.get(1), Some(Piece::Path | Piece::Host)) => {
            return Err(Refusal::malformed(
                "a placeholder after its first \"/\" would let clients choose the host",
            )
            .hint("paths begin with \"/\" already: write it like \"/new{path}\""));
        }
        None if first.starts_with('/') && !first.starts_with("//") => {}
        None => return Err(nowhere()),
    }
    Ok(pieces)
}

fn nowhere() -> Refusal {
    Refusal::malformed("it starts with neither https://, http:// nor a single \"/\"")
}

/// Checks what stands between the scheme and the path: it goes on as `rest`, and with `pieces` after that.
fn authority(rest: &str, pieces: &[Piece]) -> Result<(), Refusal> {
    let more = pieces.iter().map_while(|piece| match piece {
        Piece::Text(text) => Some(text.as_str()),
        // A host like any other.
        Piece::Host => Some("host"),
        Piece::Path | Piece::Query => None,
    });
    let whole: String = std::iter::once(rest).chain(more).collect();
    let end = whole.find(['/', '?', '#']).unwrap_or(whole.len());
    let (host, port) = match whole[..end].rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (&whole[..end], None),
    };
    let in_name = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let address = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let sound = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(in_name),
    };
    if sound && port.is_none_or(|port| port.parse::<NonZeroU16>().is_ok()) {
        return Ok(());
    }
    Err(Refusal::malformed(
        "what stands after its scheme is no host, with or without a port",
    ))
}

fn pieces(text: &str) -> Result<Vec<Piece>, Refusal> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (before, after) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
        let in_uri = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b);
        if !before.bytes().all(in_uri) {
            return Err(
                Refusal::malformed("it has characters that a URI can't have")
                    .hint("write them as %XX"),
            );
        }
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
        let known = [
            ("{host}", Piece::Host),
            ("{path}", Piece::Path),
            ("{query}", Piece::Query),
        ];
        let Some((name, piece)) = known.into_iter().find(|(name, _)| rest.starts_with(name)) else {
            return Err(Refusal::malformed("it has an unknown placeholder")
                .hint("{host}, {path} and {query} are possible"));
        };
        pieces.push(piece);
        rest = &rest[name.len()..];
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<Piece>> {
        (TARGET.parse)(text).ok()
    }

    #[test]
    fn a_target_is_made_of_its_pieces() {
        let text = |text: &str| Piece::Text(text.to_owned());
        assert_eq!(
            read("https://www.{host}:8443/x{path}{query}#top"),
            Some(vec![
                text("https://www."),
                Piece::Host,
                text(":8443/x"),
                Piece::Path,
                Piece::Query,
                text("#top"),
            ])
        );
        for fine in [
            "/",
            "/new",
            "/new{path}",
            "/?from={path}",
            "/{query}",
            "http://[2001:db8::1]{path}",
        ] {
            assert!(read(fine).is_some(), "{fine}");
        }
    }

    #[test]
    fn no_target_lets_a_client_choose_the_host() {
        for wrong in [
            "",
            "new.example",
            "{path}",
            "//new.example",
            "//{host}",
            "/{path}",
            "/{host}",
            "{host}{path}",
            "https://",
            "https://{path}",
            "https:///{path}",
            "https://:8443{path}",
            "https://user@new.example",
            "https://new.example@{host}{path}",
            "javascript:alert(1)",
            "/{query}{path}",
            "/{query}/",
            "https://a{query}.example",
            "https://new.example/{pth}",
            "https://new.example/{path",
            "https://new.example/ x",
            "https://new.example/\r\nSet-Cookie: a=b",
            "/\\evil.example",
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
