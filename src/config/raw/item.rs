//! One value of the file.

use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeValue;

use crate::config::error::Problem;
use crate::config::expand::{NO_TEXT, expand};

use super::form::Fault;
use super::{Form, Reader, Section, closest};

/// One value and its place.
#[derive(Clone)]
pub(crate) struct Item<'a> {
    pub(super) reader: &'a Reader<'a>,
    pub(super) key: String,
    pub(super) span: Range<usize>,
    pub(super) value: &'a DeValue<'a>,
}

impl<'a> Item<'a> {
    /// The string as the file has it, `${…}` and all: the one to quote. Empty if it isn't a string.
    pub(crate) fn raw(&self) -> &'a str {
        match self.value {
            DeValue::String(raw) => raw,
            _ => "",
        }
    }

    /// A string, with its `${…}` filled in.
    pub(crate) fn text(&self) -> Option<Text<'a>> {
        let DeValue::String(raw) = self.value else {
            return self.mistype("a string", "put it in quotes");
        };
        match expand(raw, self.reader.folder, self.reader.environment) {
            Ok(value) => Some(Text {
                value: value.into_owned(),
                raw,
            }),
            Err(problem) => {
                self.report(problem.message, problem.hint);
                None
            }
        }
    }

    /// What `form` makes of it.
    pub(crate) fn read<T>(&self, form: &Form<T>) -> Option<T> {
        let DeValue::String(_) = self.value else {
            return self.mistype(form.noun, &format!("write it like {}", form.example));
        };
        let text = self.text()?;
        match (form.parse)(&text.value) {
            Ok(value) => Some(value),
            Err(refusal) => {
                // A refusal's own hint may repeat the value, which must not be shown when it came out of `${…}`.
                let hint = refusal
                    .hint
                    .filter(|_| text.value == text.raw)
                    .unwrap_or_else(|| format!("write it like {}", form.example));
                let message = match refusal.fault {
                    Fault::Malformed(reason) => {
                        format!("{:?} is not {}: {reason}", text.raw, form.noun)
                    }
                    Fault::Unsuitable(fault) => format!("{:?} is {fault}", text.raw),
                };
                self.report(message, hint);
                None
            }
        }
    }

    /// A whole number within `range`.
    pub(crate) fn number<T: TryFrom<i64>>(&self, range: RangeInclusive<i64>) -> Option<T> {
        let digits = match self.value {
            DeValue::Integer(digits) => digits,
            DeValue::Float(_) => {
                return self.mistype("a whole number", "write it without a point or an exponent");
            }
            _ => return self.mistype("a whole number", "write a number without quotes"),
        };
        let number = i64::from_str_radix(digits.as_str(), digits.radix())
            .ok()
            .filter(|number| range.contains(number))
            .and_then(|number| T::try_from(number).ok());
        if number.is_none() {
            self.refuse(
                "out of range",
                &format!("{} to {} is possible", range.start(), range.end()),
            );
        }
        number
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self) -> Option<bool> {
        match self.value {
            DeValue::Boolean(value) => Some(*value),
            _ => self.mistype("true or false", "write true or false, without quotes"),
        }
    }

    /// Whether it is written like this, quotes aside.
    pub(crate) fn says(&self, text: &str) -> bool {
        match self.value {
            DeValue::String(raw) => raw == text,
            DeValue::Boolean(value) => value.to_string() == text,
            _ => false,
        }
    }

    /// One of `choices`; those `later` are known, but can't be had yet.
    pub(crate) fn choice<T: Copy>(&self, choices: &[(&str, T)], later: &[&str]) -> Option<T> {
        let names = || choices.iter().map(|(name, _)| *name);
        let quoted = || names().map(|name| format!("{name:?}")).collect::<Vec<_>>();
        let possible = || format!("possible: {}", quoted().join(", "));
        let DeValue::String(_) = self.value else {
            return self.mistype("a string", &possible());
        };
        let text = self.text()?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text.value) {
            return Some(*value);
        }
        if later.contains(&text.value.as_str()) {
            self.later(&format!("{:?}", text.raw));
            return None;
        }
        // Of names as short as "v1", any is as close as any other.
        let near = closest(&text.value, names()).filter(|near| near.len() > 2);
        let hint = near.map_or_else(possible, |near| format!("did you mean {near:?}?"));
        self.report(format!("{:?} is not possible here", text.raw), hint);
        None
    }

    /// The members of an array; `noun` and `hint` are for when it isn't one.
    pub(crate) fn list(&self, noun: &str, hint: &str) -> Option<Vec<Self>> {
        let DeValue::Array(members) = self.value else {
            return self.mistype(noun, hint);
        };
        let members = members.iter().enumerate();
        let member = |(index, member): (usize, &'a Spanned<DeValue<'a>>)| Item {
            reader: self.reader,
            key: format!("{}[{index}]", self.key),
            span: member.span(),
            value: member.get_ref(),
        };
        Some(members.map(member).collect())
    }

    /// The table that it is.
    pub(crate) fn into_section(self) -> Option<Section<'a>> {
        let DeValue::Table(table) = self.value else {
            return self.mistype("a table", "write it in braces: { … }");
        };
        Some(Section::new(
            self.reader,
            self.key,
            Some(self.span),
            Some(table),
        ))
    }

    /// Whether it is a number, for keys that take two types.
    pub(crate) fn is_number(&self) -> bool {
        matches!(self.value, DeValue::Integer(_))
    }

    /// Whether it is a table, for keys that take two types.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.value, DeValue::Table(_))
    }

    /// Whether it is `true` or `false`, for keys that take two types.
    pub(crate) fn is_boolean(&self) -> bool {
        matches!(self.value, DeValue::Boolean(_))
    }

    /// Whether it is a list, for keys that take two types.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.value, DeValue::Array(_))
    }

    /// The file that this value names, as [`Self::file`] finds it.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        Some(self.reader.folder.join(self.text()?.value))
    }

    /// A file that this value names, read through the environment, so that this code stays free of IO.
    pub(crate) fn file(&self) -> Option<String> {
        self.file_in("save it as UTF-8")
    }

    /// The same; `form` is what to do about a file that is no text.
    pub(crate) fn file_in(&self, form: &str) -> Option<String> {
        let text = self.text()?;
        match self
            .reader
            .environment
            .file(&self.reader.folder.join(&text.value))
        {
            Ok(content) => Some(content),
            Err(reason) => {
                let remedy = if reason.ends_with(NO_TEXT) {
                    form
                } else {
                    "relative paths start at the configuration's folder"
                };
                self.report(format!("{:?} can't be read: {reason}", text.raw), remedy);
                None
            }
        }
    }

    /// Reports that the value is `fault`: `"0s" is out of range`. Quotes the file, never what `${…}` stands for.
    pub(crate) fn refuse(&self, fault: &str, hint: &str) {
        let shown = match self.value {
            DeValue::String(raw) => format!("{raw:?}"),
            DeValue::Integer(digits) => digits.to_string(),
            DeValue::Boolean(value) => value.to_string(),
            _ => "this".to_owned(),
        };
        self.report(format!("{shown} is {fault}"), hint);
    }

    /// Reports a problem of this value.
    pub(crate) fn report(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.reader.report(Problem {
            key: self.key.clone(),
            message: message.into(),
            hint: Some(hint.into()),
            span: Some(self.span.clone()),
        });
    }

    /// Reports that `what` belongs to the contract, but can't be had yet.
    pub(super) fn later(&self, what: &str) {
        self.report(
            format!("{what} is not supported yet"),
            "remove it; a later version will bring it",
        );
    }

    /// Reports that the value is of another type than the one that is `expected`.
    pub(crate) fn mistype<T>(&self, expected: &str, hint: &str) -> Option<T> {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a decimal number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.report(format!("expected {expected}, found {found}"), hint);
        None
    }
}

/// A string value, twice.
pub(crate) struct Text<'a> {
    /// With its `${…}` filled in: may be a secret.
    pub(crate) value: String,
    /// As the file has it: the one to quote.
    pub(crate) raw: &'a str,
}
