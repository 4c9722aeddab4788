//! Decoders that say how far they came.

use std::io::Read;

use crate::support::proxy::Builder;
use crate::support::{Broken, Origin, Proxy, RawClient, Response};

pub const CODINGS: [&str; 3] = ["zstd", "br", "gzip"];

/// A proxy that compresses all that is worth it.
pub fn builder(origin: &Origin) -> Builder {
    Proxy::builder()
        .toml("[[route]]\npool = \"default\"\ncompress = true")
        .zone("fz-1", &[origin])
}

/// What comes out of `bytes`, and whether they have an end.
pub fn decode(coding: &str, bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut text = Vec::new();
    let read = match coding {
        "zstd" => zstd::stream::read::Decoder::new(bytes)
            .unwrap()
            .read_to_end(&mut text),
        "br" => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut text),
        "gzip" => flate2::read::GzDecoder::new(bytes).read_to_end(&mut text),
        other => panic!("{other}"),
    };
    (text, read.is_ok())
}

/// The decoded body of a complete response, which must be compressed.
#[track_caller]
pub fn decoded(response: &Response) -> Vec<u8> {
    let coding = response.field("content-encoding").expect("a coding");
    let (text, ended) = decode(coding, &response.body);
    assert!(ended, "{coding} without an end");
    text
}

pub fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: app.example\r\n{fields}\r\n")
}

pub fn accepting(coding: &str) -> String {
    get("/", &format!("Accept-Encoding: {coding}\r\n"))
}

/// What has come of a response that broke off.
#[track_caller]
pub fn broken(client: &mut RawClient) -> Response {
    match client.response_within("GET", crate::support::wait::PATIENCE) {
        Err(Broken::Body(_, response)) => *response,
        other => panic!("{other:?}"),
    }
}

/// Text that compresses about as well as real text, never the same twice.
pub fn text(length: usize, seed: u64) -> Vec<u8> {
    let words = [
        "door ",
        "zone ",
        "fails ",
        "over ",
        "to ",
        "the ",
        "standby\n",
        "<p>",
        "</p>\n",
    ];
    let mut random = fastrand::Rng::with_seed(seed);
    let mut text = Vec::with_capacity(length + 16);
    while text.len() < length {
        text.extend_from_slice(words[random.usize(..words.len())].as_bytes());
        if random.u8(..8) == 0 {
            text.extend_from_slice(random.u32(..).to_string().as_bytes());
        }
    }
    text.truncate(length);
    text
}
