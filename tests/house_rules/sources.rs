//! Reads the crate's sources as tokens, code and tests apart.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// All Rust files of the crate, tests and benches included.
pub(crate) fn sources() -> &'static [Source] {
    static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(read_all);
    &SOURCES
}

fn read_all() -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in ["src", "tests", "benches"] {
        collect(&root().join(folder), &mut paths);
    }
    let mut sources: Vec<Source> = paths
        .iter()
        .map(|path| {
            let name = path
                .strip_prefix(root())
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            Source::new(&name, &fs::read_to_string(path).unwrap())
        })
        .collect();

    // A file that its parent declares under `#[cfg(test)]` is a test as a whole.
    let declared: Vec<String> = sources.iter().flat_map(files_for_tests).collect();
    for source in &mut sources {
        if declared.contains(&source.path) {
            source.tests.append(&mut source.code);
        }
    }

    let read = |folder: &str| sources.iter().filter(|source| source.is_in(folder)).count();
    assert!(
        read("src/") >= 30 && read("tests/") >= 5,
        "read {} and {} files: looked in the wrong place",
        read("src/"),
        read("tests/")
    );
    sources
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// The files behind `#[cfg(test)] mod name;`.
fn files_for_tests(source: &Source) -> Vec<String> {
    let folder = source.path.trim_end_matches(".rs").trim_end_matches("/lib");
    let declarations = source
        .tests
        .windows(3)
        .filter(|window| window[0].text == "mod" && window[2].text == ";");
    declarations
        .map(|window| format!("{folder}/{}.rs", window[1].text))
        .collect()
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// One file, as tokens: `code` without what is compiled for tests only, and `tests`.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) code: Vec<Token>,
    pub(crate) tests: Vec<Token>,
}

#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// A rule broken at a place.
#[derive(Clone)]
pub(crate) struct Breach(String);

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let stream: TokenStream = text
            .parse()
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut source = Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code: Vec::new(),
            tests: Vec::new(),
        };
        source.flatten(stream, path.starts_with("tests/"));
        source
    }

    /// Whether the file is `room.rs`, `room/…`, or in the folder `room/`.
    pub(crate) fn is_in(&self, room: &str) -> bool {
        self.path
            .strip_prefix(room)
            .is_some_and(|rest| room.ends_with('/') || rest == ".rs" || rest.starts_with('/'))
    }

    pub(crate) fn all(&self) -> Vec<Token> {
        [self.code.as_slice(), self.tests.as_slice()].concat()
    }

    pub(crate) fn breach(&self, line: usize, what: String) -> Breach {
        Breach(format!("{}:{line} {what}", self.path))
    }

    /// An item behind `#[cfg(test)]` goes on to its first brace or semicolon.
    fn flatten(&mut self, stream: TokenStream, for_tests: bool) {
        let mut item_for_tests = false;
        for tree in stream {
            let ends_item = match &tree {
                TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                TokenTree::Punct(punct) => punct.as_char() == ';',
                TokenTree::Ident(_) | TokenTree::Literal(_) => false,
            };
            if let TokenTree::Group(group) = &tree
                && group.delimiter() == Delimiter::Bracket
                && group
                    .stream()
                    .to_string()
                    .replace(' ', "")
                    .starts_with("cfg(test)")
            {
                item_for_tests = true;
            }
            self.push(tree, for_tests || item_for_tests);
            item_for_tests &= !ends_item;
        }
    }

    fn push(&mut self, tree: TokenTree, for_tests: bool) {
        let TokenTree::Group(group) = tree else {
            let line = tree.span().start().line;
            let text = tree.to_string();
            return self.add(Token { text, line }, for_tests);
        };
        let (open, close) = match group.delimiter() {
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::Brace => ("{", "}"),
            Delimiter::Bracket => ("[", "]"),
            Delimiter::None => ("", ""),
        };
        let (first, last) = (
            group.span_open().start().line,
            group.span_close().start().line,
        );
        self.add(
            Token {
                text: open.to_owned(),
                line: first,
            },
            for_tests,
        );
        self.flatten(group.stream(), for_tests);
        self.add(
            Token {
                text: close.to_owned(),
                line: last,
            },
            for_tests,
        );
    }

    fn add(&mut self, token: Token, for_tests: bool) {
        if for_tests {
            self.tests.push(token)
        } else {
            self.code.push(token)
        }
    }
}

impl fmt::Debug for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
