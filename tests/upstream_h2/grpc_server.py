"""A gRPC server without generated code: ADDRESS. Each kind of call, on bytes, with metadata and status of its own."""

import os
import sys
from concurrent import futures

import grpc


def shout(request, context):
    context.set_trailing_metadata((("x-length", str(len(request))),))
    if request == b"fail":
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "as asked: ä")
    return request.upper()


def count(request, context):
    for number in range(int(request)):
        yield str(number).encode()
    context.set_trailing_metadata((("x-counted", request.decode()),))


def collect(requests, context):
    return b",".join(requests)


def talk(requests, context):
    for request in requests:
        yield request.upper()


def hang(request, context):
    import time

    while context.is_active():
        time.sleep(0.01)


handlers = {
    "Shout": grpc.unary_unary_rpc_method_handler(shout),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "Collect": grpc.stream_unary_rpc_method_handler(collect),
    "Talk": grpc.stream_stream_rpc_method_handler(talk),
    "Hang": grpc.unary_unary_rpc_method_handler(hang),
}
address = sys.argv[1]
server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), options=[("grpc.so_reuseport", 0)])
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
if not server.add_insecure_port(address):
    sys.exit("the port is taken")
server.start()
with open("starting.pid", "w") as file:
    file.write(str(os.getpid()))
os.rename("starting.pid", "ready.pid")
server.wait_for_termination()
