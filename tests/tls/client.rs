//! A client that speaks TLS by rustls, keeps every byte of the wire on a tape, and reads strictly.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::support::wait::PATIENCE;

/// One connection.
pub struct Client {
    stream: StreamOwned<ClientConnection, Taped>,
}

struct Taped {
    socket: TcpStream,
    tape: Vec<u8>,
}

/// A complete response with a known length.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Client {
    /// The handshake is done when this returns.
    pub fn try_connect(
        address: SocketAddr,
        config: &Arc<ClientConfig>,
        name: &str,
    ) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let name = name.to_owned().try_into().expect("a name");
        let tls = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        let tape = Vec::new();
        let mut stream = StreamOwned::new(tls, Taped { socket, tape });
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self { stream })
    }

    #[track_caller]
    pub fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> Self {
        Self::try_connect(address, config, "app.example").expect("a handshake")
    }

    pub fn tls(&self) -> &ClientConnection {
        &self.stream.conn
    }

    /// What the server has shown.
    pub fn server(&self) -> CertificateDer<'static> {
        self.stream.conn.peer_certificates().unwrap()[0]
            .clone()
            .into_owned()
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.try_send(bytes).unwrap();
        self
    }

    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())?;
        self.stream.flush()
    }

    /// Whether the server has reset the connection; reads nothing.
    pub fn is_cut(&self) -> bool {
        self.stream.sock.socket.take_error().unwrap().is_some()
    }

    /// Enciphers `bytes` into one record, which is returned instead of sent.
    pub fn record(&mut self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        let tls = &mut self.stream.conn;
        tls.writer().write_all(bytes.as_ref()).unwrap();
        let mut record = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut record).unwrap();
        }
        record
    }

    /// Sends bytes past TLS.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.sock.socket.write_all(bytes).unwrap();
    }

    #[track_caller]
    pub fn exact(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).expect("as many bytes");
        bytes
    }

    /// The next response, which must say how long it is.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.try_response().expect("a response")
    }

    /// The next head alone.
    #[track_caller]
    pub fn head(&mut self) -> String {
        self.try_head().expect("a head")
    }

    fn try_head(&mut self) -> io::Result<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        Ok(String::from_utf8(head).unwrap())
    }

    pub fn try_response(&mut self) -> io::Result<Response> {
        let head = self.try_head()?;
        let lower = head.to_ascii_lowercase();
        let length = lower
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(Response {
            status: head[9..12].parse().unwrap(),
            head,
            body: String::from_utf8(body).unwrap(),
        })
    }

    #[track_caller]
    pub fn get(&mut self, path: &str) -> Response {
        self.get_from("app.example", path)
    }

    #[track_caller]
    pub fn get_from(&mut self, host: &str, path: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .response()
    }

    /// All that comes until the server says that it ends, or what is wrong with its end.
    pub fn rest(&mut self) -> (Vec<u8>, io::Result<()>) {
        let mut bytes = Vec::new();
        let end = self.stream.read_to_end(&mut bytes);
        (bytes, end.map(|_| ()))
    }

    /// Says that nothing follows, and closes our half.
    pub fn finish_writing(&mut self) {
        self.stream.conn.send_close_notify();
        while self.stream.conn.wants_write() {
            self.stream.conn.write_tls(&mut self.stream.sock).unwrap();
        }
        self.cut_writing();
    }

    /// Closes our half without a word.
    pub fn cut_writing(&self) {
        self.stream.sock.socket.shutdown(Shutdown::Write).unwrap();
    }

    /// The lengths of the records that have come since the last look, application data only.
    pub fn records(&mut self) -> Vec<usize> {
        let tape = std::mem::take(&mut self.stream.sock.tape);
        let (mut rest, mut lengths) = (&tape[..], Vec::new());
        while let [kind, _, _, high, low, after @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            if *kind == 23 {
                lengths.push(length);
            }
            rest = &after[length..];
        }
        lengths
    }
}

impl Read for Taped {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.socket.read(bytes)?;
        self.tape.extend_from_slice(&bytes[..count]);
        Ok(count)
    }
}

impl Write for Taped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
