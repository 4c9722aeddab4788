//! The key of a `command` check.

use crate::config::raw::Section;
use crate::config::{CheckKind, CommandCheck, Secret};

const EXAMPLE: &str = "command = [\"/usr/local/bin/check-app\", \"--fast\"]";

/// What `section` names, or else `base`, if it is of this kind; `None` only after a problem.
pub(super) fn read(section: &Section<'_>, base: &CheckKind) -> Option<CommandCheck> {
    if let (CheckKind::Command(base), false) = (base, section.has("command")) {
        return Some(base.clone());
    }
    let item = section.required("command", &format!("add {EXAMPLE}"))?;
    let hint = format!("no shell is involved: write {EXAMPLE}");
    let words = item.list("a list of a program and its arguments", &hint)?;
    let texts: Vec<_> = words.iter().map(|word| word.text()).collect();
    let mut texts = texts.into_iter().map(|text| Some(text?.value));
    let program = texts.next().unwrap_or_else(|| Some(String::new()))?;
    if program.is_empty() {
        item.report("command has no program in it", format!("write {EXAMPLE}"));
        return None;
    }
    // As in a shell: a bare name is looked for along PATH, everything else is a path.
    let program = if program.contains('/') {
        section.folder().join(program)
    } else {
        program.into()
    };
    Some(CommandCheck {
        program,
        arguments: texts
            .map(|text| text.map(Secret::new))
            .collect::<Option<_>>()?,
    })
}
