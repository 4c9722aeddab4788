//! A real terminal: tmux, with one pane that a test types into and looks at.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::Pid;

use crate::support::wait::{PATIENCE, eventually, eventually_some};

/// A tmux server of its own, which ends with this.
pub(crate) struct Pane {
    directory: tempfile::TempDir,
}

impl Pane {
    /// Runs a line of shell, with a UTF-8 locale and colours unless it says otherwise; what comes after it waits for a key.
    pub(crate) fn run(size: (u16, u16), line: &str) -> Self {
        let pane = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        let (columns, rows) = (size.0.to_string(), size.1.to_string());
        let place = pane.directory.path().display();
        // `stty` before and after tells whether the terminal was given back as it was.
        let script = format!(
            "stty -g >{place}/before; {line}; echo \"ended with $?\"; stty -g >{place}/after; read -r _"
        );
        let started = pane.tmux(&[
            "new-session",
            "-d",
            "-x",
            &columns,
            "-y",
            &rows,
            "sh",
            "-c",
            &script,
        ]);
        assert!(started.status.success(), "{started:?}");
        pane
    }

    /// `firedoor top` for this admin listener.
    pub(crate) fn top(size: (u16, u16), admin: impl std::fmt::Display) -> Self {
        Self::run(size, &format!("{} top --admin {admin}", program()))
    }

    /// What is on the screen, row by row.
    pub(crate) fn screen(&self) -> String {
        let output = self.tmux(&["capture-pane", "-p"]);
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// The same with the escape sequences that make it look so.
    pub(crate) fn painted(&self) -> String {
        let output = self.tmux(&["capture-pane", "-p", "-e"]);
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Waits until `text` is on the screen.
    #[track_caller]
    pub(crate) fn until(&self, text: &str) -> String {
        let mut screen = String::new();
        if crate::support::wait::within(PATIENCE, || {
            screen = self.screen();
            screen.contains(text)
        }) {
            return screen;
        }
        panic!("not within {PATIENCE:?}: {text:?} on the screen\n{screen}");
    }

    /// Presses keys, by tmux's names: `Enter`, `Escape`, `Down`, `a`.
    pub(crate) fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Types text as it is.
    pub(crate) fn type_in(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    /// Pastes text, as a terminal does it for a program that wants to know.
    pub(crate) fn paste(&self, text: &str) {
        self.tmux(&["set-buffer", text]);
        self.tmux(&["paste-buffer", "-p"]);
    }

    /// The process that the shell has started.
    #[track_caller]
    pub(crate) fn child(&self) -> Pid {
        let shell = self.tells("pane_pid");
        eventually_some(PATIENCE, "the shell has started something", || {
            let children = format!("/proc/{shell}/task/{shell}/children");
            let children = std::fs::read_to_string(children).ok()?;
            let first = children.split_whitespace().next()?;
            first.parse().ok().and_then(Pid::from_raw)
        })
    }

    /// The terminal is gone, as when its window is closed.
    pub(crate) fn close(&self) {
        self.tmux(&["kill-server"]);
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.tmux(&["resize-window", "-x", &columns, "-y", &rows]);
    }

    /// A variable of tmux, like `alternate_on`.
    pub(crate) fn tells(&self, variable: &str) -> String {
        let output = self.tmux(&["display-message", "-p", &format!("#{{{variable}}}")]);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Waits for the end of the program, and holds the terminal against what it was before.
    #[track_caller]
    pub(crate) fn until_given_back(&self) -> String {
        let screen = self.until("ended with");
        let read = |name: &str| std::fs::read_to_string(self.directory.path().join(name));
        eventually(PATIENCE, "stty has told", || {
            read("after").is_ok_and(|after| after.ends_with('\n'))
        });
        assert_eq!(read("before").unwrap(), read("after").unwrap());
        assert_eq!(self.tells("alternate_on"), "0", "the usual screen is back");
        assert_eq!(self.tells("cursor_flag"), "1", "the cursor is visible");
        screen
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        let socket = self.directory.path().join("socket");
        let mut command = Command::new("tmux");
        command
            .arg("-u")
            .arg("-S")
            .arg(socket)
            .args(["-f", "/dev/null"]);
        command.args(arguments).stdin(Stdio::null());
        for name in [
            "TMUX",
            "NO_COLOR",
            "LC_ALL",
            "LC_CTYPE",
            "FIREDOOR_ADMIN",
            "FIREDOOR_TOKEN",
        ] {
            command.env_remove(name);
        }
        command.env("LANG", "C.UTF-8").env("USER", "nightwatch");
        command.output().expect("tmux is installed")
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the screen\n{}", self.screen());
        }
        self.close();
    }
}

/// The binary under test.
pub(crate) fn program() -> &'static str {
    let program = env!("CARGO_BIN_EXE_firedoor");
    assert!(Path::new(program).is_absolute());
    program
}
