//! What faces the backends: which of them is asked, and over which connection. Nothing here knows of a client.
//!
//! Read [`upstream`] first: it is one backend as one worker knows it. [`connections`] makes, lends and keeps the connections to it;
//! [`exclusive`] is one with HTTP/1.1, [`multiplex`] one with HTTP/2.

pub(crate) mod backend_stream;
pub(crate) mod balance;
pub(crate) mod connections;
pub(crate) mod exclusive;
pub(crate) mod inflow;
pub(crate) mod multiplex;
pub(crate) mod prewarm;
pub(crate) mod security;
pub(crate) mod silence;
pub(crate) mod stream_tunnel;
pub(crate) mod turns;
pub(crate) mod upstream;
pub(super) mod upstream_socket;
