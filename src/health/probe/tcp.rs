//! Layer 4: is there somebody who accepts connections?

use std::io;
use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::{Finding, words};
use crate::introduction::{self, Introduction, Version};
use crate::outcome::{CheckCode, is_own_fault};

/// A fresh connection, or why there is none. With `introduces`, it begins with a PROXY header that says whose it is: our own.
///
/// It is closed in order (FIN), although HAProxy ends its TCP checks with a reset to spare itself the TIME_WAIT. A reset
/// makes the checked server complain: PostgreSQL passes over a connection that closes without a word ("a port monitor"),
/// but logs `could not receive data from client: Connection reset by peer` for each one that is reset, once per interval
/// and proxy. What TIME_WAIT costs instead is bounded: a component checked every 200 ms has 300 of them, of the 28,000
/// local ports that there are for *each* address. So no SO_LINGER here.
pub(super) async fn connect(
    address: SocketAddr,
    introduces: Option<Version>,
    deadline: Instant,
) -> Result<TcpStream, Finding> {
    let mut stream = match timeout_at(deadline, TcpStream::connect(address)).await {
        Err(_) => return Err(Finding::new(CheckCode::L4Timeout, "no connection")),
        Ok(Err(error)) if is_own_fault(&error) => return Err(no_socket(&error)),
        Ok(Err(error)) => return Err(Finding::new(CheckCode::L4Con, words(&error))),
        Ok(Ok(stream)) => stream,
    };
    // With nobody listening on a local port, the kernel may pick just that port for our own end, and TCP's simultaneous
    // open then connects us to ourselves. Over days of probing a stopped backend on this machine, this does happen.
    if stream.local_addr().is_ok_and(|local| local == address) {
        return Err(Finding::new(
            CheckCode::L4Con,
            "connection refused (the kernel connected the probe to itself)",
        ));
    }
    // A probe is one small write; waiting to coalesce it would only be measured as the backend's latency.
    let _ = stream.set_nodelay(true);
    if let Some(version) = introduces {
        let header = match (version, stream.local_addr()) {
            // Version 1 has UNKNOWN for this, and gunicorn answers 400 to it. HAProxy's checks name their own ends as well.
            (Version::First, Ok(source)) => introduction::write(
                version,
                Some(Introduction {
                    source,
                    destination: address,
                }),
            ),
            _ => introduction::write(version, None),
        };
        match timeout_at(deadline, stream.write_all(&header)).await {
            Err(_) => return Err(Finding::new(CheckCode::L4Timeout, "no connection")),
            Ok(Err(error)) => return Err(Finding::new(CheckCode::L4Con, words(&error))),
            Ok(Ok(())) => {}
        }
    }
    Ok(stream)
}

/// That our own system is short of something.
pub(super) fn no_socket(error: &io::Error) -> Finding {
    Finding::new(CheckCode::SocketError, words(error))
}
