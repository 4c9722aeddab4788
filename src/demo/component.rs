//! A component of the demo: something that listens, and can be broken, hung and healed.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It answers.
    Well,
    /// It accepts, but never answers.
    Hung,
    /// It refuses connections, and has cut those it had.
    Broken,
}

impl Condition {
    /// The one that `verb` brings about.
    pub(crate) fn of(verb: &str) -> Option<Self> {
        [Self::Well, Self::Hung, Self::Broken]
            .into_iter()
            .find(|condition| condition.verb() == verb)
    }

    /// What brings it about, as commands and paths name it.
    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::Well => "heal",
            Self::Hung => "hang",
            Self::Broken => "break",
        }
    }

    /// In words.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Hung => "hung",
            Self::Broken => "broken",
        }
    }
}

/// One component: its name, its port, its condition.
#[derive(Debug)]
pub(super) struct Component {
    /// `fz-1:database`
    pub(super) name: String,
    /// Where it listens while it isn't broken.
    pub(super) address: SocketAddr,
    condition: watch::Sender<Condition>,
    /// Bound, but never listening: keeps the port ours while the component is broken, and refuses connections meanwhile.
    _reservation: Socket,
}

impl Component {
    /// On a port of the system's choice.
    pub(super) fn bind(name: String) -> io::Result<Arc<Self>> {
        let reservation = socket((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = reservation
            .local_addr()?
            .as_socket()
            .ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Arc::new(Self {
            name,
            address,
            condition: watch::Sender::new(Condition::Well),
            _reservation: reservation,
        }))
    }

    /// Puts it into `condition`.
    pub(super) fn put(&self, condition: Condition) {
        self.condition.send_replace(condition);
    }

    /// Its condition now.
    pub(super) fn condition(&self) -> Condition {
        *self.condition.borrow()
    }

    /// Waits while it is hung; what has been broken meanwhile is cut anyway.
    pub(super) async fn while_hung(&self) {
        self.until(|condition| condition != Condition::Hung).await;
    }

    /// Serves each connection by `answer`, for as long as the demo runs.
    pub(super) async fn run<F>(self: Arc<Self>, answer: impl Fn(TcpStream) -> F) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        loop {
            self.until(|condition| condition != Condition::Broken).await;
            let listener = self.listen()?;
            // Dropped when it breaks, and all connections with it.
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    () = self.until(|condition| condition == Condition::Broken) => break,
                    Some(_) = connections.join_next(), if !connections.is_empty() => {}
                    accepted = listener.accept() => {
                        let (stream, _) = accepted?;
                        stream.set_nodelay(true)?;
                        connections.spawn(answer(stream));
                    }
                }
            }
        }
    }

    async fn until(&self, good: impl Fn(Condition) -> bool) {
        let mut condition = self.condition.subscribe();
        // The sender lives as long as we do.
        condition.wait_for(|condition| good(*condition)).await.ok();
    }

    fn listen(&self) -> io::Result<TcpListener> {
        let socket = socket(self.address)?;
        socket.listen(1024)?;
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket.into())
    }
}

/// Bound so that the reservation and the listener can share one port.
fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_broken_component_cuts_and_refuses_and_a_healed_one_is_back_at_its_port() {
        let component = Component::bind("fz-1:app-1".into()).unwrap();
        let running = tokio::spawn(Arc::clone(&component).run(async |mut stream: TcpStream| {
            while let Ok(byte) = stream.read_u8().await {
                stream.write_u8(byte).await.unwrap();
            }
        }));
        let connect = || TcpStream::connect(component.address);
        let mut stream = until_connected(&component).await;
        stream.write_u8(7).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 7);

        component.put(Condition::Broken);
        assert!(stream.read_u8().await.is_err(), "cut");
        assert_eq!(
            connect().await.unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );

        component.put(Condition::Well);
        let mut stream = until_connected(&component).await;
        stream.write_u8(8).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 8);
        running.abort();
    }

    async fn until_connected(component: &Component) -> TcpStream {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        loop {
            match TcpStream::connect(component.address).await {
                Ok(stream) => return stream,
                Err(error) => assert!(std::time::Instant::now() < deadline, "{error}"),
            }
            tokio::task::yield_now().await;
        }
    }
}
