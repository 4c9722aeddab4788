//! A network namespace behind a veth pair: the one place where packets can be lost for real, without a refusal.

use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};

/// A namespace with one address of its own. Needs root.
pub struct Namespace {
    name: String,
    outer_link: String,
    address: Ipv4Addr,
}

impl Namespace {
    /// Whether this process may make one.
    pub fn allowed() -> bool {
        rustix::process::geteuid().is_root()
    }

    /// Makes a namespace that this machine reaches at [`Self::address`].
    pub fn create() -> Self {
        // From the range for benchmarks of RFC 2544, so that no real network is hidden; by pid, so that two runs don't meet.
        let [.., high, low] = std::process::id().to_be_bytes();
        let network = |host: u8| {
            Ipv4Addr::new(
                198,
                18 + (high >> 6 & 1),
                high << 2 | low >> 6,
                (low & 63) << 2 | host,
            )
        };
        let name = format!("firedoor-{}", std::process::id());
        let namespace = Self {
            outer_link: format!("fd{}a", std::process::id()),
            address: network(2),
            name,
        };
        let inner_link = format!("fd{}b", std::process::id());
        let Self {
            name,
            outer_link,
            address,
        } = &namespace;
        ip(&format!("netns add {name}"));
        ip(&format!(
            "link add {outer_link} type veth peer name {inner_link} netns {name}"
        ));
        ip(&format!("addr add {}/30 dev {outer_link}", network(1)));
        ip(&format!("link set {outer_link} up"));
        ip(&format!("-n {name} addr add {address}/30 dev {inner_link}"));
        ip(&format!("-n {name} link set {inner_link} up"));
        ip(&format!("-n {name} link set lo up"));
        namespace
    }

    /// Where processes inside are reached.
    pub fn address(&self) -> IpAddr {
        self.address.into()
    }

    /// `program`, to be run inside. It keeps the process id that `spawn` returns.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// From now on every packet to and from the namespace vanishes.
    pub fn swallow_packets(&self) {
        self.policy("DROP");
    }

    /// Packets pass again.
    pub fn pass_packets(&self) {
        self.policy("ACCEPT");
    }

    fn policy(&self, policy: &str) {
        // What comes in first: an answer to what has just come in would already be too much.
        for chain in ["INPUT", "OUTPUT"] {
            let status = self
                .command("iptables")
                .args(["-P", chain, policy])
                .status()
                .expect("iptables runs");
            assert!(status.success(), "iptables -P {chain} {policy}");
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The namespace lives on until its last process and socket are gone; the link would outlive this test with it.
        for arguments in [
            ["link", "del", &self.outer_link],
            ["netns", "del", &self.name],
        ] {
            Command::new("ip")
                .args(arguments)
                .stderr(Stdio::null())
                .status()
                .ok();
        }
    }
}

fn ip(arguments: &str) {
    let status = Command::new("ip")
        .args(arguments.split(' '))
        .status()
        .expect("ip (iproute2) runs");
    assert!(status.success(), "ip {arguments}");
}
