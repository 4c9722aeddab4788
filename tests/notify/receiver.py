"""Whom events are posted to: ADDRESS [--tls]. The secret is in SECRET.

GET /taken gives every request that came, and whether its signature was right; PUT /mood says how it answers from now on: {"status": 503,
"headers": {}, "times": 2, "does": "hang" | "nonsense" | "endless" | "reset"}.
"""

import hashlib
import hmac
import http.server
import json
import os
import ssl
import struct
import socket
import sys
import threading
import time

address, *options = sys.argv[1:]
host, port = address.rsplit(":", 1)
secret = os.environ["SECRET"].encode()
lock = threading.Lock()
taken, mood = [], {}
never = threading.Event()


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

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
            body = json.dumps(taken).encode()
        self.answer(200, body)

    def do_PUT(self):
        with lock:
            mood.clear()
            mood.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer(204)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fields = {name.lower(): text for name, text in self.headers.items()}
        timestamp = fields.get("firedoor-timestamp", "")
        expected = "v1=" + hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        with lock:
            now = dict(mood)
            if "times" in mood:
                mood["times"] -= 1
                if mood["times"] == 0:
                    mood.clear()
            taken.append(
                {
                    "path": self.path,
                    "fields": fields,
                    "body": json.loads(body),
                    "signed": hmac.compare_digest(expected, fields.get("firedoor-signature", "")),
                    "age": time.time() - int(timestamp),
                    "answer": now.get("status", 200) if "does" not in now else now["does"],
                }
            )
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
            case _:
                self.answer(now.get("status", 200), fields=now.get("headers", {}))


server = http.server.ThreadingHTTPServer((host, int(port)), Receiver)
server.daemon_threads = True
if "--tls" in options:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("server.pem", "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
with open("ready.pid.new", "w", encoding="ascii") as file:
    file.write(str(os.getpid()))
os.rename("ready.pid.new", "ready.pid")
server.serve_forever()
