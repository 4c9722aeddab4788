//! Which components are healthy, what that means for their zones, and which zone is active.
//!
//! Four steps, four rooms: [`probe`] asks, [`status`] judges one component, [`verdict`] concludes about a zone, [`failover`]
//! decides among all zones. [`checker`] puts the last three together as one sans-IO machine; [`monitor`] is its only shell.
//! What goes into it can be kept as a [`recording`], and replayed.
//! All but [`monitor`], [`probe`] and `program` are pure: no IO, no clock, no log.

pub mod checker;
pub mod failover;
pub mod gray;
pub mod monitor;
pub mod probe;
pub(crate) mod program;
pub mod recording;
pub mod report;
pub mod status;
pub mod verdict;
