//! A client that speaks HTTP/2 by the h2 library, from a test's own thread.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::LazyLock;

use bytes::Bytes;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, StatusCode};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::support::wait::{PATIENCE, within};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
});

/// Waits for `act`, but not for ever.
#[track_caller]
pub fn wait<T>(act: impl Future<Output = T>) -> T {
    let waited = RUNTIME.block_on(async { timeout(PATIENCE, act).await });
    waited.expect("in time")
}

/// One connection.
pub struct Client {
    sender: SendRequest<Bytes>,
    address: SocketAddr,
    ended: tokio::sync::watch::Receiver<Option<Result<(), Option<Reason>>>>,
}

/// A complete response.
#[derive(Debug)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
}

impl Response {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The only value of a field.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().map(|value| value.to_str().unwrap());
        assert!(values.next().is_none(), "one {name}");
        value
    }
}

/// A request under way.
pub struct Stream {
    response: Option<ResponseFuture>,
    pub outgoing: SendStream<Bytes>,
    pub incoming: Option<RecvStream>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self::connect_with(address, &Builder::new())
    }

    /// With windows or tables of its own.
    #[track_caller]
    pub fn connect_with(address: SocketAddr, builder: &Builder) -> Self {
        let (sender, connection) = wait(async {
            let socket = TcpStream::connect(address).await.unwrap();
            socket.set_nodelay(true).unwrap();
            builder.handshake::<_, Bytes>(socket).await.unwrap()
        });
        let ended = drive(connection);
        Self {
            sender,
            address,
            ended,
        }
    }

    /// A request builder with what every request has.
    pub fn request(&self, method: &str, path: &str) -> http::request::Builder {
        let uri = format!("http://{}{path}", self.address);
        Request::builder().method(method).uri(uri)
    }

    /// Begins a request whose body follows by hand.
    #[track_caller]
    pub fn begin(&mut self, request: Request<()>, ends: bool) -> Stream {
        let (response, outgoing) = wait(async {
            let ready = poll_fn(|cx| self.sender.poll_ready(cx)).await;
            ready.expect("a connection");
            self.sender.send_request(request, ends).expect("a request")
        });
        Stream {
            response: Some(response),
            outgoing,
            incoming: None,
        }
    }

    #[track_caller]
    pub fn try_exchange(
        &mut self,
        request: Request<()>,
        body: impl Into<Bytes>,
    ) -> Result<Response, h2::Error> {
        let body = body.into();
        let mut stream = self.begin(request, body.is_empty());
        if !body.is_empty() {
            // Unbounded, as this client means no harm.
            let _early = stream.outgoing.send_data(body, true);
        }
        stream.response()
    }

    #[track_caller]
    pub fn exchange(&mut self, request: Request<()>, body: impl Into<Bytes>) -> Response {
        self.try_exchange(request, body).expect("a response")
    }

    #[track_caller]
    pub fn get(&mut self, path: &str) -> Response {
        let request = self.request("GET", path).body(()).unwrap();
        self.exchange(request, Bytes::new())
    }

    /// How the connection ends: with which code, if not in peace.
    #[track_caller]
    pub fn end(&mut self) -> Result<(), Option<Reason>> {
        let mut ended = self.ended.clone();
        wait(async move { ended.wait_for(Option::is_some).await.unwrap().unwrap() })
    }

    pub fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Waits until the server has said whether it serves extended CONNECT.
    pub fn tunnels(&mut self) -> bool {
        within(PATIENCE, || {
            self.sender.is_extended_connect_protocol_enabled()
        })
    }
}

fn drive(
    connection: Connection<TcpStream, Bytes>,
) -> tokio::sync::watch::Receiver<Option<Result<(), Option<Reason>>>> {
    let (tell, ended) = tokio::sync::watch::channel(None);
    RUNTIME.spawn(async move {
        let end = connection.await;
        tell.send_replace(Some(end.map_err(|error| error.reason())));
    });
    ended
}

impl Stream {
    /// The response head; what follows is in `incoming`.
    #[track_caller]
    pub fn try_head(&mut self) -> Result<http::Response<()>, h2::Error> {
        let response = self.response.as_mut().expect("asked once");
        let (head, incoming) = wait(response)?.into_parts();
        self.incoming = Some(incoming);
        Ok(http::Response::from_parts(head, ()))
    }

    #[track_caller]
    pub fn head(&mut self) -> http::Response<()> {
        self.try_head().expect("a head")
    }

    /// The next data; `None` at the end.
    #[track_caller]
    pub fn try_data(&mut self) -> Option<Result<Bytes, h2::Error>> {
        let incoming = self.incoming.as_mut().expect("a head");
        loop {
            let data = wait(incoming.data());
            match &data {
                // The last frame may be empty.
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(bytes)) => {
                    let _ended = incoming.flow_control().release_capacity(bytes.len());
                    return data;
                }
                _ => return data,
            }
        }
    }

    #[track_caller]
    pub fn data(&mut self) -> Bytes {
        self.try_data().expect("data").expect("data")
    }

    /// Exactly so many bytes.
    #[track_caller]
    pub fn exact(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            bytes.extend_from_slice(&self.data());
        }
        assert_eq!(bytes.len(), count);
        bytes
    }

    /// The whole response.
    #[track_caller]
    pub fn response(&mut self) -> Result<Response, h2::Error> {
        let head = self.try_head()?;
        let mut body = Vec::new();
        while let Some(data) = self.try_data() {
            body.extend_from_slice(&data?);
        }
        let incoming = self.incoming.as_mut().unwrap();
        let trailers = wait(incoming.trailers())?;
        Ok(Response {
            status: head.status(),
            headers: head.headers().clone(),
            body,
            trailers,
        })
    }

    /// The interim responses that have come before the response.
    #[track_caller]
    pub fn informational(&mut self) -> http::Response<()> {
        let response = self.response.as_mut().expect("before the head");
        wait(poll_fn(|cx| response.poll_informational(cx)))
            .expect("an interim response")
            .expect("an interim response")
    }

    #[track_caller]
    pub fn send(&mut self, data: impl Into<Bytes>, ends: bool) {
        self.outgoing.send_data(data.into(), ends).expect("sent");
    }
}
