//! Checks that know the component, against real servers in the states that matter, and against peers that lie.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by panicking; its rooms are read like any other"
)]

#[path = "net_checks/asking.rs"]
mod asking;
#[path = "net_checks/authority.rs"]
mod authority;
#[path = "net_checks/command.rs"]
mod command;
#[path = "net_checks/grpc.rs"]
mod grpc;
#[path = "net_checks/liar.rs"]
mod liar;
#[path = "net_checks/mariadb.rs"]
mod mariadb;
#[path = "net_checks/mysql.rs"]
mod mysql;
#[path = "net_checks/nginx.rs"]
mod nginx;
#[path = "net_checks/postgres.rs"]
mod postgres;
#[path = "net_checks/redis.rs"]
mod redis;
#[path = "net_checks/self_signed.rs"]
mod self_signed;
mod support;
#[path = "net_checks/tls.rs"]
mod tls;
