//! Two zones, each with a database and two app servers.

use std::collections::HashMap;
use std::thread;

use crate::app_server::{AppServer, Arrival};
use crate::database::Database;
use crate::namespace::Namespace;

/// One zone.
pub struct Zone {
    pub name: &'static str,
    pub database: Database,
    pub servers: Vec<AppServer>,
}

/// Both: `fz-1` is preferred, and the one that faults happen to.
pub struct Zones {
    pub preferred: Zone,
    pub standby: Zone,
}

impl Zones {
    /// Starts everything at once and waits until all of it is healthy. The second app server of `fz-1` lives in a network
    /// namespace, where that is allowed.
    pub fn start() -> Self {
        thread::scope(|scope| {
            let standby = scope.spawn(|| Zone::start("fz-2", None));
            let namespace = Namespace::allowed().then(Namespace::create);
            Self {
                preferred: Zone::start("fz-1", namespace),
                standby: standby.join().expect("fz-2 starts"),
            }
        })
    }

    /// The two zones as firedoor's configuration has them.
    pub fn configuration(&self) -> String {
        self.preferred.configuration() + &self.standby.configuration()
    }

    /// How often each order was executed, over both databases.
    pub fn executions(&self) -> HashMap<String, u32> {
        let mut executions = HashMap::new();
        for zone in [&self.preferred, &self.standby] {
            for (id, count) in zone.database.executions() {
                *executions.entry(id).or_default() += count;
            }
        }
        executions
    }
}

impl Zone {
    fn start(name: &'static str, mut namespace: Option<Namespace>) -> Self {
        let database = Database::start();
        let servers = [("app-1", None), ("app-2", namespace.take())].map(|(server, namespace)| {
            AppServer::start(name, server, database.connection_string(), namespace)
        });
        Self {
            name,
            database,
            servers: servers.into(),
        }
    }

    /// What has arrived at its app servers so far.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.servers.iter().flat_map(AppServer::arrivals).collect()
    }

    fn configuration(&self) -> String {
        let mut text = format!("\n[[zone]]\nname = \"{}\"\n", self.name);
        for server in &self.servers {
            text += &format!(
                "[[zone.backend]]\nname = \"{}\"\naddress = \"{}\"\n",
                server.name(),
                server.address()
            );
        }
        text += &format!(
            "[[zone.dependency]]\nname = \"postgres\"\ncheck = {{ kind = \"tcp\", address = \"{}\" }}\n",
            self.database.address()
        );
        text
    }
}
