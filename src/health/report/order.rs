//! What is told of operators' orders: who gave one, and what came of it. Plain data.

use std::fmt;

/// An order that was carried out, begun or refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Who gave it.
    pub by: Giver,
    /// What it was, in words: `activate fz-2 at once`.
    pub what: String,
    /// The operator's own words.
    pub reason: Option<String>,
    /// What came of it.
    pub end: OrderEnd,
    /// How many refused orders before it are told nowhere else, as they came too fast.
    pub left_out: u64,
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderEnd {
    /// It is carried out.
    Done,
    /// It is under way: a planned flip that waits for the old zone to drain. What comes of that is told by itself.
    Begun,
    /// It was refused; why, and the remedy.
    Refused(String),
}

/// Who gave an order, as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Giver {
    /// As they call themselves: nobody has verified it.
    pub name: Option<String>,
    /// By which way the order came.
    pub way: Way,
    /// Whether they have shown the admin token. Where none is configured, nobody has.
    pub token: bool,
}

/// By which way an order came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// From this address, masked as addresses of clients are.
    Tcp(String),
    /// Over the Unix socket, from a process of this user, as the kernel says.
    Unix(Option<u32>),
    /// By a signal to this process.
    Signal(&'static str),
}

impl OrderEnd {
    /// As the journal has it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Begun => "begun",
            Self::Refused(_) => "refused",
        }
    }
}

impl fmt::Display for Giver {
    /// `anna (Unix socket, user 1000)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_deref().unwrap_or("somebody"))?;
        match &self.way {
            Way::Tcp(address) => write!(f, " (from {address}")?,
            Way::Unix(Some(user)) => write!(f, " (Unix socket, user {user}")?,
            Way::Unix(None) => f.write_str(" (Unix socket")?,
            Way::Signal(name) => write!(f, " (signal {name}")?,
        }
        f.write_str(if self.token { ", with the token)" } else { ")" })
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ordered: {}", self.by, self.what)?;
        if let Some(reason) = &self.reason {
            write!(f, ": {reason}")?;
        }
        if let OrderEnd::Refused(why) = &self.end {
            write!(f, "; REFUSED: {why}")?;
        }
        match self.left_out {
            0 => Ok(()),
            1 => {
                f.write_str("; 1 refused order before it is not in the journal: they came too fast")
            }
            many => write!(
                f,
                "; {many} refused orders before it are not in the journal: they came too fast"
            ),
        }
    }
}
