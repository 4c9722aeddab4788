//! What the sockets of both sides are read and written with. It knows neither side.
//!
//! Read [`doorbell`] first: who is woken by a socket, and why that is not simply a task's waker. [`gathering`] is when.

pub(super) mod doorbell;
pub(super) mod frame_heads;
pub(super) mod gathering;
pub(super) mod intake;
pub(super) mod reading;
pub(super) mod trailers;
mod watermark;
pub(super) mod writing;
