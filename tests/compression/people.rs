//! The clients that people have.

use std::process::Command;

use super::decoder::{builder, text};
use crate::support::Origin;
use crate::support::behaviour;

fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

#[test]
fn curl_and_python_get_the_text() {
    let text = text(500_000, 8);
    let origin = Origin::start(behaviour::answer(200, &["Content-Type: text/html"], &text));
    let proxy = builder(&origin).start();
    let url = format!("http://{}/", proxy.address);
    let curl = || {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "20"]);
        curl
    };
    assert!(run(curl().args(["--compressed", &url])) == text);
    for coding in ["gzip", "br", "zstd"] {
        let field = format!("Accept-Encoding: {coding}");
        assert!(
            run(curl().args(["--compressed", "--header", &field, &url])) == text,
            "{coding}"
        );
    }
    let few = run(curl().args([
        "--compressed",
        "--output",
        "/dev/null",
        "--write-out",
        "%{size_download}",
        &url,
    ]));
    let few: usize = String::from_utf8(few).unwrap().parse().unwrap();
    assert!(few < 250_000, "{few}");
    let script = "import gzip, sys, urllib.request as u\n\
                  r = u.urlopen(u.Request(sys.argv[1], headers={'Accept-Encoding': 'gzip'}))\n\
                  assert r.headers['Content-Encoding'] == 'gzip', r.headers\n\
                  sys.stdout.buffer.write(gzip.decompress(r.read()))";
    assert!(run(Command::new("python3").args(["-c", script, &url])) == text);
}
