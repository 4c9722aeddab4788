//! A request's life between the two sides: what is asked, whether and when it may go, to whom, how often, and what is kept of it.
//!
//! [`super::forward`] is the page to read first; what it calls is here. Then [`prepare`] (steps 2 to 4), [`view`] (what a worker
//! sees of the snapshot), [`attempt`] (6 and 7), [`body`] (9 and 10) and [`record`]. [`exchange`] is what all of these share.

pub(crate) mod affinity;
pub mod allowance;
pub(crate) mod announcement;
pub(crate) mod attempt;
pub(crate) mod body;
pub(crate) mod error;
pub(crate) mod exchange;
pub(super) mod grpc;
pub mod hold;
pub(crate) mod policy;
pub(crate) mod prepare;
pub(crate) mod queue;
pub(crate) mod record;
pub(crate) mod redirect;
pub(crate) mod retry;
pub(crate) mod route;
pub(super) mod sampling;
pub mod shed;
pub(super) mod spare;
pub(crate) mod trial;
pub(crate) mod upgrade;
pub(crate) mod view;
