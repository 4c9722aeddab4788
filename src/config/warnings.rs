//! What is valid, but probably not what its author wants. Pure, but for the clock that certificates are held against.

mod circles;
mod idle;
mod redirects;

use std::collections::HashMap;
use std::time::Duration;

use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use jiff::Timestamp;

use super::error::Problem;
use super::{Address, Certificate, Check, Config, Failback, HostPattern, Route};

/// When Node.js and Apache close a kept-alive connection, by default.
const COMMON_KEEP_ALIVE: Duration = Duration::from_secs(5);

impl Config {
    /// Traps that the configuration sets for its owners, each with a key path and a remedy. They stop nothing.
    pub fn warnings(&self) -> Vec<Problem> {
        let mut warnings = Vec::new();
        if self.zones.len() == 1 {
            warnings.push(warning(
                "zone",
                "there is only one zone, so nothing can take over when it fails",
                "add a second [[zone]]",
            ));
        }
        if self.upstream.idle_timeout >= COMMON_KEEP_ALIVE {
            warnings.push(warning(
                "upstream.idle_timeout",
                "many app servers close idle connections after 5s, so requests may be sent into closing ones",
                "stay below the app servers' own keep-alive time",
            ));
        }
        if self.failover.failback == Failback::Auto && self.has_dependencies() {
            warnings.push(warning(
                "failover.failback",
                "the traffic returns by itself, even if the data of the preferred zone has become stale",
                "failback = \"manual\" leaves that to an operator",
            ));
        }
        if !self.failover.promote_command.is_empty()
            && self.failover.promote_timeout > self.failover.hold_time
        {
            warnings.push(warning(
                "failover.promote_timeout",
                "requests wait while promote_command runs, and after hold_time they get 503",
                "make hold_time longer than drain and promotion together",
            ));
        }
        warnings.extend(self.shared_addresses());
        warnings.extend(self.circles());
        warnings.extend(self.odd_redirects());
        warnings.extend(self.unrouted_pools());
        warnings.extend(self.unverified_servers());
        warnings.extend(self.unverified_backends());
        warnings.extend(self.shared_cookies());
        warnings.extend(self.logged_secrets());
        let collector = self.traces.collector.as_ref();
        if collector.is_some_and(|collector| collector.url.port_u16() == Some(4317)) {
            warnings.push(warning(
                "tracing.otlp_endpoint",
                "at 4317 collectors usually speak gRPC, and firedoor sends OTLP over HTTP",
                "that is usually at 4318",
            ));
        }
        warnings.extend(self.idle_priorities());
        warnings.extend(self.idle_settings());
        warnings.extend(self.invalid_certificates(Timestamp::now()));
        warnings
    }

    /// Whoever can read the log could pose as those who stand in it.
    fn logged_secrets(&self) -> Vec<Problem> {
        let secret =
            |name: &&HeaderName| matches!(**name, AUTHORIZATION | COOKIE | PROXY_AUTHORIZATION);
        let names = self.access_log.headers.iter().filter(secret);
        let told = |name: &HeaderName| {
            warning(
                "access_log.headers",
                &format!("{name} lets whoever reads the log pose as the people in it"),
                "leave it out once you have found what you are looking for",
            )
        };
        names.map(told).collect()
    }

    fn has_dependencies(&self) -> bool {
        self.zones.iter().any(|zone| !zone.dependencies.is_empty())
    }

    /// Components of different zones at one address fail together, whatever the zones promise.
    fn shared_addresses(&self) -> Vec<Problem> {
        let mut first: HashMap<&Address, usize> = HashMap::new();
        let mut warnings = Vec::new();
        for (zone, (key, address)) in self.addresses() {
            let owner = *first.entry(address).or_insert(zone);
            if owner != zone {
                warnings.push(warning(
                    &key,
                    &format!("zone[{owner}] uses this address too, so both zones fail with it"),
                    "give each zone its own",
                ));
            }
        }
        warnings
    }

    /// The address of every component, with its zone's index and its key path.
    fn addresses(&self) -> impl Iterator<Item = (usize, (String, &Address))> {
        self.zones.iter().enumerate().flat_map(|(index, zone)| {
            let backends = zone.backends.iter().enumerate().map(move |(at, backend)| {
                (
                    format!("zone[{index}].backend[{at}].address"),
                    &backend.address,
                )
            });
            let dependencies = zone.dependencies.iter().enumerate();
            let dependencies = dependencies.map(move |(at, dependency)| {
                let key = format!("zone[{index}].dependency[{at}].check.address");
                (key, &dependency.address)
            });
            backends
                .chain(dependencies)
                .map(move |found| (index, found))
        })
    }

    /// A browser keeps one cookie of a name for a host: where two pools share both, each one's answers undo the other's pins.
    fn shared_cookies(&self) -> Vec<Problem> {
        let cookie = |pool: usize| Some(&self.pools[pool].sticky.as_ref()?.cookie);
        let hosts = |pool: usize| {
            let routes = self
                .routes
                .iter()
                .filter(move |route| route.pool == Some(pool));
            routes.map(|route| route.host.as_ref())
        };
        let may_meet = |one: Option<&HostPattern>, other: Option<&HostPattern>| match (one, other) {
            (Some(HostPattern::Exact(one)), Some(HostPattern::Exact(other))) => one == other,
            _ => true,
        };
        let share = |one: usize, other: usize| {
            cookie(one).is_some()
                && cookie(one) == cookie(other)
                && hosts(one).any(|host| hosts(other).any(|theirs| may_meet(host, theirs)))
        };
        let warn = |pool: usize| {
            let other = (0..pool).find(|other| share(*other, pool))?;
            let name = &self.pools[other].name;
            Some(warning(
                &format!("pool[{pool}].sticky.cookie"),
                &format!(
                    "pool {name:?} sets this cookie too, maybe for the same host, and each undoes what the other did"
                ),
                "give each pool a cookie of its own",
            ))
        };
        (0..self.pools.len()).filter_map(warn).collect()
    }

    /// Pools whose routes differ in priority, to no effect: without a limit there is never too much.
    fn idle_priorities(&self) -> Vec<Problem> {
        let bounded = |pool: usize| {
            let mut backends = self.zones.iter().flat_map(|zone| &zone.backends);
            backends.any(|backend| backend.pool == pool && backend.max_in_flight.is_some())
        };
        let differs = |route: &Route| {
            let mut others = self.routes.iter().filter(|other| other.pool == route.pool);
            others.any(|other| other.priority < route.priority)
        };
        let routes = self.routes.iter().enumerate();
        routes
            .filter_map(|(at, route)| Some((at, route, route.pool?)))
            .filter(|(_, route, pool)| differs(route) && !bounded(*pool))
            .map(|(at, _, pool)| {
                let pool = &self.pools[pool].name;
                warning(
                    &format!("route[{at}].priority"),
                    &format!("no backend of pool {pool:?} has a max_in_flight, so no request is ever shed"),
                    "set max_in_flight to what each backend can take at once",
                )
            })
            .collect()
    }

    /// Pools that get no request: without routes, all but the default one.
    fn unrouted_pools(&self) -> Vec<Problem> {
        let routed = |index: usize| {
            if self.routes.is_empty() {
                &*self.pools[index].name == "default"
            } else {
                self.routes.iter().any(|route| route.pool == Some(index))
            }
        };
        (0..self.pools.len())
            .filter(|index| !routed(*index))
            .map(|index| {
                let message = format!("no route leads to pool {:?}", self.pools[index].name);
                warning("route", &message, "add a [[route]] for it, or remove it")
            })
            .collect()
    }

    /// Certificates that no client would accept at the time `now`.
    fn invalid_certificates(&self, now: Timestamp) -> Vec<Problem> {
        let listeners = self.listeners.iter().enumerate();
        let servers =
            listeners.filter_map(|(index, listener)| Some((index, listener.tls.as_ref()?)));
        let certificates = servers.flat_map(|(index, server)| {
            let certificates = server.certificates().into_iter().enumerate();
            certificates.map(move |(at, certificate)| (index, at, certificate))
        });
        let warn = |(index, at, certificate): (usize, usize, Certificate)| {
            let flaw = certificate.validity().flaw(now)?;
            let key = format!("listener[{index}].tls");
            Some(warning(
                &key,
                &format!("certificate {} ({certificate}) {flaw}", at + 1),
                "clients will refuse it: have it renewed; a new file is picked up without a reload",
            ))
        };
        certificates.filter_map(warn).collect()
    }

    /// Backends that anybody could pose as.
    fn unverified_backends(&self) -> Vec<Problem> {
        let is_unverified = |index: usize| {
            let backends = self.zones.iter().flat_map(|zone| &zone.backends);
            let mut clients = backends
                .filter(|b| b.pool == index)
                .filter_map(|b| b.protocol.tls());
            clients.any(|client| !client.terms().verify)
        };
        let unverified = (0..self.pools.len()).filter(|index| is_unverified(*index));
        let warn = |index: usize| {
            warning(
                &format!("pool[{index}].tls.verify"),
                "any certificate will do, so whoever can answer at a backend's address gets its requests, cookies and passwords included",
                "name the signer's certificate instead: tls = { ca = \"ca.pem\" }",
            )
        };
        unverified.map(warn).collect()
    }

    /// Checks that would pass for anybody who can answer at the address.
    fn unverified_servers(&self) -> Vec<Problem> {
        let pools = self.pools.iter().enumerate();
        let pools = pools.map(|(index, pool)| (format!("pool[{index}].check"), &pool.check));
        let zones = self.zones.iter().enumerate();
        let dependencies = zones.flat_map(|(index, zone)| {
            let dependencies = zone.dependencies.iter().enumerate();
            dependencies.map(move |(at, dependency)| {
                let key = format!("zone[{index}].dependency[{at}].check");
                (key, &dependency.check)
            })
        });
        let unverified = |check: &Check| check.kind.tls().is_some_and(|tls| !tls.terms().verify);
        pools
            .chain(dependencies)
            .filter(|(_, check)| unverified(check))
            .map(|(key, _)| {
                warning(
                    &format!("{key}.tls.verify"),
                    "any certificate will do, so the check can't tell the component from somebody who poses as it, and gives its password to both",
                    "name the signer's certificate instead: tls = { ca = \"ca.pem\" }",
                )
            })
            .collect()
    }
}

fn warning(key: &str, message: &str, hint: &str) -> Problem {
    Problem {
        key: key.to_owned(),
        message: message.to_owned(),
        hint: Some(hint.to_owned()),
        span: None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse::Environment;

    pub(super) struct Nothing;

    impl Environment for Nothing {
        fn variable(&self, _: &str) -> Option<String> {
            None
        }

        fn file(&self, _: &Path) -> Result<String, String> {
            Err("no such file".to_owned())
        }
    }

    #[test]
    fn each_trap_is_named_once() {
        let text = r#"
            [upstream]
            idle_timeout = "60s"
            [failover]
            failback = "auto"
            promote_command = ["promote"]
            [[listener]]
            bind = "127.0.0.1:8080"
            [[zone]]
            name = "fz-1"
            backend = [{ address = "10.0.0.1:80" }, { address = "10.0.0.1:81", pool = "hq" }]
            dependency = [{ check = { kind = "tcp", address = "10.0.0.9:5432" } }]
            [[zone]]
            name = "fz-2"
            backend = [{ address = "10.0.1.1:80" }, { address = "10.0.1.1:81", pool = "hq" }]
            dependency = [
              { check = { kind = "tcp", address = "10.0.0.9:5432" } },
              { check = { kind = "tls", address = "10.0.1.9:443", tls = { verify = false } } },
            ]
        "#;
        let config = Config::parse(text, Path::new("firedoor.toml"), &Nothing).unwrap();
        let keys: Vec<String> = config
            .warnings()
            .into_iter()
            .map(|problem| problem.key)
            .collect();
        assert_eq!(
            keys,
            [
                "upstream.idle_timeout",
                "failover.failback",
                "failover.promote_timeout",
                "zone[1].dependency[0].check.address",
                "route",
                "zone[1].dependency[1].check.tls.verify"
            ]
        );
    }

    #[test]
    fn a_cookie_shared_on_one_host_is_a_trap_and_on_two_hosts_is_none() {
        let zone = |zone: usize| {
            let backend = |at: usize| {
                format!("{{ address = \"10.0.{zone}.{at}:80\", pool = \"pool-{at}\" }}")
            };
            let backends = [1, 2, 3].map(backend).join(", ");
            format!("[[zone]]\nname = \"fz-{zone}\"\nbackend = [{backends}]\n")
        };
        let pool = |at: usize| {
            format!("[[pool]]\nname = \"pool-{at}\"\nsticky = {{ cookie = \"FIREDOOR\" }}\n")
        };
        let warnings = |hosts: [&str; 3]| -> Vec<String> {
            let route = |at: usize| {
                let host = hosts[at - 1];
                format!("[[route]]\n{host}\npath = \"/{at}\"\npool = \"pool-{at}\"\n")
            };
            let text = [
                "listener = [{ bind = \"127.0.0.1:8080\" }]\n".to_owned(),
                [1, 2, 3].map(pool).concat(),
                [1, 2, 3].map(route).concat(),
                [1, 2].map(zone).concat(),
            ];
            let config = Config::parse(&text.concat(), Path::new("firedoor.toml"), &Nothing);
            let warnings = config.unwrap().warnings();
            warnings.into_iter().map(|problem| problem.key).collect()
        };
        let (a, b, c) = (
            "host = \"a.example\"",
            "host = \"b.example\"",
            "host = \"c.example\"",
        );
        assert_eq!(warnings([a, b, c]), [""; 0]);
        assert_eq!(warnings([a, b, a]), ["pool[2].sticky.cookie"]);
        assert_eq!(
            warnings([a, "", "host = \"*.example\""]),
            ["pool[1].sticky.cookie", "pool[2].sticky.cookie"]
        );
    }

    #[test]
    fn a_single_zone_is_a_trap() {
        let text = r#"
            listener = [{ bind = "127.0.0.1:8080" }]
            zone = [{ name = "fz-1", backend = [{ address = "10.0.0.1:80" }] }]
        "#;
        let config = Config::parse(text, Path::new("firedoor.toml"), &Nothing).unwrap();
        let keys: Vec<String> = config
            .warnings()
            .into_iter()
            .map(|problem| problem.key)
            .collect();
        assert_eq!(keys, ["zone"]);
    }
}
