//! The data path: one request, from the accept to the access-log line.
//!
//! Everything here runs on a worker thread of its own and shares nothing with the other workers but the snapshot. Read
//! [`forward`] first: it is the whole life of a request, in numbered steps. Around it are five wings. A request passes from
//! [`client`] through [`request`] to [`backend`]; [`message`] and [`socket`] are what these use, and know none of them.

pub(crate) mod backend;
pub mod client;
pub(crate) mod forward;
pub(crate) mod message;
pub mod request;
pub(crate) mod socket;
