//! `[[notify]]`: webhooks and commands that are told of events.

use std::path::Path;
use std::time::Duration;

use super::endpoint;
use super::failover::program;
use super::values::PERIOD;
use crate::config::raw::Section;
use crate::config::{Means, Notify, Occasion, Secret};

/// `[[notify]]`
pub(super) fn notify(root: &Section<'_>) -> Vec<Notify> {
    let sections = root.sections("notify").unwrap_or_default();
    let mut all: Vec<Notify> = Vec::new();
    for section in &sections {
        let Some(one) = one(section) else { continue };
        if all.iter().any(|other| other.name == one.name) {
            section.report(
                &format!("another [[notify]] is called {:?}, too", one.name),
                "give each a name of its own: name = \"pager\"",
            );
        }
        all.push(one);
    }
    all
}

fn one(section: &Section<'_>) -> Option<Notify> {
    let name = section.item("name").map(|item| item.text());
    let timeout = section.read("timeout", &PERIOD);
    let on = occasions(section);
    let webhook = section.has("url");
    match (webhook, section.has("command")) {
        (false, false) => section.miss(
            "url",
            "it says neither where to send events nor what to run",
            "add url = \"https://example.com/events\", or command = [\"/usr/local/bin/page\"]",
        ),
        (true, true) => section.report("it has a url and a command", "write a [[notify]] for each"),
        _ => {}
    }
    let command = program(
        section,
        "command",
        "write program and arguments, like [\"/usr/local/bin/page\", \"--now\"]",
    );
    let means = if webhook || command.is_empty() {
        self::webhook(section)
    } else {
        for key in ["secret", "retry_for", "headers", "url"] {
            if let Some(item) = section.misplaced(key) {
                item.report(format!("{key} does nothing for a command"), "remove it");
            }
        }
        Some(Means::Command(command))
    };
    let means = means?;
    let name = match name {
        Some(given) => given?.value,
        None => match &means {
            Means::Webhook { endpoint, .. } => endpoint.url.host().unwrap_or_default().to_owned(),
            Means::Command(argv) => {
                let program = argv.first().map(Path::new).and_then(Path::file_name);
                program.map_or_else(String::new, |name| name.display().to_string())
            }
        },
    };
    Some(Notify {
        name,
        by: means,
        on: on?,
        timeout: timeout.unwrap_or(Duration::from_secs(10)),
    })
}

fn webhook(section: &Section<'_>) -> Option<Means> {
    let endpoint = endpoint::endpoint(section, "url");
    let retry_for = section.read("retry_for", &PERIOD);
    let secret = section.item("secret").map(|item| {
        let text = item.text()?;
        if text.value.trim().is_empty() {
            item.report(
                "the secret is empty",
                "best have it in a file: \"${file:notify.key}\"",
            );
            return None;
        }
        Some(Secret::new(text.value))
    });
    Some(Means::Webhook {
        endpoint: endpoint?,
        secret: match secret {
            Some(secret) => Some(secret?),
            None => None,
        },
        retry_for: retry_for.unwrap_or(Duration::from_secs(10 * 60)),
    })
}

/// `on`. `None`: there is a problem.
fn occasions(section: &Section<'_>) -> Option<Vec<Occasion>> {
    let usual = || {
        let usual = Occasion::ALL.iter().take(Occasion::USUAL);
        usual.map(|(_, occasion)| *occasion).collect()
    };
    let Some(item) = section.item("on") else {
        return Some(usual());
    };
    let members = item.list(
        "a list of events",
        "write it like [\"flip\", \"standby-lost\"]",
    )?;
    if members.is_empty() {
        item.report("nothing is told of", "name an event: [\"flip\"]");
    }
    let read = members.iter().map(|item| item.choice(&Occasion::ALL, &[]));
    let read: Vec<_> = read.collect();
    let mut occasions = read.into_iter().collect::<Option<Vec<Occasion>>>()?;
    let mut seen = Vec::new();
    occasions.retain(|occasion| {
        let new = !seen.contains(occasion);
        seen.push(*occasion);
        new
    });
    Some(occasions)
}
