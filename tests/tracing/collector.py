"""A collector of spans by OTLP over HTTP. It reads them with OpenTelemetry's own messages; GET /spans gives all that it has taken, and
{"rejects": 3} in its mood is how many it refuses of each export.
"""

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span

import receiver

spans = []


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


class Collector(receiver.Receiver):
    lists = {**receiver.Receiver.lists, "/spans": spans}

    def take(self, body, mood):
        message = ExportTraceServiceRequest.FromString(body)
        taken = [plain(span, each.resource) for each in message.resource_spans for scope in each.scope_spans for span in scope.spans]
        answer = ExportTraceServiceResponse()
        if rejects := mood.get("rejects"):
            answer.partial_success.rejected_spans = rejects
            answer.partial_success.error_message = "these are odd"
            taken = taken[rejects:]
        with receiver.lock:
            spans.extend(taken)
        return answer.SerializeToString(), {"Content-Type": "application/x-protobuf"}


receiver.serve(Collector)
