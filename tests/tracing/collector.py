"""A collector of spans by OTLP over HTTP: ADDRESS [--tls].

Reads them with OpenTelemetry's own messages. GET /spans gives all that it has taken, GET /requests what was sent to it; PUT /mood says
how it answers from now on: {"status": 503, "headers": {"Retry-After": "1"}, "times": 2, "rejects": 3, "hangs": true}.
"""

import http.server
import json
import os
import ssl
import sys
import threading

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span

address, *options = sys.argv[1:]
host, port = address.rsplit(":", 1)
lock = threading.Lock()
spans, requests, mood = [], [], {}
never = threading.Event()


def value(any_value):
    return getattr(any_value, any_value.WhichOneof("value"))


def plain(span, resource):
    return {
        "trace": span.trace_id.hex(),
        "id": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "state": span.trace_state,
        "name": span.name,
        "kind": Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        "start": span.start_time_unix_nano,
        "end": span.end_time_unix_nano,
        "flags": span.flags,
        "code": span.status.code,
        "attributes": {each.key: value(each.value) for each in span.attributes},
        "resource": {each.key: value(each.value) for each in resource.attributes},
    }


class Collector(http.server.BaseHTTPRequestHandler):
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
            body = json.dumps({"/spans": spans, "/requests": requests}[self.path]).encode()
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
            requests.append({"path": self.path, "fields": {name.lower(): text for name, text in self.headers.items()}})
        if now.get("hangs"):
            never.wait()
        status = now.get("status", 200)
        if status != 200:
            return self.answer(status, fields=now.get("headers", {}))
        message = ExportTraceServiceRequest.FromString(body)
        taken = [plain(span, each.resource) for each in message.resource_spans for scope in each.scope_spans for span in scope.spans]
        answer = ExportTraceServiceResponse()
        if now.get("rejects"):
            answer.partial_success.rejected_spans = now["rejects"]
            answer.partial_success.error_message = "these are odd"
            taken = taken[now["rejects"] :]
        with lock:
            spans.extend(taken)
        self.answer(200, answer.SerializeToString(), {"Content-Type": "application/x-protobuf"})


server = http.server.ThreadingHTTPServer((host, int(port)), Collector)
server.daemon_threads = True
if "--tls" in options:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("server.pem", "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
with open("ready.pid.new", "w", encoding="ascii") as file:
    file.write(str(os.getpid()))
os.rename("ready.pid.new", "ready.pid")
server.serve_forever()
