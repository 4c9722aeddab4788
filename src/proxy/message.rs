//! What is done to the message itself, whoever sends it: fields, ids, codings, frames. It knows neither side, nor a request's life.
//!
//! Read [`survey`] first: one pass over a header section, on which everything else relies. [`headers`] is what then crosses the proxy.

pub(crate) mod coding;
pub(crate) mod headers;
pub(crate) mod identity;
pub(crate) mod interim;
pub(crate) mod spelling;
pub(crate) mod survey;
pub(crate) mod websocket;
