"""The proxies: how each is configured, started and told to reload."""

import asyncio
import os
import re
import signal
import subprocess

from install import HERE, ROOT, program

NAMES = ["firedoor", "haproxy", "nginx", "envoy", "caddy", "traefik"]
FAST = ["firedoor", "haproxy", "envoy"]
FILES = {
    "firedoor": ["firedoor.toml"], "haproxy": ["haproxy.cfg"], "nginx": ["nginx.conf"], "envoy": ["envoy.yaml"],
    "caddy": ["Caddyfile"], "traefik": ["traefik.yml", "traefik-zones.yml"],
}


def binary(options):
    return options.binary or str(ROOT / "target/release/firedoor")


class Proxy:
    """One proxy. `settings`: "fast" or "ordinary", the folder of its configuration under benches/peers."""

    def __init__(self, name, settings, folder, values, options):
        self.name, self.settings, self.folder, self.options = name, settings, folder, options
        self.values = {**values, "interval": "1000"}
        self.processes, self.epoch = [], 0

    def configure(self):
        for file in FILES[self.name]:
            text = (HERE.parent / "peers" / self.settings / file).read_text()
            text = re.sub(r"@([\w:-]+)@", lambda found: self.values[found[1]], text)
            fresh = self.folder / (file + ".new")
            fresh.write_text(text)
            fresh.rename(self.folder / file)

    def command(self):
        file = str(self.folder / FILES[self.name][0])
        match self.name:
            case "firedoor":
                return [binary(self.options), "serve", "--config", file]
            case "haproxy":
                return [program("haproxy"), "-W", "-db", "-f", file]
            case "nginx":
                return [program("nginx"), "-e", str(self.folder / "nginx.log"), "-p", str(self.folder), "-c", file]
            case "envoy":
                hot = ["--base-id", self.values["port"], "--restart-epoch", str(self.epoch)]
                return [program("envoy"), "-c", file, "--concurrency", "1", "-l", "error", *hot, "--drain-time-s", "1", "--parent-shutdown-time-s", "2"]
            case "caddy":
                return [program("caddy"), "run", "--config", file, "--adapter", "caddyfile"]
            case "traefik":
                return [program("traefik"), f"--configFile={file}"]

    async def start(self):
        self.configure()
        await self.spawn()

    async def spawn(self):
        with open(self.folder / f"{self.name}.out", "ab") as output:
            environment = {**os.environ, "GOMAXPROCS": "1", "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)}
            process = await asyncio.create_subprocess_exec(
                *self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.folder, env=environment, start_new_session=True)
        self.processes.append(process)

    async def reload(self):
        """Takes over a configuration in which the interval between probes differs by a millisecond."""
        self.values["interval"] = str(1000 + (int(self.values["interval"]) + 1) % 2)
        self.configure()
        match self.name:
            case "firedoor" | "nginx":
                self.processes[0].send_signal(signal.SIGHUP)
            case "haproxy":
                self.processes[0].send_signal(signal.SIGUSR2)
            case "envoy":  # its static configuration is only read by a new process, which takes over from the old
                self.epoch += 1
                await self.spawn()
            case "caddy":
                config = str(self.folder / "Caddyfile")
                reload = await asyncio.create_subprocess_exec(
                    program("caddy"), "reload", "--config", config, "--adapter", "caddyfile", "--address", f"127.0.0.1:{self.values['admin']}",
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "HOME": str(self.folder)})
                await reload.wait()
            case "traefik":
                pass  # it watches the file

    async def stop(self):
        for process in self.processes:
            await end(process)

    def trouble(self):
        """What it said last, for the message that it doesn't serve."""
        return (self.folder / f"{self.name}.out").read_text(errors="replace")[-2000:]


async def end(process, patience=3):
    """Asks a process to end, and ends it if it doesn't. Children that it leaves behind are in its session."""
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), patience)
        except asyncio.TimeoutError:
            process.kill()
            await process.wait()


def version(name, options):
    """`HAProxy 2.6.12`, as the table's head has it."""
    path = binary(options) if name == "firedoor" else program(name)
    flag = {"nginx": "-v", "haproxy": "-v", "caddy": "version", "traefik": "version"}.get(name, "--version")
    done = subprocess.run([path, flag], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = re.search(r"(?<![\w.])v?(\d+\.\d+\.\d+)", done.stdout)
    proper = {"haproxy": "HAProxy", "envoy": "Envoy", "caddy": "Caddy", "traefik": "Traefik"}.get(name, name)
    return f"{proper} {found[1] if found else ''}".strip()


def takes_postgres_checks(options, folder):
    """Whether this firedoor knows `kind = "postgres"`."""
    config = folder / "postgres.toml"
    config.write_text("""
[[listener]]
bind = "127.0.0.1:1"
[[zone]]
name = "fz-1"
backend = [{ address = "127.0.0.1:1" }]
dependency = [{ name = "d", check = { kind = "postgres", address = "127.0.0.1:2", user = "app", database = "postgres", expect = "writable" } }]
""")
    return subprocess.run([binary(options), "check", str(config)], capture_output=True).returncode == 0


