//! Where the admin listener is: a TCP port or a Unix socket.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::Caller;
use super::order::Peer;
use crate::config::AdminBind;

/// A bound and listening socket. A Unix socket's file goes when this is dropped.
#[derive(Debug)]
pub struct Listener {
    socket: Bound,
    file: Option<SocketFile>,
}

#[derive(Debug)]
enum Bound {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Listener {
    /// Binds and listens. A Unix socket gets mode 0660, and takes the place of a file that a dead process has left.
    pub fn bind(bind: &AdminBind) -> io::Result<Self> {
        match bind {
            AdminBind::Tcp(address) => {
                let socket = std::net::TcpListener::bind(address)?;
                socket.set_nonblocking(true)?;
                Ok(Self {
                    socket: Bound::Tcp(socket),
                    file: None,
                })
            }
            AdminBind::Unix(path) => bind_unix(path),
        }
    }

    /// The address bound, with the port that the system chose for port 0; `None` for a Unix socket.
    pub fn local_addr(&self) -> Option<std::net::SocketAddr> {
        match &self.socket {
            Bound::Tcp(socket) => socket.local_addr().ok(),
            Bound::Unix(_) => None,
        }
    }

    pub(super) fn into_acceptor(self) -> io::Result<Acceptor> {
        let socket = match self.socket {
            Bound::Tcp(socket) => AcceptorSocket::Tcp(TcpListener::from_std(socket)?),
            Bound::Unix(socket) => AcceptorSocket::Unix(UnixListener::from_std(socket)?),
        };
        Ok(Acceptor {
            socket,
            _file: self.file,
        })
    }
}

/// A [`Listener`] in a runtime.
pub(super) struct Acceptor {
    socket: AcceptorSocket,
    _file: Option<SocketFile>,
}

enum AcceptorSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// One connection, through which address it came, and from whom.
pub(super) enum Accepted {
    Tcp(TcpStream, Caller, Peer),
    Unix(UnixStream, Peer),
}

impl Acceptor {
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match &self.socket {
            AcceptorSocket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let own = stream.local_addr()?.ip().to_canonical();
                let peer = Peer::Tcp(peer.ip());
                Ok(Accepted::Tcp(stream, Caller::Tcp { own }, peer))
            }
            AcceptorSocket::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let user = stream.peer_cred().map(|process| process.uid());
                Ok(Accepted::Unix(stream, Peer::Unix(user.ok())))
            }
        }
    }
}

fn bind_unix(path: &Path) -> io::Result<Listener> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile::of(path)?;
    // Before listening: nobody can connect while the mode is still the umask's.
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    socket.listen(128)?;
    socket.set_nonblocking(true)?;
    Ok(Listener {
        socket: Bound::Unix(socket.into()),
        file: Some(file),
    })
}

/// Removes a socket file that nobody listens on. Anything else stays: it isn't ours to delete.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(metadata) if metadata.file_type().is_socket() => {}
        Ok(_) => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "a file that isn't a socket is in the way",
            ));
        }
    }
    match StdUnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// Removes the socket's file when dropped, unless another process has put its own in that place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: identity(path)?,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "admin socket can't be removed");
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}
