"""The generator: open-loop load over keep-alive connections, one record per request."""

import asyncio
import dataclasses
import itertools
import random
import time

import httptools

PATIENCE = 10.0
_runs = itertools.count(1)


@dataclasses.dataclass(slots=True)
class Sent:
    """A request and what became of it. Times are seconds of the monotonic clock."""

    id: str
    method: str
    due: float
    done: float = 0.0
    status: int = 0
    zone: str = ""
    trouble: str = "unanswered"

    @property
    def ok(self):
        return not self.trouble

    @property
    def latency(self):
        """From when it was due, not from when the generator got round to it."""
        return self.done - self.due

    def end(self, trouble, status=0, zone=""):
        self.done, self.trouble, self.status, self.zone = time.monotonic(), trouble, status, zone


class Load:
    """GET and POST, half of each, at a constant rate, whatever happens to the earlier ones.

    In random order, and yet the same in every run: in turn, a proxy that picks in turn would give one backend all the POSTs.
    """

    def __init__(self, port, rate):
        self.port, self.rate = port, rate
        self.sent, self.idle, self.run_id = [], [], next(_runs)
        self.stopping, self.begun, self.open = False, 0.0, set()
        # How much later than due a request was sent, at worst: what the machine, not the proxy, is to blame for.
        self.lag = 0.0
        self.random = random.Random(1)

    def start(self):
        self.begun = time.monotonic() + 0.01
        self.task = asyncio.ensure_future(self.run())

    async def run(self):
        while not self.stopping:
            due = self.begun + len(self.sent) / self.rate
            wait = due - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            self.lag = max(self.lag, time.monotonic() - due)
            self.send(due)

    def send(self, due):
        number = len(self.sent)
        request = Sent(f"{self.run_id}-{number}", self.random.choice(["GET", "POST"]), due)
        self.sent.append(request)
        while self.idle:
            client = self.idle.pop()
            if not client.transport.is_closing():
                return client.send(request)
        client = Client(self)
        self.open.add(client)
        client.opening = asyncio.ensure_future(client.open(request))

    async def stop(self):
        """Sends no more and waits for the answers; returns what was sent."""
        self.stopping = True
        await self.task
        deadline = time.monotonic() + PATIENCE + 1
        while any(not request.done for request in self.sent) and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        for client in list(self.open):
            client.abort()
        return self.sent


class Client(asyncio.Protocol):
    """One connection to the proxy. Never repeats a request: what a real client might hide has to show here."""

    def __init__(self, load):
        self.load, self.transport, self.request, self.timer = load, None, None, None

    async def open(self, request):
        self.request = request
        self.timer = asyncio.get_running_loop().call_later(PATIENCE, self.expire)
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self.load.port)
        except OSError as error:
            self.finish(f"connect: {error.strerror}")
            self.load.open.discard(self)
        else:
            if self.request:
                self.write(request)

    def connection_made(self, transport):
        self.transport = transport

    def send(self, request):
        self.request = request
        self.timer = asyncio.get_running_loop().call_later(PATIENCE, self.expire)
        self.write(request)

    def write(self, request):
        self.parser, self.body = httptools.HttpResponseParser(self), b""
        body = b"Content-Length: 24\r\n\r\n" + b"amount=12&currency=euros" if request.method == "POST" else b"\r\n"
        head = f"{request.method} /r/{request.id} HTTP/1.1\r\nHost: app.example\r\n"
        self.transport.write(head.encode() + body)

    def data_received(self, data):
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.finish(f"nonsense: {error}")
            self.transport.abort()

    def on_body(self, body):
        self.body += body

    def on_message_complete(self):
        status = self.parser.get_status_code()
        if status < 200 or not self.request:
            return
        words = self.body.decode(errors="replace").split()
        if status != 200:
            trouble = f"status {status}"
        elif len(self.body) != 256 or words[2] != self.request.method or words[3] != f"/r/{self.request.id}":
            trouble = "a wrong answer"
        else:
            trouble = ""
        keep = self.parser.should_keep_alive()
        self.finish(trouble, status, words[0] if status == 200 and words else "")
        if keep:
            self.load.idle.append(self)
        else:
            self.transport.close()

    def connection_lost(self, _error):
        self.load.open.discard(self)
        status = 0
        if self.request and self.transport and hasattr(self, "parser"):
            status = self.parser.get_status_code()
        self.finish(f"status {status}, cut" if status else "closed without an answer", status)

    def expire(self):
        self.finish(f"nothing within {PATIENCE:.0f} s")
        self.abort()

    def abort(self):
        if self.transport:
            self.transport.abort()
        elif self.opening:
            self.opening.cancel()
            self.load.open.discard(self)

    def finish(self, trouble, status=0, zone=""):
        if self.request:
            self.timer.cancel()
            self.request.end(trouble, status, zone)
            self.request = None
