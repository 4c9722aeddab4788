"""The real binary, as a demo or with a configuration of its own, and what it is asked from outside the browser."""

import http.client
import http.server
import itertools
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import threading
import time

# For one step, in seconds.
PATIENCE = 60

# Below the kernel's ephemeral ports, so that a process that comes back finds its port; a start of its own for each of us.
_ports = itertools.count(10_000 + os.getpid() * 7919 % 22_000)


def free_port():
    for port in _ports:
        port = 10_000 + port % 22_000
        with socket.socket() as taken:
            if taken.connect_ex(("127.0.0.1", port)) != 0:
                return port


def eventually(what, condition):
    """Waits for a condition, never for a time."""
    end = time.monotonic() + PATIENCE
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, f"not within {PATIENCE} s: {what}"
        time.sleep(0.003)


class Firedoor:
    """A running process; `arguments` bring it to `admin`."""

    def __init__(self, binary, arguments, admin, directory, token=None):
        self.command = [binary, *arguments]
        self.admin = admin
        self.address = f"http://127.0.0.1:{admin}/"
        self.directory = directory
        self.token = token
        self.process = None
        self.start()

    def start(self):
        log = open(pathlib.Path(self.directory.name) / "log", "a")
        environment = {**os.environ, "TMPDIR": self.directory.name}
        environment.pop("RUST_LOG", None)
        self.process = subprocess.Popen(self.command, stdout=log, stderr=log, env=environment)
        eventually("it is ready, and every component has been checked", self._settled)

    def _settled(self):
        assert self.process.poll() is None, self.log()
        try:
            return all(zone["verdict"] != "unknown" for zone in self.status()["zones"])
        except (OSError, http.client.HTTPException):
            return False

    def log(self):
        return (pathlib.Path(self.directory.name) / "log").read_text()

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def ask(self, method, path, body=None, headers=None):
        return exchange(self.admin, method, path, body, {**(headers or {}), **({"Authorization": f"Bearer {self.token}"} if self.token else {})})

    def json(self, method, path, body=None):
        status, _, text = self.ask(method, path, body)
        assert status == 200, f"{method} {path}: {status} {text}"
        return json.loads(text)

    def status(self):
        return self.json("GET", "/v1/status")

    def flips(self):
        return self.json("GET", "/v1/journal?kind=flip")["entries"]

    def component(self, key):
        zone, name = key.split(":")
        return next(c for z in self.status()["zones"] if z["name"] == zone for c in z["components"] if c["name"] == name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(PATIENCE)
        self.directory.cleanup()


def exchange(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers or {})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read().decode()
    finally:
        connection.close()


class Demo(Firedoor):
    """`firedoor demo`: components that are broken for real."""

    def __init__(self, binary):
        proxy, admin, self.control = free_port(), free_port(), free_port()
        self.proxy = proxy
        addresses = [f"127.0.0.1:{port}" for port in (proxy, admin, self.control)]
        arguments = ["demo", "--bind", addresses[0], "--admin", addresses[1], "--control", addresses[2]]
        super().__init__(binary, arguments, admin, tempfile.TemporaryDirectory())
        eventually("all is well", lambda: self.status()["status"] == "pass")

    def put(self, verb, component):
        status, _, text = exchange(self.control, "POST", f"/{verb}/{component}")
        assert status == 200, text


class Origin:
    """An app server whose port can be closed and opened."""

    def __init__(self):
        self.port = free_port()
        self.server = None
        # Requests for /slow wait for this.
        self.released = threading.Event()
        self.open()

    def open(self):
        released = self.released

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path == "/slow":
                    released.wait(PATIENCE)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Answer)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Serve(Firedoor):
    """`firedoor serve` with two or more zones of one app server each; its state survives a restart."""

    def __init__(self, binary, zones=2, token=None, more="", interval="200ms"):
        directory = tempfile.TemporaryDirectory()
        home = pathlib.Path(directory.name)
        self.origins = [Origin() for _ in range(zones)]
        self.proxy, admin = free_port(), free_port()
        self.file = home / "firedoor.toml"
        if token:
            (home / "token").write_text(f"{token}\n")
        tables = "".join(
            f'[[zone]]\nname = "fz-{number}"\nbackend = [{{ name = "app", address = "127.0.0.1:{origin.port}" }}]\n'
            for number, origin in enumerate(self.origins, 1)
        )
        self.text = f"""
            [server]
            state_dir = "{home}/state"
            drain_timeout = "2s"
            [[listener]]
            bind = "127.0.0.1:{self.proxy}"
            [admin]
            bind = "127.0.0.1:{admin}"
            {'token_file = "token"' if token else ""}
            [check]
            interval = "{interval}"
            # Nothing hangs here that it would have to find, and on a busy machine all of this is slow.
            timeout = "20s"
            [failover]
            min_stay = "0s"
            [access_log]
            path = "off"
            {more}
            {tables}"""
        self.file.write_text(self.text)
        super().__init__(binary, ["serve", "--config", str(self.file)], admin, directory, token)
