//! Programs that are told of events.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use crate::pager::progress;
use crate::support::pair::{EAGER, Pair, journal, until_active};
use crate::support::wait::{PATIENCE, eventually, eventually_some};

fn script(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("page.sh");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn terms(program: &Path, lines: &str) -> String {
    format!(
        "{EAGER}[[notify]]\ncommand = [{program:?}, \"one argument\"]\non = [\"flip\"]\n{lines}\n"
    )
}

#[test]
fn a_command_gets_the_event_on_its_standard_input_and_what_it_says_is_logged() {
    let directory = TempDir::new().unwrap();
    let out = directory.path().join("out");
    let program = script(
        directory.path(),
        &format!(
            "cat > {out:?}.new; echo \"$1|$FIREDOOR_EVENT|$FIREDOOR_MESSAGE\" > {out:?}.words; mv {out:?}.new {out:?}; echo paged; echo too"
        ),
    );
    let mut pair = Pair::start();
    let proxy = pair.proxy(&terms(&program, ""));
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    let text = eventually_some(PATIENCE, "it ran", || fs::read_to_string(&out).ok());
    let body: Value = serde_json::from_str(&text).unwrap();
    let entry = &journal(&proxy, "flip")[0];
    assert_eq!(
        (&body["number"], &body["event"]),
        (&entry["number"], &"flip".into())
    );
    assert_eq!(body["message"], entry["message"]);
    let words = fs::read_to_string(directory.path().join("out.words")).unwrap();
    assert_eq!(
        words.trim(),
        format!("one argument|flip|{}", entry["message"].as_str().unwrap())
    );
    eventually(PATIENCE, "it is counted", || {
        progress(&proxy, "delivered") == 1
    });
    eventually(PATIENCE, "it is logged", || {
        proxy
            .log()
            .contains("notify page.sh: its command said: paged; too")
    });
}

#[test]
fn a_command_that_fails_or_hangs_is_told_and_killed_with_what_it_started() {
    let directory = TempDir::new().unwrap();
    let child = directory.path().join("child");
    let mut pair = Pair::start();
    let failing = script(directory.path(), "echo broken >&2; exit 3");
    let proxy = pair.proxy(&terms(&failing, ""));
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    eventually(PATIENCE, "it has failed", || {
        progress(&proxy, "failed") == 1
    });
    assert_eq!(
        proxy.status()["notify"][0]["error"]["text"],
        "exit code 3; it said: broken"
    );
    drop(proxy);
    pair.preferred.database.restart();

    let hanging = script(
        directory.path(),
        &format!("sleep 1000 & echo $! > {child:?}.new; mv {child:?}.new {child:?}; wait"),
    );
    let proxy = pair.proxy(&terms(&hanging, "timeout = \"3s\""));
    let begun = Instant::now();
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    eventually(PATIENCE, "it is given up", || {
        progress(&proxy, "failed") == 1
    });
    assert!(begun.elapsed() < PATIENCE);
    let error = proxy.status()["notify"][0]["error"]["text"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(error, "still running after 3s, killed");
    let id = fs::read_to_string(&child).unwrap();
    let stat = Path::new("/proc").join(id.trim()).join("stat");
    // Its parent is gone, so whoever reaps orphans here has to come round first.
    eventually(PATIENCE, "its child is dead", || {
        fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "))
    });
}
