//! A request as it is written down before it is sent, to be made again if its attempt is lost.
//!
//! Few are. A clone would cost every request two allocations, and two locked instructions for each field; this costs a copy of the
//! bytes.

use std::cell::RefCell;
use std::rc::Rc;

use http::{HeaderName, HeaderValue, Method, Request, Uri};

use super::body::{Kept, RequestBody};

/// See the module's promise.
pub(crate) struct Spare {
    method: Method,
    body: Option<Rc<Kept>>,
    /// The target, then names and values in turn, each behind its length.
    head: Vec<u8>,
}

/// Sheets of paper that a thread keeps for its next requests.
const SHEETS: usize = 256;
/// Bytes of the largest one that it keeps.
const LARGE: usize = 4096;

thread_local! {
    static BLANK: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

impl Spare {
    /// `None`: the body of `request` is passed on as it comes, and comes only once.
    pub(crate) fn of(request: &Request<RequestBody>) -> Option<Self> {
        let body = match request.body() {
            RequestBody::Empty => None,
            RequestBody::Kept(kept) => kept.clone(),
            RequestBody::Streamed(_) | RequestBody::Rewindable(_) | RequestBody::Trailers(_) => {
                return None;
            }
        };
        let mut head = BLANK.with_borrow_mut(Vec::pop).unwrap_or_default();
        let target = request.uri().path_and_query();
        put(&mut head, target.map_or("/", |target| target.as_str()));
        for (name, value) in request.headers() {
            put(&mut head, name);
            put(&mut head, value);
        }
        Some(Self {
            method: request.method().clone(),
            body,
            head,
        })
    }

    /// The same request again. Always there: what was read from one request makes another.
    pub(crate) fn unpack(mut self) -> Option<Request<RequestBody>> {
        let mut request = Request::new(match self.body.take() {
            None => RequestBody::Empty,
            kept => RequestBody::Kept(kept),
        });
        *request.method_mut() = self.method.clone();
        let mut written = &*self.head;
        *request.uri_mut() = Uri::try_from(take(&mut written)?).ok()?;
        while !written.is_empty() {
            let name = HeaderName::from_bytes(take(&mut written)?).ok()?;
            let value = HeaderValue::from_bytes(take(&mut written)?).ok()?;
            request.headers_mut().append(name, value);
        }
        Some(request)
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        let mut sheet = std::mem::take(&mut self.head);
        if sheet.capacity() > LARGE {
            return;
        }
        sheet.clear();
        let _at_the_threads_end = BLANK.try_with(|blank| {
            let mut blank = blank.borrow_mut();
            if blank.len() < SHEETS {
                blank.push(sheet);
            }
        });
    }
}

fn put(written: &mut Vec<u8>, part: impl AsRef<[u8]>) {
    let part = part.as_ref();
    written.extend_from_slice(&part.len().to_ne_bytes());
    written.extend_from_slice(part);
}

fn take<'a>(written: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = written.split_first_chunk()?;
    let (part, rest) = rest.split_at_checked(usize::from_ne_bytes(*length))?;
    *written = rest;
    Some(part)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body::Body;
    use http_body_util::BodyExt;

    use super::*;

    fn request(method: Method, target: &str, body: RequestBody) -> Request<RequestBody> {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", "a.example")
            .header("cookie", "a=1")
            .header("x-odd", HeaderValue::from_bytes(b"\xe4\t\"").unwrap())
            .header("cookie", "b=2")
            .header("x-empty", "");
        request.body(body).unwrap()
    }

    #[tokio::test]
    async fn the_same_request_comes_out_as_often_as_it_is_needed() {
        let purge = Method::from_bytes(b"PURGE").unwrap();
        for (method, target) in [
            (Method::GET, "/"),
            (Method::PUT, "//two/../x%2f?q=/&r=%zz"),
            (Method::OPTIONS, "*"),
            (purge, "/?"),
        ] {
            let words = Bytes::from_static(b"words");
            let kept = RequestBody::Kept(Some(Rc::new(Kept {
                data: words.clone(),
                trailers: None,
            })));
            let first = request(method, target, kept);
            let again = Spare::of(&first).unwrap().unpack().unwrap();
            let third = Spare::of(&again).unwrap().unpack().unwrap();
            assert_eq!(third.method(), first.method());
            assert_eq!(third.uri(), first.uri());
            assert_eq!(third.version(), first.version());
            assert_eq!(third.headers(), first.headers());
            assert_eq!(third.headers().get_all("cookie").iter().count(), 2);
            for one in [first, again, third] {
                assert_eq!(one.into_body().collect().await.unwrap().to_bytes(), words);
            }
        }
        let empty = request(Method::GET, "/", RequestBody::Empty);
        let again = Spare::of(&empty).unwrap().unpack().unwrap();
        assert!(again.body().is_end_stream());
    }

    #[test]
    fn sheets_are_used_again_but_large_ones_are_not_kept() {
        let small = request(Method::GET, "/", RequestBody::Empty);
        let at = |spare: &Spare| spare.head.as_ptr();
        let first = Spare::of(&small).unwrap();
        let sheet = at(&first);
        drop(first);
        let second = Spare::of(&small).unwrap();
        assert_eq!(at(&second), sheet);
        drop(second);

        let mut large = request(Method::GET, "/", RequestBody::Empty);
        let value = HeaderValue::try_from("x".repeat(LARGE)).unwrap();
        large.headers_mut().insert("x-large", value);
        drop(Spare::of(&large).unwrap());
        assert_eq!(BLANK.with_borrow(Vec::len), 0);
    }
}
