//! What faces the client: who comes, what it speaks, how long it may take, and when its connection ends.
//!
//! Read [`accept`] first, then [`session`]: a connection is accepted, waits in the [`vestibule`] until it is known whose it is,
//! shakes hands, and then gives one request after the other to [`super::forward`]. [`downstream`] is what everybody later knows of it.

pub(crate) mod accept;
pub(crate) mod certificate;
pub mod challenge;
pub(super) mod downgrade;
pub(crate) mod downstream;
pub(super) mod downstream_socket;
pub(crate) mod farewell;
pub(crate) mod handshake;
pub(crate) mod session;
pub(crate) mod site;
pub(crate) mod stream;
pub(super) mod vestibule;
pub(crate) mod visitor;
pub(crate) mod window;
