//! What a string value may be.

use std::borrow::Cow;

/// A kind of value that a file writes as a string.
pub(crate) struct Form<T> {
    /// With its article: `a duration`.
    pub(crate) noun: &'static str,
    /// Examples in the file's notation.
    pub(crate) example: &'static str,
    /// Reads it. The reason of a refusal must not quote the text, which may hold a secret; its hint may.
    pub(crate) parse: fn(&str) -> Result<T, Refusal>,
}

impl<T> Form<T> {
    /// Reads a string that doesn't come from a file. The error says what is wrong, and how to write it.
    pub(crate) fn read(&self, text: &str) -> Result<T, String> {
        (self.parse)(text).map_err(|refusal| {
            let (Fault::Malformed(reason) | Fault::Unsuitable(reason)) = refusal.fault;
            format!(
                "{text:?} is not {}: {reason}; write it like {}",
                self.noun, self.example
            )
        })
    }
}

/// Why a string isn't what it should be.
pub(crate) struct Refusal {
    pub(super) fault: Fault,
    pub(super) hint: Option<String>,
}

pub(super) enum Fault {
    /// `… is not a duration: it has no unit`
    Malformed(Cow<'static, str>),
    /// `… is too long`
    Unsuitable(Cow<'static, str>),
}

impl Refusal {
    /// The text can't be read as what its form is. `reason` completes "is not a duration: …".
    pub(crate) fn malformed(reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            fault: Fault::Malformed(reason.into()),
            hint: None,
        }
    }

    /// It can be read, but isn't possible. `fault` completes "is …".
    pub(crate) fn unsuitable(fault: impl Into<Cow<'static, str>>) -> Self {
        Self {
            fault: Fault::Unsuitable(fault.into()),
            hint: None,
        }
    }

    /// With a remedy better than the form's example.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
