//! One table of the file.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use toml::de::{DeTable, DeValue};

use crate::config::error::Problem;

use super::{Form, Item, Reader, closest};

/// One table. When it is dropped, each of its keys that nobody asked for is reported as unknown, so that no reader can
/// forget to.
pub(crate) struct Section<'a> {
    reader: &'a Reader<'a>,
    key: String,
    span: Option<Range<usize>>,
    /// `None` if the file doesn't have it: then every key has its default.
    table: Option<&'a DeTable<'a>>,
    /// Keys that were asked for, and are worth suggesting.
    known: RefCell<Vec<&'static str>>,
    /// Keys that were asked for, only to be refused.
    withheld: RefCell<Vec<&'static str>>,
    rest_ignored: bool,
}

impl<'a> Section<'a> {
    pub(super) fn new(
        reader: &'a Reader<'a>,
        key: String,
        span: Option<Range<usize>>,
        table: Option<&'a DeTable<'a>>,
    ) -> Self {
        Self {
            reader,
            key,
            span,
            table,
            known: RefCell::default(),
            withheld: RefCell::default(),
            rest_ignored: false,
        }
    }

    /// Whether the file has it.
    pub(crate) fn present(&self) -> bool {
        self.table.is_some()
    }

    /// Whether the file sets `key`, well or badly.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Whether one of the tables named `list` sets `key`, well or badly.
    pub(crate) fn any_has(&self, list: &str, key: &str) -> bool {
        let list = self.table.and_then(|table| table.get(list));
        let Some(DeValue::Array(members)) = list.map(|list| list.get_ref()) else {
            return false;
        };
        let mut members = members.iter().map(|member| member.get_ref());
        members.any(|member| matches!(member, DeValue::Table(table) if table.contains_key(key)))
    }

    /// What relative paths are relative to.
    pub(crate) fn folder(&self) -> &'a Path {
        self.reader.folder
    }

    /// A variable of the environment.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        self.reader.environment.variable(name)
    }

    /// The certificates that this system trusts.
    pub(crate) fn system_roots(&self) -> Arc<RootCertStore> {
        self.reader.environment.system_roots()
    }

    /// The value of `key`, if it is there.
    pub(crate) fn item(&self, key: &'static str) -> Option<Item<'a>> {
        self.known.borrow_mut().push(key);
        self.lookup(key)
    }

    /// The value of `key`, which doesn't belong here: neither unknown, nor worth suggesting.
    pub(crate) fn misplaced(&self, key: &'static str) -> Option<Item<'a>> {
        self.withheld.borrow_mut().push(key);
        self.lookup(key)
    }

    /// As [`Self::item`], for a key that is asked for elsewhere.
    pub(crate) fn lookup(&self, key: &str) -> Option<Item<'a>> {
        let value = self.table?.get(key)?;
        Some(Item {
            reader: self.reader,
            key: self.path_of(key),
            span: value.span(),
            value: value.get_ref(),
        })
    }

    /// The value of `key`, which has no default.
    pub(crate) fn required(&self, key: &'static str, hint: &str) -> Option<Item<'a>> {
        let item = self.item(key);
        if item.is_none() {
            self.miss(key, &format!("{key} is missing"), hint);
        }
        item
    }

    /// What `form` makes of the value of `key`; `None` if it is absent or wrong.
    pub(crate) fn read<T>(&self, key: &'static str, form: &Form<T>) -> Option<T> {
        self.item(key)?.read(form)
    }

    /// As [`Self::read`], and the value must lie within `range`; `bounds` says so in the file's own notation.
    pub(crate) fn read_within<T: PartialOrd>(
        &self,
        key: &'static str,
        form: &Form<T>,
        range: RangeInclusive<T>,
        bounds: &str,
    ) -> Option<T> {
        let item = self.item(key)?;
        let value = item.read(form)?;
        if range.contains(&value) {
            return Some(value);
        }
        item.refuse("out of range", &format!("{bounds} is possible"));
        None
    }

    /// A whole number within `range`.
    pub(crate) fn number<T>(&self, key: &'static str, range: RangeInclusive<i64>) -> Option<T>
    where
        T: TryFrom<i64>,
    {
        self.item(key)?.number(range)
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, key: &'static str) -> Option<bool> {
        self.item(key)?.boolean()
    }

    /// One of `choices`; those `later` are known, but can't be had yet.
    pub(crate) fn choice<T: Copy>(
        &self,
        key: &'static str,
        choices: &[(&str, T)],
        later: &[&str],
    ) -> Option<T> {
        self.item(key)?.choice(choices, later)
    }

    /// A table within this one. If the file doesn't have it, it is empty.
    pub(crate) fn section(&self, key: &'static str) -> Self {
        self.item(key)
            .and_then(Item::into_section)
            .unwrap_or_else(|| Self::new(self.reader, self.path_of(key), self.span.clone(), None))
    }

    /// All that it holds, of a table whose keys are its author's own words.
    pub(crate) fn entries(&mut self) -> Vec<(&'a str, Item<'a>)> {
        self.ignore_rest();
        let keys = self.table.into_iter().flat_map(DeTable::keys);
        let entry = |key: &'a toml::Spanned<Cow<'a, str>>| {
            let name = key.get_ref().as_ref();
            Some((name, self.lookup(name)?))
        };
        keys.filter_map(entry).collect()
    }

    /// Tables of the same name: `[[zone]]`. `None` if they are so wrong that nothing more can be said about them.
    pub(crate) fn sections(&self, key: &'static str) -> Option<Vec<Self>> {
        let Some(item) = self.item(key) else {
            return Some(Vec::new());
        };
        // Headers have no numbers: `[[zone.backend]]` in `zone[0]`.
        let path = self.path_of(key);
        let parts = path
            .split('[')
            .map(|part| part.split_once(']').map_or(part, |(_, rest)| rest));
        let header: String = parts.collect();
        let hint =
            format!("write [[{header}]], with double brackets, above all that belongs to it");
        let members = item.list("a list of tables", &hint)?;
        let empty = members.is_empty();
        let sections: Vec<Self> = members.into_iter().filter_map(Item::into_section).collect();
        (empty || !sections.is_empty()).then_some(sections)
    }

    /// A key of the contract of which only `value` is supported yet.
    pub(crate) fn later_unless(&self, key: &'static str, value: &str) {
        self.withheld.borrow_mut().push(key);
        if let Some(item) = self.lookup(key)
            && !item.says(value)
        {
            item.later(&format!("{key} other than {value}"));
        }
    }

    /// Where it is: `zone[0]`.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Accepts whatever else this table holds, since its meaning can't be known (a kind that isn't supported yet).
    pub(crate) fn ignore_rest(&mut self) {
        self.rest_ignored = true;
    }

    /// Reports that `key`, which should be in this table, isn't.
    pub(crate) fn miss(&self, key: &str, message: &str, hint: &str) {
        self.reader.report_if_complete(Problem {
            key: self.path_of(key),
            message: message.to_owned(),
            hint: Some(hint.to_owned()),
            span: self.span.clone(),
        });
    }

    /// Reports a problem of the table as a whole.
    pub(crate) fn report(&self, message: &str, hint: &str) {
        self.reader.report(Problem {
            key: self.key.clone(),
            message: message.to_owned(),
            hint: Some(hint.to_owned()),
            span: self.span.clone(),
        });
    }

    fn path_of(&self, key: &str) -> String {
        let bare = !key.is_empty()
            && key
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        let key = if bare {
            Cow::Borrowed(key)
        } else {
            Cow::Owned(format!("{key:?}"))
        };
        if self.key.is_empty() {
            key.into_owned()
        } else {
            format!("{}.{key}", self.key)
        }
    }

    fn report_unknown(&self, key: &str, span: Range<usize>) {
        let known = self.known.borrow();
        let hint = match closest(key, known.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("known here: {}", known.join(", ")),
        };
        self.reader.report(Problem {
            key: self.path_of(key),
            message: format!("unknown key {key:?}"),
            hint: Some(hint),
            span: Some(span),
        });
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        let Some(table) = self.table.filter(|_| !self.rest_ignored) else {
            return;
        };
        let (known, withheld) = (self.known.borrow(), self.withheld.borrow());
        for (key, _) in table {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) && !withheld.contains(&name) {
                self.report_unknown(name, key.span());
            }
        }
    }
}
