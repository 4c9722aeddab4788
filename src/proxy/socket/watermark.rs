//! `SO_RCVLOWAT`: how much must have come before a socket is worth a look. The one module with `unsafe` in it: no library that would be
//! well kept has this option behind a safe call.

#![expect(unsafe_code, reason = "one system call, see below")]

use std::ffi::c_int;
use std::io;
use std::os::fd::AsRawFd;

use tokio::net::TcpStream;

/// Has the kernel ring for `socket` only when at least `bytes` lie in it, or when nothing more will come (socket(7)). Where that many lie
/// in it already, it rings at once.
pub(super) fn set_low_watermark(socket: &TcpStream, bytes: c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open as long as `socket` is borrowed, and the kernel reads one `c_int` from a pointer to one.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw const bytes).cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
