//! `${VAR}`, `${VAR:-default}` and `${file:PATH}` inside string values. `$${` writes `${` itself.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;

/// How the reason ends why a file can't be read that is no text.
pub(super) const NO_TEXT: &str = "is not UTF-8, which the whole file must be";

/// What a configuration refers to outside of itself.
pub trait Environment {
    /// The variable's value, or `None` if it isn't set.
    fn variable(&self, name: &str) -> Option<String>;
    /// The file's text without its final newline, or why it can't be read.
    fn file(&self, path: &Path) -> Result<String, String>;
    /// The certificates that this system trusts; asked for only where TLS is.
    fn system_roots(&self) -> Arc<RootCertStore> {
        Arc::new(RootCertStore::empty())
    }
}

/// Why a string can't be expanded. Quotes the reference, never a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unexpandable {
    pub(super) message: String,
    pub(super) hint: String,
}

/// Fills in every `${…}` of `text`. What is filled in isn't looked through again.
pub(super) fn expand<'t>(
    text: &'t str,
    folder: &Path,
    environment: &dyn Environment,
) -> Result<Cow<'t, str>, Unexpandable> {
    if !text.contains("${") {
        return Ok(Cow::Borrowed(text));
    }
    let (mut done, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        done.push_str(before);
        if before.ends_with('$') {
            done.push('{');
            rest = after;
            continue;
        }
        let Some((reference, after)) = after.split_once('}') else {
            return Err(Unexpandable {
                message: "\"${\" has no \"}\"".to_owned(),
                hint: "close it, or write $${ for the characters themselves".to_owned(),
            });
        };
        done.push_str(&resolve(reference, folder, environment)?);
        rest = after;
    }
    done.push_str(rest);
    Ok(Cow::Owned(done))
}

fn resolve(
    reference: &str,
    folder: &Path,
    environment: &dyn Environment,
) -> Result<String, Unexpandable> {
    if let Some(path) = reference.strip_prefix("file:") {
        return environment
            .file(&folder.join(path))
            .map_err(|reason| Unexpandable {
                message: format!("the file of ${{{reference}}} can't be read: {reason}"),
                hint: "relative paths start at the configuration's folder".to_owned(),
            });
    }
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    if !is_name(name) {
        return Err(Unexpandable {
            message: format!("${{{reference}}} names no variable"),
            hint: "write ${VAR}, ${VAR:-default} or ${file:PATH}".to_owned(),
        });
    }
    // As in a shell, `:-` also stands in for a variable that is set but empty.
    let value = environment
        .variable(name)
        .filter(|value| default.is_none() || !value.is_empty());
    value
        .or_else(|| default.map(str::to_owned))
        .ok_or_else(|| Unexpandable {
            message: format!("the variable {name} is not set"),
            hint: format!("set it, or give a default: ${{{name}:-…}}"),
        })
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World;

    impl Environment for World {
        fn variable(&self, name: &str) -> Option<String> {
            match name {
                "HOST" => Some("app-1".to_owned()),
                "EMPTY" => Some(String::new()),
                "NESTED" => Some("$${HOST} ${HOST}$".to_owned()),
                _ => None,
            }
        }

        fn file(&self, path: &Path) -> Result<String, String> {
            match path.to_str() {
                Some("/etc/firedoor/pw") => Ok("s3cret".to_owned()),
                _ => Err("no such file".to_owned()),
            }
        }
    }

    fn expanded(text: &str) -> Result<String, String> {
        expand(text, Path::new("/etc/firedoor"), &World)
            .map(Cow::into_owned)
            .map_err(|error| error.message)
    }

    #[test]
    fn references_are_filled_in_wherever_they_stand() {
        assert_eq!(
            expanded("plain $HOST {HOST}").unwrap(),
            "plain $HOST {HOST}"
        );
        assert_eq!(expanded("${HOST}:${PORT:-8080}").unwrap(), "app-1:8080");
        assert_eq!(
            expanded("${file:pw}/${file:/etc/firedoor/pw}").unwrap(),
            "s3cret/s3cret"
        );
        assert_eq!(expanded("${PORT:-}").unwrap(), "");
    }

    #[test]
    fn a_default_stands_in_for_an_empty_variable_too() {
        assert_eq!(expanded("${EMPTY}").unwrap(), "");
        assert_eq!(expanded("${EMPTY:-x}").unwrap(), "x");
    }

    #[test]
    fn a_doubled_dollar_writes_the_reference_itself() {
        assert_eq!(expanded("$${HOST} ${HOST}").unwrap(), "${HOST} app-1");
    }

    #[test]
    fn what_was_filled_in_is_not_looked_through_again() {
        assert_eq!(
            expanded("${NESTED}${HOST}").unwrap(),
            "$${HOST} ${HOST}$app-1"
        );
    }

    #[test]
    fn what_cannot_be_filled_in_is_refused() {
        assert_eq!(
            expanded("${PORT}").unwrap_err(),
            "the variable PORT is not set"
        );
        assert_eq!(expanded("a${HOST").unwrap_err(), "\"${\" has no \"}\"");
        assert_eq!(expanded("${}").unwrap_err(), "${} names no variable");
        assert_eq!(
            expanded("${file:none}").unwrap_err(),
            "the file of ${file:none} can't be read: no such file"
        );
    }
}
