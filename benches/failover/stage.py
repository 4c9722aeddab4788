"""A stage: two zones, each of two app servers and a database, one proxy in front, and what can be done to them."""

import asyncio
import contextlib
import http.client
import json
import random
import signal
import socket
import subprocess
import time

from install import HERE, python
from proxies import Proxy, end

ZONES, SLOTS = ["fz-1", "fz-2"], ["a", "b"]
_taken = set()


class Child:
    """An app server or a database: a process that takes orders (origin.py)."""

    def __init__(self, *arguments, output):
        self.arguments, self.output, self.process = arguments, output, None

    async def start(self):
        with open(self.output, "ab") as errors:
            self.process = await asyncio.create_subprocess_exec(
                python(), *map(str, self.arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True)
        await self.process.stdout.readline()

    async def tell(self, **order):
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        await self.process.stdout.readline()

    def signal(self, number):
        if self.process.returncode is None:
            self.process.send_signal(number)

    async def kill(self):
        self.signal(signal.SIGKILL)
        await self.process.wait()

    async def stop(self):
        self.signal(signal.SIGCONT)
        await end(self.process)


class Stage:
    """Everything of one run. Use as an asynchronous context manager; leaving it ends every process it has started."""

    def __init__(self, proxy, settings, folder, options, work=0.01, gray="eject", workers=1, databases=None):
        self.folder = folder
        folder.mkdir(parents=True)
        keys = [f"{zone}:{slot}" for zone in ZONES for slot in SLOTS]
        stands = [f"{zone}:database" for zone in ZONES]
        self.ports = dict(zip([*keys, *stands, "port", "admin"], free_ports(8)))
        self.apps, self.databases = {}, {}
        for key in keys:
            zone, slot = key.split(":")
            self.apps[key] = Child(
                HERE / "origin.py", "app", zone, slot, self.ports[key], folder / f"{zone}-{slot}.requests",
                "--database", self.ports[f"{zone}:database"], "--work", work, output=folder / "origins.out")
        for zone in ZONES:
            self.databases[zone] = Child(HERE / "origin.py", "database", self.ports[f"{zone}:database"], output=folder / "origins.out")
        values = {key: str(port) for key, port in self.ports.items()} | {"dir": str(folder), "gray": gray, "workers": str(workers)}
        for zone in ZONES:
            address = f"127.0.0.1:{self.ports[f'{zone}:database']}"
            values[f"{zone}:check"] = databases[zone] if databases else f'{{ kind = "tcp", address = "{address}" }}'
        self.proxy = Proxy(proxy, settings, folder, values, options)
        self.dropped = []

    async def __aenter__(self):
        try:
            await asyncio.gather(*(child.start() for child in self.children()))
            await self.proxy.start()
            await self.until_serving()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_error):
        self.undrop()
        await asyncio.gather(self.proxy.stop(), *(child.stop() for child in self.children() if child.process))

    def children(self):
        return [*self.databases.values(), *self.apps.values()]

    async def until_serving(self):
        """Every request of a second has been answered by the preferred zone."""
        deadline, since = time.monotonic() + 20, None
        while time.monotonic() < deadline:
            served = await asyncio.to_thread(zone_of_an_answer, self.ports["port"])
            since = (since or time.monotonic()) if served == "fz-1" else None
            if since and time.monotonic() > since + 1:
                return
            await asyncio.sleep(0.05)
        raise RuntimeError(f"{self.proxy.name} does not serve:\n{self.proxy.trouble()}")

    # What can be done to app servers; keys are "fz-1:a", or "fz-1" for both of a zone.

    def each(self, *keys):
        return [app for key, app in self.apps.items() if key in keys or key.split(":")[0] in keys]

    async def tell(self, *keys, **order):
        await asyncio.gather(*(app.tell(**order) for app in self.each(*keys)))

    async def kill(self, *keys):
        await asyncio.gather(*(app.kill() for app in self.each(*keys)))

    async def revive(self, *keys):
        await asyncio.gather(*(app.start() for app in self.each(*keys)))

    async def restart(self, key, pause=1):
        """As an orderly roll-out does it: finishes its requests, is away for a while, comes back."""
        (app,) = self.each(key)
        await end(app.process, patience=6)
        await asyncio.sleep(pause)
        await app.start()

    def signal(self, number, *keys):
        for app in self.each(*keys):
            app.signal(number)

    def drop(self, *keys):
        """Silence on the network, both ways."""
        for key in [key for key in self.apps if key in keys or key.split(":")[0] in keys]:
            for side in ["--dport", "--sport"]:
                rule = ["INPUT", "-p", "tcp", side, str(self.ports[key]), "-j", "DROP"]
                subprocess.run(["iptables", "-w", "-A", *rule], check=True)
                self.dropped.append(rule)

    def undrop(self):
        while self.dropped:
            subprocess.run(["iptables", "-w", "-D", *self.dropped.pop()], check=True)

    # What they have recorded.

    def executions(self):
        """How often each request was executed, and by which zone last. A 503 is a refusal: nothing has been executed."""
        counts = {}
        for log in self.folder.glob("fz-*.requests"):
            for line in log.read_text().splitlines():
                request, _method, _time, fate = line.split()
                counts[request] = counts.get(request, 0) + (fate != "503")
        return counts

    def sent(self, wire):
        """(request, backend's key, time) of every request head that was sent to a backend, by the record of wire.py."""
        names = {str(self.ports[key]): key for key in self.apps}
        lines = (line.split() for line in wire.read_text().splitlines())
        return [(request, names[port], float(when)) for request, port, when in lines if port in names]


def free_ports(count):
    """Below the ephemeral ones, which a connection could take while an app server is down."""
    found = []
    while len(found) < count:
        port = random.randrange(10_000, 30_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                if port not in _taken:
                    _taken.add(port)
                    found.append(port)
    return found


def zone_of_an_answer(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/r/0")
        response = connection.getresponse()
        if response.status == 200:
            return response.read().decode().split()[0]
    return None


def order(port, path, body="{}"):
    """An operator's order to firedoor's admin listener; blocks until it is carried out."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read().decode(errors="replace")
        if response.status >= 300:
            raise RuntimeError(f"{path}: {response.status} {answer}")

