//! Backends that are firedoor itself.

use super::{Address, Config, Problem, warning};

impl Config {
    /// With a check that firedoor itself passes, each request would be sent back to it until something runs out.
    pub(super) fn circles(&self) -> Vec<Problem> {
        let own = |address: &Address| {
            let mut binds = self.listeners.iter().map(|listener| listener.bind);
            binds.any(|bind| *address == Address::Ip(bind))
        };
        let keys = self
            .addresses()
            .filter_map(|(_, (key, address))| own(address).then_some(key));
        keys.map(|key| {
            warning(
                &key,
                "a listener is bound to this address, so requests would go round in circles",
                "name the app server's own address",
            )
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::warnings::tests::Nothing;

    #[test]
    fn a_backend_at_a_listener_is_a_trap() {
        let text = r#"
            listener = [{ bind = "127.0.0.1:1" }, { bind = "127.0.0.1:2" }]
            [[zone]]
            name = "fz-1"
            backend = [{ address = "127.0.0.1:3" }]
            [[zone]]
            name = "fz-2"
            backend = [{ address = "127.0.0.1:2" }, { address = "127.0.0.1:1" }]
        "#;
        let config = Config::parse(text, Path::new("firedoor.toml"), &Nothing).unwrap();
        let warnings = config.warnings().into_iter();
        let keys: Vec<String> = warnings.map(|problem| problem.key).collect();
        assert_eq!(
            keys,
            ["zone[1].backend[0].address", "zone[1].backend[1].address"]
        );
    }
}
