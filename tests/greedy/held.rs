//! Which connections a listener still holds, by the kernel's own table: an attacker that doesn't read can't tell.

use std::collections::HashSet;
use std::net::SocketAddr;

/// The remote ports of the connections that some process still holds at `listener` (IPv4).
pub fn by(listener: SocketAddr) -> HashSet<u16> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux");
    let mut lines = table.lines();
    let header = lines.next().expect("a header");
    assert!(
        header.contains("local_address rem_address") && header.contains("inode"),
        "{header}"
    );
    lines
        .filter_map(|line| held(line, listener.port()))
        .collect()
}

/// Columns: number, local address, remote address, state, …, inode. Inode 0: closed by its process, the kernel finishes it.
fn held(line: &str, listener: u16) -> Option<u16> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let port = |field: &str| u16::from_str_radix(field.rsplit_once(':')?.1, 16).ok();
    let listening = fields[3] == "0A";
    (port(fields[1]) == Some(listener) && !listening && fields[9] != "0")
        .then(|| port(fields[2]))?
}
