//! The tasks that serve streams: each one stream after the other, of whatever connection of its worker.
//!
//! A new task for each stream would be the obvious way. It costs kilobytes of memory that nobody has touched lately, two copies of
//! them, and the runtime's books of who runs: with what else that led to, a thirtieth of all that a request over HTTP/2 costs.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::Request;

use super::alarm::Alarm;
use super::respond;
use crate::proxy::client::downstream::Downstream;
use crate::proxy::client::stream::ClientStream;
use crate::proxy::request::exchange::Exchange;
use crate::proxy::socket::doorbell::Sleeper;
use crate::worker::Attended;

/// Tasks that are kept for streams to come, of a worker and a kind of connection. They take some kilobytes each.
const KEPT: usize = 64;

/// A task that serves streams.
struct Attendant {
    sleeper: Rc<Sleeper>,
    next: Cell<Option<Job>>,
}

/// A stream to be served.
struct Job {
    state: Rc<Exchange>,
    attended: Attended,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
}

/// Those of a worker who have nothing to do.
#[derive(Default)]
pub(crate) struct Idle {
    cleartext: RefCell<Vec<Rc<Attendant>>>,
    secured: RefCell<Vec<Rc<Attendant>>>,
}

impl Idle {
    fn of<S: ClientStream>(&self) -> &RefCell<Vec<Rc<Attendant>>> {
        if S::SECURED {
            &self.secured
        } else {
            &self.cleartext
        }
    }
}

/// Lets a stream of the connection `downstream` be served to its end. A panic in that ends it, and nothing else.
pub(super) fn serve<S: ClientStream>(
    downstream: &Rc<Downstream>,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
) {
    let worker = &downstream.worker;
    let idle = worker.idle_attendants().of::<S>().borrow_mut().pop();
    let is_new = idle.is_none();
    let attendant = idle.unwrap_or_else(|| {
        Rc::new(Attendant {
            sleeper: Rc::default(),
            next: Cell::new(None),
        })
    });
    let state = Exchange::of_stream(downstream, &attendant.sleeper);
    let attended = worker.attend(&state);
    attendant.next.set(Some(Job {
        state,
        attended,
        request,
        respond,
    }));
    if is_new {
        worker.employ(attendant.run::<S>());
    } else {
        attendant.sleeper.wake();
    }
}

impl Attendant {
    async fn run<S: ClientStream>(self: Rc<Self>) {
        let alarm = Alarm::new(self.sleeper.id());
        loop {
            let job = poll_fn(|cx| {
                self.sleeper.register(cx);
                // May be woken for a stream that has ended.
                self.next.take().map_or(Poll::Pending, Poll::Ready)
            });
            let Job {
                state,
                attended,
                request,
                respond,
            } = job.await;
            let worker = Rc::clone(&state.worker);
            // Pinned here: it is large, and would be copied to where it is awaited.
            pin!(respond::serve::<S>(state, &alarm, request, respond)).await;
            drop(attended);
            let mut idle = worker.idle_attendants().of::<S>().borrow_mut();
            if idle.len() == KEPT {
                return;
            }
            idle.push(Rc::clone(&self));
        }
    }
}
