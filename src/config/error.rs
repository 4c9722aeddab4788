//! Problems of a configuration, each with its place and its remedy, and how they are shown.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};

/// One problem of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key path: `zone[0].backend[1].address`. Empty for a syntax error.
    pub key: String,
    /// What is wrong, one level, no remedy: `unknown key "intervall"`.
    pub message: String,
    /// What to do: `did you mean "interval"?`
    pub hint: Option<String>,
    /// Byte range in the file's text; `None` if it is about the file as a whole.
    pub span: Option<Range<usize>>,
}

/// Every problem of one file, found in one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// Its text, for the line and caret of each problem. Unexpanded: no secret is in it.
    pub text: String,
    /// Never empty. In the order of the file.
    pub problems: Vec<Problem>,
}

impl Problem {
    /// The line in `text`, from 1; 0 for a problem of the file as a whole.
    pub fn line(&self, text: &str) -> usize {
        self.place(text).map_or(0, |(line, _)| line)
    }

    /// Line and column in `text`, both from 1. Columns count characters.
    fn place(&self, text: &str) -> Option<(usize, usize)> {
        let before = text.get(..self.span.as_ref()?.start)?;
        let line = before.rsplit('\n').next().unwrap_or(before);
        let lines = before.bytes().filter(|b| *b == b'\n').count();
        Some((lines + 1, line.chars().count() + 1))
    }
}

impl fmt::Display for Problem {
    /// In one line, without its place: `check.interval: unknown key "intervall" (did you mean "interval"?)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl ConfigError {
    /// For people: each problem with its line, a caret and its remedy. Colour only where the caller knows a terminal.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let rendered: Vec<String> = self
            .problems
            .iter()
            .map(|problem| self.render_one(problem, &renderer))
            .collect();
        rendered.join("\n\n")
    }

    fn render_one(&self, problem: &Problem, renderer: &Renderer) -> String {
        let path = self.file.to_string_lossy();
        let title = Level::ERROR.primary_title(problem.message.as_str());
        let mut group = match &problem.span {
            Some(span) => title.element(
                Snippet::source(self.text.as_str())
                    .path(path.as_ref())
                    .annotation(
                        AnnotationKind::Primary
                            .span(span.clone())
                            .label(problem.key.as_str()),
                    ),
            ),
            None => title.element(Origin::path(path.as_ref())),
        };
        if let Some(hint) = &problem.hint {
            group = group.element(Level::HELP.message(hint.as_str()));
        }
        renderer.render(&[group])
    }

    /// For programs: a list of `{file, line, column, key, message, hint}`; `line`, `column` and `hint` may be null.
    pub fn to_json(&self) -> Value {
        let problems = self.problems.iter().map(|problem| {
            let (line, column) = problem.place(&self.text).unzip();
            json!({
                "file": self.file.to_string_lossy(),
                "line": line,
                "column": column,
                "key": problem.key,
                "message": problem.message,
                "hint": problem.hint,
            })
        });
        problems.collect()
    }
}

impl fmt::Display for ConfigError {
    /// In one line, each problem as compilers write them: `firedoor.toml:12:9: check.interval: … (hint); firedoor.toml:14:1: …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{}:", self.file.display())?;
            if let Some((line, column)) = problem.place(&self.text) {
                write!(f, "{line}:{column}:")?;
            }
            write!(f, " {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
