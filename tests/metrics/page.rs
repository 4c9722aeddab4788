//! One answer to `/metrics`, taken apart.

use std::collections::BTreeMap;

use crate::support::wait::{PATIENCE, within};
use crate::support::{Proxy, Response};

/// Every sample, by name and labels.
#[derive(Debug)]
pub struct Page {
    pub text: String,
    samples: Vec<Sample>,
}

#[derive(Debug)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Page {
    /// As of now.
    #[track_caller]
    pub fn of(proxy: &Proxy) -> Self {
        let answer = proxy.admin_get("/metrics");
        assert_eq!(answer.status, 200);
        Self::read(&answer)
    }

    #[track_caller]
    pub fn read(answer: &Response) -> Self {
        let text = answer.text();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let samples = lines.map(sample).collect();
        Self { text, samples }
    }

    /// The samples of `name` whose labels have at least these values.
    pub fn of_name(&self, name: &str, labels: &[(&str, &str)]) -> Vec<&Sample> {
        let fits = |sample: &&Sample| {
            sample.name == name
                && labels
                    .iter()
                    .all(|(key, value)| sample.labels.get(*key).is_some_and(|is| is == value))
        };
        self.samples.iter().filter(fits).collect()
    }

    /// All of these together; 0 if there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let samples = self.of_name(name, labels);
        samples.iter().map(|sample| sample.value).sum()
    }

    /// The only one of these.
    #[track_caller]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let samples = self.of_name(name, labels);
        assert_eq!(samples.len(), 1, "{name}{labels:?}: {samples:?}");
        samples[0].value
    }

    /// The names of all samples.
    pub fn names(&self) -> std::collections::BTreeSet<&str> {
        self.samples.iter().map(|sample| &*sample.name).collect()
    }
}

/// `name{key="value",…} 1.5`; no label here contains a quote or a brace.
#[track_caller]
fn sample(line: &str) -> Sample {
    let (series, value) = line
        .rsplit_once(' ')
        .unwrap_or_else(|| panic!("no value: {line}"));
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.strip_suffix('}').unwrap();
    let pairs = labels.split_terminator("\",").map(|pair| {
        let (key, value) = pair.split_once("=\"").unwrap();
        (key.to_owned(), value.trim_end_matches('"').to_owned())
    });
    Sample {
        name: name.to_owned(),
        labels: pairs.collect(),
        value: value
            .parse()
            .unwrap_or_else(|_| panic!("no number: {line}")),
    }
}

/// Waits until the page satisfies `condition`; panics with the last one otherwise.
#[track_caller]
pub fn until(proxy: &Proxy, what: &str, condition: impl Fn(&Page) -> bool) -> Page {
    let mut last = Page::of(proxy);
    if condition(&last)
        || within(PATIENCE, || {
            last = Page::of(proxy);
            condition(&last)
        })
    {
        return last;
    }
    panic!(
        "not within {PATIENCE:?}: {what}; the page is\n{}",
        last.text
    );
}

/// Makes a certificate for `app.example` and `www.app.example`, good for 30 days; the lines of a listener that shows it.
pub fn certificate(folder: &std::path::Path) -> String {
    let names = "subjectAltName=DNS:app.example,DNS:www.app.example";
    certified(folder, &["-subj", "/CN=app.example", "-addext", names])
}

/// The same with other names, as openssl is told them.
pub fn certified(folder: &std::path::Path, names: &[&str]) -> String {
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .args(["-nodes", "-days", "30"])
        .args(names)
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let place = folder.display();
    format!("[listener.tls]\ncert = \"{place}/cert.pem\"\nkey = \"{place}/key.pem\"")
}
