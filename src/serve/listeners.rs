//! The listening sockets: one per worker and `[[listener]]`, bound once.
//!
//! Each worker has a socket of its own (`SO_REUSEPORT`), so that the kernel spreads connections and no two workers wake up for
//! the same one. A reload binds what is new and closes what is gone; what stays is never touched, since closing such a
//! socket resets the connections that the kernel has queued for it.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use crate::config::Config;
use crate::config::error::Problem;
use crate::proxy::client::accept::Door;
use crate::worker::crew::{Foreman, Order};

/// Connections that the kernel completes before we accept them (bounded by `net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// Which listeners there are.
pub(super) struct Listeners {
    workers: usize,
    open: BTreeMap<SocketAddr, Door>,
}

/// Sockets that are bound, but not handed to a worker yet.
pub(super) struct Bound(Vec<(Door, Vec<TcpListener>)>);

impl Listeners {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            workers,
            open: BTreeMap::new(),
        }
    }

    /// Binds the listeners of `config` that aren't open yet: all of them, or none and the problem of each that can't be.
    pub(super) fn bind_new(&self, config: &Config) -> Result<Bound, Vec<Problem>> {
        let mut bound = Vec::new();
        let mut problems = Vec::new();
        for (index, listener) in config.listeners.iter().enumerate() {
            if self.open.contains_key(&listener.bind) {
                continue;
            }
            match sockets(listener.bind, self.workers) {
                Ok(sockets) => bound.push((Door::new(listener.bind), sockets)),
                Err(error) => problems.push(unbound(index, listener.bind, &error)),
            }
        }
        if problems.is_empty() {
            Ok(Bound(bound))
        } else {
            Err(problems)
        }
    }

    /// Hands bound sockets to the workers. Returns the addresses.
    pub(super) fn open(&mut self, bound: Bound, foremen: &[Foreman]) -> Vec<SocketAddr> {
        let mut opened = Vec::new();
        for (door, sockets) in bound.0 {
            for (foreman, socket) in foremen.iter().zip(sockets) {
                foreman
                    .orders
                    .send(Order::Listen(socket, door.clone()))
                    .ok();
            }
            opened.push(door.bind);
            self.open.insert(door.bind, door);
        }
        opened
    }

    /// Closes the listeners that `config` no longer has. Returns the addresses.
    pub(super) fn close_gone(&mut self, config: &Config, foremen: &[Foreman]) -> Vec<SocketAddr> {
        let gone: Vec<SocketAddr> = self
            .open
            .keys()
            .copied()
            .filter(|bind| !config.listeners.iter().any(|l| l.bind == *bind))
            .collect();
        for bind in &gone {
            self.open.remove(bind);
            for foreman in foremen {
                foreman.orders.send(Order::Unlisten(*bind)).ok();
            }
        }
        gone
    }
}

fn unbound(index: usize, bind: SocketAddr, error: &io::Error) -> Problem {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => Some("end what listens there, or change the address"),
        io::ErrorKind::AddrNotAvailable => Some("it must be an address of this machine"),
        _ => None,
    };
    Problem {
        key: format!("listener[{index}].bind"),
        message: format!("listener {bind}: {error}"),
        hint: hint.map(str::to_owned),
        span: None,
    }
}

fn sockets(bind: SocketAddr, workers: usize) -> io::Result<Vec<TcpListener>> {
    // Without this, a second firedoor on the same address would silently get half of the connections.
    let probe = socket(bind)?;
    probe.bind(&bind.into())?;
    drop(probe);
    (0..workers)
        .map(|_| {
            let socket = socket(bind)?;
            socket.set_reuse_port(true)?;
            socket.bind(&bind.into())?;
            socket.listen(BACKLOG)?;
            Ok(socket.into())
        })
        .collect()
}

fn socket(bind: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(bind), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    // Inherited by what is accepted: finds clients that vanished without a word, under tunnels and quiet streams too.
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15));
    socket.set_tcp_keepalive(&keepalive)?;
    if bind.is_ipv6() {
        // "[::]" means IPv6 only here, as "0.0.0.0" means IPv4 only; whatever the system's default is.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}
