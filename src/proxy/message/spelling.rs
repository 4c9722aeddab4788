//! Names of fields that an app may not be able to tell apart. CGI, and with it WSGI and PHP, knows `X-Forwarded-For` and
//! `X_Forwarded_For` by one name; for PHP `X.Forwarded-For` is the same too, and for lighttpd whatever is no letter or digit. Pure.

/// Whether there are apps that take `name` for `known`. Both are in lower case.
pub(in crate::proxy) fn reads_as(name: &str, known: &str) -> bool {
    name.len() == known.len() && begins_as(name, known)
}

/// Whether there are apps that take the beginning of `name` for `known`. Both are in lower case.
pub(in crate::proxy) fn begins_as(name: &str, known: &str) -> bool {
    let same =
        |(a, b): (u8, u8)| a == b || !(a.is_ascii_alphanumeric() || b.is_ascii_alphanumeric());
    name.len() >= known.len() && name.bytes().zip(known.bytes()).all(same)
}

/// Whether a name has something else than letters, digits and `-`.
pub(in crate::proxy) fn is_odd(name: &str) -> bool {
    !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
