//! Optimised builds, and no others, are told which code is hot and what the processor can do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a compiler that cargo calls with `arguments` is really called with.
#[track_caller]
fn called_with(arguments: &[&str]) -> Vec<String> {
    let settings = std::fs::read_to_string(root().join(".cargo/config.toml")).unwrap();
    let settings: toml::Table = settings.parse().unwrap();
    let wrapper = settings["build"]["rustc-wrapper"].as_str().unwrap();
    let output = Command::new(root().join(wrapper))
        .args(["printf", "%s\\n"])
        .env("CARGO_PKG_NAME", "hyper")
        .env("CARGO_PKG_VERSION", "1.2.3")
        .args(arguments)
        .current_dir("/")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().map(str::to_owned).collect()
}

#[test]
fn an_optimised_build_gets_the_profile() {
    let given = ["--crate-name", "hyper", "-C", "opt-level=3"];
    let called = called_with(&given);
    assert_eq!(called[..given.len()], given);
    let profile = called
        .iter()
        .find_map(|argument| argument.strip_prefix("-Cprofile-use="))
        .map(PathBuf::from)
        .unwrap();
    assert!(profile.is_absolute(), "{}", profile.display());
    // 0xff "lprofi" 0x81: an indexed profile of LLVM's.
    let begin = std::fs::read(&profile).unwrap();
    assert_eq!(begin[..8], *b"\xfflprofi\x81");
}

#[test]
fn an_optimised_build_is_for_processors_like_this_one() {
    let given = ["--crate-name", "hyper", "-C", "opt-level=3"];
    let level = |arguments: &[&str]| {
        let called = called_with(&[&given[..], arguments].concat());
        let levels = called.iter().filter(|a| a.contains("target-cpu="));
        levels.cloned().collect::<Vec<_>>()
    };
    let v3 = vec!["-Ctarget-cpu=x86-64-v3".to_owned()];
    assert_eq!(level(&[]), if is_v3() { v3 } else { Vec::new() });
    // It is to run anywhere, so as to tell what is the matter.
    assert!(level(&["--crate-type", "bin"]).is_empty());
    let wished = "-Ctarget-cpu=x86-64";
    assert_eq!(level(&[wished]), [wished]);
}

fn is_v3() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        // What came with AVX2 stands beside it wherever that is not hidden on purpose.
        is_x86_feature_detected!("avx2") && is_x86_feature_detected!("movbe")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

#[test]
fn the_profile_outlives_a_change_of_dependencies() {
    let given = ["-C", "opt-level=3", "-C", "metadata=0123456789abcdef"];
    let named = ["-C", "opt-level=3", "-C", "metadata=hyper-1.2.3"];
    assert_eq!(called_with(&given)[..4], named);
    let counting = ["-Cprofile-generate=a folder"];
    assert_eq!(
        called_with(&[&given[..], &counting].concat()),
        [&named[..], &counting].concat()
    );
}

#[test]
fn other_calls_are_as_cargo_made_them() {
    for given in [
        &["-vV"][..],
        &[
            "--crate-name",
            "firedoor",
            "-C",
            "debuginfo=1",
            "-C",
            "metadata=0123",
        ],
        &["-C", "opt-level=3", "-Cprofile-generate=counts"],
    ] {
        assert_eq!(called_with(given), given);
    }
}
