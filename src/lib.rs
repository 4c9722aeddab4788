//! firedoor: a reverse proxy for systems that are run twice, in two or more fire-protection zones.
//!
//! Every request goes to the active zone. When any component of that zone fails, all requests go to the standby zone.
//!
//! # Tenets, in order
//! 1. Never send a request to a zone we believe failed while another can serve it.
//! 2. Never execute a non-idempotent request twice, never lose one silently, never mis-frame a message.
//! 3. Every flip explains itself: who failed, since when, by which evidence, by which rule.
//! 4. Faster than nginx and HAProxy for the same work.
//! 5. Small: a newcomer reads the whole in a day.
//!
//! # Lexicon (no synonyms in code, config, logs or docs)
//! | word | means |
//! |---|---|
//! | downstream / upstream | directions only: the client's side / the app's side |
//! | listener | an address we accept on |
//! | zone | a fire-protection zone: a named failure domain that fails over as one unit; config order = preference |
//! | pool | one application's backends; every zone holds its own set of backends for a pool |
//! | backend | one app server address, in one zone and one pool |
//! | dependency | something the backends of a zone need and we never route to: database, cache, broker, storage |
//! | component | a backend or a dependency: anything whose health counts for its zone |
//! | check / probe / outcome | the configured test / one execution of it / its result |
//! | status | a component's `Unknown / Up / Down`, beside its operator state `Ready / Drain / Maintenance` |
//! | verdict | the conclusion about a zone: `Unknown / Serving / Failed`, always with reasons |
//! | active, standby | the zone that gets the traffic / a zone that could |
//! | flip | a change of the active zone; *failover* away from the preferred zone, *failback* to it |
//! | epoch | counts flips, never goes back; persisted |
//! | snapshot, generation | the immutable routing truth the data path reads / its number |
//! | hold | requests parked, within bounds, while no zone can take them or a flip commits |
//! | drain | accept nothing new, finish what is in flight |
//!
//! # Rooms
//! Two worlds share one bridge. On the **control thread**, [`health::monitor`] drives the pure [`health::checker`] and
//! publishes a [`snapshot::Snapshot`]. On **N worker threads**, [`proxy`] reads the snapshot once per attempt and
//! reports what it sees of the backends as [`outcome::Observation`]s, never waiting for anyone.
//!
//! `proxy` and `health` never import each other; `tests/house_rules.rs` checks the walls.

pub mod admin;
pub mod cli;
pub mod config;
pub mod demo;
mod errand;
#[cfg(test)]
#[path = "../tests/fuzz/mutator.rs"]
mod fuzz;
pub mod health;
pub mod introduction;
pub mod journal;
pub mod memory;
pub mod moment;
pub mod notify;
pub mod outcome;
pub mod processor;
pub mod proxy;
pub mod serve;
pub mod shutdown;
pub mod snapshot;
pub mod telemetry;
pub mod worker;
pub mod zone;
