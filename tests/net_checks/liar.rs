//! Peers that don't keep to the protocol, whichever that is.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderValue, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Says `words` to everybody, and then waits for them to leave.
pub async fn saying(words: &'static [u8]) -> SocketAddr {
    serve(move |mut stream| async move {
        let _ = stream.write_all(words).await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await
}

/// Waits to be asked, says `words` and closes.
pub async fn saying_goodbye(words: &'static [u8]) -> SocketAddr {
    serve(move |mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(words).await;
    })
    .await
}

/// Says `words` to everybody without being asked, and closes.
pub async fn saying_goodbye_at_once(words: &'static [u8]) -> SocketAddr {
    serve(move |mut stream| async move {
        let _ = stream.write_all(words).await;
    })
    .await
}

/// Says `words` to the first who comes, and then only listens; the second value is what it heard until they left.
pub async fn listening(words: &'static [u8]) -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(words).await.unwrap();
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard).await;
        heard
    });
    (address, heard)
}

/// Says `lead`, and then the same byte for ever.
pub async fn endless(lead: &'static [u8]) -> SocketAddr {
    serve(move |mut stream| async move {
        let _ = stream.write_all(lead).await;
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await
}

/// Answers whatever it is told with `lead`, the very same words, and `tail`.
pub async fn echoing(lead: &'static str, tail: &'static str) -> SocketAddr {
    serve(move |mut stream| async move {
        let mut heard = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut heard).await {
            let heard = String::from_utf8_lossy(&heard[..count]).replace("\r\n", " ");
            let answer = format!("{lead}{heard}{tail}");
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await
}

/// Answers each thing that it is told with what `reply` makes of it, and of how many there were before.
pub async fn replying(
    reply: impl Fn(usize, &[u8]) -> Vec<u8> + Clone + Send + Sync + 'static,
) -> SocketAddr {
    serve(move |mut stream| {
        let reply = reply.clone();
        async move {
            let mut heard = [0; 4096];
            for turn in 0.. {
                let Ok(count @ 1..) = stream.read(&mut heard).await else {
                    return;
                };
                let answer = reply(turn, &heard[..count]);
                if stream.write_all(&answer).await.is_err() {
                    return;
                }
            }
        }
    })
    .await
}

/// Says `words` again and again.
pub async fn repeating(words: Vec<u8>) -> SocketAddr {
    serve(move |mut stream| {
        let words = words.clone();
        async move { while stream.write_all(&words).await.is_ok() {} }
    })
    .await
}

/// Answers every call over HTTP/2 as gRPC does, with this body and these trailers.
pub async fn calling(body: &'static [u8], trailers: &[(&'static str, &'static str)]) -> SocketAddr {
    let mut fields = HeaderMap::new();
    for (name, value) in trailers {
        fields.insert(*name, HeaderValue::from_static(value));
    }
    serve(move |stream| {
        let fields = fields.clone();
        async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_, mut reply))) = connection.accept().await {
                let head = Response::builder()
                    .header("content-type", "application/grpc+proto")
                    .body(())
                    .unwrap();
                let mut stream = reply.send_response(head, false).unwrap();
                let no_trailers = fields.is_empty();
                stream.send_data(body.into(), no_trailers).unwrap();
                if !no_trailers {
                    stream.send_trailers(fields.clone()).unwrap();
                }
            }
        }
    })
    .await
}

async fn serve<F>(script: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(script(stream));
        }
    });
    address
}
