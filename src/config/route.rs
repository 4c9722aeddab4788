//! Which requests go to which pool, and what is done to them on the way.

mod overrides;

pub use overrides::Overrides;

/// `[[route]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Which hosts; `None`: any.
    pub host: Option<HostPattern>,
    /// A path prefix on segment borders, normalised, starting with `/`; `"/"` matches every path.
    pub path: String,
    /// Index into [`Config::pools`](crate::config::Config::pools).
    pub pool: usize,
    /// From 0 to 9. Where a zone is too small for the load, requests of lower priority are shed first.
    pub priority: u8,
    /// What is otherwise than everywhere else.
    pub overrides: Overrides,
}

impl Route {
    /// Of a route that names none, and where there is no route: in the middle.
    pub const DEFAULT_PRIORITY: u8 = 5;
    /// How many priorities there are.
    pub const PRIORITIES: usize = 10;
}

/// Which hosts a route is for. Lower-case ASCII, without a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// `kunde1.example`
    Exact(String),
    /// `*.example` as `example`: any host below it, at any depth, but not itself.
    Below(String),
}
