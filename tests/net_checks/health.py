"""A gRPC server with the standard health service: ADDRESS [--tls] [--bare].

It has services in every state; --tls needs server.pem and server.key, --bare leaves the health service out.
"""

import os
import sys
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

address, *options = sys.argv[1:]
server = grpc.server(futures.ThreadPoolExecutor(max_workers=2), options=[("grpc.so_reuseport", 0)])
if "--bare" not in options:
    servicer = health.HealthServicer()
    for service, status in [
        ("", "SERVING"),
        ("shop.Up", "SERVING"),
        ("shop.Down", "NOT_SERVING"),
        ("shop.Unsure", "UNKNOWN"),
        ("shop.Gone", "SERVICE_UNKNOWN"),
    ]:
        servicer.set(service, getattr(health_pb2.HealthCheckResponse, status))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
if "--tls" in options:
    with open("server.key", "rb") as key, open("server.pem", "rb") as certificate:
        credentials = grpc.ssl_server_credentials([(key.read(), certificate.read())])
    bound = server.add_secure_port(address, credentials)
else:
    bound = server.add_insecure_port(address)
if not bound:
    sys.exit("the port is taken")
server.start()
with open("starting.pid", "w") as file:
    file.write(str(os.getpid()))
os.rename("starting.pid", "ready.pid")
server.wait_for_termination()
