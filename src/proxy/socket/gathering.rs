//! Lets the bytes of a large body gather before its task is woken for them.
//!
//! Of what a large body costs, a fifth was falling asleep and being woken once for every segment. In full flow, the kernel is told to
//! ring only when a [`QUANTUM`] has come, which is what interrupt moderation is to a network card. Nobody waits for it who would notice:
//! - only where so much is bound to come ([`LEAST`]), which a chunked body never says;
//! - not for the first bytes of a response ([`FIRST`]), which a browser may be waiting for;
//! - where the flow is slower than a quantum in [`PATIENCE`], what has come by then goes on, and the next [`PAUSE`] bytes come as they are.
//!
//! So the end of a body, which is what most clients wait for, is never late, and what lies before it by some milliseconds at most.

use std::ffi::c_int;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::watermark::set_low_watermark;

/// Bytes that are let to gather. Of 128, 256, 384 and 512 KiB, the first spared half of what the second did, the others no more.
const QUANTUM: c_int = 256 * 1024;
/// So many bytes of the body must be still to come. More than a quantum: TLS may have read a record that it can't decipher yet.
const LEAST: u64 = 320 * 1024;
/// So many bytes of a response come as they are.
const FIRST: u64 = 64 * 1024;
/// A flow in which this brings no quantum is slow. Of 2, 4 and 10 ms, the first took a worker that had other things to do for a slow flow.
const PATIENCE: Duration = Duration::from_millis(4);
/// So many bytes of the connection come as they are where the flow was slow.
const PAUSE: u64 = 1024 * 1024;

/// What a connection's socket has been told to wait for.
#[derive(Default)]
pub(in crate::proxy) struct Gathering {
    raised: bool,
    /// Bytes that the connection has brought.
    came: u64,
    /// How many it must have brought before its mark is raised.
    resumes: u64,
    /// `came` when the time was set.
    came_then: u64,
    /// Made when it is needed first.
    time: Option<Pin<Box<Sleep>>>,
}

impl Gathering {
    /// `bytes` were read, and so many of the body are still to come at least. To be called before more is read: a mark that is above all
    /// that will come would keep the next response waiting.
    #[inline]
    pub(in crate::proxy) fn note(&mut self, bytes: usize, rest: u64, socket: Option<&TcpStream>) {
        self.came += bytes as u64;
        if self.raised && rest < LEAST {
            self.lower(socket);
        }
    }

    /// The socket was found empty, after `read` bytes of this response, with `rest` at least still to come. `cx` is woken in time for
    /// another look.
    #[inline]
    pub(in crate::proxy) fn wait(
        &mut self,
        read: u64,
        rest: u64,
        socket: Option<&TcpStream>,
        cx: &mut Context<'_>,
    ) {
        if rest < LEAST || read < FIRST || self.came < self.resumes {
            return;
        }
        if let Some(socket) = socket {
            self.raise(socket, cx);
        }
    }

    fn raise(&mut self, socket: &TcpStream, cx: &mut Context<'_>) {
        if !self.raised && set_low_watermark(socket, QUANTUM).is_err() {
            return;
        }
        if !self.raised || self.came != self.came_then {
            self.raised = true;
            self.restart();
        }
        if self.has_passed(cx) {
            self.resumes = self.came + PAUSE;
            self.lower(Some(socket));
        }
    }

    /// If bytes lie there, the doorbell rings for them now.
    fn lower(&mut self, socket: Option<&TcpStream>) {
        // It fails only for a socket that is broken, as reading will find.
        let _of_no_use_then = socket.map(|socket| set_low_watermark(socket, 1));
        self.raised = false;
    }

    fn restart(&mut self) {
        self.came_then = self.came;
        match &mut self.time {
            None => self.time = Some(Box::pin(sleep(PATIENCE))),
            Some(time) => time.as_mut().reset(Instant::now() + PATIENCE),
        }
    }

    fn has_passed(&mut self, cx: &mut Context<'_>) -> bool {
        let time = self.time.as_mut().map(|time| time.as_mut().poll(cx));
        time.is_some_and(|polled| matches!(polled, Poll::Ready(())))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Write;
    use std::net::TcpListener;

    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;

    /// A socket, as the worker has it, and the backend's end of it.
    async fn connected() -> (TcpStream, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap());
        (ours.await.unwrap(), listener.accept().unwrap().0)
    }

    /// Whether the kernel says that `socket` is worth a look.
    fn rings(socket: &TcpStream) -> bool {
        let mut polled = [PollFd::new(socket, PollFlags::IN)];
        poll(&mut polled, Some(&rustix::event::Timespec::default())).unwrap() == 1
    }

    /// Looks for a doorbell that nobody hears.
    fn wait(gathering: &mut Gathering, read: u64, rest: u64, socket: &TcpStream) {
        let cx = &mut Context::from_waker(std::task::Waker::noop());
        gathering.wait(read, rest, Some(socket), cx);
    }

    #[tokio::test]
    async fn in_full_flow_it_rings_for_a_quantum_and_not_for_less() {
        let (ours, mut backend) = connected().await;
        let mut gathering = Gathering::default();
        wait(&mut gathering, FIRST, LEAST, &ours);
        // Somewhat below a quantum it rings as well: the kernel doesn't let its window close.
        backend.write_all(&[0; QUANTUM as usize / 2]).unwrap();
        assert!(!rings(&ours));
        backend.write_all(&[0; QUANTUM as usize / 2]).unwrap();
        assert!(rings(&ours));
    }

    #[tokio::test]
    async fn it_rings_for_a_byte_where_little_has_come_or_is_to_come() {
        for (read, rest) in [(FIRST - 1, 1 << 30), (1 << 30, LEAST - 1), (1 << 30, 0)] {
            let (ours, mut backend) = connected().await;
            wait(&mut Gathering::default(), read, rest, &ours);
            backend.write_all(b"x").unwrap();
            assert!(rings(&ours), "{read}, {rest}");
        }
    }

    #[tokio::test]
    async fn it_rings_for_a_byte_again_before_the_body_can_end() {
        let (ours, mut backend) = connected().await;
        let mut gathering = Gathering::default();
        wait(&mut gathering, FIRST, LEAST, &ours);
        backend.write_all(b"x").unwrap();
        assert!(!rings(&ours));
        gathering.note(1, LEAST - 1, Some(&ours));
        assert!(rings(&ours));
    }

    #[tokio::test]
    async fn the_end_of_a_connection_rings_whatever_has_gathered() {
        let (ours, backend) = connected().await;
        wait(&mut Gathering::default(), FIRST, LEAST, &ours);
        drop(backend);
        assert!(rings(&ours));
    }

    #[tokio::test]
    async fn a_flow_that_halts_is_passed_on_as_it_comes_and_gathers_again_later() {
        let (ours, mut backend) = connected().await;
        let mut gathering = Gathering::default();
        backend.write_all(b"x").unwrap();
        poll_fn(|cx| {
            gathering.wait(FIRST, LEAST, Some(&ours), cx);
            if gathering.raised {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
        assert!(rings(&ours));
        gathering.note(PAUSE as usize - 1, LEAST, Some(&ours));
        wait(&mut gathering, FIRST, LEAST, &ours);
        assert!(rings(&ours));
        gathering.note(1, LEAST, Some(&ours));
        wait(&mut gathering, FIRST, LEAST, &ours);
        assert!(!rings(&ours));
    }
}
