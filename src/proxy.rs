//! The data path: one request, from the accept to the access-log line.
//!
//! Everything here runs on a worker thread of its own and shares nothing with the other workers but the snapshot. Read
//! [`forward`] first: it is the whole life of a request, in numbered steps.

pub(crate) mod accept;
pub(crate) mod affinity;
pub mod allowance;
pub(crate) mod attempt;
pub(crate) mod backend_stream;
pub(crate) mod balance;
pub(crate) mod body;
pub(crate) mod certificate;
pub mod challenge;
pub(crate) mod coding;
pub(crate) mod connections;
mod doorbell;
mod downgrade;
pub(crate) mod downstream;
pub(crate) mod error;
pub(crate) mod exchange;
pub(crate) mod exclusive;
pub(crate) mod forward;
mod grpc;
pub(crate) mod handshake;
pub(crate) mod headers;
pub mod hold;
pub(crate) mod identity;
pub(crate) mod inflow;
pub(crate) mod interim;
pub(crate) mod io;
pub(crate) mod multiplex;
pub(crate) mod policy;
pub(crate) mod prepare;
pub(crate) mod prewarm;
pub(crate) mod queue;
pub(crate) mod record;
pub(crate) mod redirect;
pub(crate) mod retry;
pub(crate) mod route;
mod sampling;
pub(crate) mod security;
pub(crate) mod session;
pub mod shed;
pub(crate) mod silence;
pub(crate) mod site;
mod spare;
pub(crate) mod stream;
pub(crate) mod stream_tunnel;
pub(crate) mod survey;
pub(crate) mod trial;
pub(crate) mod upgrade;
pub(crate) mod upstream;
mod vestibule;
pub(crate) mod view;
pub(crate) mod visitor;
pub(crate) mod websocket;
pub(crate) mod window;
