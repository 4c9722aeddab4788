"""Whom events are posted to: tells of each whether its signature by SECRET was right."""

import hashlib
import hmac
import json
import os
import time

import receiver

SECRET = os.environ["SECRET"].encode()


class Pager(receiver.Receiver):
    def note(self, body):
        timestamp = self.headers.get("firedoor-timestamp", "")
        expected = "v1=" + hmac.new(SECRET, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        return {
            "body": json.loads(body),
            "signed": hmac.compare_digest(expected, self.headers.get("firedoor-signature", "")),
            "age": time.time() - int(timestamp),
        }


receiver.serve(Pager)
