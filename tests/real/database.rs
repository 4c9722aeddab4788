//! The app's database, one for each zone.

use std::net::SocketAddr;

use crate::support::Postgres;

/// One PostgreSQL with the app's tables.
pub struct Database(Postgres);

impl Database {
    /// Makes a cluster with the app's tables, and starts it.
    pub fn start() -> Self {
        let postgres = Postgres::start("max_connections = 100");
        postgres.sql(
            "CREATE TABLE greeting (text text NOT NULL);
             INSERT INTO greeting VALUES ('hello');
             CREATE TABLE orders (id text PRIMARY KEY, executions integer NOT NULL);",
        );
        Self(postgres)
    }

    /// For the proxy's `tcp` check.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// For the app servers: by unix socket, from any namespace.
    pub fn connection_string(&self) -> String {
        self.0.connection_string()
    }

    /// Stops as `pg_ctl stop -m immediate` does: every connection is aborted.
    pub fn stop_immediately(&mut self) {
        self.0.stop_immediately();
    }

    /// Starts again, at the same address; what was committed before is still there.
    pub fn resume(&mut self) {
        self.0.resume();
    }

    /// How often each order was executed.
    pub fn executions(&self) -> Vec<(String, u32)> {
        self.0
            .sql("SELECT id, executions FROM orders")
            .lines()
            .filter_map(|line| line.split_once('|'))
            .map(|(id, count)| (id.to_owned(), count.parse().expect("a count")))
            .collect()
    }
}
