//! Configurations and outcomes for tests of the decision.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use firedoor::config::{
    AccessLog, Address, Admin, AdminBind, Backend, Balance, Check, CheckKind, ClientIp, Config,
    Dependency, Failback, Failover, Forwarding, Gray, Journal, Limits, Listener, LogFormat,
    LogTarget, MinHealthy, PerClient, Pool, Protocol, Route, Server, Tracing, Upstream, Zone,
};
use firedoor::health::checker::Promoted;
use firedoor::outcome::{CheckCode, Outcome};
use firedoor::zone::ComponentKey;

/// One zone of an example: its name, its backends as (pool, name, port), its dependencies as (name, port, required).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExampleZone {
    pub(crate) name: String,
    pub(crate) backends: Vec<(usize, String, u16)>,
    pub(crate) dependencies: Vec<(String, u16, bool)>,
}

pub(crate) fn zone(name: &str, backends: &[&str], dependencies: &[&str]) -> ExampleZone {
    ExampleZone {
        name: name.to_owned(),
        backends: backends
            .iter()
            .map(|name| (0, (*name).to_owned(), 1))
            .collect(),
        dependencies: dependencies
            .iter()
            .map(|name| ((*name).to_owned(), 1, true))
            .collect(),
    }
}

pub(crate) fn check(fall: u32, rise: u32) -> Check {
    Check {
        kind: CheckKind::Tcp,
        interval: Duration::from_secs(1),
        timeout: Duration::from_millis(500),
        confirm_interval: Duration::from_millis(50),
        fall: NonZeroU32::new(fall).unwrap(),
        rise: NonZeroU32::new(rise).unwrap(),
        send_proxy: None,
    }
}

/// The contract's defaults.
pub(crate) fn failover() -> Failover {
    Failover {
        failback: Failback::Manual,
        failback_after: Duration::from_secs(300),
        min_stay: Duration::from_secs(10),
        max_flips_per_hour: 12,
        hold_time: Duration::from_secs(5),
        hold_requests: 10_000,
        gray: Gray::Eject,
        promote_command: Vec::new(),
        promote_timeout: Duration::from_secs(10),
    }
}

/// A configuration of these zones; `pools` are the `min_healthy` of the pools, the first of which is `default`. Every pool is
/// routed to.
pub(crate) fn config(
    zones: &[ExampleZone],
    pools: &[MinHealthy],
    check: &Check,
    failover: Failover,
) -> Config {
    let check = Arc::new(check.clone());
    let pool_name = |index: usize| match index {
        0 => Arc::from("default"),
        n => Arc::from(format!("pool-{n}")),
    };
    Config {
        server: Server {
            workers: None,
            state_dir: PathBuf::from("state"),
            drain_timeout: Duration::from_secs(30),
        },
        listeners: vec![Listener {
            tls: None,
            hsts: None,
            redirect: None,
            proxy_protocol: false,
            h2c: false,
            bind: ([127, 0, 0, 1], 0).into(),
            trusted_proxies: Vec::new(),
            max_connections: 100,
        }],
        admin: Admin {
            bind: AdminBind::Tcp(([127, 0, 0, 1], 0).into()),
            token: None,
        },
        limits: Limits {
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            max_header_size: 32768,
            max_headers: 100,
            max_body_size: None,
            per_client: PerClient::default(),
        },
        upstream: upstream(),
        failover,
        pools: pools
            .iter()
            .enumerate()
            .map(|(index, min_healthy)| Pool {
                send_proxy: None,
                name: pool_name(index),
                min_healthy: *min_healthy,
                check: Arc::clone(&check),
                sticky: None,
                slow_start: Duration::ZERO,
                error_pages: Vec::new(),
            })
            .collect(),
        routes: (0..pools.len())
            .map(|pool| Route {
                path: format!("/{pool}"),
                ..Route::to(pool)
            })
            .collect(),
        zones: zones.iter().map(|zone| config_zone(zone, &check)).collect(),
        notify: Vec::new(),
        traces: Tracing {
            collector: None,
            sample: 0.01,
        },
        access_log: AccessLog {
            query: false,
            headers: Vec::new(),
            target: LogTarget::Off,
            format: LogFormat::Json,
            client_ip: ClientIp::Masked,
        },
        journal: Journal::default(),
    }
}

fn upstream() -> Upstream {
    Upstream {
        connect_timeout: Duration::from_secs(1),
        response_timeout: Duration::from_secs(60),
        idle_timeout: Duration::from_secs(4),
        ping_interval: Duration::from_secs(10),
        max_idle_per_worker: 256,
        prewarm: 2,
        retries: 2,
        retry_budget: 0.2,
        retry_on_status: Vec::new(),
        replay_buffer: 65536,
        balance: Balance::LeastLoaded,
        client_ip: ClientIp::Full,
        forwarded: Forwarding::XForwarded,
    }
}

fn config_zone(zone: &ExampleZone, check: &Arc<Check>) -> Zone {
    let name: Arc<str> = Arc::from(zone.name.as_str());
    let key = |component: &str| ComponentKey {
        zone: Arc::clone(&name),
        name: Arc::from(component),
    };
    // By the name, so that a zone that only changes its place stays the same.
    let third = name.bytes().next_back().unwrap();
    let address = |port: u16| Address::Ip(([10, 0, third, 1], port).into());
    Zone {
        backends: zone
            .backends
            .iter()
            .map(|(pool, component, port)| Backend {
                key: key(component),
                pool: *pool,
                address: address(*port),
                protocol: Protocol::Http,
                check: None,
                weight: 1,
                max_in_flight: None,
            })
            .collect(),
        dependencies: zone
            .dependencies
            .iter()
            .map(|(component, port, required)| Dependency {
                key: key(component),
                address: address(*port),
                required: *required,
                check: Arc::clone(check),
            })
            .collect(),
        name: Arc::clone(&name),
    }
}

pub(crate) fn pass() -> Outcome {
    Outcome {
        code: CheckCode::L4Ok,
        detail: String::new(),
        took: Duration::ZERO,
        status: None,
    }
}

pub(crate) fn promoted(succeeded: bool) -> Promoted {
    Promoted {
        succeeded,
        how: String::new(),
        output: String::new(),
        took: Duration::ZERO,
    }
}

pub(crate) fn refused() -> Outcome {
    Outcome {
        code: CheckCode::L4Con,
        detail: "connection refused".to_owned(),
        took: Duration::ZERO,
        status: None,
    }
}
