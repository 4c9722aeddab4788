//! One line per request. Workers format into a buffer of their own and hand it over in batches; one thread writes. A full disk
//! or a slow pipe drops lines and counts them; it never holds up a request.

mod batch;
mod line;
mod plain;
mod stamps;
mod writer;

pub use batch::Batch;
pub use line::{Line, Style};
pub(crate) use writer::Sink;
pub use writer::{AccessLog, Writer};

#[cfg(test)]
mod tests;
