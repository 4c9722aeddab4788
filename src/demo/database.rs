//! A stand-in database: a line in, a line out. `VISIT` counts one more and answers the count.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;

use super::component::Component;

/// Bytes of one line.
const LINE: u64 = 64;

/// What one zone's database holds.
#[derive(Debug, Default)]
pub(super) struct Database {
    visits: AtomicU64,
}

impl Database {
    /// Serves one connection until its client leaves.
    pub(super) async fn serve(self: Arc<Self>, component: Arc<Component>, stream: TcpStream) {
        let mut stream = BufStream::new(stream);
        let mut line = String::new();
        loop {
            line.clear();
            match (&mut stream).take(LINE).read_line(&mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            component.while_hung().await;
            let answer = match line.trim_end() {
                "VISIT" => format!("{}\n", self.visits.fetch_add(1, Ordering::Relaxed) + 1),
                _ => "unknown\n".to_owned(),
            };
            if stream.write_all(answer.as_bytes()).await.is_err() || stream.flush().await.is_err() {
                return;
            }
        }
    }
}

/// An app server's connection to its zone's database, kept open between requests.
#[derive(Debug)]
pub(super) struct Connection {
    database: Arc<Component>,
    stream: Option<BufStream<TcpStream>>,
}

impl Connection {
    /// Connects with the first request.
    pub(super) fn new(database: Arc<Component>) -> Self {
        Self {
            database,
            stream: None,
        }
    }

    /// Counts a visit and returns how many there have been; `None` if the database is out of reach.
    pub(super) async fn visit(&mut self) -> Option<u64> {
        // Taken out meanwhile: whoever gives up in the middle must not leave a connection with half an answer in it.
        if let Some(stream) = self.stream.take()
            && let Some(visits) = self.ask(stream).await
        {
            return Some(visits);
        }
        let stream = TcpStream::connect(self.database.address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        self.ask(BufStream::new(stream)).await
    }

    async fn ask(&mut self, mut stream: BufStream<TcpStream>) -> Option<u64> {
        stream.write_all(b"VISIT\n").await.ok()?;
        stream.flush().await.ok()?;
        let mut line = String::new();
        (&mut stream).take(LINE).read_line(&mut line).await.ok()?;
        let visits = line.trim_end().parse().ok()?;
        self.stream = Some(stream);
        Some(visits)
    }
}
