"""An app server and a database stand-in that misbehave on command. Each is a process of its own, so that it can be killed and stopped.

    origin.py app ZONE NAME PORT LOG [--database PORT] [--work SECONDS]
    origin.py database PORT

An app server answers GET and POST of /r/ID after --work seconds, having asked its database, and GET /health, which asks the
database too. Every request that has arrived as a whole is one line in LOG at once, so that kill -9 loses none: `ID METHOD TIME FATE`.
Orders come as JSON lines on standard input, each answered with "done"; its end ends the process, so that nothing outlives the bench:

    {"requests": FAULT, "health": FAULT}    FAULT: "" 500 503 "stall" "cut" "garbage"; a missing key stays as it is
    {"requests_post": FAULT}                for POSTs only
    {"listen": false}                       closes the port and aborts all connections; true: opens it again
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time

import httptools
import uvloop

STALL = 3.0


class App:
    """One app server: its faults, its connections, its record of requests."""

    def __init__(self, options):
        self.options = options
        self.faults = {"requests": "", "requests_post": "", "health": ""}
        self.log = os.open(options.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self.database = Database(options.database) if options.database else None
        self.connections = set()
        self.server = None
        self.leaving = False

    async def run(self):
        await self.listen(True)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.leave)
        await obey(self.order)

    async def order(self, order):
        if "listen" in order:
            await self.listen(order.pop("listen"))
        self.faults.update({key: str(fault) for key, fault in order.items()})

    async def listen(self, wanted):
        if wanted and not self.server:
            loop = asyncio.get_running_loop()
            self.server = await loop.create_server(lambda: Exchange(self), "127.0.0.1", self.options.port, backlog=4096)
        elif not wanted and self.server:
            self.server.close()
            self.server = None
            for each in list(self.connections):
                each.transport.abort()

    def leave(self):
        """A graceful stop: idle connections close, running requests are finished."""
        self.leaving = True
        if self.server:
            self.server.close()
        for each in list(self.connections):
            if not each.busy:
                each.transport.close()
        self.end_when_done()
        asyncio.get_running_loop().call_later(5, os._exit, 0)

    def end_when_done(self):
        if self.leaving and not self.connections:
            os._exit(0)

    def record(self, request, method, fate):
        os.write(self.log, f"{request} {method} {time.monotonic():.6f} {fate or 'executed'}\n".encode())


class Exchange(asyncio.Protocol):
    """A proxy's connection, one request after the other."""

    def __init__(self, app):
        self.app, self.busy = app, False

    def connection_made(self, transport):
        self.transport, self.parser = transport, httptools.HttpRequestParser(self)
        self.app.connections.add(self)

    def connection_lost(self, _error):
        self.app.connections.discard(self)
        self.app.end_when_done()

    def data_received(self, data):
        self.parser.feed_data(data)

    def on_message_begin(self):
        self.busy, self.path = True, b""

    def on_url(self, url):
        self.path += url

    def on_message_complete(self):
        path, method = self.path.decode(), self.parser.get_method().decode()
        if path.startswith("/r/"):
            fault = self.app.faults["requests"] or (self.app.faults["requests_post"] if method == "POST" else "")
            self.app.record(path[3:], method, fault)
        else:
            fault = self.app.faults["health"]
        wait = STALL if fault == "stall" else 0 if fault or path == "/health" else self.app.options.work
        if self.app.database:
            asked = self.app.database.ask()
            asked.add_done_callback(lambda answer: self.answer_later(wait, path, method, fault or ("" if answer.result() else "500")))
        else:
            self.answer_later(wait, path, method, fault)

    def answer_later(self, wait, path, method, fault):
        if wait:
            asyncio.get_running_loop().call_later(wait, self.answer, path, method, fault)
        else:
            self.answer(path, method, fault)

    def answer(self, path, method, fault):
        if self.transport.is_closing():
            return
        if fault == "garbage":
            self.transport.write(b"\x16\x03lorem ipsum\r\n\r\n\0\0")
            return self.transport.close()
        status = b"200 OK" if fault in ("", "stall", "cut") else fault.encode() + b" Broken"
        body = f"{self.app.options.zone} {self.app.options.name} {method} {path}\n".encode().ljust(256, b".")
        last = b"Connection: close\r\n" if self.app.leaving else b""
        head = b"HTTP/1.1 " + status + b"\r\nContent-Type: text/plain\r\n" + last + b"Content-Length: %d\r\n\r\n" % len(body)
        if fault == "cut":
            self.transport.write(head + body[:100])
            return self.transport.close()
        self.transport.write(head + body)
        self.busy = False
        if last:
            self.transport.close()


class Database(asyncio.Protocol):
    """The app's one connection to its database, opened again when it has been lost."""

    def __init__(self, port):
        self.port, self.transport, self.opening, self.waiting = port, None, None, []

    def ask(self):
        """A future: True for an answer, False for a lost connection; pending as long as the database hangs."""
        future = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        if self.transport:
            self.transport.write(b"?")
        elif not self.opening:
            self.opening = asyncio.ensure_future(self.open())
        return future

    async def open(self):
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self.port)
        except OSError:
            self.give_up()
        self.opening = None

    def connection_made(self, transport):
        self.transport = transport
        transport.write(b"?" * len(self.waiting))

    def data_received(self, data):
        answered, self.waiting = self.waiting[:len(data)], self.waiting[len(data):]
        for future in answered:
            future.set_result(True)

    def connection_lost(self, _error):
        self.transport = None
        self.give_up()

    def give_up(self):
        lost, self.waiting = self.waiting, []
        for future in lost:
            future.set_result(False)


class Echo(asyncio.Protocol):
    """The database's side of a connection."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(b"!" * len(data))


async def database(port):
    await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", port)
    await obey(None)


async def obey(carry_out):
    """Carries out orders from standard input until its end."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print("ready", flush=True)
    while line := await reader.readline():
        await carry_out(json.loads(line))
        print("done", flush=True)
    os._exit(0)


def main():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the bench's business
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    roles = parser.add_subparsers(dest="role", required=True)
    app = roles.add_parser("app")
    for name, kind in [("zone", str), ("name", str), ("port", int), ("log", str)]:
        app.add_argument(name, type=kind)
    app.add_argument("--database", type=int)
    app.add_argument("--work", type=float, default=0.01)
    roles.add_parser("database").add_argument("port", type=int)
    options = parser.parse_args()
    uvloop.run(App(options).run() if options.role == "app" else database(options.port))


if __name__ == "__main__":
    main()
