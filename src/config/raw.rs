//! The raw shape of a configuration file: TOML's own tree, in which everything still knows its place.
//!
//! Not serde: its derives lose every place inside flattened, tagged and untagged values, and stop at the first problem.
//! Here each key is asked for by name, whatever was never asked for is unknown, and every problem is kept.

mod form;
mod item;
mod section;

use std::cell::RefCell;
use std::path::Path;

use toml::de::DeTable;

pub(crate) use form::{Form, Refusal};
pub(crate) use item::Item;
pub(crate) use section::Section;

use super::error::Problem;
use super::expand::Environment;

/// What reading needs besides the tree, and where its problems gather.
pub(crate) struct Reader<'a> {
    environment: &'a dyn Environment,
    folder: &'a Path,
    /// Nobody can say what is missing from a file whose syntax is broken.
    complete: bool,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Reader<'a> {
    /// `folder` is what relative paths are relative to; `complete` is false after a syntax error.
    pub(crate) fn new(environment: &'a dyn Environment, folder: &'a Path, complete: bool) -> Self {
        Self {
            environment,
            folder,
            complete,
            problems: RefCell::default(),
        }
    }

    /// The whole file as a section.
    pub(crate) fn root(&'a self, table: &'a DeTable<'a>) -> Section<'a> {
        Section::new(self, String::new(), None, Some(table))
    }

    /// Keeps a problem.
    pub(crate) fn report(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// Keeps a problem that is one only if nothing was lost to a syntax error.
    pub(crate) fn report_if_complete(&self, problem: Problem) {
        if self.complete {
            self.report(problem);
        }
    }

    /// Every problem so far.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// The one of `names` that `word` is most likely a slip of.
pub(crate) fn closest<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let word = word.to_lowercase();
    names
        .map(|name| (strsim::osa_distance(&word, name), name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .min()
        .map(|(_, name)| name)
}
