"""Whom firedoor posts to: an HTTP server that takes what comes, or fails as it is told. The address is the first argument; --tls.

GET /requests gives what came; PUT /mood says how each POST is answered from now on: {"status": 503, "headers": {"Retry-After": "1"},
"times": 2, "does": "hang" | "nonsense" | "endless" | "reset"}.
"""

import http.server
import json
import os
import socket
import ssl
import struct
import sys
import threading

lock = threading.Lock()
requests, mood = [], {}
never = threading.Event()


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lists = {"/requests": requests}

    def take(self, body, mood):
        """A POST that is to be answered with 200. Returns what is answered besides, and its header fields."""
        return b"", {}

    def note(self, body):
        """What is told of a POST, taken or not, beside its path and fields."""
        return {}

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", fields={}):
        self.send_response(status)
        for name, text in fields.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        with lock:
            body = json.dumps(self.lists[self.path]).encode()
        self.answer(200, body)

    def do_PUT(self):
        with lock:
            mood.clear()
            mood.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer(204)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with lock:
            now = dict(mood)
            if "times" in mood:
                mood["times"] -= 1
                if mood["times"] == 0:
                    mood.clear()
            status = now.get("status", 200)
            fields = {name.lower(): text for name, text in self.headers.items()}
            requests.append({"path": self.path, "fields": fields, "answer": now.get("does", status), **self.note(body)})
        match now.get("does"):
            case "hang":
                never.wait()
            case "nonsense":
                self.wfile.write(b"220 mail.example ESMTP\r\n\r\n")
                self.close_connection = True
            case "endless":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                while True:
                    self.wfile.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            case "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            case _ if status == 200:
                self.answer(200, *self.take(body, now))
            case _:
                self.answer(status, fields=now.get("headers", {}))


def serve(receiver):
    address, *options = sys.argv[1:]
    host, port = address.rsplit(":", 1)
    server = http.server.ThreadingHTTPServer((host, int(port)), receiver)
    server.daemon_threads = True
    if "--tls" in options:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain("server.pem", "server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    with open("ready.pid.new", "w", encoding="ascii") as file:
        file.write(str(os.getpid()))
    os.rename("ready.pid.new", "ready.pid")
    server.serve_forever()
