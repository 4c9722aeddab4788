"""gRPC's own client: ADDRESS. Makes each kind of call and compares what comes of it; silent when all is well."""

import queue
import sys

import grpc

channel = grpc.insecure_channel(sys.argv[1])
patience = 20

shout = channel.unary_unary("/test.Echo/Shout")
answer, call = shout.with_call(b"hello", timeout=patience)
assert answer == b"HELLO", answer
assert dict(call.trailing_metadata())["x-length"] == "5", call.trailing_metadata()
large = b"x" * 3_000_000
assert shout(large, timeout=patience) == large.upper()

try:
    shout(b"fail", timeout=patience)
    raise AssertionError("it succeeded")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION, error
    assert error.details() == "as asked: ä", error
    assert dict(error.trailing_metadata())["x-length"] == "4", error

numbers = channel.unary_stream("/test.Echo/Count")(b"1000", timeout=patience)
assert [int(number) for number in numbers] == list(range(1000))
assert dict(numbers.trailing_metadata())["x-counted"] == "1000"

assert channel.stream_unary("/test.Echo/Collect")(iter([b"a", b"b", b"c"]), timeout=patience) == b"a,b,c"

# Each word is answered before the next one is said.
words = queue.Queue()
talk = channel.stream_stream("/test.Echo/Talk")(iter(words.get, None), timeout=patience)
for word in (b"one", b"two", b"three"):
    words.put(word)
    assert next(talk) == word.upper()
words.put(None)
assert list(talk) == []
assert talk.code() == grpc.StatusCode.OK

hang = channel.unary_unary("/test.Echo/Hang")
try:
    hang(b"", timeout=0.3)
    raise AssertionError("it answered")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error

try:
    channel.unary_unary("/test.Echo/Unknown")(b"", timeout=patience)
    raise AssertionError("it succeeded")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
