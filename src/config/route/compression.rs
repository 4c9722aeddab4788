//! Which responses of a route are compressed, and how.

/// `compress` and `compress_types`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compression {
    /// Among codings that a client likes equally, the first is used. At least one, and none twice.
    pub codings: Vec<Coding>,
    /// What is worth it.
    pub types: Vec<MediaRange>,
}

/// A content coding (RFC 9110 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 8878.
    Zstd,
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
}

impl Coding {
    /// All of them, in the order in which they are used if nobody says otherwise: least work for the same size first.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// As `Content-Encoding` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

/// A set of media types, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaRange {
    /// `application/json`
    Exact(String),
    /// `text/*`, as `text/`.
    Type(String),
    /// `*+json`, as `+json`: with this structured suffix (RFC 6838 4.2.8).
    Suffix(String),
}

impl MediaRange {
    /// Whether `media_type`, without parameters, is in it.
    pub fn covers(&self, media_type: &str) -> bool {
        let begins = |start: &str| {
            let beginning = media_type.get(..start.len());
            beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(start))
        };
        let ends = |end: &str| {
            let from = media_type.len().checked_sub(end.len());
            let ending = from.and_then(|from| media_type.get(from..));
            ending.is_some_and(|ending| ending.eq_ignore_ascii_case(end))
        };
        match self {
            Self::Exact(exact) => media_type.eq_ignore_ascii_case(exact),
            Self::Type(start) => begins(start),
            Self::Suffix(end) => ends(end),
        }
    }
}
