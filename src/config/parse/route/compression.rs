//! `compress` and `compress_types`.

use crate::config::raw::{Form, Item, Refusal, Section};
use crate::config::{Coding, Compression, MediaRange};

/// What compresses well, where nobody says otherwise. Images, video and archives are compressed already.
const WORTH_IT: [&str; 12] = [
    "text/*",
    "*+json",
    "*+xml",
    "application/json",
    "application/javascript",
    "application/xml",
    "application/wasm",
    "application/x-ndjson",
    "application/x-javascript",
    "application/vnd.ms-fontobject",
    "font/ttf",
    "font/otf",
];

const RANGE: Form<MediaRange> = Form {
    noun: "a set of media types",
    example: "\"application/json\", \"text/*\" or \"*+json\"",
    parse: |text| {
        let text = text.to_ascii_lowercase();
        let token = |text: &str| {
            let fine = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b);
            !text.is_empty() && text.bytes().all(fine)
        };
        if let Some(suffix) = text.strip_prefix('*').filter(|rest| rest.starts_with('+')) {
            return match token(&suffix[1..]) {
                true => Ok(MediaRange::Suffix(suffix.to_owned())),
                false => Err(Refusal::malformed("its suffix is no name")),
            };
        }
        match text.split_once('/') {
            Some((kind, "*")) if token(kind) => Ok(MediaRange::Type(format!("{kind}/"))),
            Some((kind, rest)) if token(kind) && token(rest) => Ok(MediaRange::Exact(text)),
            Some(("*", _)) => Err(Refusal::malformed(
                "\"*\" stands for a subtype, or for what comes before a suffix",
            )),
            _ => Err(Refusal::malformed("it has no type and subtype")),
        }
    },
};

/// `None`: nothing is compressed.
pub(super) fn compression(section: &Section<'_>) -> Option<Compression> {
    let compress = section.item("compress");
    let types = section.item("compress_types");
    let codings = compress.as_ref().and_then(codings);
    if let (Some(item), None) = (&types, &codings)
        && compress.as_ref().is_none_or(|item| item.says("false"))
    {
        item.report(
            "compress_types does nothing without compress",
            "add compress = true",
        );
    }
    let types =
        types.and_then(|item| item.list("a list of media types", "write it like [\"text/*\"]"));
    if let (Some(items), Some(list)) = (&types, section.lookup("compress_types"))
        && items.is_empty()
    {
        list.report(
            "the list is empty, so nothing would be compressed",
            "leave it out for the usual ones, or write compress = false",
        );
    }
    let types = types.map(|items| items.iter().filter_map(|item| item.read(&RANGE)).collect());
    let usual = || WORTH_IT.iter().filter_map(|text| (RANGE.parse)(text).ok());
    Some(Compression {
        codings: codings?,
        types: types.unwrap_or_else(|| usual().collect()),
    })
}

/// `true`, or those that are to be used.
fn codings(item: &Item<'_>) -> Option<Vec<Coding>> {
    if item.is_boolean() {
        return item.boolean()?.then(|| Coding::ALL.to_vec());
    }
    let choices = Coding::ALL.map(|coding| (coding.name(), coding));
    let mut codings = Vec::new();
    let hint = "write true for all of them, or a list like [\"zstd\", \"gzip\"]";
    for member in item.list("true, false or a list of codings", hint)? {
        let coding = member.choice(&choices, &[])?;
        if codings.contains(&coding) {
            member.refuse("there already", "remove one of the two");
        }
        codings.push(coding);
    }
    if codings.is_empty() {
        item.report(
            "the list is empty",
            "false means that nothing is compressed",
        );
        return None;
    }
    Some(codings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_worth_it() {
        let covered = |media_type: &str| {
            WORTH_IT.iter().any(|text| {
                let range = (RANGE.parse)(text).ok().unwrap();
                range.covers(media_type)
            })
        };
        for worth in [
            "text/html",
            "TEXT/Plain",
            "application/json",
            "application/problem+json",
            "image/svg+xml",
        ] {
            assert!(covered(worth), "{worth}");
        }
        for not in [
            "image/png",
            "video/mp4",
            "application/zip",
            "textual/x",
            "+json/a",
            "",
            "ö",
            "application/grpc",
        ] {
            assert!(!covered(not), "{not}");
        }
    }
}
