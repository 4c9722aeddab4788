//! What the demo prints for its reader: addresses, and lines to copy.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::TcpStream;

/// The addresses that the guide names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guide {
    pub(super) proxy: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) control: SocketAddr,
}

impl Guide {
    /// Prints the guide once the proxy listens: whoever reads it can type at once.
    pub(super) async fn show(self) -> io::Result<()> {
        while TcpStream::connect(self.admin).await.is_err()
            || TcpStream::connect(self.proxy).await.is_err()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Piped into something that has ended: nobody reads it.
        io::Write::write_all(&mut io::stdout(), self.text(&program()).as_bytes()).ok();
        Ok(())
    }

    fn text(self, program: &str) -> String {
        let Self {
            proxy,
            admin,
            control,
        } = self;
        let admin_flag = flag("--admin", admin, "127.0.0.1:9900");
        let control_flag = flag("--control", control, "127.0.0.1:9901");
        format!(
            "
firedoor demo: two zones, fz-1 and fz-2, each with app-1, app-2 and a database; fz-1 is preferred.

  proxy      http://{proxy}
  dashboard  http://{admin}   (open it in a browser: it shows everything, and breaks and heals)
  control    http://{control}   (the demo's own, for scripts)

Or try this in another terminal, in this directory:

  ask the app                    curl http://{proxy}/
  how is everything?             curl http://{admin}/health
                                 {program} status{admin_flag}
  the same, live                 {program} top{admin_flag}

  break fz-1's database          {program} demo break fz-1:database{control_flag}
  a second later all requests
  go to fz-2                     curl http://{proxy}/
  why?                           {program} explain{admin_flag}
  what happened, line by line    {program} journal{admin_flag}

  heal it                        {program} demo heal fz-1:database{control_flag}
  and go back, when you like     {program} failback{admin_flag}

  Components: fz-1:app-1, fz-1:app-2, fz-1:database, the same in fz-2; fz-1 or fz-2 means all of a zone.
  Besides break and heal there is hang, for an app server: it accepts, but never answers (of a hung database, a
  check of kind tcp sees nothing). The same with curl alone:
                                 curl -X POST http://{control}/break/fz-1:database

Ctrl-C ends the demo.

"
        )
    }
}

/// Nothing where the default will do.
fn flag(name: &str, address: SocketAddr, default: &str) -> String {
    if address.to_string() == default {
        String::new()
    } else {
        format!(" {name} {address}")
    }
}

/// How this program is called from here, so that a line can be copied as it stands.
fn program() -> String {
    let called = std::env::args_os().next().map(PathBuf::from);
    // Found on the PATH: it will be again.
    if let Some(called) = &called
        && called.components().count() == 1
    {
        return called.display().to_string();
    }
    let here = std::env::current_dir().ok();
    match std::env::current_exe().ok().or(called) {
        Some(program) => quoted(&relative(&program, here.as_deref())),
        None => "firedoor".to_owned(),
    }
}

fn relative(program: &Path, here: Option<&Path>) -> String {
    match here.and_then(|here| program.strip_prefix(here).ok()) {
        Some(below) => format!("./{}", below.display()),
        None => program.display().to_string(),
    }
}

fn quoted(program: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if program.chars().all(harmless) {
        program.to_owned()
    } else {
        format!("'{}'", program.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_can_be_copied_as_they_stand() {
        let guide = Guide {
            proxy: "127.0.0.1:8080".parse().unwrap(),
            admin: "127.0.0.1:7000".parse().unwrap(),
            control: "127.0.0.1:9901".parse().unwrap(),
        };
        let text = guide.text("./target/release/firedoor");
        assert!(text.contains(" ./target/release/firedoor explain --admin 127.0.0.1:7000\n"));
        assert!(text.contains(" ./target/release/firedoor demo break fz-1:database\n"));
    }

    #[test]
    fn a_program_below_this_directory_is_called_by_a_short_path() {
        let program = Path::new("/a/my door/target/firedoor");
        assert_eq!(
            quoted(&relative(program, Some(Path::new("/a/my door")))),
            "./target/firedoor"
        );
        assert_eq!(
            quoted(&relative(program, Some(Path::new("/b")))),
            "'/a/my door/target/firedoor'"
        );
    }
}
