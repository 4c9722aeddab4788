//! What a route changes about messages on their way: header fields, and the prefix of paths.

use http::{HeaderName, HeaderValue};

/// `request_headers` and `response_headers`: what is done to header fields, in this order. None of them are those that frame a
/// message, concern one connection, or are firedoor's own to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldEdits {
    /// All fields of these names go.
    pub remove: Vec<HeaderName>,
    /// Instead of all fields of their names.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Beside those that are there.
    pub add: Vec<(HeaderName, HeaderValue)>,
}

impl FieldEdits {
    /// Whether nothing is done.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }

    /// Whether there is a field `name` afterwards, whatever was there before.
    pub fn writes(&self, name: &HeaderName) -> bool {
        let mut written = self.set.iter().chain(&self.add);
        written.any(|(other, _)| other == name)
    }
}

/// `strip_prefix` and `replace_prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixEdit {
    /// A path on a segment border, at or above the route's own, without a slash at its end.
    pub from: String,
    /// The same, or empty.
    pub to: String,
}
