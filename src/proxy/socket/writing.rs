//! How bytes go to the kernel, in as few and as cheap calls as can be.

use std::cell::RefCell;
use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::net::SendFlags;
use rustls::{ConnectionCommon, SideData};
use tokio::io::{AsyncWrite, Interest};
use tokio::net::TcpStream;

/// What is copied together rather than gathered by the kernel, in bytes.
const SMALL: usize = 2048;

thread_local! {
    /// Where it is copied together.
    static TOGETHER: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(SMALL));
}

/// Writes `bufs` with one call. For one buffer, or a few small ones (a head and a short body), that is `send` rather than `writev`,
/// which spares the kernel the import of a vector; for the rest, nothing is copied.
pub(in crate::proxy) fn write_all_at_once(
    stream: &mut TcpStream,
    cx: &mut Context<'_>,
    bufs: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    if let [only] = bufs {
        return poll_send(stream, cx, only);
    }
    if bufs.iter().map(|buf| buf.len()).sum::<usize>() > SMALL {
        return Pin::new(stream).poll_write_vectored(cx, bufs);
    }
    TOGETHER.with_borrow_mut(|together| {
        together.clear();
        for buf in bufs {
            together.extend_from_slice(buf);
        }
        poll_send(stream, cx, together)
    })
}

/// What the runtime's own `poll_write` does, by a system call of rustix. glibc's `send` is a place where a thread may be cancelled, and
/// says so with two locked instructions whenever there are several threads.
fn poll_send(stream: &TcpStream, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(cx))?;
        let mut sent = 0;
        let result = stream.try_io(Interest::WRITABLE, || {
            sent = rustix::net::send(stream, buf, SendFlags::NOSIGNAL)?;
            if sent < buf.len() {
                // So the runtime knows, without another call, that there is no more room.
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(())
        });
        match result {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                return Poll::Ready(Err(error));
            }
            Err(_) if sent == 0 => {}
            Ok(()) | Err(_) => return Poll::Ready(Ok(sent)),
        }
    }
}

/// Writes `bufs` over TLS, as one record if they fit into one. What earlier writes have left goes first.
///
/// tokio-rustls would do the same by `writev`, which for one record costs a hundredth of the whole request more than `send`.
pub(in crate::proxy) fn write_record<S: SideData>(
    socket: &mut TcpStream,
    tls: &mut ConnectionCommon<S>,
    cx: &mut Context<'_>,
    bufs: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    while ready!(write_leftover(socket, tls, cx))? > 0 {}
    let taken = tls.writer().write_vectored(bufs)?;
    while let Poll::Ready(left) = write_leftover(socket, tls, cx) {
        if left? == 0 {
            break;
        }
    }
    Poll::Ready(Ok(taken))
}

/// Hands the kernel what TLS still has of earlier writes, and says how much it took. 0: there is nothing left.
pub(in crate::proxy) fn write_leftover<S: SideData>(
    socket: &mut TcpStream,
    tls: &mut ConnectionCommon<S>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    if !tls.wants_write() {
        return Poll::Ready(Ok(0));
    }
    match tls.write_tls(&mut Outlet { socket, cx }) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        result => Poll::Ready(result),
    }
}

/// The socket, as rustls writes to it.
struct Outlet<'a, 'w> {
    socket: &'a mut TcpStream,
    cx: &'a mut Context<'w>,
}

impl Write for Outlet<'_, '_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match write_all_at_once(self.socket, self.cx, bufs) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
